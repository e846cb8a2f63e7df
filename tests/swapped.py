"""A plugin of pytest: scikit-learn's own tests of its perceptrons find this package's in their place."""

import pytest

from fastmlp.sklearn import MLPClassifier, MLPRegressor, patch

patch()  # before pytest imports any test


def pytest_collection_finish(session: pytest.Session) -> None:
    """See that the tests have this package's classes."""
    for item in session.items:
        module = getattr(item, "module")  # noqa: B009 - of functions alone
        assert (module.MLPClassifier, module.MLPRegressor) == (MLPClassifier, MLPRegressor)
