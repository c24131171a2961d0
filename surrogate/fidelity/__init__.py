"""How faithfully a surrogate stands in for a table."""
