"""Baseline agents for the environments, their recorder and runner."""
