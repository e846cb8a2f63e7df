"""The names of scikit-learn that `dropin` rests on and that are not public, looked up and compared once, at its import.

Another scikit-learn, in which one of them is missing or takes something else, is refused by a message rather than
trained with: what they do together is scikit-learn's loop of training, which `dropin` replaces.
"""

import inspect

import sklearn
from sklearn.neural_network import _multilayer_perceptron as module

from fastmlp.errors import MissingExtraError

OLDEST = "1.7"
# The methods that are replaced or called, with their arguments.
_WORK = "activations deltas coef_grads intercept_grads"
METHODS = {
    "_backprop": f"self X y sample_weight {_WORK}",
    "_fit_lbfgs": f"self X y sample_weight {_WORK} layer_units",
    "_fit_stochastic": f"self X y sample_weight {_WORK} layer_units incremental",
    "_forward_pass_fast": "self X check_input",
    "_update_no_improvement_count": "self early_stopping X y sample_weight",
}
# What these leave on the estimator, and what of it the loop reads.
ATTRIBUTES = {
    "_initialize": "coefs_ intercepts_ _best_coefs _best_intercepts _no_improvement_count loss_curve_ n_iter_ "
    "n_outputs_ out_activation_ t_",
    "_fit": "_random_state",
}
# The optimisers, which keep the state of training and say when it stops: their arguments, and their attributes.
OPTIMIZERS = {
    "SGDOptimizer": (
        "params learning_rate_init lr_schedule momentum nesterov power_t",
        "learning_rate momentum nesterov velocities",
    ),
    "AdamOptimizer": (
        "params learning_rate_init beta_1 beta_2 epsilon",
        "learning_rate learning_rate_init beta_1 beta_2 epsilon t ms vs",
    ),
}
NAMES = ("validate_data", "train_test_split", "is_classifier")


def differences(home: object = module) -> list[str]:
    """Return, in words, in what a module differs from scikit-learn's `_multilayer_perceptron` as `dropin` knows it."""
    found = [f"no {name}" for name in (*NAMES, *OPTIMIZERS) if not hasattr(home, name)]
    base = getattr(home, "BaseMultilayerPerceptron", None)
    for name, arguments in METHODS.items():
        found += _unlike(f"{name}", getattr(base, name, None), arguments)
    for name, attributes in ATTRIBUTES.items():
        known = getattr(getattr(getattr(base, name, None), "__code__", None), "co_names", ())
        found += [f"{name} sets no {attribute}" for attribute in attributes.split() if attribute not in known]
    for name, (arguments, attributes) in OPTIMIZERS.items():
        if hasattr(home, name):
            kind = getattr(home, name)
            unlike = _unlike(name, kind, arguments)
            has = () if unlike else vars(kind([]))
            found += unlike or [
                f"{name} has no {attribute}" for attribute in attributes.split() if attribute not in has
            ]
    return found


def _unlike(name: str, function: object, arguments: str) -> list[str]:
    if not callable(function):
        return [f"no {name}"]
    own = " ".join(inspect.signature(function).parameters)
    return [] if own == arguments else [f"{name}({own.replace(' ', ', ')})"]


def check() -> None:
    """Raise MissingExtraError where this scikit-learn is another than those that `dropin` was written for."""
    if found := differences():
        raise MissingExtraError(
            f"fastmlp.sklearn's MLPClassifier and MLPRegressor replace parts of scikit-learn's own, from {OLDEST} on, "
            f"and in the one that is here, {sklearn.__version__}, these are others: {'; '.join(found)}. Take a newer "
            "fastmlp or an older scikit-learn; FastMLPClassifier needs none of them."
        )
