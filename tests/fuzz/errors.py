"""What fuzzing finds."""

from __future__ import annotations


class Undocumented(AssertionError):
    """An error that no docstring promises, or that is no sentence."""
