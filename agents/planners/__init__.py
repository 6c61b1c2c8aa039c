"""The planning agents: a meta planner, and one planner for each domain."""
