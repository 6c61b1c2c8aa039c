"""The record: ``eventsourcing``'s recorders on PostgreSQL, with our own mapper and registry."""
