"""The stages of a GPU lease: each ends at its limit, and what goes wrong in one leaves the others alone."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_lease import commands, home, pack, stages
from benchmarks.gpu_lease.lease import Lease
from benchmarks.gpu_lease.run import run_stages
from benchmarks.gpu_lease.targets import MINIATURE, Rows, Target
from benchmarks.jsonl import append, read_lines
from nb201env.training.builds.shards import Unit
from nb201env.training.recipe import find_recipe
from tests.benchmarks.lease_fakes import (
    archived,
    build_command,
    check_command,
    outcome,
    profile_command,
    row,
    rows_command,
    shell,
    validate_command,
    write_shards,
)

ALL = ("check", "rows", "profile", "validate", "build")


@pytest.fixture
def lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lease:
    """One with a minute, in which every command is a script that says it is done."""
    for name in ("TRITON_CACHE_DIR", "PYTHONUNBUFFERED"):
        monkeypatch.setenv(name, "")  # which a lease sets
    monkeypatch.setattr(commands, "check", check_command())
    monkeypatch.setattr(commands, "rows", rows_command)
    monkeypatch.setattr(commands, "profile", profile_command)
    monkeypatch.setattr(commands, "validate", validate_command)
    monkeypatch.setattr(commands, "build", build_command)
    monkeypatch.setattr(stages, "_comparison", lambda *_: ": tau 0.9")
    found = Lease("cpu", tmp_path / "work", tmp_path / "out", tmp_path / "carried", tmp_path / "builds",
                  MINIATURE, 60.0)  # fmt: skip
    found.begin()
    for side in (16, 32):
        found.images(side).write_bytes(b"")
    found.reference.write_text("")
    return found


# -- all of them -------------------------------------------------------------------------------


def test_all_stages_run_and_what_they_found_comes_home(lease: Lease) -> None:
    assert run_stages(lease, ALL) == 0
    assert {stage: outcome(lease, stage)[0] for stage in ALL} == dict.fromkeys(ALL, "done")
    assert archived(lease) >= {
        "summary.md", "machine.json", "stages.jsonl", "check.json", "rows-official-12.jsonl",
        "profile-official-12.json",
        "builds/smoke-2-stacked/plan.json", "builds/smoke-2-stacked/shards/777-00001.safetensors",
        "builds/validate-smoke-2-stacked/shards/777-00000.safetensors",
    }  # fmt: skip
    summary = (lease.out / "summary.md").read_text()
    for said in (
        "| check | done |",
        "| stacked | 2 |",
        "| node_sum | 24 | 1.50 | 75% |",
        "smoke-2-stacked: of 2 classes, seed 777: 2",
    ):
        assert said in summary


def test_a_second_call_keeps_what_is_there(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    run_stages(lease, ALL)
    for name in ("check", "rows", "profile", "validate"):
        monkeypatch.setattr(commands, name, never)
    assert run_stages(lease, ALL) == 0
    assert {stage: outcome(lease, stage)[0] for stage in ALL} == dict.fromkeys(ALL, "kept")


def never(*_: Any) -> list[str]:
    raise AssertionError("this is there already")


@pytest.mark.parametrize("slow", ["rows", "profile", "validate", "build"])
def test_a_stage_over_its_limit_is_ended_and_the_others_run(
    lease: Lease, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, slow, lambda *_: shell("echo begun; sleep 600"))
    lease.todo = replace(lease.todo, limits=lease.todo.limits | {slow: 2.0})
    if slow == "build":  # has what is left
        lease.seconds = 20.0
    run_stages(lease, ALL)
    assert outcome(lease, slow)[0] == "time"
    for other in set(ALL) - {slow}:
        assert outcome(lease, other)[0] == "done", other
    assert "summary.md" in archived(lease)


def test_a_check_over_its_limit_finds_nothing_usable(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are still measured; no trainer that was not checked trains."""
    monkeypatch.setattr(commands, "check", lambda *_: shell("sleep 600"))
    lease.todo = replace(lease.todo, limits=lease.todo.limits | {"check": 1.5})
    assert run_stages(lease, ALL) == 1
    assert outcome(lease, "check")[0] == "failed"
    assert outcome(lease, "rows")[0] == "done"
    for stage in ("validate", "build"):
        assert outcome(lease, stage) == (
            "skipped",
            "no trainer is known to be right here; run the check first",
        )


def test_a_check_that_was_cut_short_is_run_again(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then, only what was seen to be right is used."""
    slow = check_command("stacked", problem="its time was up after 90 s")
    monkeypatch.setattr(commands, "check", slow)
    run_stages(lease, ALL)
    assert outcome(lease, "check") == ("time", "not all of it was done; usable: graphs, plain")
    assert (lease.folder("smoke-2-graphs") / "plan.json").exists()
    monkeypatch.setattr(commands, "check", check_command())
    run_stages(lease, ALL)
    assert outcome(lease, "check") == ("done", "usable: stacked, graphs, plain")
    assert (lease.folder("smoke-2-stacked") / "plan.json").exists()


def test_an_error_in_a_stage_itself_does_not_end_the_lease(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "rows", never)
    assert run_stages(lease, ALL) == 1
    assert outcome(lease, "rows") == ("failed", "AssertionError: this is there already")
    assert outcome(lease, "build")[0] == "done"


def test_told_to_end_it_still_writes_the_archive(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> list[str]:
        raise SystemExit(143)

    monkeypatch.setattr(commands, "validate", stop)
    with pytest.raises(SystemExit):
        run_stages(lease, ALL)
    assert {"check.json", "rows-official-12.jsonl"} <= archived(lease)


def test_without_time_nothing_is_begun(lease: Lease) -> None:
    lease.seconds = 0.0
    run_stages(lease, ALL)
    assert outcome(lease, "check") == ("time", "not begun, time is up")
    assert "stages.jsonl" in archived(lease)


def test_a_stage_that_does_not_exist_is_named(lease: Lease) -> None:
    with pytest.raises(
        ValueError, match="no stage 'chekc'; the stages are check, rows, profile, validate, build"
    ):
        run_stages(lease, ["chekc"])


# -- rows --------------------------------------------------------------------------------------


def test_a_bench_that_crashes_leaves_its_rows_and_the_next_ones(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease.todo = replace(lease.todo, rows=(Rows("official-12", ("plain:1", "stacked:64")),
                                           Rows("small-12", ("stacked:64",))))  # fmt: skip

    def crash(lease: Lease, what: Rows, wanted: list[str], *more: float) -> list[str]:
        command = rows_command(lease, what, wanted[:1], *more)
        return shell(command[-1] + ("; kill -SEGV $$" if "plain:1" in wanted else ""))

    monkeypatch.setattr(commands, "rows", crash)
    stages.rows(lease, 30)
    kind, text = outcome(lease, "rows")
    assert kind == "failed"
    assert text.startswith("not measured: stacked:64 of official-12; SIGSEGV")
    assert len(read_lines(lease.work / "rows-small-12.jsonl")) == 1
    asked: list[list[str]] = []

    def rows(lease: Lease, what: Rows, wanted: list[str], *more: float) -> list[str]:
        asked.append(wanted)
        return shell("true")

    monkeypatch.setattr(commands, "rows", rows)
    stages.rows(lease, 30)
    assert asked == [["stacked:64"]]


# -- which trainer, how many -------------------------------------------------------------------


def test_a_trainer_that_fails_its_check_is_not_used(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "check", check_command("stacked"))
    run_stages(lease, ALL)
    assert {folder.name for folder in lease.folder("").iterdir()} == {
        "smoke-2-graphs", "validate-smoke-2-graphs",
    }  # fmt: skip


@pytest.mark.parametrize("stage", ["validate", "build"])
def test_a_trainer_that_crashes_gives_way_to_the_next(
    lease: Lease, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(commands, stage)

    def crash(lease: Lease, first: Any, trainer: str, *more: Any) -> list[str]:
        if trainer == "stacked":
            return shell("echo 'RuntimeError: operation not permitted when stream is capturing' >&2; exit 1")
        return list(real(lease, first, trainer, *more))

    monkeypatch.setattr(commands, stage, crash)
    assert run_stages(lease, ALL) == 1
    lines = [(line["outcome"], line["text"]) for line in lease.outcomes() if line["stage"] == stage]
    assert lines[0][0] == "failed"
    assert lines[0][1].endswith("RuntimeError: operation not permitted when stream is capturing")
    assert (lines[-1][0], "graphs" in lines[-1][1]) == ("done", True)


def test_validate_is_done_once_enough_architectures_are(lease: Lease) -> None:
    """By whichever trainer, in whichever lease."""
    write_shards(lease.folder("validate-smoke-2-graphs"), 1)
    run_stages(lease, ["check", "validate"])
    assert outcome(lease, "validate")[0] == "done"
    stages.validate(lease, 30)
    assert outcome(lease, "validate") == ("kept", "validate-smoke-2-stacked has 2 architectures")


@pytest.mark.parametrize("missing", ["reference CSV", "32-pixel images"])
def test_validate_without_its_files_is_skipped(lease: Lease, missing: str) -> None:
    (lease.reference if "CSV" in missing else lease.images(32)).unlink()
    run_stages(lease, ["check", "validate"])
    assert outcome(lease, "validate") == ("skipped", f"the {missing} has not come; carry all parts")


def test_no_shard_of_a_validation_is_begun_that_would_be_lost(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    until: list[float] = []

    def validate(*a: Any) -> list[str]:
        until.append(a[-1])
        return validate_command(*a)

    monkeypatch.setattr(commands, "validate", validate)
    append(lease.work / "rows-smoke-2.jsonl", **row("stacked", 2, 1800))  # 2 s each, 2 in a shard
    stages.check(lease, 30)
    stages.validate(lease, 30)
    assert until == [pytest.approx(30 - 1 - 4, abs=0.5)]


# -- build -------------------------------------------------------------------------------------


def test_a_shard_that_fails_is_left_out_and_two_in_a_row_end_the_trainer(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out: list[set[str]] = []

    def failing(lease: Lease, target: Target, trainer: str, *more: Any) -> list[str]:
        if trainer != "stacked":
            return build_command(lease, target, trainer, *more)
        left_out.append(set(more[-1]))
        append(
            lease.work / "build.jsonl",
            folder="smoke-2-stacked",
            unit=f"shards/{len(left_out)}",
            event="failed",
        )
        return shell("echo RuntimeError: illegal memory access; exit 1")

    monkeypatch.setattr(commands, "build", failing)
    stages.check(lease, 30)
    stages.build(lease, 30)
    assert left_out == [set(), {"shards/1"}]
    assert outcome(lease, "build")[0] == "done"
    assert (lease.folder("smoke-2-graphs") / "plan.json").exists()


def test_a_whole_target_gives_way_to_the_next(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    second = replace(MINIATURE.targets[0], name="digits-10", recipe=find_recipe("digits-10"))
    lease.todo = replace(lease.todo, targets=(*MINIATURE.targets, second))
    stages.check(lease, 30)
    stages.build(lease, 30)
    assert {f.name for f in lease.folder("").iterdir()} == {"smoke-2-stacked", "digits-10-stacked"}


def test_a_target_without_its_images_is_skipped(lease: Lease) -> None:
    lease.images(16).unlink()
    run_stages(lease, ["check", "build"])
    assert outcome(lease, "build") == ("skipped", "smoke-2: images of 16 pixels have not come")


def test_the_next_shard_takes_as_long_as_the_last_and_the_first_what_the_rows_say(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: list[float] = []

    def build(*a: Any) -> list[str]:
        expected.append(a[4])
        return shell("true")

    monkeypatch.setattr(commands, "build", build)
    stages.check(lease, 30)
    stages.build(lease, 30)
    append(lease.work / "rows-smoke-2.jsonl", **row("stacked, torch", 2, 1800))
    stages.build(lease, 30)
    append(lease.work / "build.jsonl", folder="smoke-2-stacked", event="done", unit="", seconds=7.5)
    stages.build(lease, 30)
    assert expected == [0.0, 15.0 + 2.0, 7.5]


# -- from lease to lease -----------------------------------------------------------------------


def test_a_later_lease_goes_on_with_the_shards_of_the_repository(lease: Lease) -> None:
    """And brings home only what is new."""
    plan = MINIATURE.targets[0].plan("stacked", "0" * 64)
    write_shards(lease.builds / "smoke-2-stacked", 1, plan)
    run_stages(lease, ALL)
    shards = {name for name in archived(lease) if name.startswith("builds/smoke-2-stacked/shards/")}
    assert shards == {f"builds/smoke-2-stacked/{Unit(777, 1).file}"}
    assert outcome(lease, "build")[1].startswith(
        "1 new trainings; smoke-2-stacked: of 2 classes, seed 777: 2"
    )


def test_rows_of_the_same_card_and_sources_are_not_measured_again(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = lease.builds / "reports" / "earlier"
    report.mkdir(parents=True)
    (report / "machine.json").write_text(json.dumps(lease.about | {"started": "2025"}))
    for name, count in (label.split(":") for label in MINIATURE.rows[0].rows):
        append(report / "rows-official-12.jsonl", **row(name, count))
    run_stages(lease, ["rows"])
    assert outcome(lease, "rows")[0] == "kept"
    (lease.work / "rows-official-12.jsonl").unlink()
    (report / "machine.json").write_text(json.dumps(lease.about | {"source": "another"}))
    run_stages(lease, ["rows"])
    assert outcome(lease, "rows")[0] == "done"


def test_a_damaged_part_does_not_end_the_lease(lease: Lease) -> None:
    part = lease.carried / "part-1"
    part.mkdir(parents=True)
    lease.reference.unlink()
    (part / "reference.csv.xz.0").write_bytes(b"damaged")
    files = {"reference.csv.xz": {"sha256": "0" * 64, "pieces": 1}}
    (part / "manifest.json").write_text(json.dumps({"images": {}, "files": files}))
    assert run_stages(lease, ALL) == 1
    assert outcome(lease, "receive")[1].endswith("reference.csv.xz is damaged; carry its part again")
    assert outcome(lease, "validate")[0] == "skipped"
    assert outcome(lease, "build")[0] == "done"


def test_an_archive_too_large_for_one_file_is_cut(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "PIECE_BYTES", 1000)
    (lease.work / "gpu.csv").write_bytes(os.urandom(2500))
    written = home.bring_home(lease)
    assert len(written) >= 4
    assert all(file.stat().st_size <= 1000 for file in written[1:])
    assert {file.parent for file in written} == {lease.out}


def test_kernels_compiled_ahead_go_where_triton_looks(lease: Lease) -> None:
    kernel = lease.carried / "kernels" / "KEY" / "convolve.cubin"
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b"machine code")
    (kernel.parent / "__grp__convolve.json").write_text("{}")
    content = pack.pack_folder(lease.carried / "kernels")
    part = lease.carried / "part-1"
    part.mkdir()
    (part / "kernels.tar.xz.0").write_bytes(content)
    about = {"sha256": hashlib.sha256(content).hexdigest(), "pieces": 1}
    (part / "manifest.json").write_text(json.dumps({"images": {}, "files": {"kernels.tar.xz": about}}))
    stages.receive(lease)
    cache = Path(os.environ["TRITON_CACHE_DIR"])
    assert (cache / "KEY" / "convolve.cubin").read_bytes() == b"machine code"
    group = json.loads((cache / "KEY" / "__grp__convolve.json").read_text())
    assert group["child_paths"] == {"convolve.cubin": str(cache / "KEY" / "convolve.cubin")}
