"""The code on the surrogate's page runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from surrogate.cli import app
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "surrogate.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_python_blocks_run_in_order() -> None:
    found = blocks("python")
    assert len(found) == 3
    namespace: dict[str, object] = {}
    for block in found:
        exec(compile(block, "docs/surrogate.md", "exec"), namespace)


def test_commands_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two run, with a smaller --size; the third would take too long."""
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("bash")
    commands = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    for command in commands:
        assert command[:2] == ["nb201", "surrogate"]
    fit, predict, evaluate = (command[2:] for command in commands)
    fit[fit.index("--size") + 1] = "50"
    for arguments in (fit, predict):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, [*evaluate, "--help"]).exit_code == 0
