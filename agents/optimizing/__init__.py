"""Schedules made shorter by a solver, in a process of its own and within a time box."""
