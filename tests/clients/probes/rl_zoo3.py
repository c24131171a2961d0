"""RL Baselines3 Zoo: SB3's agents trained, tuned and watched from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.clients.probes import CommandFailed, row, run
from tests.clients.recorded import are_accuracies

ID, ONEHOT = "NB201-cifar10-v0", "NB201-cifar10-onehot-v0"
SETTINGS = {
    "ppo": {"n_envs": 2, "policy": "MlpPolicy", "n_steps": 32, "batch_size": 32, "n_epochs": 2},
    "a2c": {"n_envs": 2, "policy": "MlpPolicy"},
    "dqn": {"policy": "MlpPolicy", "learning_starts": 32, "buffer_size": 500},
    "ppo_lstm": {"policy": "MlpLstmPolicy", "n_steps": 32, "batch_size": 32, "n_epochs": 1},
}
"""What the zoo's manual asks a user to write for an id that is not among its own."""


def zoo(command: str, *words: str) -> str:
    """Run ``python -m rl_zoo3.COMMAND``; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"rl_zoo3.{command}", *words, "--gym-packages", "nb201env"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:])
        raise CommandFailed((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    return done.stdout


def train(algorithm: str, env_id: str, *words: str) -> str:
    """Train for a few steps by the settings above, and evaluate."""
    settings = Path(f"{algorithm}-{env_id}.yml")
    lines = [f"  {name}: {value!r}" for name, value in SETTINGS[algorithm].items()]
    settings.write_text("\n".join([f"{env_id}:", "  n_timesteps: 128", *lines]) + "\n", encoding="utf-8")
    asked = ["--algo", algorithm, "--env", env_id, "--conf-file", str(settings), "--seed", "0"]
    return zoo("train", *asked, "-f", "logs", "--eval-freq", "64", *words)


def evaluations_are_the_tables(algorithm: str, env_id: str) -> None:
    """Each evaluated episode's return is an accuracy of the table, after six steps."""
    (file,) = Path("logs", algorithm).glob(f"{env_id}_*/evaluations.npz")
    with np.load(file) as held:
        are_accuracies(held["results"])
        assert set(held["ep_lengths"].ravel().tolist()) == {6}


@row("train --algo ppo --env NB201-cifar10-v0")
def ppo() -> None:
    train("ppo", ID)
    evaluations_are_the_tables("ppo", ID)


@row("train --algo dqn")
def dqn() -> None:
    train("dqn", ID)
    evaluations_are_the_tables("dqn", ID)


@row("train --algo ppo_lstm --env NB201-cifar10-onehot-v0")
def recurrent() -> None:
    train("ppo_lstm", ONEHOT)
    evaluations_are_the_tables("ppo_lstm", ONEHOT)


@row("train --algo ppo_lstm of the default observations", lacks="SB3-Contrib's LSTM takes only Python's int")
def recurrent_ops() -> None:
    train("ppo_lstm", ID)


@row("train --env-kwargs actions:\"'edit'\" max_edits:4, --vec-env subproc")
def edits() -> None:
    said = train("a2c", ID, "--env-kwargs", "actions:'edit'", "max_edits:4", "--vec-env", "subproc")
    assert "4.00 +/- 0.00" in said


@row("enjoy")
def enjoy() -> None:
    if not Path("logs", "ppo").exists():
        train("ppo", ID)
    said = zoo("enjoy", "--algo", "ppo", "--env", ID, "-f", "logs", "-n", "60", "--no-render")
    assert "Mean reward: 0." in said


@row("train -optimize")
def optimise() -> None:
    said = train("ppo", ID, "-optimize", "--n-trials", "2", "--n-startup-trials", "1", "--no-optim-plots",
                 "--n-evaluations", "1", "-n", "64")  # fmt: skip
    assert "Number of finished trials:  2" in said


@row(
    "train --env nb201env:NB201-cifar10-v0",
    lacks="it looks for the id as it is written",
)
def module_and_id() -> None:
    train("ppo", f"nb201env:{ID}")


if __name__ == "__main__":
    run()
