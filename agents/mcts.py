"""Monte Carlo tree search: a tree of the edges decided so far, searched by UCT.

Kocsis & Szepesvari, "Bandit based Monte-Carlo planning" (ECML 2006); for architectures, Wang et al., "AlphaX"
(AAAI 2020). A path from the root decides edge after edge; below the tree the rest is drawn at random, and the
finished cell is asked for, once.

Each node keeps the environment's state, so that an episode goes on from there instead of from the start; what
was asked stays paid for (`nb201env.agents.contract.set_state`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nb201env.agents.contract import Env, Query, get_state, picks, query, set_state
from nb201env.architecture import Architecture
from nb201env.envs.states import State
from nb201env.space import NUM_EDGES, NUM_OPS

Ops = tuple[int, ...]


@dataclass
class Node:
    """Some edges decided.

    Attributes:
        ops: Their ops.
        state: The environment's state there; None before it has been there, and where it picks whole cells.
        visits: How often a path led through it.
        value: The mean of the rewards of these paths, or the best of them.
        children: By the op of the next edge.
        done: Whether all cells below it were asked for.
    """

    ops: Ops = ()
    state: State | None = None
    visits: int = 0
    value: float = -math.inf
    children: dict[int, Node] = field(default_factory=dict)
    done: bool = False


@dataclass(frozen=True)
class MCTS:
    """Tree search over the edges.

    Attributes:
        exploration: The weight of UCT's second term, in units of the rewards.
        backup: What a node is worth: the "mean" of the rewards below it, or the "best" of them.
    """

    exploration: float = 0.1
    backup: str = "mean"

    def __post_init__(self) -> None:
        if not self.exploration >= 0:
            raise ValueError(f"exploration must be at least 0; got {self.exploration}")
        if self.backup not in ("mean", "best"):
            raise ValueError(f"backup must be 'mean' or 'best'; got {self.backup!r}")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        rng = np.random.default_rng(seed)
        over = False
        while not over:  # where the budget is larger than the space, a second tree asks once more
            env.reset()
            root = Node(state=None if picks(env) else get_state(env))
            known: dict[Ops, float] = {}
            while not (over or root.done):
                path = self._descend(root, rng)
                ops = path[-1].ops
                ops += tuple(rng.integers(NUM_OPS, size=NUM_EDGES - len(ops)).tolist())
                if ops not in known:
                    known[ops], _, over = _ask(env, path, ops)
                self._climb(path, known[ops])

    def _descend(self, root: Node, rng: np.random.Generator) -> list[Node]:
        """The nodes from the root to one that is new."""
        path = [root]
        while path[-1].visits and len(path) <= NUM_EDGES:
            node = path[-1]
            untried = [op for op in range(NUM_OPS) if op not in node.children]
            if untried:
                op = int(rng.choice(untried))
                node.children[op] = Node((*node.ops, op))
            else:
                op = max((op for op in node.children if not node.children[op].done), key=self._score(node))
            path.append(node.children[op])
        return path

    def _score(self, node: Node) -> Callable[[int], float]:
        """UCT's upper bound on what an op of the next edge is worth."""
        log = math.log(node.visits)

        def score(op: int) -> float:
            child = node.children[op]
            return child.value + self.exploration * math.sqrt(log / child.visits)

        return score

    def _climb(self, path: list[Node], reward: float) -> None:
        """Tell the nodes of a path, from its end up, what was found."""
        for node in reversed(path):
            node.visits += 1
            if self.backup == "best" or node.visits == 1:
                node.value = max(node.value, reward)
            else:
                node.value += (reward - node.value) / node.visits
            below = node.children.values()
            node.done = len(node.ops) == NUM_EDGES or (
                len(below) == NUM_OPS and all(child.done for child in below)
            )


def _ask(env: Env, path: list[Node], ops: Ops) -> Query:
    """Finish an episode from the last node of the path whose state is known; those after it get theirs."""
    if picks(env):
        return query(env, Architecture(ops))
    start = max(place for place, node in enumerate(path) if node.state is not None)
    state = path[start].state
    assert state is not None
    set_state(env, state)
    for place, op in enumerate(ops[start:], start + 1):
        _, reward, terminated, truncated, info = env.step(op)
        if terminated or truncated:
            break
        if place < len(path):
            path[place].state = get_state(env)
    return Query(float(reward), terminated, info["search_over"])
