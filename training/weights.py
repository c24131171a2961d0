"""Trained weights beside a table: one safetensors file per network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nb201env.classes import canonical_classes, representatives
from nb201env.container import Container, DamagedTable, write
from nb201env.space import Architecture, ArchitectureLike
from nb201env.table import NotRecorded, Table
from training.network import Network, Skeleton

Weights = dict[str, npt.NDArray[Any]]
"""A network's parameters and running statistics by their PyTorch names."""


def weights_of(network: Network) -> Weights:
    """A copy of a network's weights."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}


def write_weights(folder: Path, architecture: Architecture, seed: int, plan: str, weights: Weights) -> None:
    """Write a trained network's weights as ``<seed>/<index>.safetensors`` in a folder."""
    file = weights_file(folder, architecture, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, {"architecture": str(architecture), "seed": seed, "plan": plan}, weights)


def weights_file(folder: Path, architecture: Architecture, seed: int) -> Path:
    """Where a network's weights are."""
    return folder / str(seed) / f"{architecture.index:05d}.safetensors"


def load_network(
    table: Table, architecture: ArchitectureLike, run: int, *, weights: Path | None = None
) -> Network:
    """The trained network behind a table's entry, in evaluation mode on the CPU.

    Its accuracy on the task's images (`training.loop.evaluate`) is the recorded one. In a table
    whose classes share runs it is the network of the class's first member, which computes what
    the given architecture computes.

    Args:
        table: A table made by `nb201 merge` from a build with `--weights`.
        architecture: Which one.
        run: The seed.
        weights: Their folder; the default is "weights" beside the table's file.

    Raises:
        NotRecorded: If there are no weights for it, or the table was not built here.
        DamagedTable: If the file is damaged, or belongs to another build.
    """
    chosen = Architecture.of(architecture)
    if "skeleton" not in table.manifest:
        raise NotRecorded(f"{table.name} was not built by this package, so there are no weights for it")
    if "row" in table.container:
        chosen = Architecture.from_index(int(representatives()[canonical_classes()[chosen.index]]))
    file = weights_file(weights or table.container.path.parent / "weights", chosen, run)
    if not file.is_file():
        raise NotRecorded(f"no weights of {chosen}, run {run}: {file} is missing; build with --weights")
    container = Container(file)
    if container.manifest.get("plan") != table.manifest["provenance"]["plan"]:
        raise DamagedTable(f"{file} belongs to another build than {table.name}; give weights=FOLDER")
    network = Network(chosen, Skeleton(**table.manifest["skeleton"]))
    state = network.state_dict()
    network.load_state_dict(
        {k: torch.from_numpy(np.array(container.array(k))).reshape(state[k].shape) for k in state}
    )
    return network.eval()
