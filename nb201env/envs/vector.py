"""The environment for many cells at once, in numpy; equal to `NB201Env` bit for bit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Unpack, cast

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.envs import draws
from nb201env.envs.answers import epochs_answered
from nb201env.envs.arguments import checked_seed, reset_options
from nb201env.envs.options import EnvOptions, Options, one_reward
from nb201env.envs.registration import table_for
from nb201env.envs.rendering import checked_render_mode, drawn, renders
from nb201env.envs.search import EVERYONE, Reply, SearchBatch, Who
from nb201env.envs.shared import SharedSearch
from nb201env.envs.single import NB201Env, Observation
from nb201env.envs.spaces import UNDECIDED, action_mask, action_space, observation_space, one_hot
from nb201env.envs.specs import PlainSpec
from nb201env.envs.states import CopiedEnv
from nb201env.fields import quoted
from nb201env.space import NUM_EDGES, NUM_OPS, PLACES, SIZE, all_ops, whole_number, whole_numbers
from nb201env.table import Table

Infos = dict[str, Any]


class _Result(NamedTuple):
    reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray


VectorStep = tuple[Observation, FloatArray, BoolArray, BoolArray, Infos]


class NB201VectorEnv(CopiedEnv, PlainSpec, VectorEnv[Observation, Any, Any]):
    """`num_envs` copies of `NB201Env` that step together; what `gym.make_vec` returns.

    With seed s it does, bit for bit, what `num_envs` single environments with the seeds
    s, s + 1, … do; each copy has its own search, clock and budget. All keyword arguments of
    `NB201Env` apply; `render` draws every copy. `info` holds an array per key; a finished episode's
    last observation and info stand under "final_obs" (an array, zero where none ended) and
    "final_info", with masks "_final_obs" and "_final_info".

    Args:
        num_envs: How many copies.
        table: Name or path of a table, or an open one.
        autoreset_mode: "SameStep" (default; a finished copy restarts within the same step),
            "NextStep" (it spends its next step on the restart: one step in seven is empty) or
            "Disabled" (call ``reset(options={"reset_mask": done})``). Or the enum.
        share_search: Whether all copies carry on one search, with one clock and one budget; the
            queries of a step are then asked in the order of the copies.
        dataset: The data set that the table must be of; any if None.
        **options: As for `NB201Env`.

    Raises:
        ValueError, TypeError: If an argument is wrong; the message names the mend.
    """

    _read = staticmethod(one_reward)
    _shared = frozenset(("table", "_spec", "_advance"))
    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        **NB201Env.metadata,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        table: str | os.PathLike[str] | Table | None = "cifar10-valid-200",
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        share_search: bool = False,
        dataset: str | None = None,
        **options: Unpack[EnvOptions],
    ) -> None:
        self.render_mode = checked_render_mode(render_mode)
        if not isinstance(share_search, bool):
            raise ValueError(f"share_search must be True or False; got {quoted(share_search)}")
        if "max_episode_steps" in options:
            raise ValueError(
                "the native vector environment cuts no episode short: for max_episode_steps use "
                "gym.make_vec(..., vectorization_mode='sync')"
            )
        self.options = self._read(options)
        self.num_envs = num_envs = _checked_count(num_envs, self.options)
        self.table = table_for(table, dataset, bool(self.options.objectives))
        self.single_action_space = action_space(self.options.actions)
        self.single_observation_space = observation_space(self.options.observations)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        kind = type(self)
        self._advance = {"build": kind._build, "pick": kind._pick, "edit": kind._edit}[self.options.actions]
        self._one_hot = self.options.observations == "onehot"
        self._first_edge: IntArray = NUM_EDGES * np.arange(num_envs)  # in the flattened _ops
        self._ops: IntArray = np.full((num_envs, NUM_EDGES), UNDECIDED)
        self._steps: IntArray = np.full(num_envs, -1)
        self._index: IntArray = np.zeros(num_envs, dtype=np.int64)
        self._score: FloatArray = self._no_reward()
        self._search = (SharedSearch if share_search else SearchBatch)(num_envs, self.table, self.options)

    # -- the vector environment's contract ---------------------------------------------------

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, Infos]:
        """Start an episode in every copy, or in those of ``options["reset_mask"]``.

        Args:
            seed: One seed (the copies get seed, seed + 1, …) or one per copy; copies with a
                seed start a new search.
            options: "reset_mask", bool [num_envs]; "architecture" and "epochs" as in `NB201Env.reset`.

        Raises:
            ValueError, NotRecorded: If the options ask for what there is not; nothing has changed then.
        """
        options = dict(options or {})
        mask = _checked_mask(options.pop("reset_mask", None), self.num_envs)
        start, epochs = reset_options(options, self.options.actions)
        self._search.prepare(epochs)  # which may refuse; then the searches before go on
        who = np.flatnonzero(mask)
        self._seed(seed, who)
        reply = self._restart(who, start, None, epochs)
        return self._observe(), self._search.info(reply, mask)

    def step(self, actions: Any) -> VectorStep:
        """Take one action in every copy; see `NB201Env`."""
        actions = self._checked_actions(actions)
        fresh = self._steps < 0
        if not fresh.any():
            return self._step(EVERYONE, actions)
        if self.autoreset_mode != AutoresetMode.NEXT_STEP or not self._search.keyed.all():
            raise ResetNeeded(
                f"{int(fresh.sum())} of {self.num_envs} copies need a reset before the next step: "
                "reset(options={'reset_mask': done}), or make_vec(..., autoreset_mode='SameStep')"
            )
        return self._step(np.flatnonzero(~fresh), actions, restart=np.flatnonzero(fresh))

    def action_masks(self) -> BoolArray:
        """Which actions change each cell; bool [num_envs, actions]."""
        return action_mask(self.options.actions, self._ops)

    def render(self) -> tuple[Any, ...] | None:
        """Every copy's cell, as `NB201Env.render` gives it."""
        return tuple([drawn(self.render_mode, ops) for ops in self._ops]) if renders(self) else None

    @property
    def recorded_epochs(self) -> tuple[int, ...]:
        """What ``reset(options={"epochs": ...})`` may ask for, ascending."""
        return epochs_answered(self.table, self.options)

    # -- one step ----------------------------------------------------------------------------

    def _step(self, who: Who, actions: IntArray, restart: IntArray | None = None) -> VectorStep:
        """Step the copies `who`; restart others (NEXT_STEP) or those that end (SAME_STEP)."""
        n = self.num_envs
        result = _Result(self._no_reward(), np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_))
        over = self._search.over
        if over.any():
            numbers = np.arange(n)[who]
            gone, who = numbers[over[numbers]], numbers[~over[numbers]]
            result.truncated[gone] = True
            self._steps[gone] = -1
        reply = None
        if isinstance(who, slice) or len(who):
            reply = self._advance(self, who, actions[who], result)
        if restart is not None:
            reply = self._restart(restart, None, reply)
        done = result.terminated | result.truncated
        if self.autoreset_mode != AutoresetMode.SAME_STEP or not done.any():
            return self._observe(), *result, self._search.info(reply)
        return self._observe_and_restart(done, reply, result)

    def _observe_and_restart(self, done: BoolArray, reply: Reply | None, result: _Result) -> VectorStep:
        everyone = bool(done.all())
        final_obs = self._observe()
        final_obs[~done] = 0
        final_info = self._search.info(reply, done)
        if everyone or reply is None:
            reply = self._restart(EVERYONE if everyone else np.flatnonzero(done), None, None)
        else:
            reply = self._restart(np.flatnonzero(done), None, reply.without(done))
        info = self._search.info(reply)
        info |= {"final_obs": final_obs, "_final_obs": done}
        info |= {"final_info": final_info, "_final_info": done.copy()}
        return self._observe(), *result, info

    def _build(self, who: Who, actions: IntArray, result: _Result) -> Reply | None:
        steps = self._steps[who]
        self._ops.reshape(-1)[self._first_edge[who] + steps] = actions
        self._index[who] = self._index[who] * NUM_OPS + actions
        last = steps == NUM_EDGES - 1
        self._steps[who] += 1
        if not last.any():
            return None
        return self._finish(who if last.all() else np.arange(self.num_envs)[who][last], result)

    def _pick(self, who: Who, actions: IntArray, result: _Result) -> Reply | None:
        self._ops[who] = actions
        self._index[who] = actions @ PLACES
        return self._finish(who, result)

    def _finish(self, who: Who, result: _Result) -> Reply | None:
        score, answered, reply = self._search.query(who, self._index[who], None)
        score[~answered] = 0.0
        result.reward[who] = score
        result.terminated[who] = answered
        result.truncated[who] = ~answered
        self._steps[who] = -1
        return reply

    def _edit(self, who: Who, actions: IntArray, result: _Result) -> Reply | None:
        numbers = np.arange(self.num_envs)[who]
        edge, op = actions // NUM_OPS, actions % NUM_OPS
        index = self._index[who] + (op - self._ops[numbers, edge]) * PLACES[edge]
        score, answered, reply = self._search.query(who, index, None)
        changed = numbers[answered]
        self._index[changed] = index[answered]
        self._ops[changed, edge[answered]] = op[answered]
        result.reward[changed] = score[answered] - self._score[changed]
        self._score[changed] = score[answered]
        self._steps[who] += 1
        ended = ~answered | (self._steps[who] >= self.options.max_edits)
        result.truncated[who] = ended
        self._steps[numbers[ended]] = -1
        return reply

    def _restart(
        self, who: Who, start: int | None, reply: Reply | None, epochs: int | None = None
    ) -> Reply | None:
        """Begin an episode in the copies `who`; with actions="edit" that is a query too."""
        self._search.choose_epochs(who, epochs)
        self._steps[who] = 0
        if self.options.actions != "edit":
            self._ops[who] = UNDECIDED
            self._index[who] = 0
            return reply
        drawn = self._search.draw_starts(who)
        self._index[who] = drawn if start is None else start
        self._ops[who] = all_ops()[self._index[who]]
        self._score[who] = 0.0
        if self._search.over.any():
            numbers = np.arange(self.num_envs)[who]
            who = numbers[~self._search.over[numbers]]
        score, answered, reply = self._search.query(who, self._index[who], reply)
        score[~answered] = 0.0
        self._score[who] = score
        return reply

    # -- small parts -------------------------------------------------------------------------

    def _seed(self, seed: int | list[int | None] | None, who: IntArray) -> None:
        keyless = ~self._search.keyed
        if seed is None:
            new = who[keyless[who]]
            # From a child, because a seeded np_random itself gives the key of the copy with that seed.
            self._search.begin(new, draws.new_keys(self.np_random.spawn(1)[0], len(new)))
            return
        seeds = _one_per_copy(seed, self.num_envs)
        new = np.array([i for i in who.tolist() if seeds[i] is not None or keyless[i]], dtype=np.int64)
        keys = [draws.new_key(seeding.np_random(seeds[i])[0]) for i in new.tolist()]
        self._search.begin(new, np.array(keys, dtype=np.uint64))
        if whole_number(seed) is not None:
            self._np_random, self._np_random_seed = seeding.np_random(seeds[0])

    def _no_reward(self) -> FloatArray:
        return np.zeros(self.num_envs)

    def _observe(self) -> Observation:
        return one_hot(self._ops) if self._one_hot else self._ops.copy()

    def _checked_actions(self, actions: Any) -> IntArray:
        picks = self.options.actions == "pick"
        shape = (self.num_envs, NUM_EDGES) if picks else (self.num_envs,)
        below = NUM_EDGES * NUM_OPS if self.options.actions == "edit" else NUM_OPS
        rule = f"actions must be integers in 0..{below - 1} of shape {shape}"
        array = whole_numbers(actions, below, rule)
        if array.shape != shape:
            raise ValueError(f"{rule}; got an array of shape {array.shape}")
        return array


MOST_BYTES = 8 * 2**30
"""Memory that the copies may take together: more is a mistake, and would end other programs."""


def _checked_count(num_envs: Any, options: Options) -> int:
    count = whole_number(num_envs)
    if count is None or count < 1:
        raise ValueError(f"num_envs must be at least 1, a whole number; got {quoted(num_envs)}")
    # Measured, spaces and the arrays of a step included; and what each copy has seen.
    each = 1250 + (4 * SIZE if options.repeats == "free" else 0)
    if count * each > MOST_BYTES:
        raise ValueError(
            f"num_envs={quoted(count)}: the copies would take more than {MOST_BYTES // 2**30} GiB of memory; "
            f"with these options {MOST_BYTES // each:,} are the most"
        )
    return count


def _one_per_copy(seed: int | Iterable[int | None], num_envs: int) -> list[int | None]:
    first = whole_number(seed)
    if first is not None:
        return [checked_seed(first + i) for i in range(num_envs)]
    try:
        given = list(cast(Iterable[Any], seed))
    except TypeError:
        given = []
    if len(given) != num_envs:
        raise ValueError(f"need one seed per copy, or one: num_envs={num_envs}, got {quoted(seed)}")
    return [checked_seed(one) for one in given]


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        names = ", ".join(repr(m.value) for m in AutoresetMode)
        raise ValueError(f"autoreset_mode must be one of {names}; got {quoted(mode)}") from None


def _checked_mask(mask: Any, num_envs: int) -> BoolArray:
    if mask is None:
        return np.ones(num_envs, dtype=np.bool_)
    checked: BoolArray = np.asarray(mask)
    if checked.shape != (num_envs,) or checked.dtype != np.bool_ or not checked.any():
        raise ValueError(f"reset_mask must be bool of shape ({num_envs},) with at least one True")
    return checked
