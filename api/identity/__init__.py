"""Who asks: passwords, sessions, tokens and keys."""
