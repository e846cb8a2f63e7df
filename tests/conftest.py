"""Shared by all tests: one seeded generator, and hypothesis settings that suit compiled code."""

import numpy as np
import pytest
from hypothesis import settings

# A kernel's first example compiles it, which no deadline allows for; the same examples each time, so that a red run
# can be had again.
settings.register_profile("fastmlp", deadline=None, derandomize=True)
settings.load_profile("fastmlp")


@pytest.fixture
def rng() -> np.random.Generator:
    """Give a generator that starts from the same seed in every test."""
    return np.random.default_rng(20230203)
