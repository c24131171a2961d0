"""Trajectories from strangers: nothing that a file says is run, and whatever is wrong is one sentence."""

from __future__ import annotations

import copy
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.searches.outcome import outcome
from nb201env.agents.searches.recorder import replay
from nb201env.agents.searches.runner import Search
from nb201env.fields import Fields
from nb201env.table import Table
from nb201env.trajectory import (
    LONGEST_LINE,
    BadTrajectory,
    _are_plain,
    _check_query,
    read,
    read_header,
)
from nb201env.trajectory_cost import Cost, read_cost, write_cost

ENV = "NB201-cifar10-v0"
runner = CliRunner()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of a good trajectory: header, five queries, end."""
    search = Search("random_search", ENV, 0, {"budget_queries": 5}, tmp_path_factory.mktemp("good"))
    return [json.loads(line) for line in search.run().read_text().splitlines()]


def written(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


# -- data names no code ----------------------------------------------------------------------

# What the specification of an environment can hold in Gymnasium, and what headers held once.
BEFORE: dict[str, Any] = {
    "id": ENV, "entry_point": "nb201env.envs.single:NB201Env", "reward_threshold": None,
    "nondeterministic": False, "max_episode_steps": None, "order_enforce": True,
    "disable_env_checker": False, "kwargs": {"table": "cifar10-valid-200", "budget_queries": 5},
    "additional_wrappers": [], "vector_entry_point": "nb201env.envs.vector:NB201VectorEnv",
}  # fmt: skip
POPEN = {"name": "b", "entry_point": "subprocess:Popen", "kwargs": {"args": "touch ran", "shell": True}}
HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("additional_wrappers", {"additional_wrappers": [POPEN]}),
    (
        "additional_wrappers",
        {"additional_wrappers": [{"name": "a", "entry_point": "unittest.mock:MagicMock"}]},
    ),
    ("additional_wrappers", {"additional_wrappers": {}}),
    ("entry_point", {"entry_point": "os:system"}),
    ("entry_point", {"entry_point": "nb201env.envs.vector:NB201VectorEnv"}),
    ("entry_point", {"entry_point": None}),
    ("vector_entry_point", {"vector_entry_point": "os:system"}),
    ("max_episode_steps", {"max_episode_steps": 1}),
    ("namespace", {"namespace": "ALE"}),
    ("order_enforce", {"order_enforce": 1.5}),
    ("disable_env_checker", {"disable_env_checker": True}),
    ("nondeterministic", {"nondeterministic": "os:system"}),
    ("__class__", {"__class__": "os:system"}),
    ('unknown environment "CartPole-v1"', {"id": "CartPole-v1"}),
    ('unknown environment "os:NB201-cifar10-v0"', {"id": f"os:{ENV}"}),
    ("unknown environment", {"id": "../../x"}),
    ('kwargs: "entry_point": no option', {"kwargs": {"entry_point": "os:system"}}),
    ('kwargs: "max_episode_steps": no option', {"kwargs": {"max_episode_steps": 1}}),
    ('kwargs: "vectorization_mode": no option', {"kwargs": {"vectorization_mode": "async"}}),
    ('kwargs: "self": no option', {"kwargs": {"self": 1}}),
    ("no option", {"kwargs": {"x\n\x1b[31m": 1}}),
    ("no option", {"kwargs": {"x" * 100_000: 1}}),
    ("\\u001b", {"x\n\x1b[31m": 1}),
    ("unknown environment", {"id": "x\n\x1b[31m" * 10_000}),
    ("actions must be one of", {"kwargs": {"actions": "os:system"}}),
    ("run must be", {"kwargs": {"run": ["x"]}}),
    ("limit must look like", {"kwargs": {"limit": "os:system"}}),
    ("limit must look like", {"kwargs": {"limit": {"on": "params", "max": 1, "cls": "os:system"}}}),
]


@pytest.mark.parametrize(("message", "changes"), HOSTILE)
@pytest.mark.parametrize("before", [BEFORE, {"id": ENV, "kwargs": {}}], ids=["before", "now"])
def test_a_header_names_no_code(
    message: str, changes: dict[str, Any], before: dict[str, Any], lines: list[Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "x.jsonl", [lines[0] | {"env": before | changes}, *lines[1:]])
    with pytest.raises(BadTrajectory, match=r"x.jsonl, line 1: env.*") as caught:
        replay(read(path))
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    assert [file.name for file in tmp_path.iterdir()] == ["x.jsonl"], "nothing ran"


def test_files_of_earlier_releases_replay(lines: list[Any], tmp_path: Path) -> None:
    assert replay(read(written(tmp_path / "x.jsonl", [lines[0] | {"env": BEFORE}, *lines[1:]]))) == []


def test_a_header_leads_to_no_file(lines: list[Any], tmp_path: Path) -> None:
    """The table is the one of the id, whatever the header calls it."""
    os.mkfifo(pipe := tmp_path / "pipe.safetensors")
    env = {"id": ENV, "kwargs": {"table": str(pipe), "budget_queries": 5}}
    head = lines[0] | {"env": env, "table": lines[0]["table"] | {"name": str(pipe)}}
    trajectory = read(written(tmp_path / "x.jsonl", [head, *lines[1:]]))
    assert replay(trajectory) == []
    assert outcome(trajectory).queries == 5
    foreign = head | {"table": {"name": "x\n\x1b[31m", "id": "f" * 64}}
    with pytest.raises(
        FileNotFoundError, match=r"the table x\\n\\u001b\[31m with id ffffffffffff: "
    ) as caught:
        replay(read(written(tmp_path / "x.jsonl", [foreign, *lines[1:]])))
    assert str(caught.value).isprintable()


def test_a_table_that_lies_elsewhere_is_named_on_the_command_line(
    tested_table: Table, tmp_path: Path
) -> None:
    file = str(tested_table.container.path)
    path = Search("random_search", ENV, 0, {"budget_queries": 5}, tmp_path, env_kwargs={"table": file}).run()
    alone = runner.invoke(cli.build(), ["replay", str(path)])
    assert alone.exit_code == 2
    assert tested_table.id[:12] in alone.stderr
    given = runner.invoke(cli.build(), ["replay", str(path), "--table", file])
    assert (given.exit_code, given.stdout) == (0, f"{path}: 5 queries, no difference\n")


def test_a_search_of_a_table_of_ones_own_replays(tmp_path: Path) -> None:
    words = [
        "search",
        "--agent",
        "random_search",
        "--env",
        "NB201-v0",
        "--budget",
        "5",
        "--out",
        str(tmp_path),
    ]
    nothing = runner.invoke(cli.build(), words)
    assert isinstance(nothing.exception, ValueError), "that id has no table of its own"
    given = runner.invoke(cli.build(), [*words, "--env-kwargs", '{"table": "cifar100-200"}'])
    assert given.exit_code == 0
    path = tmp_path / "NB201-v0" / "random_search-0.jsonl"
    assert replay(read(path)) == []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["env"]["id"] = ENV  # of another data set
    with pytest.raises(ValueError, match="cifar10; 'cifar100-200' is of cifar100"):
        replay(read(written(path, lines)))


# -- malformed files -------------------------------------------------------------------------


VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 10**300, 10**400, 1e999, float("nan"), "", "x\n", "\ud800", [], [None], {},
    {"a": [1]}, "DEEP",
]  # fmt: skip


def dumped(line: Any) -> str:
    """JSON, with nested lists in place of "DEEP" and a number that Python refuses in place of a large one."""
    text = json.dumps(line).replace('"DEEP"', "[" * 100_000 + "]" * 100_000)
    return text.replace(str(10**400), "1" * 5000)


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value: the keys that lead there."""
    if here:
        yield here
    for key in value if isinstance(value, dict) else ():
        yield from paths(value[key], (*here, key))


def putting(value: Any) -> Callable[[Any, Any], Any]:
    """A change that replaces what is there."""
    return lambda inner, key: inner.__setitem__(key, value)


def changed(
    line: dict[str, Any], place: tuple[Any, ...], change: Callable[[Any, Any], Any]
) -> dict[str, Any]:
    line = copy.deepcopy(line)
    inner = line
    for key in place[:-1]:
        inner = inner[key]
    change(inner, place[-1])
    return line


def mutants(lines: list[dict[str, Any]]) -> Iterator[list[str]]:
    """The file with one field of the header, of a query or of the end missing or replaced."""
    for number in (0, 2, len(lines) - 1):
        line = lines[number] | ({"epochs": 200} if number == 2 else {})
        before, after = ([json.dumps(one) for one in some] for some in (lines[:number], lines[number + 1 :]))
        yield [*before, json.dumps(line), *after]
        for place in paths(line):
            yield [*before, json.dumps(changed(line, place, lambda inner, key: inner.pop(key))), *after]
            for value in VALUES:
                put = changed(line, place, putting(value))
                yield [*before, dumped(put), *after]
        for value in VALUES:
            yield [*before, dumped(value), *after]


def test_every_wrong_field_is_one_sentence_or_harmless(lines: list[Any], tmp_path: Path) -> None:
    """A thousand files: each is refused by `read`, or can be replayed and judged without another error."""
    path, refused, taken = tmp_path / "x.jsonl", 0, 0
    for mutant in mutants(lines):
        path.write_text("\n".join(mutant) + "\n", encoding="utf-8", errors="surrogatepass")
        try:
            trajectory = read(path)
            assert read_header(path) == trajectory.header
        except BadTrajectory as error:
            assert str(error).startswith(f"{path}")
            assert len(str(error)) < 400
            assert "\n" not in str(error)
            refused += 1
            continue
        taken += 1
        for use in (replay, outcome):
            try:
                use(trajectory)
            except (BadTrajectory, FileNotFoundError) as error:
                assert len(str(error)) < 600
        json.dumps(trajectory.header, allow_nan=False)
    assert refused > 600
    assert taken > 50


def test_the_command_line_says_one_line(lines: list[Any], tmp_path: Path) -> None:
    """One in thirty of the same files; the others are replayed all the same, and nothing is asked."""
    good = written(tmp_path / "good.jsonl", lines)
    for number, mutant in enumerate(mutants(lines)):
        if number % 30:
            continue
        path = tmp_path / "x.jsonl"
        path.write_text("\n".join(mutant) + "\n", encoding="utf-8", errors="surrogatepass")
        result = runner.invoke(cli.build(), ["replay", str(path), str(good)], input="")
        assert isinstance(result.exception, SystemExit | None)
        assert (result.stderr.count("\n"), result.exit_code) in ((1, 2), (0, 1), (0, 0))
        assert result.stdout.endswith(f"{good}: 5 queries, no difference\n")


def test_the_quick_look_at_a_query_takes_nothing_that_the_slow_one_refuses(lines: list[Any]) -> None:
    query, taken = lines[1] | {"epochs": 200}, 0
    for place in paths(query):
        for value in [*VALUES, "1", 1, 0.5, 5e-324, float("inf"), -0.0, query["architecture"]]:
            mutant = changed(query, place, putting(value))
            if _are_plain([mutant], 1.0):
                taken += 1
                _check_query(Fields(mutant, "x", BadTrajectory), 1.0)
    assert taken > 10
    vector = query | {"reward": [0.5, -0.25]}
    wrong: list[Any] = [[0.5], [0.5] * 9, [], [0.5, float("inf")], [0.5, "1"], [[0.5, 0.5]]]
    for rewards, fine in [([0.5] * 8, True), *((one, False) for one in wrong)]:
        assert _are_plain([vector, vector | {"reward": rewards}], 0.0) == fine
        if not fine:
            with pytest.raises(BadTrajectory, match=r"x: reward: should be "):
                _check_query(Fields(vector | {"reward": rewards}, "x", BadTrajectory), 1.0)
    assert _are_plain(lines[1:-1], 0.0), "it is what is written"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda good: [good[0], good[2], good[1], *good[3:]], "line 3: not a query: clock: should be a"),
        (lambda good: [*good, good[-1]], "line 8: something after the end of the search"),
        (lambda good: [*good[:-1], {"end": "over"}], "line 7: end: should be 'search over' or 'agent"),
        (lambda good: [good[0], good[-1], good[1]], "line 3: something after the end"),
        (lambda good: [good[0] | {"end": "search over"}], None),
        (lambda good: [good[0], good[1] | {"accuracy": 91.2}], "line 2: .*accuracy: should be a number in"),
        (lambda good: [good[0] | {"command": None}], "line 1: command: should be a text, not null"),
        (lambda good: [good[0] | {"versions": {"x\n": 1}}], "line 1: versions: should be texts by library"),
        (lambda good: [good[0] | {"table": {"name": "x", "id": "a\nb"}}], "line 1: table: id: should be"),
        (lambda good: [good[0] | {"seed": 1.0}], "line 1: seed: should be a whole number of at least 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change: Any, message: str | None, lines: list[Any], tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", change(lines))
    if message is None:
        assert not read(path).complete
        return
    with pytest.raises(BadTrajectory, match=f"x.jsonl, {message}"):
        read(path)


def test_what_may_be_missing(lines: list[Any], tmp_path: Path) -> None:
    head = {
        key: value for key, value in lines[0].items() if key not in ("command", "versions", "hyperparameters")
    }
    header = read(written(tmp_path / "x.jsonl", [head, *lines[1:]])).header
    assert (header["command"], header["versions"], header["hyperparameters"]) == ("", {}, {})


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for place in (tmp_path / "pipe.jsonl", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a file"):
            read(place)
        with pytest.raises(OSError, match="not a file"):
            read_header(place)
    result = runner.invoke(cli.build(), ["replay", str(tmp_path)])
    assert result.exit_code == 2
    assert (
        result.stderr
        == f"error: {tmp_path} is a folder; name trajectory files, such as those of {tmp_path}/*.jsonl\n"
    )


def test_a_line_without_an_end_is_not_read_to_its_end(lines: list[Any], tmp_path: Path) -> None:
    for start in (b"", json.dumps(lines[0]).encode() + b"\n"):
        with open(tmp_path / "x.jsonl", "wb") as file:
            file.write(start)
            file.truncate(10**12)  # takes no room on the disk
        tracemalloc.start()
        with pytest.raises(BadTrajectory, match=rf"line {1 + bool(start)}: more than 1,048,576 bytes"):
            read(tmp_path / "x.jsonl")
        assert tracemalloc.get_traced_memory()[1] < 10 * LONGEST_LINE
        tracemalloc.stop()


@pytest.mark.parametrize("filler", ["[]", "{}", "[0]", '{"":0}', '""', "0", "1.5"])
def test_memory_is_bounded_by_the_size_of_the_file(filler: str, lines: list[Any], tmp_path: Path) -> None:
    query = json.dumps(lines[1])[:-1] + ', "more": [' + ",".join([filler] * 1000) + "]}\n"
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(lines[0]) + "\n" + query * 40)
    tracemalloc.start()
    read(path)
    assert tracemalloc.get_traced_memory()[1] < 40 * path.stat().st_size
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"wall_seconds": 1}', '{"wall_seconds": "1", "cpu_seconds": 1}',
        '{"wall_seconds": NaN, "cpu_seconds": 1}', '{"wall_seconds": -1, "cpu_seconds": 1}',
        "[" * 9_000, " " * 20_000,
    ],
)  # fmt: skip
def test_costs_are_checked_too(content: str, tmp_path: Path) -> None:
    write_cost(tmp_path / "x", Cost(1.5, 2))
    assert read_cost(tmp_path / "x") == Cost(1.5, 2)
    (tmp_path / "x.cost.json").write_text(content)
    with pytest.raises(ValueError, match="x.cost.json"):
        read_cost(tmp_path / "x")
