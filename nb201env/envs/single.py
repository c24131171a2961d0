"""The environment: build, pick or edit a cell, and get its tabulated accuracy."""

from __future__ import annotations

import os
from typing import Any, ClassVar, SupportsFloat, Unpack

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from nb201env.arrays import BoolArray, IntArray
from nb201env.envs import draws
from nb201env.envs.answers import epochs_answered
from nb201env.envs.arguments import checked_seed, one_number, reset_options, six_ops
from nb201env.envs.infos import Info
from nb201env.envs.ledger import Ledger, keep, put_back
from nb201env.envs.options import RENDER_MODES, EnvOptions, one_reward
from nb201env.envs.registration import table_for
from nb201env.envs.rendering import checked_render_mode, drawn, renders
from nb201env.envs.spaces import (
    UNDECIDED,
    Mask,
    action_mask,
    action_space,
    keys_to_action,
    observation_space,
    one_hot,
    sample_mask,
)
from nb201env.envs.specs import PlainSpec
from nb201env.envs.states import CopiedEnv, State, kept
from nb201env.fields import quoted
from nb201env.space import NUM_EDGES, NUM_OPS, PLACES, all_ops
from nb201env.table import Table

Observation = IntArray | npt.NDArray[np.float32]
StepResult = tuple[Observation, SupportsFloat, bool, bool, Info]

_BLANK = np.full(NUM_EDGES, UNDECIDED)


class NB201Env(CopiedEnv, PlainSpec, gym.Env[Observation, Any]):
    """Build a NAS-Bench-201 cell; the reward is its tabulated accuracy.

    ## Description

    A cell has 4 nodes and 6 edges; each edge carries one of 5 operations, so there are 15,625
    cells. The agent chooses the operations. A finished cell is looked up in a *table*: the result
    of a real training of that network, with one of the seeds that were trained. No episode trains
    anything, so a step takes about a microsecond.

    Looking a cell up is a *query*. A query costs simulated seconds: what that training took
    on the table's hardware. The environment keeps the sum, the *clock*, for a whole *search*,
    which spans many episodes: from one seeded reset to the next.

    ## Action Space

    Chosen by `actions`:

    | `actions` | space | one step |
    | --- | --- | --- |
    | `"build"` | `Discrete(5)` | sets the operation of the next edge; an episode has six steps |
    | `"pick"` | `MultiDiscrete([5 5 5 5 5 5])` | sets all six; an episode has one step |
    | `"edit"` | `Discrete(30)` | action `5 * edge + operation` changes one edge of a finished random cell |

    Operations: 0 `none`, 1 `skip_connect`, 2 `nor_conv_1x1`, 3 `nor_conv_3x3`, 4 `avg_pool_3x3`.
    Edges: 0→1, 0→2, 1→2, 0→3, 1→3, 2→3. `action_masks()` says which actions change the cell.

    ## Observation Space

    Chosen by `observations`:

    | `observations` | space | meaning |
    | --- | --- | --- |
    | `"ops"` | `MultiDiscrete([6 6 6 6 6 6])`, int64 | the operation of each edge; 5 is undecided |
    | `"onehot"` | `Box(0, 1, (36,), float32)` | the same, six numbers per edge |

    ## Rewards

    0 until a cell is finished, then, chosen by `reward`:

    * `"accuracy"`: the validation accuracy of one run, a fraction in [0, 1]. With `limit` it also
      depends on what the network costs: `{"on": "params", "max": 500000, "how": "hard"}` gives 0
      above the limit; `"how": "weighted", "exponent": -0.07` gives
      accuracy · (cost / max)^exponent, where all costs are above 0. `"on"` is a cost of the table, in
      the table's unit: `"params"`, `"macs"` (counts, not millions), `"latency_seconds"` or any that
      `nb201 table info` lists. A hard limit that no cell of the table meets is refused, and a cell
      whose cost is not known is not within one.
    * `"log_error"`: -ln(1 - accuracy): 0 for an accuracy of 0, 2.3 for 0.9, 3.0 for 0.95. It spreads the
      good cells out, where accuracies hardly differ. An error below 0.0001 counts as 0.0001.
    * `"rank"`: the share of the table's cells whose mean accuracy, after as many epochs, is lower; in [0, 1].
    * `"regret"`: the accuracy minus the table's best mean accuracy; negative, or slightly
      positive for a lucky run.

    `"rank"` and `"regret"` look at the whole table: they tell an agent more than a search without one knows.
    For learning a policy, `nb201env.wrappers.ShapedReward` is there.

    With `actions="edit"` the reward of a step is the gain over the cell before.

    ## Episode End

    `"build"` and `"pick"` terminate when the cell is finished; `"edit"` truncates after
    `max_edits` steps. When the budget is spent the search is over: `info["search_over"]` is true,
    no query is answered any more and every further step truncates with reward 0. A seeded reset
    starts a new search.

    ## Information

    The same keys at every step and reset:

    | key | meaning |
    | --- | --- |
    | `architecture` | the official string of the cell just queried; `""` if none was |
    | `run` | the run that answered: its seed as text, or `"mean"`; `""` if none |
    | `accuracy` | its validation accuracy, a fraction; -1 if none |
    | `seconds` | what the query cost, in simulated seconds |
    | `clock` | simulated seconds spent in this search |
    | `queries` | queries paid for in this search |
    | `search_over` | whether the budget is spent |
    | each of `costs` | what that cell costs, in the table's unit; 0 if none was queried, NaN if not known |

    Test accuracy is not reachable from an environment.

    ## Arguments

    Numbers may be of Python's or NumPy's types; True is none, and 2.0 is no whole one.

    * `table`: name of a table ("cifar10-valid-200"), path of a table file, or an open `Table`.
    * `dataset`: the data set that the table must be of; None is any. The named ids set it;
      `NB201-v0` is for tables of your own, of any data set, and has no table unless you name one.
    * `actions`, `observations`, `reward`, `limit`: as above.
    * `costs` (none): costs to show in `info`, each under its name: `["params", "latency_seconds"]`.
      Those that `nb201 table info` lists; none that has the name of another key.
    * `run` (`"sample"`): which training answers a query: one of the recorded ones, drawn with the
      environment's seed; `"mean"`, their mean; or a seed, such as 777.
    * `epochs` (None): epochs completed; None is the schedule's end.
    * `budget_queries`, `budget_seconds` (None): the search's budget; whichever is spent first ends it.
      One that can never be spent is refused.
    * `overshoot` (`"allow"`): whether the query that exceeds `budget_seconds` is still answered;
      `"drop"` ends the search without answering it.
    * `repeats` (`"pay"`): a repeated query costs again, and may be answered by another run;
      `"free"`: it costs nothing and has the same answer.
    * `max_edits` (20): steps of an episode with `actions="edit"`.
    * `render_mode` (None): `"ansi"` (text) or `"rgb_array"` draw the cell.

    A table that records no training seconds has no clock: `seconds` and `clock` stay 0, and
    `budget_seconds` is refused.

    `reset(options={"architecture": ...})` chooses the cell from which an `"edit"` episode starts.
    `reset(options={"epochs": 4})` asks, for this episode, what the trainings had reached after 4 of
    their epochs, at the price of these epochs and a validation pass; `recorded_epochs` lists the
    epochs that the table knows. A longer look at the same cell is paid in full again, as the
    official simulation does it; with `repeats="free"` a shorter one is free.

    ## Many at once

    Worker processes and tools that take only an id import the package by themselves from the id with its
    name before it, such as `nb201env:NB201-cifar10-v0`. The ids with `-onehot` before `-v0` are the same
    environments with `observations="onehot"`.

    `gym.make_vec(id, num_envs=1024)` makes a native vector environment with the same numbers. Its
    `autoreset_mode` is `"SameStep"` unless given: a finished copy restarts within the same step.
    `"NextStep"` and `"Disabled"` are Gymnasium's other two; some of its vector wrappers, such as
    `NormalizeObservation`, need one of them.

    `get_state()` and `set_state()` save and put back where an environment stands, and copies share the table:
    see the page about the environments' interface, docs/environments/interface.md.

    ## Version History

    * v0: first version.
    """

    _read = staticmethod(one_reward)
    _shared = frozenset(("table", "_spec", "_act"))
    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": list(RENDER_MODES),
        "render_fps": 4,
    }

    def __init__(
        self,
        table: str | os.PathLike[str] | Table | None = "cifar10-valid-200",
        render_mode: str | None = None,
        dataset: str | None = None,
        **options: Unpack[EnvOptions],
    ) -> None:
        self.render_mode = checked_render_mode(render_mode)
        self.options = self._read(options)
        self.table = table_for(table, dataset, bool(self.options.objectives))
        self.action_space = action_space(self.options.actions)
        self.observation_space = observation_space(self.options.observations)
        self._search = Ledger(self.table, self.options)
        kind = type(self)  # functions, not methods, which would belong to this object in its copies, too
        self._act = {"build": kind._build, "pick": kind._pick, "edit": kind._edit}[self.options.actions]
        self._one_hot = self.options.observations == "onehot"
        self._editing = self.options.actions == "edit"
        self._ops: IntArray = _BLANK.copy()
        self._steps = -1  # steps taken in this episode; -1: a reset is needed
        self._index = 0  # the finished cell, or what is built of it so far
        self._score: Any = 0.0

    # -- the environment's contract ----------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Start an episode; with a seed also a new search (clock, budget and draws start afresh).

        Raises:
            ValueError, NotRecorded: If the options ask for what there is not; nothing has changed then.
        """
        start, epochs = reset_options(options, self.options.actions) if options else (None, None)
        prepared = self._search.prepare(epochs)  # which may refuse; then the search before goes on
        seed = None if seed is None else checked_seed(seed)
        if seed is not None or not self._search.begun:
            super().reset(seed=seed)
            self._search.begin(draws.new_key(self.np_random))
        self._search.choose_epochs(prepared)
        self._ops = _BLANK.copy()
        self._steps = self._index = 0
        info = self._begin_edit(start) if self._editing else self._search.quiet()
        return self._observe(), info

    def step(self, action: Any) -> StepResult:
        """Take one action; see the class."""
        if self._steps < 0:
            raise ResetNeeded("the episode has ended: call reset() before the next step()")
        if self._search.over:
            self._steps = -1
            return self._observe(), 0.0, False, True, self._search.quiet()
        return self._act(self, action)

    def render(self) -> Any:
        """The cell as text or as an RGB image, uint8 [height, width, 3]; None without a render mode."""
        return drawn(self.render_mode, self._ops) if renders(self) else None

    def action_masks(self) -> BoolArray:
        """Which actions change the cell; bool [actions], for "pick" the five of each edge in turn.

        What MaskablePPO takes; `sample_mask` is what ``action_space.sample`` does.
        """
        return action_mask(self.options.actions, self._ops)

    def sample_mask(self) -> Mask:
        """`action_masks` as ``action_space.sample(mask=...)`` wants them: int8, for "pick" one per edge."""
        return sample_mask(self.options.actions, self._ops)

    def get_keys_to_action(self) -> dict[tuple[str, ...], int]:
        """Keys for ``gymnasium.utils.play.play(env, wait_on_player=True)``: 0 to 4 for the five operations.

        With actions="edit" a letter is held with it, a, b, c, d, e or f for the edge.

        Raises:
            ValueError: With actions="pick", where one action is a whole cell.
        """
        return keys_to_action(self.options.actions)

    @property
    def recorded_epochs(self) -> tuple[int, ...]:
        """What ``reset(options={"epochs": ...})`` may ask for, ascending; see the class."""
        return epochs_answered(self.table, self.options)

    # -- states ------------------------------------------------------------------------------

    def get_state(self) -> State:
        """Where the environment stands: its episode, its search, and what its generator will draw.

        Costs about a microsecond; with ``repeats="free"`` as long as a copy of all cells that were seen.
        """
        generator = kept(self._np_random)
        return State(
            self.table.id, self.options, tuple(self._ops.tolist()), self._index, self._steps,
            keep(self._score), self._search.get_state(), generator, self._np_random_seed,
        )  # fmt: skip

    def set_state(self, state: State, *, episode_only: bool = False) -> None:
        """Go on from where this environment, or another of the same table and options, stood.

        Put back whole, what follows is what followed then, bit for bit. Tree search within a budget puts back
        the episode alone: what was asked stays paid for.

        Args:
            state: From `get_state`.
            episode_only: Leave clock, budget and draws as they are. Refused before the first reset.

        Raises:
            TypeError: If `state` is no state.
            ValueError: If it is of another table or of other options; nothing has changed then.
        """
        self._check_state(state, episode_only)
        if episode_only:
            self._search.choose_epochs(self._search.prepare(state.search.epochs))
        else:
            self._search.set_state(state.search)
            self._np_random, self._np_random_seed = kept(state.generator), state.seed
        self._ops = np.array(state.ops)
        self._steps, self._score = state.steps, put_back(state.score)
        self._index = state.cell

    def _check_state(self, state: State, episode_only: bool) -> None:
        if not isinstance(state, State):
            raise TypeError(f"set_state takes what get_state returned; got {quoted(state)}")
        if state.table != self.table.id or state.options != self.options:
            what = "table" if state.table != self.table.id else "options"
            raise ValueError(f"this state is of an environment with another {what}; make one like it")
        if episode_only and not self._search.begun:
            raise ResetNeeded("an episode goes on within a search: call reset() first")

    # -- the three ways to act ---------------------------------------------------------------

    def _build(self, action: Any) -> StepResult:
        try:
            op = _OP_NUMBERS[action] if type(action) in _PLAIN_INTEGERS else one_number(action, NUM_OPS)
        except KeyError:
            op = one_number(action, NUM_OPS)
        step = self._steps
        self._ops[step] = op
        self._index = self._index * NUM_OPS + op
        if step < NUM_EDGES - 1:
            self._steps = step + 1
            return self._observe(), 0.0, False, False, self._search.quiet()
        return self._finish()

    def _pick(self, action: Any) -> StepResult:
        self._ops = six_ops(action)
        self._index = int(self._ops @ PLACES)
        return self._finish()

    def _finish(self) -> StepResult:
        self._steps = -1
        info = self._search.query(self._index)
        answered = info["architecture"] != ""
        return self._observe(), self._search.score if answered else 0.0, answered, not answered, info

    def _begin_edit(self, start: int | None) -> Info:
        drawn = self._search.draw_start()
        self._index = drawn if start is None else start
        self._ops = all_ops()[self._index].copy()
        info = self._search.query(self._index)
        self._score = self._search.score if info["architecture"] else 0.0
        return info

    def _edit(self, action: Any) -> StepResult:
        edge, op = divmod(one_number(action, NUM_EDGES * NUM_OPS), NUM_OPS)
        before = self._score
        index = self._index + (op - int(self._ops[edge])) * NUM_OPS ** (NUM_EDGES - 1 - edge)
        info = self._search.query(index)
        answered = info["architecture"] != ""
        if answered:
            self._index, self._score = index, self._search.score
            self._ops[edge] = op
        self._steps += 1
        truncated = not answered or self._steps >= self.options.max_edits
        if truncated:
            self._steps = -1
        return self._observe(), self._score - before, False, truncated, info

    def _observe(self) -> Observation:
        return one_hot(self._ops) if self._one_hot else self._ops.copy()


_OP_NUMBERS = {n: n for n in range(NUM_OPS)}
_PLAIN_INTEGERS = frozenset((int, np.int64))
"""What actions nearly always are, and True and 2.0 are not."""
