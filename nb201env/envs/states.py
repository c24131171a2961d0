"""Where an environment stands, as a value; and copies of environments, which share the table.

A table and what is computed from it never change, so a copy needs none of its own: copying an environment
takes microseconds and hundreds of bytes, as tree search wants it.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, TypeVar

import numpy as np
from gymnasium import spaces

from nb201env.envs.ledger import KeptScore, SearchState
from nb201env.envs.options import Options

T = TypeVar("T")


class State(NamedTuple):
    """Where one environment stands: its episode, its search and its generator; see `NB201Env.get_state`.

    A value without a reference to the environment: it can be kept, pickled, and put back into any environment
    of the same table and options, any number of times.

    Attributes:
        table: The table's id.
        options: The environment's options.
        ops: Six op numbers, 5 where an edge has none yet.
        cell: The finished cell's index, or what is built of it so far.
        steps: Steps taken in the episode; -1 before the first one and after its end.
        score: The reward of the cell that an "edit" episode stands at.
        search: Clock, budget and draws.
        generator: What `np_random` goes on with; None before the first reset.
        seed: What `np_random_seed` says.
    """

    table: str
    options: Options
    ops: tuple[int, ...]
    cell: int
    steps: int
    score: KeptScore
    search: SearchState
    generator: Generator
    seed: int | None


class KeptGenerator(NamedTuple):
    """A PCG64 generator as a value; making one of it takes longer than copying the rest of an environment."""

    state: Any  # as numpy.random.PCG64.state says it
    entropy: Any
    spawn_key: tuple[int, ...]
    spawned: int

    def generator(self) -> np.random.Generator:
        """A generator that draws, and spawns, what the one it was taken from would have."""
        seeds = np.random.SeedSequence(
            self.entropy, spawn_key=self.spawn_key, n_children_spawned=self.spawned
        )
        bits = np.random.PCG64(seeds)
        bits.state = self.state
        return np.random.Generator(bits)


Generator = KeptGenerator | np.random.Generator | None


def kept(generator: Generator) -> Generator:
    """A generator's state as a value, or a copy of a generator that is none of Gymnasium's kind."""
    if not isinstance(generator, np.random.Generator):
        return generator
    bits = generator.bit_generator
    seeds = bits.seed_seq
    if type(bits) is not np.random.PCG64 or type(seeds) is not np.random.SeedSequence:
        return copy.deepcopy(generator)
    return KeptGenerator(bits.state, seeds.entropy, seeds.spawn_key, seeds.n_children_spawned)


class Copied:
    """Gives an object deep copies that share what never changes: the values of the attributes `_shared`."""

    _shared: frozenset[str] = frozenset()

    def __deepcopy__(self: T, memo: dict[int, Any]) -> T:
        other = object.__new__(type(self))
        memo[id(self)] = other
        values, shared = other.__dict__, self._shared  # type: ignore[attr-defined]
        for name, value in self.__dict__.items():
            values[name] = value if name in shared else copied(value, memo)
        return other


class CopiedEnv(Copied):
    """`Copied` for environments: a copy makes its generator when something asks for it."""

    _np_random: Any
    _np_random_seed: Any

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_np_random": kept(self._np_random)}

    @property
    def np_random(self) -> np.random.Generator:
        """The environment's own source of random numbers."""
        if isinstance(self._np_random, KeptGenerator):
            self._np_random = self._np_random.generator()
        generator: np.random.Generator = super().np_random  # type: ignore[misc]
        return generator

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self._np_random, self._np_random_seed = value, -1  # as Gymnasium does


_PLAIN = frozenset((int, float, str, bool, type(None), Options, KeptGenerator))
_SPACES = frozenset((spaces.Discrete, spaces.MultiDiscrete, spaces.Box))


def copied(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of an attribute that no change of the original's shows in; what `copy.deepcopy` does, faster."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is np.ndarray and value.dtype.kind != "O":
        return value.copy()
    if kind is np.random.Generator:
        return kept(value)
    if kind in _SPACES and value._np_random is None:  # then nothing in it changes
        space = object.__new__(kind)
        space.__dict__.update(value.__dict__)
        return space
    return copy.deepcopy(value, memo)
