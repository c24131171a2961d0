"""The clients: libraries that have an environment, a table or a surrogate of ours to work on.

Each is a program in `probes/`, and an environment of its own with the versions that are named here. Those
without requirements are in the environment of the tests already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass


class ClientError(Exception):
    """Something of a client is missing: a name, a folder, an environment."""


@dataclass(frozen=True)
class Checkout:
    """A client that is no package: a folder with its files.

    Attributes:
        variable: The environment variable that says where the folder is.
        commit: What was tried.
    """

    variable: str
    commit: str

    @property
    def is_there(self) -> bool:
        """Whether the variable names a folder."""
        return os.path.isdir(os.environ.get(self.variable, ""))


@dataclass(frozen=True)
class Client:
    """A library and how it is tried.

    Attributes:
        name: What the command line calls it; its program is ``tests/clients/probes/NAME.py``.
        title: What it calls itself.
        what: What it is, in a few words.
        url: Its project's page.
        reports: The distributions whose versions the table shows, the client's own first.
        requires: What its environment holds beside ours, pinned; empty if it runs in the tests' environment.
        checkout: The folder that it needs, for those that no installer brings.
        ci: Whether the slow tests try it.
        seconds: How long its program may run.
    """

    name: str
    title: str
    what: str
    url: str
    reports: tuple[str, ...]
    requires: tuple[str, ...] = ()
    checkout: Checkout | None = None
    ci: bool = True
    seconds: float = 300

    @property
    def command(self) -> str:
        """What tries it again."""
        start = f"{self.checkout.variable}=FOLDER " if self.checkout else ""
        return f"{start}python -m tests.clients run {self.name}"

    @property
    def why_not(self) -> str:
        """Why it cannot be tried here; empty if it can."""
        if self.checkout is None or self.checkout.is_there:
            return ""
        variable, commit = self.checkout.variable, self.checkout.commit
        return f"{self.name}: set {variable} to the folder of a checkout of {self.url} at {commit}"


NASLIB_NEEDS = (
    "numpy==2.3.5", "torchvision==0.28.0", "fvcore==0.1.5.post20221221", "iopath==0.1.10", "yacs==0.1.8",
    "portalocker==4.4.2", "tabulate==0.10.0", "termcolor==3.3.0", "pytorch-msssim==1.0.0",
    "scikit-image==0.26.0",
    "lazy-loader==0.6", "transforms3d==0.4.2", "ConfigSpace==1.2.2", "more-itertools==11.2.1",
    "nasbench-pytorch==1.3.1", "lightgbm==4.7.0", "ngboost==0.6.0", "pybnn==0.0.5", "emcee==3.1.6",
    "pyro-ppl==1.9.2", "opt-einsum==3.4.0", "grakel==0.1.11", "six==1.17.0", "tensorwatch==0.9.1",
    "pyzmq==27.3.0", "tornado==6.6.1", "ipython==9.18.1", "ipywidgets==8.1.9", "comm==0.2.3",
    "seaborn==0.13.2",
)  # fmt: skip
"""What its optimizers import; its own pins are of releases that Python 3.11 does not have."""

CLIENTS = (
    Client(
        "gymnasium", "Gymnasium", "the interface itself: checks, wrappers, vectors, videos, play",
        "https://github.com/Farama-Foundation/Gymnasium", ("gymnasium",),
        ("array-api-compat==1.16.0", "moviepy==2.2.1", "pygame-ce==2.5.6"),
    ),
    Client(
        "gymnasium_tests", "Gymnasium's own tests", "its tests of environments, not changed, on our ids",
        "https://github.com/Farama-Foundation/Gymnasium", ("gymnasium",), (),
        Checkout("GYMNASIUM", "3f0476a8"), ci=False,
    ),
    Client(
        "stable_baselines3", "Stable-Baselines3", "PPO, A2C, DQN",
        "https://github.com/DLR-RM/stable-baselines3", ("stable-baselines3", "torch"), ("moviepy==2.2.1",),
    ),
    Client(
        "sb3_contrib", "SB3-Contrib", "MaskablePPO, RecurrentPPO, TRPO, QR-DQN, ARS",
        "https://github.com/Stable-Baselines-Team/stable-baselines3-contrib", ("sb3-contrib", "torch"),
    ),
    Client(
        "rl_zoo3", "RL Baselines3 Zoo", "SB3's agents from the command line",
        "https://github.com/DLR-RM/rl-baselines3-zoo", ("rl_zoo3",), ("rl_zoo3==2.9.2",),
    ),
    Client(
        "cleanrl", "CleanRL", "an agent in one file, which is run as it is",
        "https://github.com/vwxyzjn/cleanrl", ("torch", "gymnasium"), ("tyro==1.0.17", "moviepy==2.2.1"),
        Checkout("CLEANRL", "fe8d8a03"), ci=False,
    ),
    Client(
        "torchrl", "TorchRL", "PyTorch's own reinforcement learning",
        "https://github.com/pytorch/rl", ("torchrl", "tensordict"), ("torchrl==0.14.1", "tensordict==0.14.3"),
    ),
    Client(
        "rllib", "RLlib", "reinforcement learning on Ray",
        "https://github.com/ray-project/ray", ("ray", "gymnasium"),
        ("ray[rllib]==2.60.0", "gymnasium==1.2.2"),
    ),
    Client(
        "tianshou", "Tianshou", "modular reinforcement learning",
        "https://github.com/thu-ml/tianshou", ("tianshou",),
        ("tianshou[eval]==2.0.1", "rliable==1.2.0", "pandas==2.3.3"),
    ),
    Client(
        "skrl", "skrl", "modular reinforcement learning for simulators",
        "https://github.com/Toni-SM/skrl", ("skrl",), ("skrl==2.1.1",),
    ),
    Client(
        "pufferlib", "PufferLib", "any environment as flat arrays",
        "https://github.com/PufferAI/PufferLib", ("pufferlib-core",), ("pufferlib-core==3.0.23",),
    ),
    Client(
        "minari", "Minari", "data sets for offline reinforcement learning",
        "https://github.com/Farama-Foundation/Minari", ("minari",),
        ("minari[create,hdf5]==0.5.4", "jax==0.10.2", "h5py==3.16.0"),
    ),
    Client(
        "mo_gymnasium", "MO-Gymnasium", "rewards that are vectors",
        "https://github.com/Farama-Foundation/MO-Gymnasium", ("mo-gymnasium",), ("mo-gymnasium==1.3.2",),
    ),
    Client("optuna", "Optuna", "TPE and other samplers", "https://github.com/optuna/optuna", ("optuna",)),
    Client(
        "nevergrad", "Nevergrad", "gradient-free optimizers",
        "https://github.com/facebookresearch/nevergrad", ("nevergrad",), ("nevergrad==1.0.12",),
    ),
    Client(
        "smac", "SMAC", "Bayesian optimization with random forests",
        "https://github.com/automl/SMAC3", ("smac", "ConfigSpace"), ("smac==2.4.1",),
    ),
    Client(
        "syne_tune", "Syne Tune", "schedulers in simulated time on a tabulated blackbox",
        "https://github.com/syne-tune/syne-tune", ("syne-tune",),
        ("syne-tune==0.16.0", "huggingface-hub==2.4.0"),
    ),
    Client(
        "naslib", "NASLib", "search spaces and optimizers of architecture search",
        "https://github.com/automl/NASLib", ("torch", "torchvision"), NASLIB_NEEDS,
        Checkout("NASLIB", "0b51bc18"), ci=False,
    ),
    Client(
        "carps", "CARP-S", "optimizers compared on many tasks",
        "https://github.com/automl/CARP-S", ("carps",), ("carps==1.1.0",), ci=False,
    ),
    Client(
        "scikit_learn", "scikit-learn", "a surrogate as an estimator, encodings as transformers",
        "https://github.com/scikit-learn/scikit-learn", ("scikit-learn", "pandas"),
    ),
)  # fmt: skip


def find(names: Iterable[str]) -> list[Client]:
    """The clients of these names, in their order; all for none.

    Raises:
        ClientError: If there is no such client.
    """
    known = {client.name: client for client in CLIENTS}
    wanted = list(names) or list(known)
    for name in wanted:
        if name not in known:
            raise ClientError(f"there is no client {name!r}; there are {', '.join(known)}")
    return [known[name] for name in wanted]
