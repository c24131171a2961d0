"""Searchers that know nothing of ours: they read and write JSON; and the same searches through Gymnasium."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from nb201env.agents.contract import Env, query
from nb201env.agents.searches import asking
from nb201env.agents.searches.recorder import record
from nb201env.architecture import Architecture

ENV = "NB201-cifar10-v0"
Tell = Callable[[str], dict[str, Any]]


def nb201(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nb201env.cli", *map(str, words)], capture_output=True, text=True, check=False
    )


def tell_by_command(state: Path) -> Tell:
    """The call as a program in any language makes it."""

    def tell(architecture: str) -> dict[str, Any]:
        done = nb201("tell", state, architecture, "--json")
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if answer["answers"] else 1), done.stderr
        return answer

    return tell


def tell_in_python(state: Path) -> Tell:
    return lambda architecture: asking.tell(state, [architecture])


def local_search(space: dict[str, Any], seed: int) -> Generator[str, float, None]:
    """Local search on texts: change one op, keep what is better; it is sent accuracies.

    Args:
        space: What `ask` says under "space".
        seed: Its own.
    """
    rng = random.Random(seed)
    best, here = -1.0, [rng.choice(space["ops"]) for _ in space["edges"]]
    while True:
        tried = list(here)
        tried[rng.randrange(len(tried))] = rng.choice(space["ops"])
        accuracy = yield written(space, tried)
        if accuracy > best:
            best, here = accuracy, tried


def written(space: dict[str, Any], ops: Sequence[str]) -> str:
    text = str(space["architecture"])
    for op in ops:
        text = text.replace("op~", f"{op}\0", 1)
    return text.replace("\0", "~")


def drive(searcher: Any, tell: Callable[[int], Tell]) -> int:
    """Let a searcher search until it is over; returns how many answers it got.

    Args:
        searcher: A generator that is sent accuracies.
        tell: The way to tell, for each number of a query.
    """
    number, chosen = 0, next(searcher)
    while True:
        answer = tell(number)(chosen)
        if not answer["answers"]:
            return number
        number += 1
        if answer["over"]:
            return number
        chosen = searcher.send(answer["answers"][0]["accuracy"])


class Scripted:
    """The same search as an agent of ours: asks for what a list or a generator says."""

    def __init__(self, searcher: Any, epochs: Sequence[int | None] = (None,)) -> None:
        self._searcher, self._epochs = searcher, epochs

    def search(self, env: Env, seed: int) -> None:
        chosen, over, number = next(self._searcher), False, 0
        while not over:
            epochs = self._epochs[number % len(self._epochs)]
            reward, _, over = query(env, Architecture.parse(chosen), epochs=epochs)
            number += 1
            try:
                chosen = self._searcher.send(reward)
            except StopIteration:
                return


def through_gym(
    searcher: Any, path: Path, seed: int, env_id: str = ENV, *, epochs: Any = (None,), **kwargs: Any
) -> list[str]:
    """The lines after the header of the trajectory that a searcher writes through Gymnasium."""
    record(Scripted(searcher, epochs), gym.make(env_id, **kwargs), seed, path)
    return lines(path)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[1:]


def one_by_one(architectures: Sequence[str]) -> Generator[str, float, None]:
    for architecture in architectures:  # noqa: UP028 (a list takes no answers)
        yield architecture
