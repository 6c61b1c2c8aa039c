"""Seals over the log: what makes it evident that somebody has tampered with it."""
