"""What workers can do for one kind of goal: functions from ``Work`` to a JSON object."""
