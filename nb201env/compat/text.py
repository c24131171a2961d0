"""The few lines of text that the official APIs print for an architecture."""

from __future__ import annotations

from typing import Any

from nb201env.compat.results import ArchResults
from nb201env.compat.runs import Metrics
from nb201env.official import TASKS
from nb201env.table import NotRecorded


def describe(results: ArchResults, extra_info: Any = None, *, joint: str = " & ") -> list[str]:
    """The lines of `query_info_str_by_arch`: size, latency, and final metrics on each data set.

    Args:
        results: What is described.
        extra_info: For the second line.
        joint: What stands between loss and accuracy: " & " in ``nats_bench``, ", " in ``nas_201_api``.
    """
    names = results.get_dataset_names()
    lines = [results.arch_str, f"datasets : {names}, extra-info : {extra_info}"]
    for name in names:
        costs = results.get_compute_costs(name)
        latency = "None" if costs["latency"] is None else f"{costs['latency'] * 1000:.2f}"
        lines.append(
            f"{name:14s} FLOP={costs['flops']:6.2f} M, Params={costs['params']:.3f} MB, latency={latency} ms."
        )
        lines.append(f"{name:14s} " + ", ".join(_sets(results, name, joint)))
    return lines


def _sets(results: ArchResults, name: str, joint: str) -> list[str]:
    sets = {"train": "train"} | {split: official for official, split in TASKS[name].sets.items()}
    # The official text leaves out the test set of cifar10-valid.
    splits = ("train", "valid") if name == "cifar10-valid" else ("train", "valid", "test")
    parts = []
    for split in splits:
        if split in sets:
            title = "test " if (name, split) == ("cifar10", "test") else split
            parts.append(f"{title} : [{_numbers(results, name, sets[split], joint)}]")
    return parts


def _numbers(results: ArchResults, name: str, setname: str, joint: str) -> str:
    try:
        found: Metrics = results.get_metrics(name, setname)
    except NotRecorded:
        return "not recorded"
    if found["loss"] is found["accuracy"] is None:
        return "not recorded"
    loss = "None" if found["loss"] is None else f"{found['loss']:.3f}"
    accuracy = "None" if found["accuracy"] is None else f"{found['accuracy']:.2f}%"
    return f"loss = {loss}{joint}top1 = {accuracy}"
