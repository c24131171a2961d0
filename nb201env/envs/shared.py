"""One search that all copies of a vector environment carry on together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.envs.ledger import Ledger
from nb201env.envs.options import Options
from nb201env.envs.search import Reply, SearchBatch, Who
from nb201env.table import Table


class SharedSearch(SearchBatch):
    """A batch with one clock, one budget and one sequence of draws.

    Queries of one step are answered in the order of the copies, by one `Ledger`: so the search
    is, bit for bit, that of one environment asked for the same cells in that order. `clock`
    and `queries` are what each copy saw at its last query.
    """

    def __init__(self, n: int, table: Table, options: Options) -> None:
        super().__init__(n, table, options)
        self._one = Ledger(table, options)
        self._epochs: IntArray = np.full(n, self._whole)

    def begin(self, who: IntArray, keys: npt.NDArray[np.uint64]) -> None:
        """Start a new search for all copies, with the first key."""
        if len(who):
            super().begin(np.arange(self._n), np.full(self._n, keys[0]))
            self._one.begin(int(keys[0]))

    def draw_starts(self, who: Who) -> IntArray:
        """A random architecture for each; int64 indices."""
        return np.array([self._one.draw_start() for _ in np.arange(self._n)[who]], dtype=np.int64)

    def prepare(self, epochs: int | None) -> int:
        """Get ready to answer for trainings of so many epochs; see `Ledger.prepare`."""
        return self._one.prepare(epochs)

    def choose_epochs(self, who: Who, epochs: int | None) -> None:
        """From now on these copies ask for trainings of so many epochs; whole ones if None."""
        self._epochs[who] = self.prepare(epochs)

    def query(
        self, who: Who, index: IntArray, reply: Reply | None
    ) -> tuple[FloatArray, BoolArray, Reply | None]:
        """Answer one query each, in order, as far as the budget goes; see `SearchBatch.query`."""
        reply = self._silence() if reply is None else reply
        named = list(enumerate(self._options.costs))
        rewards = np.zeros((len(index), *self._reward.shape[1:]))
        answered = np.zeros(len(index), dtype=np.bool_)
        for place, copy in enumerate(np.arange(self._n)[who].tolist()):
            self._one.choose_epochs(int(self._epochs[copy]))
            info = self._one.query(int(index[place]))
            answered[place] = info["architecture"] != ""
            if answered[place]:
                rewards[place] = self._one.score
                reply.architecture[copy], reply.run[copy] = info["architecture"], info["run"]
                reply.accuracy[copy], reply.seconds[copy] = info["accuracy"], info["seconds"]
                for cost, name in named:
                    reply.costs[cost][copy] = info[name]
            self.clock[copy], self.queries[copy] = info["clock"], info["queries"]
            self.over[:] = info["search_over"]
        return rewards, answered, reply
