"""Predictor-guided search in the manner of BANANAS: learn from every answer, ask what promises most.

White, Neiswanger & Savani, "BANANAS" (AAAI 2021), with what this space allows: architectures are
described by their live graph (the surrogate's encodings), so all members of a canonical class look
alike and only one of them is asked; and since there are 5,485 classes, the acquisition function,
mean + exploration · deviation, is evaluated on all of them, where BANANAS mutates the best.

After every query a predictor is fitted to all answers so far. By default it is two Gaussian processes, which
take milliseconds: one over the surrogate's encodings, one over the ranks of zero-cost proxies
(`nb201env.proxies`), whose beliefs count evenly. The boosted trees of `nb201env.surrogate.SurrogateRegressor`
are the other predictor; they take a tenth of a second and learn more slowly.

What was asked for and has the highest predicted mean is the incumbent, not the best answer: that is one run,
and a lucky one more often than not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nb201env.agents.contract import Env, Proposals, choose, follow
from nb201env.agents.training_free.scores import check_proxies, known
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.proxies import open_proxies
from nb201env.space import all_ops
from nb201env.surrogate import check_extra

Predictor = Callable[[IntArray, FloatArray], tuple[FloatArray, FloatArray]]
"""From the classes asked for and their rewards to the mean and standard deviation of all classes."""

Choose = Callable[[Architecture], None]
"""Is told which architecture the search takes for the best."""

PREDICTORS = ("gp", "xgboost")


@dataclass(frozen=True)
class PredictorEvolution:
    """Fit a predictor, ask for the architecture with the best acquisition value, repeat.

    The defaults were chosen on CIFAR-100 alone, with its best architectures and, to have harder
    searches too, without its best 1 to 19.

    Attributes:
        predictor: "gp", a Gaussian process; "xgboost", `nb201env.surrogate.SurrogateRegressor`.
        encoding: How architectures are described to it; see `nb201env.surrogate.encodings`.
        proxies: What the second process of "gp" learns from: names of `nb201env.open_proxies`, "params" or
            "macs", joined by "+"; "all" are the former; "" means no second process.
        startup: Random classes asked before the first fit.
        exploration: The weight of the predicted deviation beside the predicted mean.
        floor: Rewards further below the median than this many times the distance from the median
            to the best are raised to it: how bad the bad are teaches nothing about the best.
        memory: When "gp" has learnt from more answers than this, it forgets all but the best half.
        members: Boosters of "xgboost".
        trees: Trees per booster.
    """

    predictor: str = "gp"
    encoding: str = "graph+canonical+livecost"
    proxies: str = "all"
    startup: int = 5
    exploration: float = 2.0
    floor: float = 1.0
    memory: int = 500
    members: int = 5
    trees: int = 60

    def __post_init__(self) -> None:
        if self.predictor not in PREDICTORS:
            raise ValueError(f"predictor must be one of {', '.join(PREDICTORS)}; got {self.predictor!r}")
        for name in ("startup", "memory", "members", "trees"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)!r}")
        if not (self.exploration >= 0 and self.floor >= 0):
            raise ValueError("exploration and floor must not be negative")
        if self.proxies not in ("", "all"):
            check_proxies(self.proxies.split("+"))
        check_extra()

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed), partial(choose, env)))

    def proposals(self, rng: np.random.Generator, choose: Choose = lambda _: None) -> Proposals:
        """The search itself.

        Args:
            rng: The source of randomness.
            choose: Told the incumbent before every proposal, once something is predicted.
        """
        members = class_members()
        predict = self._predictor(rng)
        asked: list[int] = []
        rewards: list[float] = []
        times = np.zeros(len(members), dtype=np.int64)
        start = rng.permutation(len(members))[: self.startup].tolist()
        while True:
            if start:
                chosen = start.pop()
            else:
                mean, deviation = predict(np.array(asked), self._targets(np.array(rewards)))
                choose(Architecture.from_index(int(members[asked[int(mean[asked].argmax())]][0])))
                chosen = self._next(mean, deviation, times)
            own = members[chosen]
            asked.append(chosen)
            rewards.append((yield Architecture.from_index(int(own[times[chosen] % len(own)]))))
            times[chosen] += 1

    # -- one decision ------------------------------------------------------------------------

    def _next(self, mean: FloatArray, deviation: FloatArray, times: IntArray) -> int:
        """The next class to ask for: a class is asked again only when all others were asked as often."""
        candidates = np.flatnonzero(times == times.min())
        return int(candidates[(mean + self.exploration * deviation)[candidates].argmax()])

    def _targets(self, rewards: FloatArray) -> FloatArray:
        """Rewards with a floor, mean 0 and deviation 1."""
        median = float(np.median(rewards))
        raised = np.maximum(rewards, median - self.floor * (float(rewards.max()) - median))
        return np.asarray((raised - raised.mean()) / (raised.std() or 1.0))

    # -- predictors --------------------------------------------------------------------------

    def _predictor(self, rng: np.random.Generator) -> Predictor:
        features = class_features(self.encoding)
        if self.predictor == "xgboost":
            return self._boosted(features, rng)
        views = [features, proxy_features(self.proxies)] if self.proxies else [features]
        return _gaussian_process(views, self.memory)

    def _boosted(self, features: FloatArray, rng: np.random.Generator) -> Predictor:
        from nb201env.surrogate.regressor import SurrogateRegressor

        def predict(seen: IntArray, targets: FloatArray) -> tuple[FloatArray, FloatArray]:
            model = SurrogateRegressor(
                encoding=None, target="identity", n_members=min(self.members, len(seen)),
                n_estimators=self.trees, max_depth=3, random_state=int(rng.integers(2**31)),
            )  # fmt: skip
            model.fit(features[seen], targets)
            return model.predict_on_scale(features)

        return predict


def class_features(encoding: str) -> FloatArray:
    """What describes each canonical class to a predictor; float64 [5485, features].

    Args:
        encoding: See `nb201env.surrogate.encodings`.

    Raises:
        ValueError: If there is no such encoding.
    """
    from nb201env.surrogate.encodings import make

    return np.asarray(make(encoding).transform(all_ops()[representatives()]))


def proxy_features(proxies: str) -> FloatArray:
    """The ranks of each canonical class by zero-cost proxies, from 0 to 1; float64 [5485, proxies].

    Args:
        proxies: See `PredictorEvolution`; not empty.
    """
    return open_proxies().ranks().T if proxies == "all" else known().ranks(*proxies.split("+")).T


def class_members() -> list[IntArray]:
    """The architectures of every canonical class, by index; the first has the fewest dead ops."""
    classes = canonical_classes()
    order = np.argsort(classes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(classes[order])) + 1)


def _gaussian_process(views: Sequence[FloatArray], memory: int) -> Predictor:
    from nb201env.agents.gaussian_process import GaussianProcess

    process, learnt = GaussianProcess(views, memory), list[int]()  # positions in `seen`
    known = 0

    def predict(seen: IntArray, targets: FloatArray) -> tuple[FloatArray, FloatArray]:
        nonlocal process, learnt, known
        fresh = list(range(known, len(seen)))
        if len(learnt) + len(fresh) > memory:
            best = np.argsort(-targets, kind="stable")[: max(memory // 2, 1)]
            process, learnt, fresh = GaussianProcess(views, memory), [], np.sort(best).tolist()
        for position in fresh:
            process.observe(int(seen[position]))
        learnt += fresh
        known = len(seen)
        return process.posterior(targets[learnt])

    return predict
