"""scikit-learn's own checks of everything here that is an estimator or a transformer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.encodings import (
    CanonicalEncoding,
    CostEncoding,
    GraphEncoding,
    OneHotEncoding,
    PathEncoding,
    TransferEncoding,
)
from nb201env.surrogate.regressor import SurrogateRegressor
from tests.surrogate.conftest import SMALL

ANY_FEATURES = SurrogateRegressor(encoding=None, target="identity", random_state=0, **SMALL)
OF_ARCHITECTURES = (
    OneHotEncoding(),
    CanonicalEncoding(),
    PathEncoding(),
    GraphEncoding(),
    CostEncoding(),
    TransferEncoding("cifar100-200", "valid", 200),
    SurrogateRegressor(**SMALL),
    CurveRegressor(SurrogateRegressor(**SMALL)),
)
REFUSED = (
    "architectures are op numbers",
    "op numbers are whole numbers",
    "of an architecture is in 0..15624",
)


# With an encoding, X must be architectures, which the checks' random matrices are not: so the checks run
# without one, which takes any features. Only the array API is skipped, which wants a variable to be set.
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [ANY_FEATURES, CurveRegressor(ANY_FEATURES, target="identity")]
)
@pytest.mark.filterwarnings("ignore:Skipping check")
def test_scikit_learns_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", OF_ARCHITECTURES, ids=lambda one: type(one).__name__)
@pytest.mark.filterwarnings("ignore:Skipping check")
def test_what_wants_architectures_passes_or_refuses_what_is_none(estimator: Any) -> None:
    passed, refused = [], []
    for name, run in _checks(estimator):
        try:
            run()
        except SkipTest:
            continue
        except Exception as error:
            assert any(words in _all_words(error) for words in REFUSED), name
            refused.append(name)
        else:
            passed.append(name)
    assert {"check_no_attributes_set_in_init", "check_estimator_cloneable"} <= {*passed}
    assert len(passed) >= 12
    assert "check_n_features_in" in refused  # the checks did run, on random features


def _checks(estimator: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    for instance, check in estimator_checks_generator(estimator):
        yield check.func.__name__, partial(check, instance)


def _all_words(error: BaseException | None) -> str:
    """The messages of an error and of what it was raised for; scikit-learn puts its own in front."""
    words = []
    while error is not None:
        words.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(words)
