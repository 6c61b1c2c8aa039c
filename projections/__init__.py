"""Views folded from events: any of them can be dropped and built again."""
