"""Shards of a GPU lease: built until the time is up, gone on with after a kill, added to the repository."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.checkout import ROOT
from benchmarks.gpu_lease import __main__ as command
from benchmarks.gpu_lease import builder, home
from benchmarks.gpu_lease.collect import collect
from benchmarks.gpu_lease.lease import Lease, finished
from benchmarks.gpu_lease.targets import MINIATURE
from benchmarks.jsonl import read_lines
from nb201env.training.builds.plan import Folder
from nb201env.training.builds.shards import ForeignShard
from tests.benchmarks import lease_data
from tests.benchmarks.lease_fakes import write_shards

TARGET = MINIATURE.targets[0]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lease_data.write_images(tmp_path_factory.mktemp("images") / "images.npz")


def arguments(images: Path, out: Path, *more: str) -> list[str]:
    return ["--target", TARGET.name, "--trainer", "stacked", "--data", str(images), "--folder",
            str(out / "smoke-2-stacked"), "--log", str(out / "build.jsonl"), "--device", "cpu",
            "--limit-seconds", "100", *more]  # fmt: skip


# -- building ----------------------------------------------------------------------------------


def test_a_kill_in_the_middle_loses_nothing_that_is_finished(images: Path, tmp_path: Path) -> None:
    """Going on afterwards gives the bytes of a build that was never stopped."""
    run = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu_lease.builder", *arguments(images, tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    with run.stdout as said:
        assert said.readline().startswith("shards/777-00000.safetensors: 1 architectures in ")
        os.kill(run.pid, signal.SIGKILL)
    run.wait()
    folder = tmp_path / "smoke-2-stacked"
    assert finished(folder) == {777: 1}
    first = (folder / "shards" / "777-00000.safetensors").read_bytes()

    builder.main(arguments(images, tmp_path))
    assert finished(folder) == {777: 2}
    assert (folder / "shards" / "777-00000.safetensors").read_bytes() == first
    events = [(line["event"], line["unit"][7:16]) for line in read_lines(tmp_path / "build.jsonl")]
    assert events == [
        ("begun", "777-00000"), ("done", "777-00000"), ("begun", "777-00001"),
        *([("begun", "777-00001")] if len(events) == 5 else []), ("done", "777-00001"),
    ]  # fmt: skip


def test_a_shard_that_would_not_fit_is_not_begun(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builder.main(arguments(images, tmp_path, "--expected-seconds", "100"))
    assert "777-00000.safetensors and all after it: about 100 s each, " in capsys.readouterr().out
    assert finished(tmp_path / "smoke-2-stacked") == {777: 0}
    assert not (tmp_path / "build.jsonl").exists()


def test_shards_left_out_are_left_out(images: Path, tmp_path: Path) -> None:
    builder.main(arguments(images, tmp_path, "--skip", "shards/777-00000.safetensors"))
    missing = Folder.open(tmp_path / "smoke-2-stacked").missing()
    assert [unit.file for unit in missing] == ["shards/777-00000.safetensors"]


def test_what_goes_wrong_in_a_shard_is_one_line_and_in_the_log(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")

    monkeypatch.setattr(builder, "train_unit", crash)
    with pytest.raises(SystemExit) as stopped:
        builder.main(arguments(images, tmp_path))
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "RuntimeError: CUDA error: an illegal memory access\n"
    assert [line["event"] for line in read_lines(tmp_path / "build.jsonl")] == ["begun", "failed"]


# -- collecting --------------------------------------------------------------------------------


@pytest.fixture
def lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """One that has made two shards."""
    for name in ("TRITON_CACHE_DIR", "PYTHONUNBUFFERED"):
        monkeypatch.setenv(name, "")  # which a lease sets
    found = Lease("cpu", tmp_path / "work", tmp_path / "out", tmp_path, tmp_path / "builds", MINIATURE, 60.0)
    found.begin()
    write_shards(found.folder("smoke-2-stacked"), 2, TARGET.plan("stacked", "0" * 64))
    (found.work / "triton" / "KEY").mkdir(parents=True)
    (found.work / "triton" / "KEY" / "convolve.cubin").write_bytes(b"machine code")
    return found


def brought(lease: Lease) -> list[Path]:
    return [file for file in home.bring_home(lease) if file.name != "summary.md"]


def test_new_shards_are_added_and_one_line_says_what_is_covered(
    lease: Lease, capsys: pytest.CaptureFixture[str]
) -> None:
    (archive,) = brought(lease)
    cache = lease.builds.parent / "cache"
    for _ in range(2):  # the second time, all is there
        given = ["collect", str(archive), "--builds", str(lease.builds), "--cache", str(cache)]
        assert command.main(given) == 0
        assert capsys.readouterr().out == "smoke-2-stacked: of 2 classes, seed 777: 2\n"
    assert finished(lease.builds / "smoke-2-stacked") == {777: 2}
    (report,) = (lease.builds / "reports").iterdir()
    assert report.name == f"{lease.about['started']}-cpu"
    assert {file.name for file in report.iterdir()} == {"machine.json", "summary.md"}
    assert (cache / "KEY" / "convolve.cubin").read_bytes() == b"machine code"
    assert brought(lease) != []  # the next archive has records, and no shard that is here
    assert collect([lease.out / home.ARCHIVE], lease.builds) == []


def test_pieces_are_put_together_in_their_order(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "PIECE_BYTES", 130)
    pieces = brought(lease)
    assert len(pieces) > 10
    assert collect(pieces[::-1], lease.builds) == ["smoke-2-stacked: of 2 classes, seed 777: 2"]
    with pytest.raises(ValueError, match="if it came in pieces, give all of them"):
        collect(pieces[1:], lease.builds)


def spoil(lease: Lease, how: str) -> None:
    folder = lease.folder("smoke-2-stacked")
    shard = folder / "shards" / "777-00001.safetensors"
    if how == "damaged":
        content = bytearray(shard.read_bytes())
        content[-1] ^= 1
        shard.write_bytes(content)
    elif how == "of another build":
        shutil.rmtree(folder)
        write_shards(folder, 2, TARGET.plan("stacked", "1" * 64))
        other = folder / "plan.json"
        other.write_text(other.read_text().replace("1" * 64, "0" * 64))
    elif how == "another's number":
        shutil.copyfile(folder / "shards" / "777-00000.safetensors", shard)
    elif how == "no shard of the plan":
        shard.rename(shard.with_name("777-00002.safetensors"))
    elif how == "of another plan than builds/":
        write_shards(lease.builds / folder.name, 1, TARGET.plan("stacked", "2" * 64))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("damaged", "777-00001"),
        ("of another build", "belongs to another build"),
        ("another's number", "in another shard's place"),
        ("no shard of the plan", "the build has no such shard"),
        ("of another plan than builds/", "holds another build than the archive's smoke-2-stacked"),
    ],
)
def test_a_shard_that_is_wrong_is_refused_and_nothing_is_added(lease: Lease, how: str, said: str) -> None:
    spoil(lease, how)
    (archive,) = brought(lease)
    before = sorted(lease.builds.rglob("*"))
    with pytest.raises(ValueError, match=said):
        collect([archive], lease.builds)
    assert sorted(lease.builds.rglob("*")) == before


def test_numbers_that_no_training_gives_are_refused(lease: Lease) -> None:
    """Although the shard's own hashes are right."""
    write_shards(lease.folder("smoke-2-stacked"), 2, TARGET.plan("stacked", "0" * 64), loss=float("nan"))
    with pytest.raises(ValueError, match="train_loss has values that are negative or no numbers"):
        collect(brought(lease), lease.builds)


def test_a_shard_for_another_recipe_is_refused(lease: Lease) -> None:
    """As one is whose plan was put in place of the right one."""
    plan = TARGET.plan("stacked", "0" * 64)
    write_shards(lease.builds / "smoke-2-stacked", 1, replace(plan, seeds=(1,)))
    with pytest.raises(ForeignShard):
        collect(brought(lease), lease.builds)


def test_an_archive_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"", b"no archive", gzip.compress(b"no tar")):
        (tmp_path / "lease.tar.gz").write_bytes(content)
        with pytest.raises(SystemExit) as stopped:
            command.main(["collect", str(tmp_path / "lease.tar.gz"), "--builds", str(tmp_path)])
        assert stopped.value.code == 2
        assert capsys.readouterr().err.startswith("gpu_lease: the archive cannot be read (")


def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with tarfile.open(tmp_path / "lease.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "file", arcname="../outside")
    with pytest.raises(ValueError, match="cannot be read"):
        collect([tmp_path / "lease.tar.gz"], tmp_path / "builds")


# -- the command -------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("stage", ["check", "rows", "validate", "build", "all"])
def test_without_a_gpu_every_stage_is_one_line(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main([stage, "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gpu_lease: device 'cuda' asks for an NVIDIA GPU")
    assert list(tmp_path.iterdir()) == []


def test_being_told_to_end_is_an_exception_so_that_the_archive_is_written() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped, command.ends_with_archive():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_load_of_the_gpu_is_noted_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/process\necho '99 %, 1755 MHz'\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with command.watched("cuda:0", tmp_path / "work"):
        noted, end = tmp_path / "work" / "gpu.csv", time.monotonic() + 30
        while not noted.stat().st_size and time.monotonic() < end:
            time.sleep(0.05)
    assert noted.read_text() == "99 %, 1755 MHz\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)
    with command.watched("cpu", tmp_path / "other"):
        assert not (tmp_path / "other").exists()
