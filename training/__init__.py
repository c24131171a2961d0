"""Training that builds a table."""
