"""The whole protocol as its equations say: slow, with Python's integers only, and nothing of the package.

Polynomials are lists of integers modulo 2^32; a modulus q = 2^k below is kept in the upper k bits of such words.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

WORD = 1 << 32
CIPHERTEXT = 1 << 24
NOISE_BITS = 42


@dataclass(frozen=True)
class Scheme:
    """Parameters: dimension n of the secret, bits of the modulus, degree d of the ring; the rank is ``n / d``."""

    dimension: int
    modulus_bits: int
    ring_degree: int

    @property
    def rank(self):
        return self.dimension // self.ring_degree

    @property
    def unit(self):
        """One modulo q, as a word."""
        return 1 << (32 - self.modulus_bits)

    def polynomials(self, coefficients):
        """A list of coefficients, cut into polynomials."""
        degree = self.ring_degree
        return [coefficients[start : start + degree] for start in range(0, len(coefficients), degree)]


def keystream(key, n_bytes, start=0):
    """AES-256 in counter mode, from a counter of zero."""
    encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(bytes(start + n_bytes))[start:]


def public_row(scheme, seed, feature):
    """The polynomials that mask a feature."""
    n_bytes = 4 * scheme.dimension
    stream = keystream(seed, n_bytes, feature * n_bytes)
    words = [int.from_bytes(stream[4 * i : 4 * i + 4], "little") for i in range(scheme.dimension)]
    return scheme.polynomials([word * scheme.unit % WORD for word in words])


def ternary_secret(scheme, key):
    """Bytes but 255, modulo 3, less one."""
    found = [byte % 3 - 1 for byte in keystream(key, 4 * scheme.dimension) if byte != 255]
    return scheme.polynomials(found[: scheme.dimension])


def noise(key, n_values, n_bits=NOISE_BITS):
    """Ones among 42 bits, less their mean.

    Value n of a unit of 512 counts bit ``n // 64`` of byte ``n % 64`` of each of 42 rows of 64 bytes.
    """
    n_units = -(-n_values // 512)
    stream = keystream(key, n_units * n_bits * 64)
    values = []
    for unit in range(n_units):
        start = unit * n_bits * 64
        rows = [stream[start + 64 * row : start + 64 * row + 64] for row in range(n_bits)]
        values += [sum((row[n % 64] >> (n // 64)) & 1 for row in rows) - n_bits // 2 for n in range(512)]
    return values[:n_values]


def negacyclic_product(polynomial, ternary):
    """Product modulo ``X^d + 1``, by shifting and adding."""
    shifted, product = list(polynomial), [0] * len(polynomial)
    for coefficient in ternary:
        if coefficient == 1:
            product = [a + b for a, b in zip(product, shifted, strict=True)]
        elif coefficient == -1:
            product = [a - b for a, b in zip(product, shifted, strict=True)]
        shifted = [-shifted[-1], *shifted[:-1]]
    return product


def mask(row, secret):
    """Inner product of polynomials and the secret, modulo 2^32."""
    products = [negacyclic_product(a, s) for a, s in zip(row, secret, strict=True)]
    return [sum(coefficients) % WORD for coefficients in zip(*products, strict=True)]


def encrypt(scheme, seed, secret_key, noise_key, messages):
    """Ciphertexts, integers modulo 2^24, of messages (a list of integers for each token)."""
    n_features = len(messages[0])
    secret = ternary_secret(scheme, secret_key)
    masks = [mask(public_row(scheme, seed, feature), secret) for feature in range(n_features)]
    errors = noise(noise_key, len(messages) * n_features)
    return [
        [
            (masks[j][t] + (message + errors[t * n_features + j]) * scheme.unit + 128) % WORD >> 8
            for j, message in enumerate(token)
        ]
        for t, token in enumerate(messages)
    ]


def multiply_exactly(tokens, weights):
    """Tokens times weights (a list of integers for each input)."""
    columns = list(zip(*weights, strict=True))
    return [[sum(x * w for x, w in zip(token, column, strict=True)) for column in columns] for token in tokens]


def multiply(ciphertexts, weights):
    """Response of a worker: ciphertexts times weights, modulo 2^24."""
    return [[product % CIPHERTEXT for product in token] for token in multiply_exactly(ciphertexts, weights)]


def hint(scheme, seed, weights):
    """Public matrix times weights, modulo 2^32: for each output its polynomials."""
    rows = [[word for polynomial in public_row(scheme, seed, j) for word in polynomial] for j in range(len(weights))]
    columns = list(zip(*rows, strict=True))
    return [
        scheme.polynomials([sum(a * w for a, w in zip(column, output, strict=True)) % WORD for column in columns])
        for output in zip(*weights, strict=True)
    ]


def decrypt(scheme, secret_key, hints, response):
    """Centred integers modulo 2^32 (a list for each token): products times `Scheme.unit`, with noise."""
    secret = ternary_secret(scheme, secret_key)
    masks = [mask(row, secret) for row in hints]
    return [
        [(c * 256 - masks[k][t] + WORD // 2) % WORD - WORD // 2 for k, c in enumerate(token)]
        for t, token in enumerate(response)
    ]
