"""When tasks run: the critical path, and schedules with a limited number of agents."""
