"""Data sets for offline reinforcement learning, in Minari's format: of searches, or of a policy's stages."""
