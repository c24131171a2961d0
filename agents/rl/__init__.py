"""Reinforcement learning on the environment, and what it shares."""
