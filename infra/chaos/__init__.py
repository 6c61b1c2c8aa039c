"""Breaks a whole stack of processes and servers on purpose, and judges what is left."""
