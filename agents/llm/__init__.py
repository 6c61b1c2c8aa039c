"""Language models, as agents ask them: behind a protocol of our own, within a budget."""
