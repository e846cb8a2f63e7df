"""The names of scikit-learn's MLPClassifier and MLPRegressor for what is called otherwise here."""

from collections.abc import Iterable

from fastmlp.errors import ConfigError

ELSEWHERE = {
    "alpha": 'is weight_decay here, of each step as it is: alpha with decay_per="batch", which divides it by the rows',
    "solver": 'is optimizer here: "adam", "adamw", "sgd" or "nesterov"; "lbfgs" is in fastmlp.sklearn\'s '
    "MLPClassifier and MLPRegressor",
    "learning_rate": 'is schedule here: "constant", "invscaling", "adaptive" or others; the rate is learning_rate_init',
    "power_t": 'is a setting of the schedule here: schedule=Schedule("invscaling", power=0.5), of fastmlp.nn.schedule',
    "nesterovs_momentum": 'is an optimizer here: optimizer="nesterov", with momentum',
    "beta_1": "is the first of betas here: betas=(0.9, 0.999)",
    "beta_2": "is the second of betas here: betas=(0.9, 0.999)",
    "n_iter_no_change": "is patience here, of the validation loss, where early_stopping is set",
    "tol": "has no counterpart here, where any lower validation loss counts: set early_stopping and patience",
    "shuffle": "has no counterpart here, where rows are always shuffled",
    "max_fun": 'is of "lbfgs", which fastmlp.sklearn\'s MLPClassifier and MLPRegressor have',
}


def refuse(names: Iterable[str], own: Iterable[str]) -> None:
    """Raise ConfigError for the first of these names that is scikit-learn's; own : an estimator's parameters."""
    for name in names:
        if name in ELSEWHERE and name not in own:
            raise ConfigError(f"{name}, a parameter of scikit-learn's own estimators, {ELSEWHERE[name]}")
