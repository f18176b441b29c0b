"""An engine in a page: the client says which leaves its rows reach, encrypted; the server adds their values up."""

import math
import os
from functools import cached_property

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fhe_estimators.backends import Backend, ClientSpec, Evaluator, Program, check_ring_security, security_bits
from fhe_estimators.backends.client import SessionClient
from fhe_estimators.backends.messages import pack_message, program_digest, read_n_rows, response_header, unpack_message
from fhe_estimators.ensembles import TreeEnsemble, decision_leaves, sum_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.exceptions import DecryptionError, ParameterSelectionError, ProtocolError
from fhe_estimators.quantizers import quantize_leaves

DIMENSION, MODULUS_BITS, SCORE_BITS = 2048, 53, 18
SHIFT = 64 - MODULUS_BITS  # numbers modulo q are kept in the upper bits of words, which wrap as q does
DELTA_BITS = MODULUS_BITS - SCORE_BITS - 2  # an integer step of a score; scores are signed
LARGEST_NOISE = 21  # of a centred binomial distribution of variance 10.5


def words(key: bytes, nonce: bytes, *shape: int) -> np.ndarray:
    """Uniform words of 64 bits: AES-256 in counter mode."""
    stream = Cipher(algorithms.AES256(key), modes.CTR(nonce)).encryptor()
    return np.frombuffer(stream.update(bytes(8 * math.prod(shape))), dtype=np.uint64).reshape(shape)


def public_matrix(seed: bytes, n_leaves: int) -> np.ndarray:
    """Uniform modulo q, shape (n_leaves, DIMENSION)."""
    return words(seed, bytes(16), n_leaves, DIMENSION) << np.uint64(SHIFT)


def read_words(kind: str, blob: memoryview, *shape: int) -> np.ndarray:
    """A blob as an array; `ProtocolError` unless it has this shape."""
    if len(blob) != 8 * math.prod(shape):
        raise ProtocolError(f"The {kind} does not hold {shape} words.")
    return np.frombuffer(blob, dtype=np.uint64).reshape(shape)


class OneHotProgram(Program):
    """A quantized ensemble; everything else follows from it."""

    backend = "onehot"

    def __init__(self, ensemble: TreeEnsemble):
        check_ring_security(DIMENSION, MODULUS_BITS)
        self.ensemble = ensemble
        noise = LARGEST_NOISE * max(sum(abs(int(value)) for value in row) for row in self.values.astype(np.int64))
        if 4 * noise >= 2**DELTA_BITS:
            raise ParameterSelectionError("The model has too many leaves for this engine: use 'ckks'.")

    @cached_property
    def leaves(self) -> np.ndarray:
        return np.flatnonzero(self.ensemble.is_leaf)

    @cached_property
    def values(self) -> np.ndarray:
        """Leaf values by score, shape (n_scores, n_leaves), modulo 2^64."""
        e = self.ensemble
        values = np.zeros((e.n_scores, len(self.leaves)), dtype=np.int64)
        first = e.tree_columns[np.searchsorted(e.tree_offsets, self.leaves, side="right") - 1]
        for column in range(e.width):
            values[first + column, np.arange(len(self.leaves))] = e.value[self.leaves, column]
        return values.astype(np.uint64)

    @cached_property
    def program_id(self) -> str:
        return program_digest(self.ensemble, self.metadata())

    def metadata(self) -> dict:
        return {"scheme": self.backend, "dimension": DIMENSION, "modulus_bits": MODULUS_BITS}

    @property
    def client_spec(self) -> ClientSpec:
        names = ("tree_offsets", "feature", "threshold", "left", "right", "missing_right")
        shape = {"n_features": self.ensemble.n_features, "n_scores": self.ensemble.n_scores}
        arrays = {name: getattr(self.ensemble, name) for name in names}
        return ClientSpec(self.backend, self.program_id, shape, arrays)

    def describe(self) -> dict:
        return {
            "scheme": "LWE, indicators of leaves",
            "security_bits": int(security_bits(DIMENSION, MODULUS_BITS)),
            "poly_modulus_degree": DIMENSION,
            "depth": 0,
            "n_ciphertexts": len(self.leaves),
            "upload_bytes": 8 * len(self.leaves),
            "download_bytes": 8 * self.ensemble.n_scores * (1 + DIMENSION),
            "evaluation_key_bytes": 32,
            "server_sees": "ciphertexts, the number of rows, timing",
            "client_learns": "the trees; and the values of leaves, by solving the equations that responses give",
            "predicted_seconds": {n: 1e-4 * n * len(self.leaves) for n in (1, 1000)},
            "peak_memory_bytes": 200_000_000 + 8 * DIMENSION * (len(self.leaves) + self.ensemble.n_scores),
            "can_rerandomize": False,
            "flooding_bits": 0.0,
        }


class OneHotClient(SessionClient):
    """Derives each row's LWE secret from the secret key; in the package a module of its own.

    `SessionClient` does the rest: keys have identities, and a response is decoded by the record of its request.
    """

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        a, n = spec.arrays, len(spec.arrays["feature"])
        self.trees = TreeEnsemble(
            spec.metadata["n_features"],
            1,
            a["tree_offsets"],
            np.zeros(len(a["tree_offsets"]) - 1, dtype=np.int32),
            *(a[name] for name in ("feature", "threshold", "left", "right", "missing_right")),
            value=np.zeros((n, 1), dtype=np.int64),
            base_score=np.zeros(1),
            link=IdentityLink(),
        )

    def _generate(self):
        secret_key, seed = os.urandom(32), os.urandom(32)
        return (secret_key, seed), [seed]

    def _dump_keys(self, secret, evaluation_keys):
        return secret

    def _load_keys(self, blobs):
        if [len(blob) for blob in blobs] != [32, 32]:
            raise ProtocolError("The client_keys are malformed.")
        secret_key, seed = map(bytes, blobs)
        return (secret_key, seed), [seed]

    def _encrypt(self, secret, codes, request_id):
        leaves = np.flatnonzero(self.trees.is_leaf)
        reached = np.zeros((self.trees.n_nodes, len(codes)), dtype=np.int64)
        reached[decision_leaves(self.trees, codes).T, np.arange(len(codes))] = 1
        shape = (len(leaves), len(codes))
        coins = np.unpackbits(np.frombuffer(os.urandom(6 * shape[0] * shape[1]), dtype=np.uint8)).reshape(*shape, 48)
        noise = coins[..., :21].sum(axis=-1, dtype=np.int64) - coins[..., 21:42].sum(axis=-1, dtype=np.int64)
        messages = ((reached[leaves] << DELTA_BITS) + noise).astype(np.uint64) << np.uint64(SHIFT)
        secret_key, seed = secret
        masks = public_matrix(seed, len(leaves)) @ row_secrets(secret_key, request_id, len(codes))
        return {"n_rows": len(codes)}, [(masks + messages).tobytes()]

    def _read_response(self, request, blobs):
        n_rows, n_scores = request.shape["n_rows"], self.spec.metadata["n_scores"]
        if len(blobs) != 2:
            raise ProtocolError("The response is malformed.")
        return read_words("response", blobs[0], n_scores, n_rows), read_words("response", blobs[1], n_scores, DIMENSION)

    def _decrypt(self, secret, request, ciphertexts):
        sums, hint = ciphertexts
        masks = hint @ row_secrets(secret[0], request.request_id, request.shape["n_rows"])
        steps = (sums - masks).astype(np.int64) / 2.0 ** (SHIFT + DELTA_BITS)
        scores = np.rint(steps).astype(np.int64)
        if np.abs(steps - scores).max(initial=0) > 0.25 or np.abs(scores).max(initial=0) > 2**SCORE_BITS:
            raise DecryptionError("The response is no sum of leaves: it was made under other keys, or altered.")
        return scores.T


def row_secrets(secret_key: bytes, request_id: str, n_rows: int) -> np.ndarray:
    """Uniform in {-1, 0, 1} but for 2^-62, shape (DIMENSION, n_rows); fresh for every row, since request ids are."""
    return words(secret_key, bytes.fromhex(request_id), DIMENSION, n_rows) % np.uint64(3) - np.uint64(1)


class OneHotEvaluator(Evaluator):
    """Integer arithmetic on ciphertexts; no secrets. In the package a module of its own."""

    program: OneHotProgram

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys, seeds = unpack_message("evaluation_keys", evaluation_keys)
        header, blobs = unpack_message("request", request)
        reply = response_header(header, keys, self.program.program_id)  # checks that all belong together
        values, n_rows = self.program.values, read_n_rows("request", header)
        if len(blobs) != 1 or [len(seed) for seed in seeds] != [32]:
            raise ProtocolError("The request or the evaluation_keys are malformed.")
        sums = values @ read_words("request", blobs[0], values.shape[1], n_rows)
        hint = values @ public_matrix(bytes(seeds[0]), values.shape[1])
        return pack_message("response", reply, [sums.tobytes(), hint.tobytes()])


class OneHotBackend(Backend):
    """The factory: what ``backend=`` takes."""

    name = "onehot"

    def quantize(self, ensemble, quantizer):
        return quantize_leaves(quantizer.quantize_thresholds(ensemble), SCORE_BITS)

    def compile(self, ensemble, quantizer, *, verbose=0):
        return OneHotProgram(ensemble)

    def load(self, ensemble, metadata):
        program = OneHotProgram(ensemble)
        if metadata != program.metadata():
            raise ProtocolError("These settings are not those of a program of the 'onehot' backend.")
        return program

    def client(self, spec, *, verbose=0):
        return OneHotClient(spec, verbose=verbose)

    def evaluator(self, program, **options):
        return OneHotEvaluator(program, **options)

    def simulate(self, program, codes):
        return sum_leaves(program.ensemble, codes)  # no noise to simulate: it never reaches half a step
