"""The three ways to compute, as the ``fhe`` argument of every predicting method names them."""

from __future__ import annotations

#: The quantized model in the clear; the engine's arithmetic without encryption; encryption.
FHE_MODES = ("disable", "simulate", "execute")


def check_fhe_mode(fhe: str) -> None:
    """Raise a ValueError unless ``fhe`` is one of `FHE_MODES`."""
    if fhe not in FHE_MODES:
        raise ValueError(f"fhe={fhe!r} is unknown: use one of {FHE_MODES}.")
