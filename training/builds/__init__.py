"""A table by training: its plan, its shards, and the table made of them."""
