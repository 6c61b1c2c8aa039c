"""What `make bench` measures: ours beside what the same durable steps cost at least, in one run."""
