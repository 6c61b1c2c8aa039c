"""Peers, each in an environment of its own, set up to be as durable as they can be."""
