"""Agents that train one supernet whose weights all architectures share, and derive one from it."""

from nb201env.extras import require

require("torch", "train")
