"""Trained weights beside a table: one safetensors file per network."""

from __future__ import annotations

import os

import numpy as np
import torch

from nb201env.architecture import Architecture, ArchitectureLike
from nb201env.arrays import Array
from nb201env.classes import canonical_classes, representatives
from nb201env.container import DamagedTable
from nb201env.fields import Fields
from nb201env.missing import not_recorded
from nb201env.table import NotRecorded, Table
from nb201env.tables import embedded_file
from nb201env.training.builds.store import Store
from nb201env.training.network import Network, Skeleton

Weights = dict[str, Array]
"""A network's parameters and running statistics by their PyTorch names."""


def weights_of(network: Network) -> Weights:
    """A copy of a network's weights."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}


def write_weights(store: Store, architecture: Architecture, seed: int, plan: str, weights: Weights) -> None:
    """Write a trained network's weights as ``weights/<seed>/<index>.safetensors``."""
    about = {"architecture": str(architecture), "seed": seed, "plan": plan}
    store.write(f"weights/{_file(architecture, seed)}", about, weights)


def _file(architecture: Architecture, seed: int) -> str:
    return f"{seed}/{architecture.index:05d}.safetensors"


def load_network(
    table: Table, architecture: ArchitectureLike, run: int, *, weights: str | os.PathLike[str] | None = None
) -> Network:
    """The trained network behind a table's entry, in evaluation mode on the CPU.

    Its accuracy on the task's images (`nb201env.training.loop.evaluate`) is the recorded one. In a table
    whose classes share runs it is the network of the class's first member, which computes what
    the given architecture computes.

    Args:
        table: A table made by `nb201 merge` from a build with `--weights`.
        architecture: Which one.
        run: The seed.
        weights: Their folder or URL (`nb201env.training.builds.store`); default: "weights" beside the
            table's file.

    Raises:
        NotRecorded: If there are no weights for it, or the table was not built here.
        DamagedTable: If the file is damaged, or belongs to another build.
    """
    chosen = Architecture.of(architecture)
    if table.container.path.parent == embedded_file(table.name).parent:
        lacks = (
            f"{table.name} comes with nb201env, and embedded tables come without weights; train some with "
            "'nb201 build --weights' and 'nb201 merge' (docs/network.md)"
        )
        raise not_recorded(lacks, table.manifest)  # which names the official files, whose archives have some
    if "skeleton" not in table.manifest:
        lacks = f"{table.name} was not built by this package, so there are no weights for it"
        raise not_recorded(lacks, table.manifest)
    if "row" in table.container:
        chosen = Architecture.from_index(int(representatives()[canonical_classes()[chosen.index]]))
    entries = Fields(table.manifest, str(table.container.path), DamagedTable)
    store, file = Store(weights or table.container.path.parent / "weights"), _file(chosen, run)
    if not store.has(file):
        raise NotRecorded(
            f"no weights of {chosen}, run {run}: {store.name(file)} is missing; build with --weights"
        )
    container = store.read(file)
    if container.manifest.get("plan") != entries.object("provenance").text("plan"):
        raise DamagedTable(
            f"{store.name(file)} belongs to another build than {table.name}; give weights=FOLDER"
        )
    skeleton = Skeleton.read(entries.object("skeleton"))
    with torch.device("meta"):  # shapes only: a skeleton that claims to be huge costs nothing
        expected = Network(chosen, skeleton).state_dict()
    _check_weights(Fields(container.manifest, store.name(file), DamagedTable).object("arrays"), expected)
    network = Network(chosen, skeleton)
    network.load_state_dict(
        {
            k: torch.from_numpy(np.array(container.array(k))).reshape(held.shape)
            for k, held in expected.items()
        }
    )
    return network.eval()


def _check_weights(specs: Fields, expected: dict[str, torch.Tensor]) -> None:
    specs.refuse_others(expected)
    for name, tensor in expected.items():
        spec, shape = specs.object(name), list(tensor.shape) or [1]
        dtype = "I64" if tensor.dtype == torch.int64 else "F32"
        if spec.text("dtype") != dtype or spec.wholes("shape") != shape:
            raise spec.refuse("shape", f"should be {dtype} {shape}: weights of another network")
