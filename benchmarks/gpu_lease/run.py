"""Runs stages one after the other; what goes wrong in one does not keep the others from running."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gpu_lease.home import bring_home
from benchmarks.gpu_lease.lease import Lease
from benchmarks.gpu_lease.stages import STAGES, receive


def run_stages(lease: Lease, names: Sequence[str]) -> int:
    """Run stages, and write archive and summary after each.

    Returns:
        0, or 1 if a stage failed.

    Raises:
        ValueError: If there is no such stage.
    """
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise ValueError(f"there is no stage {unknown[0]!r}; the stages are {', '.join(STAGES)}")
    lease.begin()
    before = len(lease.outcomes())
    try:
        receive(lease)
    except (ValueError, OSError) as error:  # stages that need what is missing say so
        lease.note("receive", "failed", str(error))
    for name in names:
        limit = min(lease.todo.limits.get(name, lease.left), lease.left)
        try:
            if limit < 1:
                lease.note(name, "time", "not begun, time is up")
            else:
                STAGES[name](lease, limit)
        except Exception as error:  # whatever a new machine brings up must not end the lease
            lease.note(name, "failed", f"{type(error).__name__}: {error}")
        finally:  # also when this process is told to end
            files = bring_home(lease)
    lease.say("end", ", ".join(f"{file} ({file.stat().st_size:,} bytes)" for file in files))
    return int(any(line["outcome"] == "failed" for line in lease.outcomes()[before:]))
