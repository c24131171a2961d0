"""CleanRL's own files, not changed, from the checkout in the folder CLEANRL."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.clients.probes import CommandFailed, row, run

ID, ONEHOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"
LEARNING = ("--total-timesteps", "1500", "--learning-starts", "500", "--batch-size", "32")


def start(name: str, env_id: str, *options: str) -> Path:
    """Run ``cleanrl/NAME.py`` on an id, in a folder of its own, which is returned."""
    checkout, folder = Path(os.environ["CLEANRL"]), Path(tempfile.mkdtemp(dir="."))
    command = [sys.executable, str(checkout / "cleanrl" / f"{name}.py"), "--env-id", env_id, "--no-cuda"]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join([str(checkout), os.environ["PYTHONPATH"]])}
    done = subprocess.run(
        [*command, *options], cwd=folder, env=paths, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailed(done.stderr.strip().splitlines()[-1])
    return folder


def scalars(name: str, env_id: str, *options: str) -> dict[str, list[float]]:
    """What a run logged for TensorBoard, by name."""
    (file,) = start(name, env_id, *options).rglob("events.*")
    events = EventAccumulator(str(file))
    events.Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def learned(logged: dict[str, list[float]], loss: str) -> None:
    """The loss is there, and finite."""
    assert logged[loss]
    assert all(math.isfinite(value) for value in logged[loss])


@row("ppo.py")
def ppo() -> None:
    logged = scalars("ppo", ID, "--total-timesteps", "1024")
    learned(logged, "losses/value_loss")
    assert max(logged["losses/value_loss"]) < 1  # half the square of an error of accuracies


@row("dqn.py of one-hot observations")
def dqn() -> None:
    logged = scalars("dqn", ONEHOT, *LEARNING)
    learned(logged, "losses/td_loss")
    assert max(map(abs, logged["losses/q_values"])) < 2


@row("c51.py of one-hot observations")
def c51() -> None:
    learned(scalars("c51", ONEHOT, *LEARNING), "losses/loss")


@row("ppo.py --capture-video")
def video() -> None:
    folder = start("ppo", ID, "--total-timesteps", "512", "--capture-video")
    assert all(path.stat().st_size > 1000 for path in folder.rglob("*.mp4"))
    assert any(folder.rglob("*.mp4"))


@row("dqn.py of the default observations", lacks="it multiplies whole numbers by floats as they are")
def dqn_of_ops() -> None:
    scalars("dqn", ID, *LEARNING)


@row("episodic returns in the log", lacks="it reads the infos of Gymnasium 0.29's vectors")
def returns() -> None:
    assert scalars("ppo", ID, "--total-timesteps", "512")["charts/episodic_return"]


if __name__ == "__main__":
    run()
