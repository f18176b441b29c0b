import numpy as np
import pytest

from tests.lora.models import VOCABULARY, make_model


@pytest.fixture(scope="module")
def llama():
    return make_model()


@pytest.fixture(scope="session")
def sequences():
    """Arithmetic progressions modulo the vocabulary: easy to learn."""
    rng = np.random.default_rng(0)
    starts, steps = rng.integers(0, VOCABULARY, 24), rng.integers(1, 4, 24)
    return [
        [int(t) for t in (start + np.arange(12) * step) % VOCABULARY] for start, step in zip(starts, steps, strict=True)
    ]


@pytest.fixture(scope="session")
def labels():
    rng = np.random.default_rng(0)
    rng.integers(0, VOCABULARY, 24)
    return np.array(["slow", "steady", "fast"])[rng.integers(1, 4, 24) - 1]
