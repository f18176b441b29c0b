"""Random numbers of a training, from a generator of its own: other threads neither disturb it nor notice it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

_CURRENT: ContextVar[Randomness | None] = ContextVar("fhe_estimators_randomness", default=None)
_aten = torch.ops.aten


class Randomness:
    """A generator that replaces PyTorch's global one within a context, in this thread: initializations and dropout.

    It is for training only. Keys and noise of the encryption never come from PyTorch's generators.

    Parameters
    ----------
    device : str or torch.device
    seed : int

    Attributes
    ----------
    redirects : bool
        Whether operations that draw are looked for, which costs some microseconds an operation. Set to False where
        there are none.
    """

    def __init__(self, device: str | torch.device, seed: int):
        self.generators = {name: torch.Generator(device=name) for name in {"cpu", torch.device(device).type}}
        self.redirects = True
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin anew."""
        for generator in self.generators.values():
            generator.manual_seed(seed)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Have random numbers of this thread come from here within the context."""
        token = _CURRENT.set(self)
        try:
            if not self.redirects:
                yield
                return
            # Fused attention draws its dropout where no generator can be given.
            with sdpa_kernel(SDPBackend.MATH), _Redirect(self.generators):
                yield
        finally:
            _CURRENT.reset(token)


def is_drawing() -> bool:
    """Whether this thread is within `Randomness.drawing`."""
    return _CURRENT.get() is not None


def replayable(run: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose second call, in whichever thread, draws the random numbers of the first one again."""
    randomness = _CURRENT.get()
    if randomness is None:
        return run
    generators = randomness.generators
    begun = {name: generator.get_state() for name, generator in generators.items()}
    n_calls = 0

    def repeated(*args: Any, **kwargs: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            return run(*args, **kwargs)
        now = {name: generator.get_state() for name, generator in generators.items()}
        try:
            for name, generator in generators.items():
                generator.set_state(begun[name])
            with randomness.drawing():
                return run(*args, **kwargs)
        finally:
            for name, generator in generators.items():
                generator.set_state(now[name])

    return repeated


def draws_when_training(model: nn.Module) -> bool:
    """Whether a model draws random numbers when it is trained: dropout, or noise."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            return True
        for owner in (module, getattr(module, "config", None)):
            for name, value in vars(owner).items() if owner is not None else ():
                if isinstance(value, float) and value > 0 and any(word in name for word in ("drop", "noise", "jitter")):
                    return True
    return False


class _Redirect(TorchDispatchMode):
    """Gives operations that draw random numbers a generator, if they have none."""

    def __init__(self, generators: dict[str, torch.Generator]):
        super().__init__()
        self._generators = generators

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _aten.native_dropout.default:
            return self._dropout(*args, **kwargs)
        operation = _with_generator(func)
        if operation is None or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        device = tensors[0].device if tensors else torch.device(kwargs.get("device") or "cpu")
        if device.type not in self._generators:
            return func(*args, **kwargs)  # such as shapes without values
        return operation(*args, **{**kwargs, "generator": self._generators[device.type]})

    def _dropout(self, inputs: torch.Tensor, p: float, train: bool | None = True) -> tuple[torch.Tensor, torch.Tensor]:
        """What CUDA fuses, which takes no generator."""
        if not train or p == 0:
            return inputs.clone(), torch.ones_like(inputs, dtype=torch.bool)
        kept = torch.empty_like(inputs).bernoulli_(1 - p, generator=self._generators[inputs.device.type])
        return inputs * kept / (1 - p) if p < 1 else inputs * 0, kept.bool()


@cache
def _with_generator(func: Any) -> Any:
    """The form of a drawing operation that takes a generator; None for all others."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return None
    overloads = [getattr(func.overloadpacket, name) for name in func.overloadpacket.overloads()]
    wanted = [argument.name for argument in func._schema.arguments]
    for overload in [func, *overloads]:
        names = [argument.name for argument in overload._schema.arguments]
        if "generator" in names and {*names} == {*wanted, "generator"}:
            return overload
    return None
