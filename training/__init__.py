"""Training that builds a table.

From the ground up:

* `network` is the official network, `recipe` how it is trained;
* `images` holds the tasks and reads their images, `data` cuts them into batches;
* `loop` is the plain training; `compiled` is a fast one for small images on a CPU, `gpu` trains many
  architectures at once on one GPU, and `trainers` lists them all;
* `builds` trains a space in shards, merges them into a table and audits it; `latency` times one network,
  `latencies` those of all classes; `proxies` scores networks that were never trained. What takes long keeps a
  `journal`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nb201env.training.builds.weights import load_network as load_network
    from nb201env.training.network import network_for as network_for

_HOME = {"load_network": "builds.weights", "network_for": "network"}
__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import, and the command line must not wait for it.
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
