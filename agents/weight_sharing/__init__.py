"""Agents that train one supernet whose weights all architectures share, and derive one from it."""
