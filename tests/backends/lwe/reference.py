"""The scheme as its equations say, slowly: schoolbook products of Python-sized integers."""

import numpy as np

from fhe_estimators.backends.lwe._randomness import Keystream, gaussian_from_words, public_matrix, ternary_secret

MODULUS = 1 << 32


def negacyclic_product(a, s):
    """Product of integer polynomials modulo ``X^d + 1``, exact (entries below 2^43)."""
    degree = len(a)
    full = np.append(np.convolve(a.astype(np.int64), s.astype(np.int64)), 0)
    return full[:degree] - full[degree:]


def masks(polynomials, secret):
    """Inner products over the rank, modulo 2^32; shape (n_features, ring_degree)."""
    rows = [
        sum(negacyclic_product(a.view(np.int32), s) for a, s in zip(row, secret, strict=True)) for row in polynomials
    ]
    return np.array(rows) % MODULUS


def encrypt(parameters, seed, secret_key, noise_key, values, scales):
    """Integers modulo 2^24 of a block, shape (n_tokens, n_features)."""
    n_tokens, n_features = values.shape
    secret = ternary_secret(secret_key, parameters)
    mask = masks(public_matrix(seed, parameters, 0, n_features), secret)[:, :n_tokens].T
    noise = gaussian_from_words(Keystream(noise_key).words(values.shape, np.uint16)).astype(np.int64)
    message = np.rint(values * scales[:, None]).astype(np.int64)
    return ((mask + ((message + noise) << parameters.shift_bits) + 128) % MODULUS) >> 8


def integers(ciphertexts):
    """Integers modulo 2^24 from limbs (n_tokens, 3, n_features)."""
    limbs = np.asarray(ciphertexts, dtype=np.int64)
    return (limbs[:, 0] + (limbs[:, 1] << 8) + (limbs[:, 2] << 16)) % (1 << 24)


def decrypt(parameters, secret_key, hint, ciphertexts):
    """Centred integers modulo 2^32, shape (n_tokens, n_outputs)."""
    mask = masks(hint, ternary_secret(secret_key, parameters))[:, : len(ciphertexts)].T
    difference = (integers(ciphertexts) * 256 - mask) % MODULUS
    return (difference + MODULUS // 2) % MODULUS - MODULUS // 2
