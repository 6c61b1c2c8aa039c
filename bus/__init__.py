"""How messages travel: envelope, topology, publishing, inbox, relay, dead letters."""
