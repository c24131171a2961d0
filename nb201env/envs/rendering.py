"""What `render` gives, for the single and the vector environment."""

from __future__ import annotations

from typing import Any, Protocol

from gymnasium import logger

from nb201env import drawing
from nb201env.arrays import IntArray
from nb201env.envs.options import RENDER_MODES
from nb201env.fields import quoted


class _Env(Protocol):
    render_mode: str | None


def checked_render_mode(mode: Any) -> str | None:
    """The render mode, if it is one.

    Raises:
        ValueError: If it is none.
    """
    if mode is None or (isinstance(mode, str) and mode in RENDER_MODES):
        return mode
    raise ValueError(f"render_mode must be one of {RENDER_MODES} or None; got {quoted(mode)}")


def renders(env: _Env) -> bool:
    """Whether the environment was given a render mode; warns if not, as Gymnasium's own environments do."""
    if env.render_mode is None:
        logger.warn("nothing to render: pass render_mode='ansi' or 'rgb_array' to gym.make")
    return env.render_mode is not None


def drawn(mode: str | None, ops: IntArray) -> Any:
    """A cell as text or as an image, uint8 [height, width, 3]."""
    draw = drawing.text if mode == "ansi" else drawing.image
    return draw(tuple(ops.tolist()))
