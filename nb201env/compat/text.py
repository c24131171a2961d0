"""The few lines of text that the official API prints for an architecture."""

from __future__ import annotations

from typing import Any

from nb201env.compat.results import ArchResults
from nb201env.official import TASKS


def describe(results: ArchResults, extra_info: Any = None) -> list[str]:
    """The lines of `query_info_str_by_arch`: size, latency, and final metrics on each data set."""
    names = results.get_dataset_names()
    lines = [results.arch_str, f"datasets : {names}, extra-info : {extra_info}"]
    for name in names:
        costs = results.get_compute_costs(name)
        latency = "None" if costs["latency"] is None else f"{costs['latency'] * 1000:.2f}"
        lines.append(
            f"{name:14s} FLOP={costs['flops']:6.2f} M, Params={costs['params']:.3f} MB, latency={latency} ms."
        )
        lines.append(f"{name:14s} " + ", ".join(_metrics(results, name)))
    return lines


def _metrics(results: ArchResults, name: str) -> list[str]:
    sets = {"train": "train"} | {split: official for official, split in TASKS[name].sets.items()}
    # The official text leaves out the test set of cifar10-valid.
    splits = ("train", "valid") if name == "cifar10-valid" else ("train", "valid", "test")
    parts = []
    for split in splits:
        if split in sets:
            found = results.get_metrics(name, sets[split])
            title = "test " if (name, split) == ("cifar10", "test") else split
            loss = "None" if found["loss"] is None else f"{found['loss']:.3f}"
            parts.append(f"{title} : [loss = {loss} & top1 = {found['accuracy']:.2f}%]")
    return parts
