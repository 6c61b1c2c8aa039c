"""Task graphs as others write them down: one importer a file, pure."""
