"""The servers Taskloom brings along when none are configured."""
