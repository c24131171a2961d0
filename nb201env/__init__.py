"""A Gymnasium environment over the NAS-Bench-201 search space, with the official numbers inside.

Importing this package registers the environments::

    import gymnasium as gym
    import nb201env

    env = gym.make("NB201-cifar10-v0")

Tools that take only an id import it by themselves from ``"nb201env:NB201-cifar10-v0"``.
"""

from nb201env.architecture import Architecture
from nb201env.container import DamagedTable
from nb201env.envs.registration import register_all
from nb201env.proxies import Proxies, open_proxies
from nb201env.table import NotRecorded, Result, Table
from nb201env.tables import open_table

__version__ = "0.1.0"
__all__ = [
    "Architecture",
    "DamagedTable",
    "NotRecorded",
    "Proxies",
    "Result",
    "Table",
    "__version__",
    "open_proxies",
    "open_table",
]

register_all()
