"""The two kinds of kernels, for tests that hold for both."""

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe.client.kernels import CompiledKernels, TorchKernels

KINDS = ("torch", "compiled")


def kernels(kind, parameters):
    """Kernels on the CPU; the test is skipped where numba is missing."""
    if kind == "torch":
        return TorchKernels(parameters, torch.device("cpu"))
    pytest.importorskip("numba")
    from fhe_estimators.backends.lwe.client import loops

    return CompiledKernels(parameters, loops)


def integers(ciphertexts):
    """Integers modulo 2^24 from limbs (n_tokens, 3, n_features)."""
    limbs = np.asarray(ciphertexts, dtype=np.int64)
    return (limbs[:, 0] + (limbs[:, 1] << 8) + (limbs[:, 2] << 16)) % (1 << 24)
