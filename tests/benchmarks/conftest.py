"""Triton's kernels are interpreted here as in tests/training/gpu."""

from tests.training.gpu.conftest import exact  # noqa: F401
