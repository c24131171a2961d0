"""``nb201 proxies compute`` and ``compare``, as one types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import open_table, proxies
from nb201env.classes import canonical_classes, representatives
from nb201env.cli import build, main
from nb201env.comparison import kendall, spearman

CLASSES = len(representatives())
NAMES = "good", "noise"
TABLES = "cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"


def run(*words: str) -> str:
    """What a command prints."""
    found = CliRunner().invoke(build(), ["proxies", *words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def made(path: Path) -> Path:
    """A file of two made-up proxies at two initialisations: one knows CIFAR-100's accuracy, one nothing."""
    rng = np.random.default_rng(0)
    accuracy = open_table("cifar100-200").accuracy(split="valid", epochs=200, run="mean")[representatives()]
    good = np.stack([accuracy + rng.normal(0, 0.02, CLASSES) for _ in range(2)])
    values = {"good": good, "noise": rng.normal(size=(2, CLASSES))}
    proxies.write(path, values, dict.fromkeys(NAMES, "made up"), {"what": "made up"}, "MIT")
    return path


# -- compare ---------------------------------------------------------------------------------


def test_compare_prints_the_scores_of_every_table_the_best_first(tmp_path: Path) -> None:
    said = run("compare", "--split", "valid", "--epochs", "200", "--file", str(made(tmp_path / "p")))
    lines = said.splitlines()
    titles = [line for line in lines if line.endswith("valid accuracy after 200 epochs, mean over runs")]
    assert [title.partition(",")[0] for title in titles] == [*TABLES]
    shown = [line.split()[0] for line in lines if line.startswith((*NAMES, "params", "macs"))]
    for place in range(3):
        four = shown[4 * place : 4 * place + 4]
        assert (four[0], {*four[1:3]}, four[3]) == ("good", {"params", "macs"}, "noise")
    assert len(shown) == 12
    assert "±" in next(line for line in lines if line.startswith("good"))
    assert "±" not in next(line for line in lines if line.startswith("macs"))


def test_compares_numbers_are_those_of_the_file_and_the_table(tmp_path: Path) -> None:
    path = made(tmp_path / "p")
    words = "--split", "test", "--epochs", "10", "--table", "digits-10", "--file", str(path), "--json"
    found = json.loads(run("compare", *words))
    assert (found["split"], found["epochs"], found["computed"]) == ("test", 10, {"what": "made up"})
    (rows,) = found["tables"].values()
    accuracy = open_table("digits-10").accuracy(split="test", epochs=10, run="mean")
    scores = proxies.read(path)
    for row in rows:
        if row["score"] not in NAMES:
            continue
        for number, each in enumerate(row["each"]):
            mine = scores.scores(row["score"], initialisation=number)
            assert each["kendall"] == pytest.approx(kendall(mine, accuracy))
            assert each["spearman"] == pytest.approx(spearman(mine, accuracy))
        assert row["mean"]["kendall"] == pytest.approx(kendall(scores.scores(row["score"]), accuracy))
    assert {row["score"] for row in rows} == {*NAMES, "params", "macs"}


def test_compare_needs_no_pytorch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from nb201env.cli import main\n"
        f"sys.argv = ['nb201', 'proxies', 'compare', '--split', 'valid', '--epochs', '200', '--table', "
        f"'cifar100-200', '--file', {str(made(tmp_path / 'p'))!r}]\n"
        "main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "good" in found.stdout


# -- compute ---------------------------------------------------------------------------------


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Scores at no cost; what was asked."""
    pytest.importorskip("torch")
    from nb201env.training.proxies import compute
    from nb201env.training.proxies.measure import SOURCES

    asked: list[Any] = []

    def score(architecture: Any, skeleton: Any, batch: Any, seed: int) -> dict[str, float]:
        asked.append((architecture.index, skeleton, len(batch.labels), seed))
        return dict.fromkeys(SOURCES, float(architecture.index + seed))

    monkeypatch.setattr(compute, "score", score)
    return asked


def test_compute_scores_the_first_member_of_every_class(scored: list[Any], tmp_path: Path) -> None:
    out = tmp_path / "p.safetensors"
    words = ["compute", "--task", "digits", "--initialisations", "1", "--out", str(out)]
    found = json.loads(run(*words, "--share", "1/2", "--json"))
    assert (found["done"], found["total"], found["out"]) == ((CLASSES + 1) // 2, CLASSES, str(out))
    assert found["setting"]["skeleton"]["image_size"] == 8
    said = run(*words, "--share", "2/2")
    assert said == f"{CLASSES:,} of {CLASSES:,} networks\n{out}\n"
    assert sorted(index for index, *_ in scored) == sorted(representatives().tolist())
    assert {(skeleton.width, count, seed) for _, skeleton, count, seed in scored} == {(16, 20, 0)}
    assert np.array_equal(proxies.read(out).scores("zen"), representatives()[canonical_classes()])


def test_an_unfinished_share_says_what_is_left_to_do(scored: list[Any], tmp_path: Path) -> None:
    words = "--task", "digits", "--initialisations", "1", "--share", "1/100", "--out", str(tmp_path / "p")
    assert run("compute", *words).endswith("networks\nrun the other shares, or bring their journals here\n")


def test_ctrl_c_says_how_to_go_on(
    scored: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nb201env.training.proxies import compute

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compute, "score", stop)
    words = ["--task", "digits", "--initialisations", "1", "--out", str(tmp_path / "p")]
    monkeypatch.setattr(sys, "argv", ["nb201", "proxies", "compute", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert "stopped; run the same command again to resume" in capsys.readouterr().err


# -- mistakes --------------------------------------------------------------------------------

DIGITS = ["compute", "--task", "digits", "--initialisations", "1"]
VALID = ["compare", "--split", "valid", "--epochs", "200"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*DIGITS, "--out", "there"], "there is there already, and its journals are not; name"),
        ([*DIGITS, "--out", "nowhere/p"], "nowhere/p: there is no such folder; make it, or name"),
        ([*DIGITS, "--out", "bad"], "bad.journal is no journal of this computation; name another --out, or"),
        ([*DIGITS, "--out", "p", "--share", "3/2"], "--share looks like 2/5, the second of five shares; got"),
        (["compute", "--task", "cifar11", "--initialisations", "1", "--out", "p"], "unknown task 'cifar11'"),
        (["compute", "--task", "cifar10", "--initialisations", "1", "--out", "p"], "needs its images: give"),
        ([*VALID, "--file", "none"], "none"),
        ([*VALID, "--file", "there"], "there: not a table (empty, cut short or another kind of file)"),
        ([*VALID, "--table", "cifar11"], "cifar11"),
        (["compare", "--split", "valid", "--epochs", "7", "--file", "p.safetensors"], "7"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if words[0] == "compute":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    made(Path("p.safetensors"))
    Path("there").write_text("mine")
    Path("bad.journal").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["nb201", "proxies", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr()
    assert (caught.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert message in said.err
    assert Path("there").read_text() == Path("bad.journal").read_text() == "mine"
