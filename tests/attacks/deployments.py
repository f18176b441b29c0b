"""What an attacker meets: a model, a client, a server; and what any forger can write."""

from importlib.util import find_spec

import numpy as np

from fhe_estimators.backends import resolve_backend
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.exceptions import KeysMissingError
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble, random_rows

ENGINES = ["clear", "ckks", "bfv", "auto", *(["tfhe"] if find_spec("concrete") else [])]


class Target:
    """A random model with a client and a server, under fresh keys."""

    def __init__(self, backend, seed=0, **options):
        rng = np.random.default_rng(seed)
        ensemble = random_ensemble(rng, **{"n_trees": 6, "depth": 3, **options})
        quantizer = ThresholdQuantizer(ensemble).fit()
        self.backend = resolve_backend(backend)
        self.codes = quantizer.transform(random_rows(rng, 9000))
        self.program = self.backend.compile(self.backend.quantize(ensemble, quantizer), quantizer)
        self.client = self.backend.client(self.program.client_spec)
        self.keys = self.client.generate_keys()
        self.server = self.backend.evaluator(self.program)

    def with_keys(self):
        """The same, with fresh keys if the client lost its own."""
        try:
            self.keys = self.client.evaluation_keys
        except KeysMissingError:
            self.keys = self.client.generate_keys()
        return self

    def ask(self, n_rows, start=0):
        """A request for some rows."""
        return self.client.encrypt(self.codes[start : start + n_rows])

    def expected(self, n_rows, start=0):
        return sum_leaves(self.program.ensemble, self.codes[start : start + n_rows])


def blobs_of(response):
    """The ciphertexts of a response."""
    return [bytes(blob) for blob in unpack_message("response", response)[1]]


def response_to(request, blobs, **more):
    """A response with a forger's ciphertexts under the right names."""
    header, _ = unpack_message("request", request)
    names = {name: header[name] for name in ("program_id", "key_id", "request_id")}
    return pack_message("response", {**names, **more}, blobs)
