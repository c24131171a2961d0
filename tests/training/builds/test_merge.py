"""Tables of a part of a build's seeds, and what a table says of the machines that trained it."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from nb201env import Table
from nb201env.training.builds.build import arithmetic, build
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder, this_machine
from tests.training.builds.test_build import DATA, built, small_plan


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return built(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def table(undisturbed: Folder, tmp_path_factory: pytest.TempPathFactory) -> Table:
    return merge(undisturbed, tmp_path_factory.mktemp("merged") / "table.safetensors", DATA)


def test_a_table_of_some_of_the_seeds(undisturbed: Folder, table: Table, tmp_path: Path) -> None:
    """Of a build whose other seeds are not whole yet."""
    part = merge(undisturbed, tmp_path / "t.safetensors", DATA, seeds=[4])
    assert part.seeds == (4,)
    assert part.manifest["coverage"] == {"trainings": 6, "of": 5485, "diverged": []}
    for split in ("train", "valid", "test"):
        alone, among = (t.runs(split=split, epochs=2) for t in (part, table))
        np.testing.assert_array_equal(alone[:, 0], among[:, 1])  # NaN equals NaN
    command = part.manifest["provenance"]["command"]
    assert "--seeds 3,4 " in command
    assert command.endswith("nb201 merge FOLDER --seeds 4")
    assert part.manifest["provenance"]["plan"] == undisturbed.plan.digest
    whole = merge(undisturbed, tmp_path / "whole.safetensors", DATA, seeds=[4, 3])
    assert whole.id == table.id


@pytest.mark.parametrize("seeds", [[5], [3, 5], []])
def test_a_table_of_seeds_that_the_build_does_not_have(undisturbed: Folder, seeds: list[int]) -> None:
    assert undisturbed.store.folder is not None
    with pytest.raises(ValueError, match=r"choose among the build's seeds, 3,4; got"):
        merge(undisturbed, undisturbed.store.folder / "none.safetensors", DATA, seeds=seeds)


def test_a_table_of_a_seed_that_is_not_trained_yet(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path, small_plan())
    build(folder, share=(1, 6))
    assert merge(folder, tmp_path / "t.safetensors", DATA, seeds=[3]).manifest["coverage"]["trainings"] == 2
    with pytest.raises(FileNotFoundError, match="no finished shard of seed 4; run"):
        merge(folder, tmp_path / "none.safetensors", DATA, seeds=[4])


def test_the_manifest_says_what_trained(undisturbed: Folder, table: Table) -> None:
    about = undisturbed.read(undisturbed.plan.units[0])[1]["about"]
    assert (about["device"], about["activations"]) == ("cpu", "float32")
    assert not {"gpu", "triton"} & set(about)
    # What goes without saying is left out, so tables built before it was written down keep their id.
    assert table.manifest["provenance"]["software"] == [{"torch": about["torch"], "device": "cpu"}]


def test_the_manifest_says_that_the_images_are_but_a_part(undisturbed: Folder, tmp_path: Path) -> None:
    table = merge(undisturbed, tmp_path / "t.safetensors", replace(DATA, part=True))
    assert all("a part, for a trial" in split["what"] for split in table.manifest["task"]["splits"].values())


GPU = {"device": "cuda:0", "gpu": "NVIDIA H100 80GB HBM3", "activations": "bfloat16", "triton": "3.6.0"}


def test_shards_of_gpus_name_them(undisturbed: Folder, tmp_path: Path) -> None:
    """Made-up manifests around real numbers: two cards, and a shard from before cards were named."""
    folder = Folder.create(tmp_path, undisturbed.plan)
    old = {"device": "cuda:0"}
    cards = [GPU, GPU, GPU | {"gpu": "NVIDIA H200"}, old, GPU, GPU]
    for unit, card in zip(undisturbed.plan.units, cards, strict=True):
        arrays, manifest = undisturbed.read(unit)
        kept = {key: manifest["about"][key] for key in ("torch", "python", "platform", "processor")}
        folder.write(
            unit, {name: np.array(array) for name, array in arrays.items()}, kept | {"seconds": 1.0} | card
        )
    found = merge(folder, tmp_path / "t.safetensors", DATA).manifest["provenance"]["software"]
    assert found == [{"torch": kept["torch"]} | card for card in (old, GPU, GPU | {"gpu": "NVIDIA H200"})]
    assert "processors" not in str(found)


def test_what_a_gpu_computes_with(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    assert this_machine(device)["gpu"] == "card 0"
    assert "gpu" not in this_machine(torch.device("cpu"))
    assert arithmetic("plain", device) == {"activations": "float32"}
    assert arithmetic("graphs", device) == {"activations": "bfloat16"}
    assert arithmetic("stacked", torch.device("cpu")) == {"activations": "float32"}
    if importlib.util.find_spec("triton"):
        assert arithmetic("stacked", device) == {"activations": "bfloat16", "triton": version("triton")}
