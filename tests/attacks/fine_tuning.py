"""A small fine-tuning, and workers for it, that attacks share."""

import functools

from fhe_estimators import HELoRAFineTuner
from tests.lora.models import make_model

TEXTS = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 8, 7, 6, 5, 4, 3, 2]] * 4


@functools.cache
def model():
    return make_model()


def tuner(model_or_folder=None, **options):
    settings = {"max_length": 8, "max_steps": 2, "batch_size": 2, **options}
    return HELoRAFineTuner(model() if model_or_folder is None else model_or_folder, **settings)


@functools.cache
def weights():
    """Integer weights by layer: what workers hold."""
    return {layer.name: layer.weights for layer in HELoRAFineTuner(model()).compile().program_.layers}
