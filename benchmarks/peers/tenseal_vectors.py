"""Tree ensembles by hand with TenSEAL's vectors: what a user of that library alone could write.

The same idea as our `ckks` engine, with TenSEAL's own choices: every product, that with a plaintext too, is rescaled
and relinearized at once, and rows fill the slots of one ciphertext a comparison.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np


def make_context(depth: int) -> Any:
    """Parameters of 128 bits for trees of this depth: a level for every node on a path."""
    import tenseal as ts

    context = ts.context(
        ts.SCHEME_TYPE.CKKS, poly_modulus_degree=16384, coeff_mod_bit_sizes=[60, *[40] * depth, 60]
    )  # at most 438 bits: up to depth 7
    context.global_scale = 2**40
    return context


def fold(ensemble: Any, node: int, bits: list[Any], of_node: np.ndarray) -> Any:
    """Encrypted value of a subtree, or its number if it is a leaf."""
    if ensemble.is_leaf[node]:
        return ensemble.value[node]
    left = fold(ensemble, int(ensemble.left[node]), bits, of_node)
    right = fold(ensemble, int(ensemble.right[node]), bits, of_node)
    bit = bits[of_node[node]].copy()  # products bring their operands to one level, in place
    number = isinstance(left, np.ndarray), isinstance(right, np.ndarray)
    columns = []
    for column in range(ensemble.width):
        low, high = left[column], right[column]
        if all(number):
            columns.append(bit * float(high - low) + float(low))
        elif number[0]:
            columns.append(bit * (high - float(low)) + float(low))
        elif number[1]:
            columns.append((low - float(high)) * (1 - bit) + float(high))
        else:
            columns.append((high - low) * bit + low)
    return columns


def run(model: Any, X: np.ndarray) -> dict[str, Any]:
    """Encrypt, evaluate and decrypt; scores are the model's margins or probabilities."""
    from fhe_estimators.backends.tfhe._comparisons import distinct_comparisons
    from fhe_estimators.ensembles import ensemble_from_model
    from fhe_estimators.quantizers import ThresholdQuantizer

    ensemble = ensemble_from_model(model)
    quantizer = ThresholdQuantizer(ensemble).fit()
    comparisons, of_node = distinct_comparisons(quantizer.quantize_thresholds(ensemble))
    import tenseal as ts

    start = time.perf_counter()
    context = make_context(ensemble.depth)
    context.generate_relin_keys()
    keygen = time.perf_counter() - start
    public = context.copy()
    public.make_context_public()
    clear = comparisons.bits(quantizer.transform(X.astype(ensemble.input_dtype))).astype(float)

    start = time.perf_counter()
    bits = [ts.ckks_vector(context, column) for column in clear.T]
    request = [bit.serialize() for bit in bits]
    encrypt = time.perf_counter() - start

    start = time.perf_counter()
    received = [ts.ckks_vector_from(public, message) for message in request]
    sums: list[Any] = [None] * ensemble.n_scores
    for tree, column in enumerate(ensemble.tree_columns):
        values = fold(ensemble, int(ensemble.tree_offsets[tree]), received, of_node)
        for offset, value in enumerate(values):
            position = int(column) + offset
            sums[position] = value if sums[position] is None else sums[position] + value
    response = [total.serialize() for total in sums]
    evaluate = time.perf_counter() - start

    start = time.perf_counter()
    scores = np.stack([ts.ckks_vector_from(context, message).decrypt() for message in response], axis=1)
    scores = scores / ensemble.score_scale + ensemble.base_score
    decrypt = time.perf_counter() - start
    labels = ensemble.link.labels(scores, np.asarray(model.classes_))
    return {
        "keygen_seconds": keygen,
        "encrypt_seconds": encrypt,
        "evaluate_seconds": evaluate,
        "decrypt_seconds": decrypt,
        "key_bytes": len(public.serialize()),
        "request_bytes": sum(map(len, request)),
        "response_bytes": sum(map(len, response)),
        "labels": labels.tolist(),
        "batches": math.ceil(len(X) / 8192),
    }
