"""What runs as a process of its own, and what keeps it running."""
