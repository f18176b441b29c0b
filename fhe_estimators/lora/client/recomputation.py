"""Memory for computing: activations are made again in the backward pass, remote products are kept (client side).

Between two remote products everything is cheap, and it is what the memory of training consists of. So blocks of the
model keep their inputs and the products of their frozen layers; going backward they run again, and take the products
from where they were kept: no worker is asked twice, and no noise is drawn twice.

After T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory cost", 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..randomness import is_drawing, replayable
from .remote_linear import RemoteLinear
from .tape import Tape, playing


@contextmanager
def recomputed_blocks(model: nn.Module) -> Iterator[None]:
    """Have a model's blocks run again in the backward passes that begin within the context.

    Parameters
    ----------
    model : nn.Module
        Its blocks are the members of the outermost ``nn.ModuleList`` whose members hold remote layers; without any, all
        activations are kept.
    """
    blocks = repeated_blocks(model)
    before = [vars(block).get("forward") for block in blocks]
    for block in blocks:
        block.forward = _Recomputed(block.forward)
    try:
        yield
    finally:
        for block, forward in zip(blocks, before, strict=True):
            if forward is None:
                del block.forward
            else:
                block.forward = forward


def repeated_blocks(model: nn.Module) -> list[nn.Module]:
    """Members of outermost module lists that hold remote layers, in order."""
    if isinstance(model, nn.ModuleList):
        return [block for block in model if any(isinstance(module, RemoteLinear) for module in block.modules())]
    return [block for child in model.children() for block in repeated_blocks(child)]


class _Recomputed:
    """A block's ``forward`` that keeps nothing but its inputs and products."""

    def __init__(self, forward: Callable[..., Any]):
        self._forward = forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*args, **kwargs)
        tape = Tape()

        def run(*args: Any, **kwargs: Any) -> Any:
            with playing(tape):
                return self._forward(*args, **kwargs)

        # The generator of a training is its own: the global one, which checkpoint() would restore, is left alone.
        return checkpoint(replayable(run), *args, use_reentrant=False, preserve_rng_state=not is_drawing(), **kwargs)
