"""One search: its clock, its budget, its draws and its answers, without Gymnasium.

The environments are ways to act and observe; what their queries cost and answer is here, in plain
Python. `nb201env.envs.search` does the same for many searches in numpy, and tests hold it to this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nb201env.architecture import all_strings
from nb201env.arrays import FloatArray
from nb201env.envs import draws
from nb201env.envs.answers import Lists, answers, costs_in_info
from nb201env.envs.infos import NO_COST, NO_QUERY, Info
from nb201env.envs.options import Options
from nb201env.space import SIZE
from nb201env.table import Table

KeptScore = float | tuple[float, ...]
"""A reward as a value that nothing changes; of several objectives one number each."""


def keep(score: float | FloatArray) -> KeptScore:
    """A reward, to put into a state."""
    return tuple(score.tolist()) if isinstance(score, np.ndarray) else score


def put_back(kept: KeptScore) -> float | FloatArray:
    """The reward that `keep` was given."""
    return np.array(kept) if isinstance(kept, tuple) else kept


class SearchState(NamedTuple):
    """Where one search stands, as a value; see `Ledger.get_state`.

    Attributes:
        key: From which all draws follow; -1 before the search has begun.
        begun: Whether it has begun.
        clock: Simulated seconds spent.
        queries: Queries paid for.
        draws: Runs drawn so far.
        episodes: Starting cells drawn so far.
        over: Whether the budget is spent.
        score: The reward of the last query that was answered.
        epochs: After how many epochs queries ask.
        seen: With repeats="free", after how many epochs each cell was seen, by index.
    """

    key: int
    begun: bool
    clock: float
    queries: int
    draws: int
    episodes: int
    over: bool
    score: KeptScore
    epochs: int
    seen: Mapping[int, int]


class Ledger:
    """What one search has asked a table, and what it has left.

    Args:
        table: What answers.
        options: Budget, prices and rewards; see `nb201env.envs.single.NB201Env`.

    Attributes:
        begun: Whether `begin` was called.
        over: Whether the budget is spent.
        score: The reward of the last query that was answered.
    """

    def __init__(self, table: Table, options: Options) -> None:
        self._table, self._options = table, options
        self._whole = options.epochs or table.epochs
        self._answers_after: dict[int, Lists] = {self._whole: answers(table, options).lists}
        self._epochs = self._whole  # what queries ask for
        self._strings = all_strings()
        self._costs = [*zip(options.costs, costs_in_info(table, options).tolist(), strict=True)]
        self._no_query = NO_QUERY | dict.fromkeys(options.costs, NO_COST)
        self._free = options.repeats == "free"
        self._drop = options.overshoot == "drop"
        self._max_queries = options.budget_queries or float("inf")
        self._max_seconds = options.budget_seconds or float("inf")
        self.begun = False
        self.score: Any = 0.0
        self._clear(-1)

    def begin(self, key: int) -> None:
        """Start a new search; all that it draws follows from the key (see `nb201env.envs.draws`)."""
        self.begun = True
        self._clear(key)

    def _clear(self, key: int) -> None:
        self._key = key
        self._clock = 0.0
        self._queries = self._draws = self._episodes = 0
        self.over = False
        self._seen: dict[int, int] = {}  # after how many epochs each cell was seen
        self._quiet = self._no_query.copy()

    def prepare(self, epochs: int | None) -> int:
        """Get ready to answer for trainings of so many epochs, the options' if None; how many they are.

        Raises:
            NotRecorded: If the table lacks them.
            ValueError: If they are more than the options'.
        """
        epochs = self._whole if epochs is None else epochs
        if epochs not in self._answers_after:
            self._answers_after[epochs] = answers(self._table, self._options, epochs).lists
        return epochs

    def choose_epochs(self, prepared: int) -> None:
        """Make later queries return results after that many epochs, which `prepare` has returned."""
        self._epochs = prepared

    def get_state(self) -> SearchState:
        """Where the search stands; later queries do not change it."""
        return SearchState(
            self._key, self.begun, self._clock, self._queries, self._draws, self._episodes, self.over,
            keep(self.score), self._epochs, self._seen.copy(),
        )  # fmt: skip

    def set_state(self, state: SearchState) -> None:
        """Go on from where a search of the same table and options stood.

        Raises:
            NotRecorded: If the table lacks the state's epochs; nothing has changed then.
            ValueError: If they are more than the options'.
        """
        self._epochs = self.prepare(state.epochs)
        self._key, self.begun, self._clock, self._queries = state.key, state.begun, state.clock, state.queries
        self._draws, self._episodes = state.draws, state.episodes
        self.over, self.score, self._seen = state.over, put_back(state.score), dict(state.seen)
        self._quiet = self._no_query | {
            "clock": state.clock, "queries": state.queries, "search_over": state.over,
        }  # fmt: skip

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)  # answers, strings and costs never change
        other.set_state(self.get_state())
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._table, self._options, self.get_state())

    def draw_start(self) -> int:
        """The index of a random cell, from which the next episode with actions="edit" starts."""
        self._episodes += 1
        return draws.draw(self._key, self._episodes - 1, draws.START, SIZE)

    def quiet(self) -> Info:
        """The info of a step without a query; a copy."""
        return self._quiet.copy()

    def query(self, index: int) -> Info:
        """Query the cell of that lexicographic index; `quiet` once the budget does not cover it.

        The reward of an answered query is in `score`; that a query was answered shows in
        ``info["architecture"]``, which is empty otherwise. With several objectives it is a row of the
        answers, not to be written to.
        """
        quiet = self._quiet
        if self.over:
            return quiet.copy()
        at = self._answers_after[self._epochs]
        place = index * at.width
        if at.width > 1:
            counter = index if self._free else self._draws
            place += draws.draw(self._key, counter, draws.RUN, at.slots[index])
            self._draws += 1
        repeated = self._free and self._seen.get(index, 0) >= self._epochs
        seconds = 0.0 if repeated else at.seconds[place]
        if self._drop and self._clock + seconds > self._max_seconds:
            quiet["search_over"] = self.over = True
            return quiet.copy()
        if not repeated:
            self._clock += seconds
            self._queries += 1
            if self._free:
                self._seen[index] = self._epochs
        self.over = self._queries >= self._max_queries or self._clock >= self._max_seconds
        self.score = at.reward[place]
        quiet["clock"], quiet["queries"], quiet["search_over"] = self._clock, self._queries, self.over
        info = quiet.copy()
        info["architecture"] = self._strings[index]
        info["run"] = at.label[place]
        info["accuracy"] = at.accuracy[place]
        info["seconds"] = seconds
        for name, values in self._costs:
            info[name] = values[index]
        return info


def _restored(table: Table, options: Options, state: SearchState) -> Ledger:
    """A ledger that was pickled."""
    ledger = Ledger(table, options)
    ledger.set_state(state)
    return ledger
