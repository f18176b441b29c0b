"""What workers say that they hold, against what a model needs (client side)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..worker.checkpoint_part import block_of
from .frozen_layer import FrozenLayer


def holding(held: Mapping[str, str], layers: Sequence[FrozenLayer]) -> str:
    """A sentence about one worker, by the digests of the layers it holds."""
    if not held:
        return "It holds no layers."
    needed = {layer.name: layer.digest for layer in layers}
    known = [name for name in needed if name in held]
    if not known:
        return f"It holds {len(held)} layers ({next(iter(held))}, ...), none of which the model has."
    other = [name for name in known if held[name] != needed[name]]
    if other:
        return (
            f"It holds other weights for {len(other)} of the model's {len(needed)} layers ({other[0]}, ...): another "
            "checkpoint, or another weight_quantizer."
        )
    if len(known) < len(needed):
        return f"It holds {len(known)} of the model's {len(needed)} layers."
    return f"It holds all {len(needed)} layers of the model."


def is_usable(held: Mapping[str, str], layers: Sequence[FrozenLayer]) -> bool:
    """Whether a worker can be used: it holds layers of the model, and with the right weights all those it has."""
    shared = [layer for layer in layers if layer.name in held]
    return bool(shared) and all(held[layer.name] == layer.digest for layer in shared)


def nobody_holds(
    layer: FrozenLayer,
    layers: Sequence[FrozenLayer],
    digests: Mapping[str, Mapping[str, str]],
    failures: Sequence[str],
) -> str:
    """Why no worker can compute a layer: a sentence of each."""
    others = [name for name, held in digests.items() if layer.name in held]
    if others:
        start = (
            f"Workers {others} hold other weights for layer {layer.name!r} than the client's model was quantized to. "
            "Split the same checkpoint with the same weight_quantizer for client and workers."
        )
    else:
        start = f"No worker holds layer {layer.name!r}."
        if block_of(layer.name) is None:
            start += " It is in no numbered block: `fhe-estimators worker --layers ...,other` selects it."
    failed = {name for name in digests if any(failure.startswith(f"{name}: ") for failure in failures)}
    sentences = [f"{name}: {holding(held, layers)}" for name, held in digests.items() if name not in failed]
    return "\n- ".join([start, *failures, *sentences])
