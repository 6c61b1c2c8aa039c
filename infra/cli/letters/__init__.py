"""The verbs of ``taskloom dlq``, one file a kind."""
