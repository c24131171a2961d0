"""Data sets for offline reinforcement learning, in Minari's format: made of searches, or of a policy's stages."""
