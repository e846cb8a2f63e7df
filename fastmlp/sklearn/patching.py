"""`patch`, after which `from sklearn.neural_network import MLPClassifier` is fastmlp's, and `unpatch`."""

import sys

from sklearn import neural_network

from fastmlp.sklearn.dropin import MLPClassifier, MLPRegressor

CLASSES = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
_replaced: dict[str, type] = {}


def patch() -> None:
    """Put this package's MLPClassifier and MLPRegressor in the place of those of `sklearn.neural_network`.

    Whoever imports them from there afterwards has them; names that were imported before keep what they are. Only the
    public module is changed, so that estimators of scikit-learn's own classes are pickled and loaded as ever. The first
    call says so, in a line on the standard error.
    """
    for name, own in CLASSES.items():
        now = getattr(neural_network, name)
        if now is not own:
            _replaced[name] = now
            setattr(neural_network, name, own)
    _tell()


def unpatch() -> None:
    """Put back what `patch` replaced."""
    while _replaced:
        setattr(neural_network, *_replaced.popitem())


def _tell() -> None:
    if not _told:
        _told.append(True)
        print("fastmlp: sklearn.neural_network has fastmlp's MLPClassifier and MLPRegressor now.", file=sys.stderr)


_told: list[bool] = []
