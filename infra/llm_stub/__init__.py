"""A server that speaks the protocols of two model providers, with answers from a script.

It proves plumbing: requests, faults, retries, accounts. It knows nothing and plans nothing: what it
answers by itself is the draft that it was sent, or what its scenario says.
"""
