"""The execution agents, one for each domain."""
