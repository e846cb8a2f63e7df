"""Networks of this package as estimators of scikit-learn (extra `sklearn`).

`FastMLPClassifier` and `FastMLPRegressor` have this package's own settings. `MLPClassifier` and `MLPRegressor` are
scikit-learn's, with its results, trained faster; `patch` puts them in the place of those, and
`python -m fastmlp.sklearn script.py` runs a script so. They load when first asked for, as they rest on names of
scikit-learn that another one may not have.
"""

from importlib import import_module
from typing import Any

from fastmlp.errors import MissingExtraError

try:
    import sklearn.base  # noqa: F401
    from sklearn.utils.validation import validate_data  # noqa: F401 - the youngest of it
except ImportError as error:
    raise MissingExtraError(
        f"fastmlp.sklearn needs scikit-learn 1.7 or newer ({error}): pip install 'fastmlp[sklearn]'."
    ) from error

from fastmlp.sklearn.classifier import FastMLPClassifier
from fastmlp.sklearn.regressor import FastMLPRegressor

__all__ = ["FastMLPClassifier", "FastMLPRegressor"]
# By name: the module that has it.
_LATER = {
    "MLPClassifier": "fastmlp.sklearn.dropin",
    "MLPRegressor": "fastmlp.sklearn.dropin",
    "patch": "fastmlp.sklearn.patching",
    "unpatch": "fastmlp.sklearn.patching",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_LATER])
