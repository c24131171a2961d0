"""Searches: planned, run, recorded, replayed, and what they found."""
