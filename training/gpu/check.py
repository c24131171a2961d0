"""Are the GPU trainers right on this device, in the type and at the shapes of a build?

    python -m nb201env.training.gpu.check                    every part, for 32- and 16-pixel images
    python -m nb201env.training.gpu.check --part cells16x32  one part, in this process; one JSON line

Every kernel, each edge and op, is held to the plain network of `nb201env.training.network` in float32, tensor
by tensor and architecture by architecture: outputs in training and in evaluation mode, all gradients, the
moved statistics. The parts:

    cells16x32   cells with 16 channels on 32 pixels, and so for every stage
    convs16x32   stem and residual blocks of the network of that width and side
    network16x32 whole stacked networks: an evaluation, two steps and all gradients
    stacked16x32 two trainings by one recorded program, beside the same steps unrecorded
    graphs16x32  the same of the trainer "graphs", and its first losses beside the plain ones
    plain16x32   the plain network itself on this device, beside the same in float64 on a CPU

Memory that a kernel leaves unwritten holds NaN, two runs must give the same bits, and programs are made
for other architectures than those they are loaded with. Each part is a process of its own: what goes
wrong in one, even a poisoned device, leaves the others alone. Each says one line, which in the worst case
names tensor, architecture, error and what was allowed. Without a GPU a miniature checks the same code.
Exit status: 0 if all is right, 1 if not, 2 if there is no such device.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from nb201env.files import appearing
from nb201env.processes import Ended, end_if_orphaned, run_apart
from nb201env.training.gpu.checks.findings import Findings, Off
from nb201env.training.gpu.checks.setting import Setting, type_for

Verdict = dict[str, Any]
"""What one part found: its `part`, `ok`, `trainer` and `seconds`, in `problem` one line that says what is
wrong, and where a tensor is, its `tensor`, `architecture`, `error` and `allowed`."""
PREFERRED = ("stacked", "graphs", "plain")
_NAME = re.compile(r"(cells|convs|network|stacked|graphs|plain)(\d+)x(\d+)")


# -- one part ------------------------------------------------------------------------------------


def parts_for(device: str, sides: Sequence[int]) -> list[str]:
    """Names of all parts, the longest first.

    Args:
        device: "cpu" means thin networks.
        sides: Of the images; whole networks are checked on the first one, kernels on all.
    """
    width = 16 if torch.device(device).type == "cuda" else 4
    whole = [f"{kind}{width}x{sides[0]}" for kind in ("stacked", "network", "graphs", "plain")]
    stages = [f"cells{width << stage}x{side >> stage}" for side in sides for stage in range(3)]
    return list(dict.fromkeys(whole + stages + [f"convs{width}x{side}" for side in sides]))


def find_part(name: str) -> Callable[[Setting], Findings]:
    """What a part's name stands for.

    Raises:
        ValueError: If it is no part's name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"unknown part {name!r}; a part is a kind, channels and a side, like cells16x32")
    from nb201env.training.gpu.checks import blocks, networks  # they import Triton's kernels, see `main`

    kind, channels, side = found[1], int(found[2]), int(found[3])
    run = getattr(blocks if kind in ("cells", "convs") else networks, kind)
    return lambda setting: run(setting, channels, side)


def run_part(name: str, setting: Setting) -> Verdict:
    """Run one part in this process; whatever it raises is a verdict too."""
    start = time.perf_counter()
    try:
        findings = find_part(name)(setting)
        wrong, closest = findings.wrong, findings.closest
        verdict = _verdict(name, "" if wrong is None else str(wrong), wrong)
        verdict |= {"compared": findings.compared, "closest": "" if closest is None else str(closest)}
        verdict["of_allowed"] = min(closest.ratio, 1e9) if closest else 0.0
    except Exception as error:  # whatever a new device brings up
        verdict = _verdict(name, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
    on_gpu = setting.device.type == "cuda"
    return verdict | {
        "seconds": round(time.perf_counter() - start, 2),
        "device": torch.cuda.get_device_name(setting.device) if on_gpu else "cpu",
        "backend": setting.backend, "dtype": str(setting.dtype).removeprefix("torch."),
        "batch": setting.batch, "networks": setting.networks,
    }  # fmt: skip


def _verdict(name: str, problem: str, off: Off | None = None) -> Verdict:
    trainer = next((t for t in ("graphs", "plain") if name.startswith(t)), "stacked")
    where = {} if off is None else off._asdict()
    return {"part": name, "trainer": trainer, "ok": not problem, "problem": problem} | where


# -- all of them ---------------------------------------------------------------------------------


def check(
    names: Sequence[str], arguments: Sequence[str], limit_seconds: float, workers: int,
    report: Callable[[list[Verdict], Verdict | None], None] = lambda *_: None,
) -> list[Verdict]:  # fmt: skip
    """Run parts in processes of their own, side by side.

    Args:
        names: Of the parts.
        arguments: What their command is told besides the part's name.
        limit_seconds: Of all; a part that is not done by then is ended, and is wrong.
        workers: Processes at a time.
        report: Called, once at a time, with the verdicts on all parts, those that are not done as not
            run, and with the newest; at first without one, so that a kill leaves something.
    """
    end, not_run = time.monotonic() + limit_seconds, "not run: the check's time was up"
    verdicts = {name: _verdict(name, not_run) for name in names}
    reporting = Lock()  # so that no earlier state of the verdicts is reported after a later one
    report(list(verdicts.values()), None)

    def apart(name: str) -> None:
        left = end - time.monotonic()
        if left > 0:
            command = [sys.executable, "-m", "nb201env.training.gpu.check", "--part", name, *arguments]
            verdicts[name] = _read(name, run_apart(command, left))
        with reporting:
            report(list(verdicts.values()), verdicts[name])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(apart, names))
    return list(verdicts.values())


def _read(name: str, ended: Ended) -> Verdict:
    """The verdict in what a part's process printed, or one that says why there is none."""
    for line in reversed(ended.lines):
        if line.startswith("{"):
            try:
                found: Verdict = json.loads(line)
            except ValueError:
                continue
            return found
    return _verdict(name, ended.why or "it printed no verdict") | {"seconds": round(ended.seconds, 2)}


def usable(verdicts: Sequence[Verdict]) -> list[str]:
    """Trainers that may be used, the preferred one first.

    A trainer is usable if it was checked and all of its parts are right; plain also if it was not checked.
    If plain is wrong none is, because all were held to it.
    """
    checked = {name: [v["ok"] for v in verdicts if v["trainer"] == name] for name in PREFERRED}
    if not all(checked["plain"]):
        return []
    return [n for n in PREFERRED if n == "plain" or (checked[n] and all(checked[n]))]


def as_line(verdict: Verdict) -> str:
    """One line for people."""
    if verdict["ok"]:
        said = f"right; the closest uses {verdict['of_allowed']:.0%} of what is allowed"
    else:
        said = f"WRONG: {verdict['problem']}"
    return f"{verdict['part']:14s} {verdict.get('seconds', 0):5.1f} s  {said}"


# -- the command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Hold the GPU trainers to the plain network.")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a miniature")
    parser.add_argument("--backend", choices=("triton", "torch"), help="default: triton on a GPU that has it")
    parser.add_argument("--batch", type=int, help="images per step (256; cpu: 4)")
    parser.add_argument("--networks", type=int, default=32, help="at once; from 32 on every op on every edge")
    parser.add_argument("--side", type=int, nargs="+", help="of the images in pixels (32 16; cpu: 8)")
    parser.add_argument(
        "--limit-seconds", type=float, default=90, help="of all parts; what is not done is wrong"
    )
    parser.add_argument("--json", type=Path, help="also write all verdicts here")
    parser.add_argument("--part", help="run this part alone, in this process; prints one JSON line")
    parser.add_argument("--only", nargs="+", metavar="PART", help="only these parts; default: all")
    a = parser.parse_args(arguments)
    try:
        setting = _setting(a.device, a.backend, a.batch, a.networks)
        sides = a.side or ([32, 16] if setting.device.type == "cuda" else [8])
        for part in [*(a.only or ()), *([a.part] if a.part else ())]:
            find_part(part)
    except ValueError as error:
        print(f"check: {error}", file=sys.stderr)
        sys.exit(2)
    if a.part:
        end_if_orphaned()
        verdict = run_part(a.part, setting)
        print(json.dumps(verdict), flush=True)
        sys.exit(not verdict["ok"])
    told = ["--device", a.device, "--backend", setting.backend, "--batch", str(setting.batch),
            "--networks", str(setting.networks)]  # fmt: skip
    names = a.only or parts_for(a.device, sides)
    verdicts = check(names, told, a.limit_seconds, os.cpu_count() or 1, partial(_report, a.json))
    print(f"usable, the preferred first: {', '.join(usable(verdicts)) or 'none'}")
    sys.exit(not all(v["ok"] for v in verdicts))


def _report(file: Path | None, verdicts: list[Verdict], newest: Verdict | None) -> None:
    if newest is not None:
        print(as_line(newest), flush=True)
    if file is not None:
        with appearing(file) as new:
            new.write_text(json.dumps(verdicts, indent=1) + "\n")


def _setting(device: str, backend: str | None, batch: int | None, networks: int) -> Setting:
    """What the command was told, with what it was not told.

    Raises:
        ValueError: If there is no such device.
    """
    there = torch.device(device)
    on_gpu = there.type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise ValueError("PyTorch sees no NVIDIA GPU here; try the check with --device cpu")
    from nb201env.training.gpu.stacked import best_backend

    backend = backend or best_backend(there)
    torch.set_num_threads(1)  # parts run side by side
    if not on_gpu and backend == "triton":
        os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are imported
    return Setting(there, backend, type_for(there, backend), batch or (256 if on_gpu else 4), networks)


if __name__ == "__main__":
    main()
