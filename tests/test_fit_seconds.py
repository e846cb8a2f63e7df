"""How long training took: without what was compiled for it."""

import numpy as np
import pytest

from fastmlp import SGD
from fastmlp.nn import fit
from scripted import Clock, Scripted


def test_the_time_of_compilation_is_no_time_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = [5.0]  # before

    class Compiles(Scripted):
        def scripted_step(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, int]:
            if not self.batches:  # the first step
                clock.now += 60
                compiled[0] += 60
            clock.now += 2
            return super().scripted_step(x, labels)

    clock = Clock(0.0)
    monkeypatch.setattr(fit, "time", clock)
    monkeypatch.setattr(fit, "seconds_compiling_here", lambda: compiled[0])
    result = fit.fit(Compiles([]), np.zeros((10, 4), np.float32), np.zeros(10, int), optimizer=SGD(0.1), epochs=4)
    assert result.seconds == result.state.seconds == 8
    assert result.images_per_second == 40 / 8
