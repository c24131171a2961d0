"""Training that builds a table.

The parts, from the ground up: `network` (the official network), `recipe` (how it is trained),
`files` and `tasks` (images), `data` (batches), `loop` (the plain training), `kernels`, `layout` and
`compiled` (the same, fast for small images), `gpu` (many architectures at once on one GPU), `plan`
(a build and its shards), `build`, `merge`, `weights`, `audit`.
"""

from typing import Any

__all__ = ["load_network"]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import, and the command line must not wait for it.
    if name == "load_network":
        from nb201env.training.builds.weights import load_network

        return load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
