"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file, or a folder, that replaces `path` in one step when the block ends.

    The block gets the path of a hidden neighbour, which does not exist yet, and writes there. If the
    block raises, the neighbour is removed; if the process is killed, it is left behind. In both cases
    `path` is as it was before. Nothing is forced onto the disk: a block that needs that calls
    `os.fsync` itself.

    Args:
        path: The file. Its folder must exist. A folder cannot replace one that is there already.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        raise
