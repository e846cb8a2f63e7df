"""This package's networks as estimators of scikit-learn (extra `sklearn`)."""

from fastmlp.errors import MissingExtraError

try:
    import sklearn.base
    import sklearn.utils._param_validation
    from sklearn.utils.validation import validate_data as _  # of 1.6
except ImportError as error:
    raise MissingExtraError(
        f"fastmlp.sklearn needs scikit-learn 1.7 or newer ({error}): pip install 'fastmlp[sklearn]'."
    ) from error

from fastmlp.sklearn.classifier import FastMLPClassifier
from fastmlp.sklearn.regressor import FastMLPRegressor

__all__ = ["FastMLPClassifier", "FastMLPRegressor"]
