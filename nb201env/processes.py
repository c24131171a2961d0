"""What every worker process here needs."""

from __future__ import annotations

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """In a worker: end it as soon as its parent is gone, even if that was killed.

    Otherwise the workers of a killed command go on, or wait for ever for their next task.
    """
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "not a worker process"
    parent.join()
    os._exit(1)
