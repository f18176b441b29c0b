"""Settings of the engine, as one object that estimators take as ``backend=``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .hint_cache import DEFAULT_MEMORY_BYTES, HintCache
from .parameters import CIPHERTEXT_BITS, LWEParameters, check_download_bits, select_parameters
from .product_choice import AUTO, check_product


@dataclass(frozen=True)
class LWEBackend:
    """Settings of the `lwe` engine.

    Parameters
    ----------
    parameters : {"fast", "precise"}, default="fast"
        ``"fast"``: dimension 1,024 and 26 bits; noise about a third of that of 8-bit dynamic quantization.
        ``"precise"``: dimension 2,048 and 32 bits; a third of that noise, for twice the hints.
    product : {"auto", "int8", "int16", "float64", "float32"}, default="auto"
        How a worker in this process multiplies integers: three products of int8, two of int16 (CPU, compiled), one of
        float64, or three of float32. All are exact, and give the same bits. ``"auto"`` measures which is the fastest,
        in milliseconds, once a process and device. The environment variable ``FHE_ESTIMATORS_PRODUCT`` pins it for a
        whole process, checks of responses and workers that serve included.
    download_bits : {24, 16}, default=24
        Bits of a value of the workers' responses. 24 are verified exactly. 16 leave the lowest byte out, a third of the
        download, which hardly adds to the noise; but what a worker may change unnoticed is then a few times the noise
        (see :doc:`/engines/lwe`).
    hint_memory_bytes : int, default=2 ** 26
        Hints beyond it lie in a file that has no name, and are read ahead as they are used.
    hint_directory : path-like, default=None
        Its folder; None for the system's temporary directory.

    Examples
    --------
    >>> from fhe_estimators.backends.lwe import LWEBackend
    >>> LWEBackend().select_parameters(n_tokens=512)
    LWEParameters(dimension=1024, modulus_bits=26, ring_degree=512)
    >>> LWEBackend(parameters="precise").select_parameters(n_tokens=4096)
    LWEParameters(dimension=2048, modulus_bits=32, ring_degree=2048)
    """

    parameters: str = "fast"
    product: str = AUTO
    download_bits: int = CIPHERTEXT_BITS
    hint_memory_bytes: int = DEFAULT_MEMORY_BYTES
    hint_directory: str | Path | None = None

    name = "lwe"

    def __post_init__(self) -> None:
        check_product(self.product)
        check_download_bits(self.download_bits)

    def select_parameters(self, n_tokens: int) -> LWEParameters:
        """Parameter set for batches of so many tokens.

        Parameters
        ----------
        n_tokens : int
            Tokens of a usual batch.

        Returns
        -------
        parameters : LWEParameters
            The parameter set, which is at least 128-bit secure.
        """
        return select_parameters(n_tokens, name=self.parameters)

    def hint_cache(self) -> HintCache:
        """Empty cache with these settings.

        Returns
        -------
        cache : HintCache
            An empty cache, for one client.
        """
        return HintCache(memory_bytes=self.hint_memory_bytes, directory=self.hint_directory)


def resolve_linear_backend(backend: str | LWEBackend) -> LWEBackend:
    """Backend of linear layers from its name, or as it is.

    Parameters
    ----------
    backend : "lwe" or LWEBackend
        An instance is returned as it is.

    Returns
    -------
    backend : LWEBackend
        The instance, or one with default settings.
    """
    if isinstance(backend, LWEBackend):
        return backend
    if backend != "lwe":
        raise ValueError(f"backend={backend!r} is unknown for encrypted linear layers: use 'lwe' or an LWEBackend.")
    return LWEBackend()
