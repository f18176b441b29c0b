"""Encrypted tokens times a clear matrix by concrete-ml-extensions; runs in its own environment, prints JSON."""

import json
import sys
import time

import concrete_ml_extensions as fhext
import numpy as np

_POLYNOMIAL_SIZE = 2048


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main(n_tokens, n_inputs, n_outputs):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 128, (n_tokens, n_inputs)).astype(np.uint64)
    weights = rng.integers(0, 128, (n_inputs, n_outputs)).astype(np.uint64)
    parameters = fhext.MatmulCryptoParameters.deserialize(fhext.default_params())
    keygen, (private_key, compression_key) = timed(fhext.create_private_key, parameters)
    encrypt, encrypted = timed(fhext.encrypt_matrix, private_key, parameters, tokens)
    multiply, product = timed(fhext.matrix_multiplication, encrypted, weights, compression_key)
    in_last_ciphertext = n_outputs % _POLYNOMIAL_SIZE or _POLYNOMIAL_SIZE
    decrypt, decrypted = timed(fhext.decrypt_matrix, product, private_key, parameters, in_last_ciphertext)
    exact = tokens.astype(np.float64) @ weights.astype(np.float64)
    found = np.array(decrypted, dtype=np.float64)
    return {
        "tokens": n_tokens,
        "keygen_seconds": keygen,
        "encrypt_seconds": encrypt,
        "multiply_seconds": multiply,
        "decrypt_seconds": decrypt,
        "key_bytes": len(compression_key.serialize()),
        "upload_bytes": len(encrypted.serialize()),
        "download_bytes": len(product.serialize()),
        "correlation": float(np.corrcoef(found.ravel(), exact.ravel())[0, 1]),
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
