"""The papers' protocols, and what they published."""
