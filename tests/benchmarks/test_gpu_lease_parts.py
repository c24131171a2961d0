"""What travels to the GPU's machine: images without loss, in parts that are small enough."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu_lease import codec, pack, unpack
from benchmarks.gpu_lease.unpack import Parts
from nb201env.training.images.originals import read_images
from nb201env.training.images.tasks import load_task, shrink
from tests.benchmarks import lease_data

PART_BYTES = 200_000


def pyramid(images: codec.Images) -> list[codec.Images]:
    levels = [images]
    while levels[-1].shape[1] > codec.BASE:
        levels.append(shrink(levels[-1], levels[-1].shape[1] // 2))
    return levels


# -- the codec ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["smooth", "noise", "extremes", "one image"])
def test_images_come_back_bit_by_bit(kind: str) -> None:
    """Also those that are nothing like what the predictors were fitted to."""
    rng = np.random.default_rng(1)
    smooth = lease_data.images(12, 1)["x_train"]
    images = {
        "smooth": smooth,
        "noise": rng.integers(0, 256, (7, 32, 32, 3)).astype(np.uint8),
        "extremes": rng.choice([0, 255], (7, 32, 32, 3)).astype(np.uint8),
        "one image": smooth[:1],
    }[kind]
    model = codec.load(codec.dump(codec.fit(smooth[:6])))
    found = None
    for level in reversed(pyramid(images)):
        found = codec.decode(codec.encode(level, model), model, found)
        assert np.array_equal(found, level)


def test_what_is_smooth_becomes_small() -> None:
    images = lease_data.images(200, 1)["x_train"]
    model = codec.fit(images[:40])
    size = sum(len(codec.encode(level, model)) for level in pyramid(images))
    assert size < 0.8 * images.nbytes  # noise of deviation 9 alone is log2(9 * 4.13) = 5.2 of 8 bits


def test_packed_images_that_were_cut_off_are_refused() -> None:
    images = lease_data.images(4, 1)["x_train"]
    model, content = codec.fit(images), b""
    content = codec.encode(images, model)
    with pytest.raises(ValueError, match="packed images cannot be read"):
        codec.decode(content[: len(content) // 2], model, shrink(images, 16))


# -- parts -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, numbers and kernels in as many parts as a small limit makes of them."""
    folder = tmp_path_factory.mktemp("packed")
    lease_data.write_images(folder / "images.npz", 40, 10)
    lease_data.write_reference(folder / "reference.csv")
    kernel = folder / "kernels" / "ABC" / "kernel.cubin"
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b"machine code")
    source = pack.Source(folder / "images.npz", folder / "reference.csv", folder / "kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "PART_BYTES", PART_BYTES)
        patch.setattr(pack, "LEAST_BYTES", 1)
        patch.setattr(pack, "CHUNK", 30)  # so that there are two, which makes it use processes
        sizes = pack.pack(source, folder / "parts", 0, lambda _: None)
    (folder / "sizes.json").write_text(json.dumps(sizes))
    return folder


def bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_no_part_is_larger_than_the_limit(packed: Path) -> None:
    sizes = json.loads((packed / "sizes.json").read_text())
    parts = sorted((packed / "parts").iterdir())
    assert len(parts) == len(sizes) > 1
    assert [bytes_of(part) for part in parts] == sizes
    assert max(sizes) <= PART_BYTES


def test_parts_are_alike_so_that_the_repository_can_grow_beside_each() -> None:
    small, large = {"16px-00": bytes(30)}, {f"32px-{number:02d}": bytes(7) for number in range(10)}
    assert pack._even(small | large, 55) == 50
    assert pack._even(small | large, 35) == 34
    assert pack._even({"16px-00": bytes(60)} | large, 90) == 65
    assert pack._even({"16px-00": bytes(75)} | large, 90) == 75  # all that the small images need


def test_all_parts_make_exactly_what_was_packed(packed: Path, tmp_path: Path) -> None:
    """One call after the other brings a part, each on its own."""
    parts = Parts(tmp_path / "parts")
    for part in sorted((packed / "parts").iterdir()):
        call = tmp_path / "call"
        shutil.copytree(part, call / part.name)
        assert parts.receive(call) > 0
        assert parts.receive(call) == 0
        shutil.rmtree(call)
    original = read_images(packed / "images.npz", "cifar10")
    for side in (16, 32):
        unpack.main(["--work", str(tmp_path), "--side", str(side)])
        found = read_images(tmp_path / f"cifar10-{side}px.npz", "cifar10")
        for name in ("x_train", "x_test"):
            assert np.array_equal(found[name], shrink(original[name], side) if side < 32 else original[name])
            assert np.array_equal(found[f"y{name[1:]}"], original[f"y{name[1:]}"])
    assert unpack.unpack_file(parts, "reference.csv.xz", tmp_path / "reference.csv")
    assert (tmp_path / "reference.csv").read_bytes() == (packed / "reference.csv").read_bytes()
    assert unpack.unpack_folder(parts, "kernels.tar.xz", tmp_path / "kernels")
    assert (tmp_path / "kernels" / "ABC" / "kernel.cubin").read_bytes() == b"machine code"


def test_the_task_of_16_pixels_is_the_same_from_both_files(packed: Path, tmp_path: Path) -> None:
    """So that shards of every lease, and of a build here, belong to one plan."""
    Parts(tmp_path / "parts").receive(packed / "parts")
    unpack.main(["--work", str(tmp_path), "--side", "16"])
    task = "cifar10-valid-16px"
    small, large = load_task(task, tmp_path / "cifar10-16px.npz"), load_task(task, packed / "images.npz")
    assert small.digest == large.digest


def test_the_first_part_is_enough_for_16_pixels(packed: Path, tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    shutil.copytree(packed / "parts" / "part-1", tmp_path / "call" / "part-1")
    assert not parts.has_images(16)
    parts.receive(tmp_path / "call")
    assert parts.has_images(16)
    assert parts.has("reference.csv.xz")
    assert parts.has("kernels.tar.xz")
    assert not parts.has_images(32)


def test_a_damaged_piece_is_named(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Parts(tmp_path / "parts").receive(packed / "parts")
    file = tmp_path / "parts" / "labels.npz.0"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(SystemExit) as stopped:
        unpack.main(["--work", str(tmp_path), "--side", "16"])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("labels.npz is damaged; carry its part again")


def test_another_packing_takes_the_place_of_the_one_before(packed: Path, tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    parts.receive(packed / "parts")
    assert parts.has_images(32)
    other = tmp_path / "call" / "part-1"
    other.mkdir(parents=True)
    (other / "manifest.json").write_text('{"images": {}, "files": {}}\n')
    parts.receive(tmp_path / "call")
    assert not parts.has_images(16)
    assert [file.name for file in parts.folder.iterdir()] == ["manifest.json"]


def test_part_and_repository_stay_below_what_a_call_carries(packed: Path, tmp_path: Path) -> None:
    """A large repository makes parts smaller; one that leaves nothing is an error that says so."""
    source = pack.Source(packed / "images.npz")
    repository = pack.CALL_BYTES - pack.SPARE_BYTES - pack.LEAST_BYTES
    for size in pack.pack(source, tmp_path / "parts", repository, lambda _: None):
        assert size + repository <= pack.CALL_BYTES
    with pytest.raises(ValueError, match="no room is left for images"):
        pack.pack(source, tmp_path / "parts", repository + 1, lambda _: None)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs Git")
def test_a_repository_is_counted_without_what_it_ignores(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/large\n")
    (tmp_path / "large").write_bytes(bytes(9999))
    (tmp_path / "new").write_bytes(bytes(100))
    assert pack.repository_bytes(tmp_path) == 100 + len("/large\n")
    shutil.rmtree(tmp_path / ".git")
    with pytest.raises(ValueError, match="is not a Git checkout"):
        pack.repository_bytes(tmp_path)


def test_packing_again_leaves_no_old_part(packed: Path, tmp_path: Path) -> None:
    old = tmp_path / "parts" / "part-7"
    old.mkdir(parents=True)
    (old / "old").write_text("old")
    pack.pack(pack.Source(packed / "images.npz"), tmp_path / "parts", 0, lambda _: None)
    assert [part.name for part in (tmp_path / "parts").iterdir()] == ["part-1"]


def test_the_itinerary_carries_every_part_once_and_then_the_first_alone(tmp_path: Path) -> None:
    text = pack.itinerary(Path(".gpu"), [55_000_000, 50_000_000], 11_000_000)
    assert "part-1: 55,000,000 bytes, with the repository 66,000,000 of 67,108,864" in text
    carried = [line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith("  carry")]
    assert carried == [".gpu/part-1", ".gpu/part-2", ".gpu/part-1"]


def test_kernels_that_do_not_compile_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'no Triton here'\nexit 2\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(ValueError, match=f"{failing} does not compile the kernels: no Triton here"):
        pack.compile_kernels(str(failing), tmp_path / "kernels", lambda _: None)


def test_images_are_those_of_cifar_10(packed: Path) -> None:
    """The manifest states sha256 sums of the arrays themselves."""
    manifest = json.loads((packed / "parts" / "part-1" / "manifest.json").read_text())
    array = read_images(packed / "images.npz", "cifar10")["x_train"]
    assert manifest["images"]["32"]["x_train"] == hashlib.sha256(array.tobytes()).hexdigest()
