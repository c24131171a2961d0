"""Where Minari keeps data sets, and how one is written there: whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nb201env import __version__
from nb201env.agents.offline.episodes import Collection
from nb201env.envs.spaces import action_space, observation_space
from nb201env.extras import require
from nb201env.files import appearing

if TYPE_CHECKING:
    from minari.data_collector.episode_buffer import EpisodeBuffer


class Place(NamedTuple):
    """Where a data set goes.

    Attributes:
        store: The folder that ``MINARI_DATASETS_PATH`` names when it is loaded.
        name: Its id, which ``minari.load_dataset`` takes.
        ours: Whether the store is the one that Minari uses here and now.
    """

    store: Path
    name: str
    ours: bool

    @property
    def folder(self) -> Path:
        """The data set's folder."""
        return self.store / self.name


class Written(NamedTuple):
    """A data set that was written: its place and size, and the mean and the best reward of an episode."""

    place: Place
    episodes: int
    steps: int
    mean: float
    best: float


def require_minari() -> None:
    """Check that Minari and what it writes with are there.

    Raises:
        MissingExtra: If not.
    """
    for module in ("minari", "h5py", "PIL"):
        require(module, "offline")


def place(out: str, name: str = "") -> Place:
    """Read ``--out``.

    Args:
        out: A Minari id, such as nb201/cifar10/expert-v0; or a path, which begins with ".", "~" or a
            separator: its folder is the store, its last part the id.
        name: What comes after it; `out` is a namespace or a folder then.

    Raises:
        ValueError: If it is neither.
    """
    require_minari()
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.storage.datasets_root_dir import get_dataset_path

    if out.startswith((".", "~", "/", os.sep)) or Path(out).is_absolute():
        path = Path(out).expanduser()
        store, found = (path, name) if name else (path.parent, path.name)
        ours = False
    else:
        store, found = get_dataset_path(""), f"{out}/{name}" if name else out
        ours = True
    version = None
    with suppress(ValueError, TypeError):
        version = parse_dataset_id(found)[2]
    if version is None:
        example = "nb201/cifar10 or ./data" if name else "nb201/cifar10/mine-v0 or ./data/mine-v0"
        raise ValueError(f"--out is a name in Minari's store or a path, such as {example}; got {out!r}")
    return Place(store.absolute(), found, ours)  # Minari's own sizes fail with relative paths


def check_free(where: Place, replace: bool) -> None:
    """Check that a data set may be written.

    Raises:
        FileExistsError: If one is there and may not be replaced, or something else is there.
    """
    if not os.path.lexists(where.folder):
        return
    if not (where.folder / "data" / "metadata.json").is_file() or where.folder.is_symlink():
        raise FileExistsError(
            f"{where.folder} is there already and is no Minari data set; name another --out"
        )
    if not replace:
        raise FileExistsError(
            f"{where.folder} is there already; name another --out, or replace it with --replace"
        )


def write(collection: Collection, where: Place, *, replace: bool = False, command: str = "") -> Written:
    """Write a data set, which appears when its last episode is written.

    Args:
        collection: What is in it.
        where: Where it goes; folders above are made.
        replace: Replace one that is there.
        command: What writes it again, for the metadata.

    Raises:
        FileExistsError: See `check_free`.
        BadTrajectory: If an episode cannot be made; nothing has changed then.
    """
    require_minari()
    check_free(where, replace)
    where.folder.parent.mkdir(parents=True, exist_ok=True)
    with appearing(where.folder) as partial:
        written = _fill(collection, partial, where, command)
        before = partial.with_suffix(".before")
        if where.folder.exists():  # a folder cannot take the place of another
            check_free(where, replace)
            where.folder.rename(before)
    shutil.rmtree(before, ignore_errors=True)
    if where.ours:
        _tell_namespace(where.name)
    return written


def _fill(collection: Collection, folder: Path, where: Place, command: str) -> Written:
    from minari.dataset.minari_storage import MinariStorage

    kwargs = collection.env_spec.kwargs
    folder.mkdir()
    storage = MinariStorage.new(
        folder / "data",
        observation_space=observation_space(kwargs.get("observations", "ops")),
        action_space=action_space(kwargs.get("actions", "build")),
        env_spec=collection.env_spec,
        data_format="hdf5",
    )
    storage.update_metadata(_metadata(collection, where.name, command))
    rewards: list[float] = []
    storage.update_episodes(_buffers(collection, rewards))
    return Written(where, len(rewards), int(storage.total_steps), sum(rewards) / len(rewards), max(rewards))


def _buffers(collection: Collection, rewards: list[float]) -> Iterator[EpisodeBuffer]:
    """The episodes as Minari takes them; each one's reward is appended to `rewards`."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    for number, one in enumerate(collection.episodes):
        rewards.append(float(one.rewards.sum()))
        yield EpisodeBuffer(
            id=number, seed=_storable(one.seed), options=one.options, observations=list(one.observations),
            actions=list(one.actions), rewards=list(one.rewards), terminations=list(one.terminations),
            truncations=list(one.truncations), infos=one.infos,
        )  # fmt: skip


def _storable(seed: int | None) -> int | None:
    """A seed that HDF5 has a number for; the searches in the metadata have each."""
    return seed if seed is not None and seed < 2**63 else None


def _metadata(collection: Collection, name: str, command: str) -> dict[str, Any]:
    """Minari's entries, and ours under one key; no author and no address is made up."""
    import minari

    low, high = collection.reference
    return {
        "dataset_id": name,
        "minari_version": minari.__version__,
        "algorithm_name": collection.algorithm,
        "description": collection.description,
        "eval_env_spec": collection.eval_spec.to_json(),
        "ref_min_score": low,
        "ref_max_score": high,
        "requirements": [f"nb201env>={__version__}"],
        "nb201": dict(collection.more) | ({"command": command} if command else {}),
    }


def _tell_namespace(name: str) -> None:
    """Make the namespaces of a name known to Minari, as its own functions do."""
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.namespace import create_namespace, list_local_namespaces

    namespace = parse_dataset_id(name)[0]
    if namespace is not None and namespace not in list_local_namespaces():
        create_namespace(namespace)
