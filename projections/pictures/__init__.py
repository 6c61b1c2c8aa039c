"""Pictures of plans and runs: pure functions from tasks, statuses and times to SVG."""
