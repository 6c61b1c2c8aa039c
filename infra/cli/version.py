"""``taskloom version``: which version this is."""


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    print(f"taskloom {version_of('taskloom')}")
