"""What strict mode says where the official API would quietly answer another question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from nb201env.missing import PAGE
from nb201env.table import NotRecorded


class Trap(ValueError):
    """A call whose official answer is easily mistaken; the message says how to ask clearly."""


class Unset:
    """Stands for an argument that was not given."""

    def __repr__(self) -> str:
        return "not given"


UNSET = Unset()

NO_SCHEDULE = (
    "{method}: hp was not given. The official API then takes the 12-epoch schedule (nas_201_api 1.x took "
    "200). Say hp='12' or hp='200'; strict=False takes '12'."
)
NO_RUN = (
    "{method}: is_random was not given. The official API then draws one of the 2 or 3 runs with Python's "
    "global generator. Say is_random=False (mean), a seed (say 777), or True; strict=False draws."
)
UNKNOWN = (
    "{text!r} is not an official architecture string. The official API answers -1, which then indexes the "
    "last architecture; strict=False answers -1."
)
VALTEST = (
    "simulate_train_eval: the validation accuracy on {dataset} was not recorded after iepoch={iepoch} of "
    "hp={hp} (recorded: {recorded}). The official API then returns the accuracy on validation and test "
    "images together, which leaks the test set; strict=False does so."
)
NO_WEIGHTS = "get_net_param: trained weights are not imported; only NATS-tss-v1_0-3ffb9-full has them"
NO_PASS = (
    "simulate_train_eval: {table} does not record the seconds of a validation pass, which the official "
    "clock adds to the training's; strict=False counts the training alone, as the environments do"
)
OTHER_SCHEDULE = (
    "there is no table of the {asked}-epoch schedule, so calls that ask for it get accuracies and seconds "
    "of the {only}-epoch one (strict=False); say hp='{only}', or import tables of {asked} epochs: " + PAGE
)


class Info(dict[str, Any]):
    """The official dictionary of numbers, which explains the keys it lacks.

    The official API drops numbers that were not recorded, and users then fall back to another
    split's. Looking up such a key here raises `NotRecorded` (a `LookupError`) with the reason;
    ``in`` and ``get`` work as in any dictionary.
    """

    def __init__(self, values: Mapping[str, Any], missing: Mapping[str, str]) -> None:
        super().__init__(values)
        self._why = dict(missing)

    def __missing__(self, key: str) -> NoReturn:
        why = self._why.get(key) or self._why.get(key.partition("-")[0])
        raise NotRecorded(f"{key!r}: {why}" if why else f"no {key!r}; there are {', '.join(self)}")
