"""An engine in a page: the client says which leaves its rows reach, encrypted; the server adds their values up."""

import math
import os
import re
from functools import cached_property

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fhe_estimators.backends import SECURITY_BITS, Backend, Client, ClientSpec, Evaluator, Program, check_ring_security
from fhe_estimators.backends.messages import pack_message, program_digest, unpack_client_keys, unpack_message
from fhe_estimators.ensembles import TreeEnsemble, decision_leaves, sum_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.exceptions import DecryptionError, KeyMismatchError, ParameterSelectionError, ProtocolError
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


def check_identity(kind: str, header: dict, **expected: str) -> None:
    """`KeyMismatchError` unless a message names the program and the keys it is used with."""
    for name, value in expected.items():
        if header.get(name) != value:
            what = "another model" if name == "program_id" else "other keys"
            raise KeyMismatchError(f"The {kind} was made for {what} ({name} differs).")


def check_rows(kind: str, header: dict, blobs: list, n_blobs: int) -> int:
    """Number of rows of a message; `ProtocolError` unless it has what a request or a response must have."""
    n_rows, nonce = header.get("n_rows"), str(header.get("nonce"))
    if type(n_rows) is not int or n_rows < 0 or len(blobs) != n_blobs or not re.fullmatch("[0-9a-f]{32}", nonce):
        raise ProtocolError(f"The {kind} is malformed.")
    return n_rows


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
            "security_bits": SECURITY_BITS,
            "poly_modulus_degree": DIMENSION,
            "depth": 0,
            "n_ciphertexts": len(self.leaves),
            "upload_bytes": 8 * len(self.leaves),
            "download_bytes": 8 * self.ensemble.n_scores * (1 + DIMENSION),
            "evaluation_key_bytes": 32,
            "server_sees": "ciphertexts, the number of rows, timing",
            "client_learns": "the trees; and the values of leaves, by solving the equations that the answers give",
        }


class OneHotClient(Client):
    """Holds the secret key, from which each row's LWE secret is derived; in the package a module of its own."""

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
        self._secret_key = self._seed = None

    def generate_keys(self) -> bytes:
        self._secret_key, self._seed, self._key_id = os.urandom(32), os.urandom(32), os.urandom(16).hex()
        return self.evaluation_keys

    @property
    def evaluation_keys(self) -> bytes:
        return pack_message("evaluation_keys", self._identity(), [self._seed])

    def export_keys(self) -> bytes:
        return pack_message("client_keys", self._identity(), [self._secret_key, self._seed])

    def import_keys(self, keys: bytes) -> None:
        self._key_id, blobs = unpack_client_keys(keys, self.spec.program_id, n_blobs=2)
        self._secret_key, self._seed = map(bytes, blobs)

    def _identity(self) -> dict:
        if self._secret_key is None:
            raise KeyMismatchError("This client has no keys yet: call generate_keys() first.")
        return {"program_id": self.spec.program_id, "key_id": self._key_id}

    def _secrets(self, nonce: bytes, n_rows: int) -> np.ndarray:
        """Uniform in {-1, 0, 1} but for 2^-62, shape (DIMENSION, n_rows); fresh for every row, since nonces are."""
        return words(self._secret_key, nonce, DIMENSION, n_rows) % np.uint64(3) - np.uint64(1)

    def encrypt(self, codes: np.ndarray) -> bytes:
        header = {**self._identity(), "n_rows": len(codes), "nonce": os.urandom(16).hex()}
        leaves = np.flatnonzero(self.trees.is_leaf)
        reached = np.zeros((self.trees.n_nodes, len(codes)), dtype=np.int64)
        reached[decision_leaves(self.trees, codes).T, np.arange(len(codes))] = 1
        shape = (len(leaves), len(codes))
        coins = np.unpackbits(np.frombuffer(os.urandom(6 * shape[0] * shape[1]), dtype=np.uint8)).reshape(*shape, 48)
        noise = coins[..., :21].sum(axis=-1, dtype=np.int64) - coins[..., 21:42].sum(axis=-1, dtype=np.int64)
        messages = ((reached[leaves] << DELTA_BITS) + noise).astype(np.uint64) << np.uint64(SHIFT)
        masks = public_matrix(self._seed, len(leaves)) @ self._secrets(bytes.fromhex(header["nonce"]), len(codes))
        return pack_message("request", header, [(masks + messages).tobytes()])

    def decrypt(self, response: bytes) -> np.ndarray:
        header, blobs = unpack_message("response", response)
        check_identity("response", header, **self._identity())
        n_rows, n_scores = check_rows("response", header, blobs, 2), self.spec.metadata["n_scores"]
        sums = read_words("response", blobs[0], n_scores, n_rows)
        hint = read_words("response", blobs[1], n_scores, DIMENSION)
        phases = (sums - hint @ self._secrets(bytes.fromhex(header["nonce"]), n_rows)).astype(np.int64)
        steps = phases / 2.0 ** (SHIFT + DELTA_BITS)
        if np.abs(steps - np.rint(steps)).max(initial=0) > 0.25:
            raise DecryptionError("The answer is no sum of leaves: it was made under other keys, or altered.")
        return np.rint(steps).astype(np.int64).T


class OneHotEvaluator(Evaluator):
    """Integer arithmetic on ciphertexts; no secrets. In the package a module of its own."""

    program: OneHotProgram

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys, seeds = unpack_message("evaluation_keys", evaluation_keys)
        if [len(seed) for seed in seeds] != [32]:
            raise ProtocolError("The evaluation_keys are malformed.")
        header, blobs = unpack_message("request", request)
        identity = {"program_id": self.program.program_id, "key_id": keys.get("key_id")}
        check_identity("evaluation keys", keys, **identity)
        check_identity("request", header, **identity)
        values = self.program.values
        n_rows = check_rows("request", header, blobs, 1)
        sums = values @ read_words("request", blobs[0], values.shape[1], n_rows)
        hint = values @ public_matrix(bytes(seeds[0]), values.shape[1])
        answer = {**identity, "n_rows": n_rows, "nonce": header["nonce"]}
        return pack_message("response", answer, [sums.tobytes(), hint.tobytes()])


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

    def evaluator(self, program, *, n_jobs=None, verbose=0):
        return OneHotEvaluator(program, n_jobs=n_jobs, verbose=verbose)

    def simulate(self, program, codes):
        return sum_leaves(program.ensemble, codes)  # no noise to simulate: it never reaches half a step
