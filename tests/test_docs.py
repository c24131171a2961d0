"""README and docs: every code block runs and prints what the page says; generated pages are current."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = ("stable_baselines3", "xgboost", "sklearn", "pandas", "matplotlib", "pyarrow", "torch", "optuna",
         "nevergrad", "ConfigSpace", "smac", "syne_tune", "minari", "mo_gymnasium", "moocore")  # fmt: skip
MINUTES = "<!-- What follows takes minutes: run by pytest -m slow. -->"
NOT_OURS = re.compile(r"^import onnxruntime", re.MULTILINE)
"""What the extras for users do not install; a block with it is a test of its own."""


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run_and_print_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = page.read_text(encoding="utf-8").partition(MINUTES)[0]
    check_blocks(page, BLOCK.findall(quick), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if MINUTES in page.read_text(encoding="utf-8")],
    ids=lambda page: page.stem,
)
def test_pages_that_take_minutes(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_blocks(page, blocks(page), tmp_path)


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of itself
@pytest.mark.parametrize(
    "text", [text for page in PAGES for _, text in blocks(page) if NOT_OURS.search(text)]
)
def test_blocks_that_need_more_than_our_extras(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "a block", "exec", dont_inherit=True), {"__name__": "__page__"})


def check_blocks(page: Path, found: list[tuple[str, str]], folder: Path) -> None:
    """Run a page's blocks in order, in one namespace and one folder."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for i, (language, text) in enumerate(found):
        following = found[i + 1] if i + 1 < len(found) else ("", "")
        if language == "python" and not NOT_OURS.search(text):
            for module in NEEDS:
                if re.search(rf"^\s*(import|from) {module}", text, re.MULTILINE):
                    pytest.importorskip(module)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(text, str(page), "exec", dont_inherit=True), namespace)
            if following[0] == "text":
                assert printed.getvalue().strip() == following[1].strip()
        elif language == "console":
            check_console(text, folder)
        elif language == "toml":
            tomllib.loads(text)
        elif language != "python":
            assert language in ("text", "sh", "bibtex"), f"{page}: a block in {language!r} is run by no test"


def check_console(text: str, folder: Path) -> None:
    """Run each "$ nb201 …" line; the lines below it must be among what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        words = shlex.split(command)
        assert words[0] == "nb201", command
        environment = os.environ | {"NB201_HOME": str(folder / "home"), "COLUMNS": "120"}
        result = subprocess.run(
            [sys.executable, "-m", "nb201env.cli", *words[1:]],
            cwd=folder, capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert result.returncode == 0, f"{command}: {result.stderr}"
        for line in expected.strip().splitlines():
            assert line.strip() in result.stdout, f"{command} does not print {line!r}:\n{result.stdout}"


def test_the_readmes_commands_exist() -> None:
    commands = [text for language, text in blocks(ROOT / "README.md") if language == "sh"]
    targets = re.findall(r"^make ([a-z-]+)", "\n".join(commands), re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_baselines_are_those_of_the_present_agents_and_tables() -> None:
    from benchmarks.studies.environments import BASELINES, COMPARED, SEARCHES, baseline_settings

    results = json.loads(BASELINES.read_text(encoding="utf-8"))
    for env_id, agents in results.items():
        assert set(agents) <= set(COMPARED)
        for agent, held in agents.items():
            again = f"python -m benchmarks.studies environments run --agent {agent} --env {env_id}"
            for key, value in baseline_settings(agent, env_id).items():
                assert held[key] == value, f"{key} has changed: run {again}"
            assert [row["seed"] for row in held["rows"]] == list(range(SEARCHES))


def test_baselines_are_run_where_they_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.studies import environments

    monkeypatch.setattr(environments, "QUERIES", 5)
    monkeypatch.setattr(environments, "SEARCHES", 2)
    path, ids = tmp_path / "baselines.json", ["NB201-cifar10-v0", "NB201-cifar100-v0"]
    environments.run_baselines(path, ["random_search"], ids, jobs=1)
    first = json.loads(path.read_text())
    assert [row["queries"] for row in first[ids[0]]["random_search"]["rows"]] == [5, 5]
    first[ids[0]]["random_search"]["rows"] = "kept"
    first[ids[1]]["random_search"]["hyperparameters"] = "old"
    path.write_text(json.dumps(first))
    environments.run_baselines(path, ["random_search", "regularized_evolution"], ids, jobs=1)
    second = json.loads(path.read_text())
    assert second[ids[0]]["random_search"]["rows"] == "kept"
    assert len(second[ids[1]]["random_search"]["rows"]) == 2
    assert set(second[ids[0]]) == {"random_search", "regularized_evolution"}


def test_every_environment_has_its_page() -> None:
    from nb201env.envs.registration import NAMED

    written = (ROOT / "README.md").read_text(encoding="utf-8")
    written += (ROOT / "docs" / "surrogate.md").read_text(encoding="utf-8")
    for env_id in NAMED:
        assert f"environments/{env_id}.md)" in written
