"""The loops of the protocol in a simulated world, where a seed decides everything."""
