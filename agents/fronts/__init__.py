"""Agents that search for a Pareto front: their rewards are of several objectives."""
