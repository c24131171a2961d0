"""The environment: build, pick or edit a cell, and get its tabulated accuracy."""

from __future__ import annotations

import os
from typing import Any, ClassVar, SupportsFloat, Unpack

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from nb201env import drawing
from nb201env.architecture import index_of
from nb201env.arrays import BoolArray, IntArray
from nb201env.envs import draws
from nb201env.envs.answers import epochs_answered
from nb201env.envs.infos import Info
from nb201env.envs.ledger import Ledger
from nb201env.envs.options import RENDER_MODES, EnvOptions, Options
from nb201env.envs.registration import table_for
from nb201env.envs.spaces import UNDECIDED, action_mask, action_space, observation_space, one_hot
from nb201env.envs.specs import PlainSpec
from nb201env.fields import quoted
from nb201env.space import NUM_EDGES, NUM_OPS, PLACES, all_ops, whole_number, whole_numbers
from nb201env.table import Table

Observation = IntArray | npt.NDArray[np.float32]
StepResult = tuple[Observation, SupportsFloat, bool, bool, Info]

_BLANK = np.full(NUM_EDGES, UNDECIDED)


class NB201Env(PlainSpec, gym.Env[Observation, Any]):
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
    name before it, such as `nb201env:NB201-cifar10-v0`.

    `gym.make_vec(id, num_envs=1024)` makes a native vector environment with the same numbers. Its
    `autoreset_mode` is `"SameStep"` unless given: a finished copy restarts within the same step.
    `"NextStep"` and `"Disabled"` are Gymnasium's other two; some of its vector wrappers, such as
    `NormalizeObservation`, need one of them.

    ## Version History

    * v0: first version.
    """

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
        if render_mode is not None and not (isinstance(render_mode, str) and render_mode in RENDER_MODES):
            raise ValueError(f"render_mode must be one of {RENDER_MODES} or None; got {quoted(render_mode)}")
        self.render_mode = render_mode
        self.options = Options.of(options)
        self.table = table_for(table, dataset)
        self.action_space = action_space(self.options.actions)
        self.observation_space = observation_space(self.options.observations)
        self._search = Ledger(self.table, self.options)
        self._act = {"build": self._build, "pick": self._pick, "edit": self._edit}[self.options.actions]
        self._one_hot = self.options.observations == "onehot"
        self._editing = self.options.actions == "edit"
        self._ops: IntArray = _BLANK.copy()
        self._steps = -1  # steps taken in this episode; -1: a reset is needed
        self._index = 0  # the finished cell, or what is built of it so far
        self._score = 0.0

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
        return self._act(action)

    def render(self) -> Any:
        """The cell as text or as an RGB image, uint8 [height, width, 3]."""
        if self.render_mode == "ansi":
            return drawing.text(tuple(self._ops.tolist()))
        if self.render_mode == "rgb_array":
            return drawing.image(tuple(self._ops.tolist()))
        raise ValueError("nothing to render: pass render_mode='ansi' or 'rgb_array' to gym.make")

    def action_masks(self) -> BoolArray:
        """Which actions change the cell; bool [actions], for "pick" the five of each edge in turn.

        MaskablePPO takes them as they are. Gymnasium's `sample` wants int8: ``sample(masks.astype("int8"))``,
        and for "pick" one array per edge: ``sample(tuple(masks.astype("int8").reshape(6, 5)))``.
        """
        return action_mask(self.options.actions, self._ops)

    @property
    def recorded_epochs(self) -> tuple[int, ...]:
        """What ``reset(options={"epochs": ...})`` may ask for, ascending; see the class."""
        return epochs_answered(self.table, self.options)

    # -- the three ways to act ---------------------------------------------------------------

    def _build(self, action: Any) -> StepResult:
        try:
            op = _OP_NUMBERS[action] if type(action) in _PLAIN_INTEGERS else _number(action, NUM_OPS)
        except KeyError:
            op = _number(action, NUM_OPS)
        step = self._steps
        self._ops[step] = op
        self._index = self._index * NUM_OPS + op
        if step < NUM_EDGES - 1:
            self._steps = step + 1
            return self._observe(), 0.0, False, False, self._search.quiet()
        return self._finish()

    def _pick(self, action: Any) -> StepResult:
        self._ops = _ops_of(action)
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
        edge, op = divmod(_number(action, NUM_EDGES * NUM_OPS), NUM_OPS)
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


def _number(action: Any, below: int) -> int:
    """The action as a plain int, from an int, a numpy integer or an array of one integer."""
    array = np.asarray(action)
    if array.size == 1 and array.dtype.kind in "iu" and 0 <= array.item() < below:
        return int(array.item())
    raise ValueError(f"the action must be one integer in 0..{below - 1}; got {quoted(action)}")


def _ops_of(action: Any) -> IntArray:
    rule = f"the action must be {NUM_EDGES} integers in 0..{NUM_OPS - 1}, one per edge"
    ops = whole_numbers(action, NUM_OPS, rule)
    if ops.shape != (NUM_EDGES,):
        raise ValueError(f"{rule}; got an array of shape {ops.shape}")
    return ops.copy()


def checked_seed(seed: Any) -> int | None:
    """The seed as a plain int; Gymnasium refuses NumPy's, and takes True for 1."""
    number = whole_number(seed)
    if seed is not None and (number is None or number < 0):
        raise ValueError(f"a seed is a whole number of at least 0 (or None); got {quoted(seed)}")
    return number


def reset_options(options: dict[str, Any] | None, actions: str) -> tuple[int | None, int | None]:
    """The index of the architecture to start from and the epochs, if `reset` was asked for them."""
    if not options:
        return None, None
    if not set(options) <= {"architecture", "epochs"} or ("architecture" in options and actions != "edit"):
        raise ValueError(
            "reset options: {'epochs': ...}, and {'architecture': ...} only with actions='edit'; "
            f"got {quoted(options)} with actions={actions!r}"
        )
    start, epochs = options.get("architecture"), options.get("epochs")
    number = whole_number(epochs)
    if epochs is not None and number is None:
        raise ValueError(f"reset options: epochs must be an integer; got {quoted(epochs)}")
    return None if start is None else index_of(start), number
