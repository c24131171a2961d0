"""Reading trajectories many lines at a time: what it takes and refuses is what one line at a time does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env import trajectory
from nb201env.agents.searches.runner import Search
from nb201env.fields import parse_json, parse_json_lines
from nb201env.trajectory import BadTrajectory, read


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    return Search("random_search", "NB201-cifar10-v0", 0, {"budget_queries": 40}, folder).run()


PARTS = st.sampled_from(
    ['{"a": 1}', "[1,", "2]", "{", "}", '"', "\\n", "\\u00e9", "é", "1", " ", ",", "\r", "NaN"]
)


@given(st.lists(st.lists(PARTS, max_size=4).map("".join), max_size=4))
def test_lines_that_are_read_together_are_read_alike(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines).encode()
    values = parse_json_lines(text)
    if values is not None:
        assert values == [parse_json(line, "x") for line in text.split(b"\n")[:-1]]


def test_whole_values_on_lines_of_their_own_are_read_together() -> None:
    assert parse_json_lines(b'{"a": 1}\n2\n[3]\n') == [{"a": 1}, 2, [3]]
    assert parse_json_lines(b"") == []


@pytest.mark.parametrize(
    "text",
    [b'{"a":\n1}\n', b'{"a": 1} {"a": 2}\n', b'{"a": "\n"}\n', b"[1\n,2]\n3 4\n", b"NaN\n", b"\n",
     b'{"a": 1}', b'"\\ud800"\n', b"\xff\n", b"[" * 100_000 + b"\n"],
)  # fmt: skip
def test_all_else_is_left_to_be_read_line_by_line(text: bytes) -> None:
    assert parse_json_lines(text) is None


@pytest.mark.parametrize("size", [1, 100, 1000, 1 << 16])
def test_blocks_of_any_size_are_the_same_trajectory(
    size: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(file)
    monkeypatch.setattr(trajectory, "_BLOCK", size)
    assert read(file) == whole
    assert len(whole.queries) == 40
    assert whole.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [100, 1 << 16])
@pytest.mark.parametrize("number", [2, 20, 41])
def test_errors_name_the_line(
    number: int, size: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trajectory, "_BLOCK", size)
    lines = file.read_text(encoding="utf-8").splitlines()
    query = json.loads(lines[number - 1])
    for wrong, why in (
        (query | {"accuracy": 1.5}, "accuracy: should be a number in 0..1, not 1.5"),
        (query | {"clock": -1.0}, "clock: should be a number"),
        (query | {"run": 777}, "run: should be a text, not 777"),
        (query | {"epochs": 0}, "epochs: should be a whole number"),
        (query | {"architecture": "x"}, "architecture: "),
        ("x", "should be an object"),
    ):
        path = tmp_path / "wrong.jsonl"
        text = "\n".join([*lines[: number - 1], json.dumps(wrong), *lines[number:]]) + "\n"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadTrajectory, match=f"wrong.jsonl, line {number}: (not a query: )?{why}"):
            read(path)


@pytest.mark.parametrize("size", [100, 300])  # shorter than the longest line, as it is
def test_lines_that_are_too_long(
    size: int, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With or without an end, and only once the lines before have been read."""
    longest = max(map(len, file.read_bytes().splitlines(keepends=True)))
    monkeypatch.setattr(trajectory, "_BLOCK", size)
    monkeypatch.setattr(trajectory, "LONGEST_LINE", longest)
    whole = read(file)
    path = tmp_path / "long.jsonl"
    for end in (b"", b"\n"):
        path.write_bytes(file.read_bytes() + b" " * longest + end)
        with pytest.raises(BadTrajectory, match=r"long.jsonl, line 43: more than .* bytes; too long"):
            read(path)
    path.write_bytes(file.read_bytes() + b" " * (longest - 1))
    assert replace(read(path), path=file, sha256=whole.sha256) == whole, (
        "a last line that is cut off is left out"
    )
