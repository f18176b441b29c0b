"""The contract between estimators and encryption engines.

`Backend.compile` runs on the model owner's side and yields a `Program`, which holds no secrets. Its
`Program.client_spec` is all a data owner needs: `Client` makes keys, encrypts and decrypts;
`Evaluator`, on the server, turns an encrypted request into an encrypted response.

::

    data owner                              server
    Client(program.client_spec)             Evaluator(program)
      .generate_keys()  -- evaluation keys -->
      .encrypt(codes)   -- request --------->  .run(request, evaluation_keys)
      .decrypt(...)     <------- response --
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ensembles import TreeEnsemble
from ..quantizers import FeatureQuantizer


@dataclass(frozen=True)
class ClientSpec:
    """What a client must know to use a program: plain data, without secrets and without the model.

    Attributes
    ----------
    backend : str
        Name of the engine in the registry.
    program_id : str
        Digest that ties messages to one compiled program.
    metadata : dict
        JSON-serializable.
    arrays : dict of ndarray
    """

    backend: str
    program_id: str
    metadata: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class Program(ABC):
    """A compiled ensemble: what the server runs. Holds no secrets; pickles.

    Attributes
    ----------
    ensemble : TreeEnsemble
        The quantized model.
    """

    backend: str
    ensemble: TreeEnsemble

    @property
    @abstractmethod
    def client_spec(self) -> ClientSpec:
        """What clients of this program need."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Security, sizes and costs of the program as a dict of plain values.

        Has at least ``scheme``, ``security_bits``, ``poly_modulus_degree``, ``depth``,
        ``n_ciphertexts``, ``upload_bytes``, ``download_bytes``, ``evaluation_key_bytes``,
        ``server_sees`` and ``client_learns``.
        """

    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """JSON-serializable settings from which `Backend.load` restores the program beside its ensemble."""


class Client(ABC):
    """The data owner's half: holds the secret key. Never pickled, never sent."""

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        self.spec = spec
        self.verbose = verbose

    @abstractmethod
    def generate_keys(self) -> bytes:
        """Make fresh keys; returns (and remembers) the evaluation keys, which are public."""

    @property
    @abstractmethod
    def evaluation_keys(self) -> bytes:
        """The public evaluation keys for the server."""

    @abstractmethod
    def export_keys(self) -> bytes:
        """All keys, the secret one included, as a message: for `serving.FHEClient.save_keys`, which encrypts it."""

    @abstractmethod
    def import_keys(self, keys: bytes) -> None:
        """Take over what `export_keys` of a client with the same spec returned."""

    @abstractmethod
    def encrypt(self, codes: np.ndarray) -> bytes:
        """Encrypt quantized rows.

        Parameters
        ----------
        codes : ndarray of shape (n_rows, n_features), int32

        Returns
        -------
        request : bytes
        """

    @abstractmethod
    def decrypt(self, response: bytes) -> np.ndarray:
        """Decrypt leaf sums, ndarray of shape (n_rows, n_scores), int64: exact, or an error."""

    def __reduce__(self):
        raise TypeError("A Client holds a secret key and cannot be pickled. Save its spec and generate new keys.")


class Evaluator(ABC):
    """The server's half: computes on ciphertexts with public evaluation keys only."""

    def __init__(self, program: Program, *, n_jobs: int | None = None, verbose: int = 0):
        self.program = program
        self.n_jobs = n_jobs
        self.verbose = verbose

    @abstractmethod
    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response."""


class Backend(ABC):
    """An encryption engine. Instances are cheap, stateless factories.

    Client and evaluator live in different modules, and each is imported only when it is asked for,
    so that a server never loads code that decrypts.
    """

    #: Name in the registry.
    name: str

    @abstractmethod
    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        """The integer ensemble that this engine evaluates exactly.

        Parameters
        ----------
        ensemble : TreeEnsemble
            The float ensemble, over features or, if ``quantizer.trains_on_bins``, over codes.
        quantizer : FeatureQuantizer
            Fitted.
        """

    @abstractmethod
    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        """Compile a quantized ensemble."""

    @abstractmethod
    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        """Restore a program from its ensemble and `Program.metadata`, checking both."""

    @abstractmethod
    def client(self, spec: ClientSpec, *, verbose: int = 0) -> Client:
        """A client, without keys yet."""

    @abstractmethod
    def evaluator(self, program: Program, *, n_jobs: int | None = None, verbose: int = 0) -> Evaluator:
        """An evaluator of a program."""

    @abstractmethod
    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        """The engine's arithmetic and noise without encryption: leaf sums (n_rows, n_scores), int64."""
