"""How instructions are counted, on listings written by hand; and that the kernels stay cheap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkout import ROOT
from benchmarks.speed.gpu_instructions import FEEDING, HEAVY, TAPS, Row, entry, sums, table
from benchmarks.speed.sass import Trips, blocks_of, issued, matrix_columns

KEPT = ROOT / "docs" / "data" / "gpu-instructions.json"
SHARED = 227 * 1024
MOST = 0.55
"""Of what commit f9c3497's kernels issue."""


def listing(text: str) -> list[str]:
    """Lines as the disassembler writes them; a line that ends with a colon is a label."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return [
        line if line.endswith(":") else f"        /*{16 * n:04x}*/                   {line} ;"
        for n, line in enumerate(lines)
    ]


STRAIGHT = listing("""
    MOV R1, c[0x0][0x28]
    @!P0 EXIT
    STG.E [R2.64], R1
    EXIT
.L_x_9:
    BRA `(.L_x_9)
""")
LOOP = listing("""
    MOV R1, R2
    @P0 BRA `(.L_x_1)
.L_x_0:
    LDG.E.128 R4, [R2.64]
    HGMMA.64x16x16.F32.BF16 R24, gdesc[UR4], R24
    HGMMA.64x16x16.F32.BF16 R32, gdesc[UR8], R32, gsb0
    IADD3 R1, R1, 0x1, RZ
    @!P1 BRA `(.L_x_0)
.L_x_1:
    STG.E [R2.64], R24
    EXIT
""")


def test_an_early_exit_is_not_taken_and_a_trap_is_never_reached() -> None:
    assert issued(blocks_of(STRAIGHT), 0, Trips()) == 4


@pytest.mark.parametrize(("products", "turns"), [(18, 9), (2, 1)])
def test_a_loop_runs_as_often_as_its_products_say(products: int, turns: int) -> None:
    assert issued(blocks_of(LOOP), products, Trips()) == 4 + 5 * turns


def test_a_loop_over_something_else_runs_as_often_as_is_said() -> None:
    assert issued(blocks_of(LOOP), 2, Trips(matrix=7)) == 4 + 5 * 7


def test_a_path_without_products_keeps_away_from_their_loop() -> None:
    assert issued(blocks_of(LOOP), 0, Trips(outer=3)) == 4


def test_no_path_with_that_many() -> None:
    with pytest.raises(ValueError, match=r"no path has 3 matrix instructions; there are some with \[0, 2\]"):
        issued(blocks_of(LOOP), 3, Trips())


def test_what_is_unrolled_is_counted_once() -> None:
    """Nine taps in a row beside the one of a 1x1 convolution."""
    product = "HGMMA.64x32x16.F32.BF16 R24, gdesc[UR4], R24\n"
    unrolled = listing(
        "MOV R1, R2\n@P0 BRA `(.L_x_0)\n"
        + product * 9
        + "BRA `(.L_x_1)\n.L_x_0:\n"
        + product
        + ".L_x_1:\nEXIT"
    )
    assert matrix_columns(unrolled) == 32
    assert issued(blocks_of(unrolled), 9, Trips()) == 2 + 10 + 1
    assert issued(blocks_of(unrolled), 1, Trips()) == 2 + 1 + 1


def test_loops_within_loops() -> None:
    """Two edges with four taps each; the way round the inner loop is a pooling's."""
    nest = listing("""
        MOV R1, R2
    .L_x_0:
        LDG.E R3, [R2.64]
        @P0 BRA `(.L_x_2)
        MOV R4, RZ
    .L_x_1:
        FADD R4, R4, R5
        IADD3 R1, R1, 0x1, RZ
        @!P1 BRA `(.L_x_1)
    .L_x_2:
        @!P2 BRA `(.L_x_0)
        EXIT
    """)
    blocks = blocks_of(nest)
    assert issued(blocks, 0, Trips(outer=2, inner=4)) == 1 + 2 * (2 + 1 + 4 * 3 + 1) + 1
    assert issued(blocks, 0, Trips(outer=2)) == 1 + 2 * (2 + 1) + 1


def test_two_loops_with_products_cannot_be_told_apart() -> None:
    twice = listing("""
    .L_x_0:
        HGMMA.64x16x16.F32.BF16 R24, gdesc[UR4], R24
        @!P1 BRA `(.L_x_0)
    .L_x_1:
        HGMMA.64x16x16.F32.BF16 R24, gdesc[UR4], R24
        @!P1 BRA `(.L_x_1)
        EXIT
    """)
    with pytest.raises(ValueError, match="more than one loop has matrix instructions"):
        issued(blocks_of(twice), 4, Trips())


def test_what_feeds_a_convolution_is_in_the_sum() -> None:
    found = [Row(name, 16, {"3x3": 3.0, "1x1": 1.0}, 90, 0, 1024) for name in HEAVY]
    found += [Row(name, 16, {"any": 0.5}, 40, 0, 0) for name in FEEDING]
    found += [Row("node_sum, term", 16, {"any": 7.0}, 40, 0, 0)]
    assert sums(found) == {"3x3": {16: 10.0}, "1x1": {16: 4.0}}
    assert "| **sum** | 16 | **10.00** | **4.00** |" in table(found)
    assert entry(found)["sum"] == {"3x3": {"16": 10.0}, "1x1": {"16": 4.0}}


def counted(tmp_path: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """Triton's version and what the command finds with it."""
    triton = pytest.importorskip("triton")
    out = tmp_path / "counts.json"
    command = [sys.executable, "-m", "benchmarks.speed.gpu_instructions", "--out", str(out), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"TRITON_INTERPRET": "0"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return triton.__version__, json.loads(out.read_text())["now"][triton.__version__]


def newest_before(version: str, kept: dict[str, Any]) -> dict[str, Any]:
    """The count with this version of Triton, or with the newest of those that are kept."""
    newest = max(kept, key=lambda name: tuple(map(int, name.split("."))))
    found: dict[str, Any] = kept.get(version, kept[newest])
    return found


def test_half_of_the_instructions(tmp_path: Path) -> None:
    version, now = counted(tmp_path, "--sum")
    before = newest_before(version, json.loads(KEPT.read_text())["f9c3497"])
    for channels in ("16", "32", "64"):
        three, one = (now["sum"][op][channels] / before["sum"][op][channels] for op in TAPS)
        assert three <= MOST, (channels, three)
        assert (three + one) / 2 <= MOST, (channels, three, one)
    for name, widths in now["usage"].items():
        for channels, usage in widths.items():
            assert usage["spilled"] == 0, (name, channels)
            assert usage["shared"] <= SHARED, (name, channels)


@pytest.mark.slow
def test_the_counts_that_are_kept(tmp_path: Path) -> None:
    """With a version of Triton that they were made with."""
    version, now = counted(tmp_path)
    kept = json.loads(KEPT.read_text())["now"]
    if version not in kept:
        pytest.skip(f"counted with Triton {', '.join(kept)}, not with {version}")
    assert now == kept[version]


def test_the_page_says_what_was_counted() -> None:
    page = (KEPT.parents[1] / "gpu.md").read_text()
    counted = json.loads(KEPT.read_text())
    before, now = (counted[kernels]["3.6.0"]["sum"] for kernels in ("f9c3497", "now"))
    for channels in ("16", "32", "64"):
        pairs = [(before[op][channels], now[op][channels]) for op in TAPS]
        figures = " | ".join(f"{old:.1f} | {new:.1f} | {new / old:.2f}" for old, new in pairs)
        assert f"| {channels} | {figures} |" in page
