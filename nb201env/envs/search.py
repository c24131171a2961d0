"""Many searches at once: their clocks, budgets, draws and answers, as arrays.

What `Ledger` does for one search in plain Python, `SearchBatch` does for many in numpy.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.architecture import all_strings
from nb201env.arrays import Array, BoolArray, FloatArray, IntArray
from nb201env.envs import draws
from nb201env.envs.answers import answers, costs_in_info
from nb201env.envs.infos import INFO_KEYS, NO_ACCURACY, NO_COST
from nb201env.envs.options import Options
from nb201env.envs.states import Copied
from nb201env.space import SIZE
from nb201env.table import Table

Who = IntArray | slice
"""Which environments: their numbers, or ``EVERYONE``, which spares gathering and scattering."""

EVERYONE = slice(None)


class Reply(NamedTuple):
    """What the queries of one step were answered; None where no query was.

    Attributes:
        architecture: Official strings, object [n]; "" where no query was answered.
        run: Labels of the runs, object [n]; "" where none.
        accuracy: Fractions, float64 [n]; `NO_ACCURACY` where none.
        seconds: Simulated seconds, float64 [n]; 0 where none.
        costs: Of each of the costs in `info`, float64 [n]; `NO_COST` where none.
    """

    architecture: npt.NDArray[np.object_]
    run: npt.NDArray[np.object_]
    accuracy: FloatArray
    seconds: FloatArray
    costs: tuple[FloatArray, ...]

    @classmethod
    def silence(cls, n: int, costs: int) -> Reply:
        """No query was answered."""
        nothing = tuple([np.full(n, NO_COST) for _ in range(costs)])
        return cls(_blank(n).copy(), _blank(n).copy(), np.full(n, NO_ACCURACY), np.zeros(n), nothing)

    def only(self, mask: BoolArray) -> Reply:
        """A copy in which everything outside `mask` is zero, as Gymnasium fills its infos."""
        return Reply(
            np.where(mask, self.architecture, np.array(None)),
            np.where(mask, self.run, np.array(None)),
            np.where(mask, self.accuracy, 0.0),
            np.where(mask, self.seconds, 0.0),
            tuple([np.where(mask, cost, 0.0) for cost in self.costs]),
        )

    def without(self, mask: BoolArray) -> Reply:
        """A copy in which the queries in `mask` were not answered."""
        left = Reply.silence(len(mask), len(self.costs))
        for array, values in zip(left.arrays(), self.arrays(), strict=True):
            array[~mask] = values[~mask]
        return left

    def arrays(self) -> tuple[Array, ...]:
        """All of them, each [n]."""
        return (*self[:-1], *self.costs)


@cache
def _blank(n: int) -> npt.NDArray[np.object_]:
    return np.full(n, "", dtype=object)


class SearchBatch(Copied):
    """The searches of `n` environments.

    Attributes:
        keyed: Which searches have begun; bool [n].
        over: Which searches have spent their budget; bool [n].
        clock: Simulated seconds spent; float64 [n].
        queries: Queries paid for; int64 [n].
    """

    _shared = frozenset((
        "_table", "_slots", "_label", "_accuracy", "_reward", "_seconds", "_strings", "_costs",
        "_keys_of_masks",
    ))  # fmt: skip

    def __init__(self, n: int, table: Table, options: Options) -> None:
        self._n = n
        self._table, self._options = table, options
        self._levels: dict[int, int] = {}  # epochs asked for -> block of 15,625 rows in the arrays below
        self._slots: IntArray = np.zeros(0, dtype=np.int64)
        self._label: npt.NDArray[np.object_] = np.zeros(0, dtype=object)
        self._accuracy: FloatArray = np.zeros(0)
        self._reward: FloatArray = np.zeros((0, len(options.objectives)) if options.objectives else 0)
        self._seconds: FloatArray = np.zeros(0)
        self._whole = options.epochs or table.epochs
        self._width = self._add_level(self._whole)
        self._level: IntArray = np.zeros(n, dtype=np.int64)
        self._strings = np.array(all_strings(), dtype=object)
        self._costs = tuple(costs_in_info(table, options))
        self._keys_of_masks = [f"_{key}" for key in (*INFO_KEYS, *options.costs)]
        self._max_queries = options.budget_queries or float("inf")
        self._max_seconds = options.budget_seconds or float("inf")
        self._bounded = options.budget_queries is not None or options.budget_seconds is not None
        self._drop = options.overshoot == "drop"
        self._free = options.repeats == "free"
        self._keys = np.zeros(n, dtype=np.uint64)
        self.keyed: BoolArray = np.zeros(n, dtype=np.bool_)
        self.clock: FloatArray = np.zeros(n)
        self.queries: IntArray = np.zeros(n, dtype=np.int64)
        self.over: BoolArray = np.zeros(n, dtype=np.bool_)
        self._draws: IntArray = np.zeros(n, dtype=np.int64)
        self._episodes: IntArray = np.zeros(n, dtype=np.int64)
        # After how many epochs each cell was seen.
        self._seen: npt.NDArray[np.int32] = np.zeros((n if self._free else 0, SIZE), dtype=np.int32)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in self._shared - {"_table"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        fresh = SearchBatch(0, state["_table"], state["_options"])
        for epochs in state["_levels"]:
            fresh.prepare(epochs)
        self.__dict__.update({name: vars(fresh)[name] for name in self._shared} | state)

    def begin(self, who: IntArray, keys: npt.NDArray[np.uint64]) -> None:
        """Start new searches, each with its own key."""
        self._keys[who] = keys
        self.keyed[who] = True
        for array in (self.clock, self.queries, self.over, self._draws, self._episodes):
            array[who] = 0
        if self._free:
            self._seen[who] = 0

    def draw_starts(self, who: Who) -> IntArray:
        """A random architecture for each; int64 indices."""
        drawn = draws.draw_many(self._keys[who], self._episodes[who], draws.START, SIZE)
        self._episodes[who] += 1
        return drawn

    def prepare(self, epochs: int | None) -> int:
        """Get ready to answer for trainings of so many epochs; see `Ledger.prepare`."""
        epochs = self._whole if epochs is None else epochs
        if epochs not in self._levels:
            self._add_level(epochs)
        return epochs

    def choose_epochs(self, who: Who, epochs: int | None) -> None:
        """From now on these searches ask for trainings of so many epochs; whole ones if None."""
        epochs = self.prepare(epochs)
        if len(self._levels) > 1:
            self._level[who] = self._levels[epochs]

    def _add_level(self, epochs: int) -> int:
        more = answers(self._table, self._options, epochs)
        self._levels[epochs] = len(self._levels)
        self._slots = np.concatenate([self._slots, more.slots])
        self._label = np.concatenate([self._label, more.label.ravel()])
        self._accuracy = np.concatenate([self._accuracy, more.accuracy.ravel()])
        self._reward = np.concatenate([self._reward, more.flat_reward])
        self._seconds = np.concatenate([self._seconds, more.seconds.ravel()])
        return int(more.accuracy.shape[1])

    def query(
        self, who: Who, index: IntArray, reply: Reply | None
    ) -> tuple[FloatArray, BoolArray, Reply | None]:
        """Answer one query each, as far as the budgets go.

        Args:
            who: The searches that ask, each at most once.
            index: The architectures they ask for; int64 [k].
            reply: What was answered earlier in this step.

        Returns:
            The rewards, float64 [k], or [k, m] with m objectives; which queries were answered, bool [k]; the
            reply with these.
        """
        row = index if len(self._levels) == 1 else index + SIZE * self._level[who]
        place = row * self._width
        if self._width > 1:
            counters = index if self._free else self._draws[who]
            place += draws.draw_many(self._keys[who], counters, draws.RUN, self._slots.take(row))
            self._draws[who] += 1
        seconds = self._seconds.take(place)
        repeated = None
        if self._free:
            repeated = self._seen[np.arange(self._n)[who], index] >= self._epochs_of(who)
            seconds[repeated] = 0.0
        answered = np.ones(len(index), dtype=np.bool_)
        if self._drop:
            answered = self.clock[who] + seconds <= self._max_seconds
        self._pay(who, index, seconds, repeated, answered)
        reply = self._enter(reply, who, index, place, seconds, answered)
        return self._reward.take(place, axis=0), answered, reply

    def info(self, reply: Reply | None, mask: BoolArray | None = None) -> dict[str, Any]:
        """The info of a step: an array per key, and Gymnasium's mask under "_key".

        Args:
            reply: The step's replies.
            mask: The environments the info is about; all if None.
        """
        reply = self._silence() if reply is None else reply
        state: tuple[Array, ...] = self.clock.copy(), self.queries.copy(), self.over.copy()
        if mask is None:
            mask = np.ones(self._n, dtype=np.bool_)
        elif not mask.all():
            reply = reply.only(mask)
            for array in state:
                array[~mask] = 0
        info = dict(zip(INFO_KEYS, (*reply[:-1], *state), strict=True))
        if self._costs:
            info |= zip(self._options.costs, reply.costs, strict=True)
        return info | {key: mask.copy() for key in self._keys_of_masks}

    def _silence(self) -> Reply:
        return Reply.silence(self._n, len(self._costs))

    def _pay(
        self, who: Who, index: IntArray, seconds: FloatArray, repeated: BoolArray | None, answered: BoolArray
    ) -> None:
        paid = answered if repeated is None else answered & ~repeated
        self.clock[who] += np.where(answered, seconds, 0.0)
        self.queries[who] += paid
        if self._free:
            numbers = np.arange(self._n)[who]
            seen = self._seen[numbers, index]
            self._seen[numbers, index] = np.where(paid, self._epochs_of(who), seen)
        if self._bounded:
            spent = (self.queries[who] >= self._max_queries) | (self.clock[who] >= self._max_seconds)
            self.over[who] = spent | ~answered

    def _epochs_of(self, who: Who) -> IntArray:
        return np.fromiter(self._levels, dtype=np.int64)[self._level[who]]

    def _enter(
        self, reply: Reply | None, who: Who, index: IntArray, place: IntArray,
        seconds: FloatArray, answered: BoolArray,
    ) -> Reply | None:  # fmt: skip
        whole = bool(answered.all())
        if not whole:
            who = np.arange(self._n)[who][answered]
            index, place, seconds = index[answered], place[answered], seconds[answered]
        found = Reply(
            self._strings.take(index), self._label.take(place), self._accuracy.take(place), seconds,
            tuple([cost.take(index) for cost in self._costs]),
        )  # fmt: skip
        if whole and isinstance(who, slice):
            return found
        reply = self._silence() if reply is None else reply
        for array, values in zip(reply.arrays(), found.arrays(), strict=True):
            array[who] = values
        return reply
