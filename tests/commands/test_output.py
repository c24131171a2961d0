"""What commands print and draw: harmless to a terminal, and whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nb201env import plots
from nb201env.output import in_markdown, plain, print_error, print_grid, print_json
from nb201env.tables import open_table

HOSTILE = "\x1b]0;title\x07 \x9b31m \u202egnp \u2028 \r\n\tend"


def obeyed(text: str) -> list[str]:
    """What a terminal might obey, besides line ends."""
    return [sign for sign in text if not sign.isprintable() and sign != "\n"]


def test_signs_are_spelt_out_and_letters_stay() -> None:
    assert plain("\x1b[1m größe 日本\n") == "\\x1b[1m größe 日本\\n"
    assert not obeyed(plain(HOSTILE))


def test_nothing_printed_is_obeyed_by_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(HOSTILE)
    print_grid(["name"], [[HOSTILE]])
    print_json({"name": HOSTILE, HOSTILE: [HOSTILE]})
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 1
    assert not obeyed(shown.err + shown.out)


def test_what_the_system_says_is_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "a").read_bytes()
    print_error(caught.value)
    assert capsys.readouterr().err == f"error: {tmp_path / 'a'}: no such file or directory\n"


def test_json_says_the_same_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {HOSTILE: "größe 日本 \U000e0001"}
    print_json(value)
    assert json.loads(capsys.readouterr().out) == value


def test_markdown_of_a_strangers_line() -> None:
    assert in_markdown("a | <b> [c](d) `<e>` $f$ g_h") == "a &#124; &#60;b> [c&#93;(d) `<e>` &#36;f&#36; g_h"


def test_a_plot_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")

    def full(self: Any, target: Path, **_: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure.Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        plots.ops(open_table("cifar10-valid-200"), path, split="valid")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_commands_draw_whatever_a_notebook_draws_with(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["table", "plot", "cifar100-200", "--split", "valid", "--kind", "ops", "--out", "a.png"]
    command = [sys.executable, "-m", "nb201env.cli", *words]
    backend = os.environ | {"MPLBACKEND": "module://of_a_notebook.alone"}
    done = subprocess.run(command, cwd=tmp_path, env=backend, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").exists()
