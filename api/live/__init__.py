"""What happens, told while it happens: over WebSockets and as server-sent events."""
