"""A Gymnasium environment over the NAS-Bench-201 search space."""
