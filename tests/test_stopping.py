"""The two rules of patience: which epoch ends training, alone and in a fit, and after a pause."""

import math

import numpy as np
import pytest

from fastmlp import SGD
from fastmlp.errors import ConfigError
from fastmlp.nn.fit import fit
from fastmlp.nn.stopping import STOPPING, Best, Rises
from scripted import Scripted

DATA = np.ones((10, 4), np.float32), np.arange(10) % 3
NOISY = [3.0, 2.0, 2.5, 2.2, 2.4, 2.1, 2.3, 2.2, 2.4]


def ends(rule, losses):
    """Return the epoch that a rule stops after, None where it does not."""
    for epoch, loss in enumerate(losses, start=1):
        rule.take(loss)
        if rule.stops:
            return epoch
    return None


def test_the_table_has_the_two():
    assert dict(STOPPING, best=Best, rises=Rises) == STOPPING


@pytest.mark.parametrize(
    ("patience", "losses", "epoch"),
    [
        (1, [1.0, 1.0, 1.0], 3),  # level is no improvement
        (2, [3.0, 2.0, 2.5, 1.9, 2.0, 2.1, 2.2], 7),  # more than two since 1.9
        (2, [5.0, 4.0, 3.0, 2.0], None),
        (3, NOISY, 6),
        (1, [math.inf, math.inf], 2),
    ],
)
def test_best_counts_epochs_since_the_best(patience, losses, epoch):
    assert ends(Best(patience), losses) == epoch


def test_a_noisy_loss_ends_by_best_alone():
    assert ends(Rises(2), NOISY) is None


def test_best_is_counted_as_scikit_learn_counts_no_change():
    """Its rule, word for word: count up unless better than the best, reset where better, end above the limit."""
    rng = np.random.default_rng(0)
    for patience in (1, 3, 7):
        losses = rng.random(60).tolist()
        best, count, wanted = math.inf, 0, None
        for epoch, loss in enumerate(losses, start=1):
            count = count + 1 if loss >= best else 0
            best = min(best, loss)
            if count > patience:
                wanted = epoch
                break
        assert ends(Best(patience), losses) == wanted


@pytest.mark.parametrize(("stopping", "epochs"), [("rises", 9), ("best", 6)])
def test_a_fit_ends_by_the_rule_that_is_named_also_after_a_pause(stopping, epochs):
    def run(model, **options):
        return fit(
            model, *DATA, validation=DATA, optimizer=SGD(), epochs=9, patience=3, stopping=stopping, batch_size=10,
            **options,
        )  # fmt: skip

    whole = run(Scripted(NOISY))
    assert (whole.epochs, whole.best_epoch, whole.status) == (epochs, 2, "done")
    paused = run(Scripted(NOISY), pause=lambda state: len(state.history.train_loss) == 4)
    assert paused.status == "paused"
    model = Scripted(NOISY[4:])
    resumed = run(model, resume=paused.state)
    assert (resumed.epochs, resumed.best_epoch) == (epochs, 2)
    np.testing.assert_array_equal(model.layers[0].weight, np.full((4, 3), 2))


def test_an_unknown_rule_is_named():
    with pytest.raises(ConfigError, match="stopping is 'never', allowed: rises, best"):
        fit(Scripted([]), *DATA, optimizer=SGD(), stopping="never")
