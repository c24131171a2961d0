"""Many searches at once: their clocks, budgets, draws and answers, as arrays.

What `NB201Env` does for one search in plain Python, `SearchBatch` does for many in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from nb201env.envs import draws
from nb201env.envs.answers import answers
from nb201env.envs.options import Options
from nb201env.envs.single import NO_ACCURACY
from nb201env.space import SIZE, IntArray, all_strings
from nb201env.table import FloatArray, Table

BoolArray = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Reply:
    """What the queries of one step were answered, one entry per environment.

    Attributes:
        architecture: Official strings, object; "" where no query was answered.
        run: Labels of the runs, object; "" where none.
        accuracy: Fractions; `NO_ACCURACY` where none.
        seconds: Simulated seconds.
    """

    architecture: npt.NDArray[np.object_]
    run: npt.NDArray[np.object_]
    accuracy: FloatArray
    seconds: FloatArray

    def clear(self, mask: BoolArray) -> None:
        """Forget the replies in `mask`."""
        for field, nothing in zip(fields(self), ("", "", NO_ACCURACY, 0.0), strict=True):
            getattr(self, field.name)[mask] = nothing

    def only(self, mask: BoolArray) -> Reply:
        """A copy in which everything outside `mask` is zero, as Gymnasium fills its infos."""
        return Reply(
            np.where(mask, self.architecture, np.array(None)),
            np.where(mask, self.run, np.array(None)),
            np.where(mask, self.accuracy, 0.0),
            np.where(mask, self.seconds, 0.0),
        )


class SearchBatch:
    """The searches of `n` environments.

    Attributes:
        over: Which searches have spent their budget; bool [n].
        clock: Simulated seconds spent; float64 [n].
        queries: Queries paid for; int64 [n].
    """

    def __init__(self, n: int, table: Table, options: Options) -> None:
        self._n = n
        self._answers = answers(table, options)
        self._width = self._answers.accuracy.shape[1]
        self._label = self._answers.label.ravel()
        self._accuracy = self._answers.accuracy.ravel()
        self._reward = self._answers.reward.ravel()
        self._seconds = self._answers.seconds.ravel()
        self._strings = np.array(all_strings(), dtype=object)
        self._blank = np.full(n, "", dtype=object)
        self._max_queries = options.budget_queries or float("inf")
        self._max_seconds = options.budget_seconds or float("inf")
        self._bounded = options.budget_queries is not None or options.budget_seconds is not None
        self._drop = options.overshoot == "drop"
        self._free = options.repeats == "free"
        self._keys = np.zeros(n, dtype=np.uint64)
        self.clock: FloatArray = np.zeros(n)
        self.queries: IntArray = np.zeros(n, dtype=np.int64)
        self.over: BoolArray = np.zeros(n, dtype=np.bool_)
        self._draws: IntArray = np.zeros(n, dtype=np.int64)
        self._episodes: IntArray = np.zeros(n, dtype=np.int64)
        self._seen: BoolArray = np.zeros((n if self._free else 0, SIZE), dtype=np.bool_)

    def begin(self, who: IntArray, keys: npt.NDArray[np.uint64]) -> None:
        """Start new searches, each with its own key."""
        self._keys[who] = keys
        for array in (self.clock, self.queries, self.over, self._draws, self._episodes):
            array[who] = 0
        if self._free:
            self._seen[who] = False

    def draw_starts(self, who: IntArray) -> IntArray:
        """A random architecture for each; int64 indices."""
        drawn = draws.draw_many(self._keys[who], self._episodes[who], draws.START, SIZE)
        self._episodes[who] += 1
        return drawn

    def query(self, who: IntArray, index: IntArray, reply: Reply) -> tuple[FloatArray, BoolArray]:
        """Answer one query each, as far as the budgets go.

        Args:
            who: The searches that ask; int64 [k], each at most once.
            index: The architectures they ask for; int64 [k].
            reply: Where the answers are entered.

        Returns:
            The rewards, float64 [k], and which queries were answered, bool [k].
        """
        place = index * self._width
        if self._width > 1:
            counters = index if self._free else self._draws[who]
            place += draws.draw_many(self._keys[who], counters, draws.RUN, self._answers.slots[index])
            self._draws[who] += 1
        seconds = self._seconds[place]
        paid = np.ones(len(who), dtype=np.bool_)
        if self._free:
            paid = ~self._seen[who, index]
            seconds = np.where(paid, seconds, 0.0)
        answered = np.ones(len(who), dtype=np.bool_)
        if self._drop:
            answered = self.clock[who] + seconds <= self._max_seconds
        self._pay(who, index, seconds, paid, answered)
        self._enter(reply, who, index, place, seconds, answered)
        return self._reward[place], answered

    def silence(self) -> Reply:
        """A reply in which no query was answered."""
        return Reply(self._blank.copy(), self._blank.copy(), np.full(self._n, NO_ACCURACY), np.zeros(self._n))

    def info(self, reply: Reply, mask: BoolArray | None = None) -> dict[str, Any]:
        """The info of a step: an array per key, and Gymnasium's mask under "_key".

        Args:
            reply: The step's replies.
            mask: The environments the info is about; all if None.
        """
        reply = reply if mask is None else reply.only(mask)
        info: dict[str, Any] = {
            "architecture": reply.architecture,
            "run": reply.run,
            "accuracy": reply.accuracy,
            "seconds": reply.seconds,
            "clock": self.clock.copy(),
            "queries": self.queries.copy(),
            "search_over": self.over.copy(),
        }
        if mask is None:
            mask = np.ones(self._n, dtype=np.bool_)
        else:
            for key in ("clock", "queries", "search_over"):
                info[key][~mask] = 0
        return info | {f"_{key}": mask.copy() for key in info}

    def _pay(
        self, who: IntArray, index: IntArray, seconds: FloatArray, paid: BoolArray, answered: BoolArray
    ) -> None:
        self.clock[who] += np.where(answered, seconds, 0.0)
        self.queries[who] += paid & answered
        if self._free:
            self._seen[who, index] |= answered
        if self._bounded:
            spent = (self.queries[who] >= self._max_queries) | (self.clock[who] >= self._max_seconds)
            self.over[who] = spent | ~answered

    def _enter(
        self, reply: Reply, who: IntArray, index: IntArray, place: IntArray,
        seconds: FloatArray, answered: BoolArray,
    ) -> None:  # fmt: skip
        if not answered.all():
            who, index, place, seconds = who[answered], index[answered], place[answered], seconds[answered]
        reply.architecture[who] = self._strings[index]
        reply.run[who] = self._label[place]
        reply.accuracy[who] = self._accuracy[place]
        reply.seconds[who] = seconds
