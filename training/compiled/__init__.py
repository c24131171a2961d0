"""A training compiled by Numba, fast for small images on a CPU."""
