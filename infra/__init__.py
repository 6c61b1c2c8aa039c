"""Settings, the event store, composition roots, the command line and deployment."""
