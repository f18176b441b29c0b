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

A client decodes a response by its own record of the request. `client.SessionClient` keeps these records, and all else
that does not depend on the scheme: engines derive their clients from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NoReturn

import numpy as np

from ..ensembles import TreeEnsemble
from ..quantizers import WORST_SCORE_ERROR, FeatureQuantizer
from ._program import ClientSpec, Program


class Client(ABC):
    """The data owner's half: holds the secret key. Never pickled, never sent.

    Threads may share a client. Each of them passes its request to `decrypt`.

    Parameters
    ----------
    spec : ClientSpec
        What a client must know of a program.
    verbose : int, default=0
        Progress bars if positive.

    Attributes
    ----------
    memory_budget_bytes : int or None
        Memory that a request may take while it is encrypted; None, the default, for 80 % of what the process may use.
    """

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        self.spec = spec
        self.verbose = verbose
        self.memory_budget_bytes: int | None = None

    @abstractmethod
    def generate_keys(self) -> bytes:
        """Make fresh keys in place of any earlier ones.

        Returns
        -------
        evaluation_keys : bytes
            Public.
        """

    def start_session(self) -> None:
        """Begin anew with fresh keys, which are made at once or, by clients of several engines, when they are needed.

        `evaluation_keys` are complete once a request is encrypted.
        """
        self.generate_keys()

    @property
    @abstractmethod
    def evaluation_keys(self) -> bytes:
        """The public evaluation keys for the server; `KeysMissingError` if there are none yet."""

    @abstractmethod
    def export_keys(self) -> bytes:
        """All keys, the secret one included, as a message: for `serving.FHEClient.save_keys`, which encrypts it."""

    @abstractmethod
    def import_keys(self, keys: bytes) -> None:
        """Take over the keys of another client.

        Parameters
        ----------
        keys : bytes
            The keys that `export_keys` of a client with the same spec returned.

        Raises
        ------
        KeyMismatchError
            If the keys belong to another model.
        KeysRetiredError
            If this client gave these keys up.
        ProtocolError
            If they are malformed, truncated or altered.
        """

    @abstractmethod
    def encrypt(self, codes: np.ndarray) -> bytes:
        """Encrypt quantized rows.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_features), int32
            The codes that the program's quantizer gives the rows.

        Returns
        -------
        request : bytes
            The encrypted request, for `Evaluator.run` and for `decrypt`.

        Raises
        ------
        KeysMissingError
            If there are no keys, or they are retired.
        """

    @abstractmethod
    def decrypt(self, response: bytes, request: bytes | None = None) -> np.ndarray:
        """Decrypt sums of leaves: exact, or an error.

        Parameters
        ----------
        response : bytes
            The response that `Evaluator.run` returned.
        request : bytes, default=None
            What `encrypt` of a client with the same keys returned. None stands for this client's last request.

        Returns
        -------
        sums : ndarray of shape (n_samples, n_scores), int64
            Those of the quantized model in the clear.

        Raises
        ------
        DecryptionError
            If the decrypted values are not what any correct evaluation could have produced. The keys are retired:
            they encrypt and decrypt nothing more.
        KeyMismatchError
            If request or response were made under other keys or for another model.
        RequestMismatchError
            If the response belongs to another request, or is a second, different one to this request.
        ProtocolError
            If the response is malformed, truncated or altered.
        KeysMissingError
            If there are no keys, or they are retired.
        """

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Client holds a secret key and cannot be pickled. Save its spec and generate new keys.")


class Evaluator(ABC):
    """The server's half: computes on ciphertexts with public evaluation keys only.

    Parameters
    ----------
    program : Program
        Compiled.
    n_jobs : int, default=None
        Processes of the evaluation.
    verbose : int, default=0
        Progress bars if positive.
    rerandomize : bool, default=False
        Hide how scores were computed by adding encryptions of zero and noise, so that a client learns the scores and
        no more. How well it hides is ``flooding_bits`` of `Program.describe`.
    memory_budget_bytes : int, default=None
        Memory that a request may take; None for 80 % of what the process may use. A request that needs more is
        refused before anything is computed.

    Raises
    ------
    ValueError
        If ``rerandomize`` is asked of an engine that cannot do it.
    """

    def __init__(
        self,
        program: Program,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        rerandomize: bool = False,
        memory_budget_bytes: int | None = None,
    ):
        self.program = program
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.rerandomize = rerandomize
        self.memory_budget_bytes = memory_budget_bytes
        if rerandomize and not program.describe().get("can_rerandomize", False):
            raise ValueError(
                f"rerandomize=True is not supported by the {program.backend!r} backend: use backend='ckks'."
            )

    @abstractmethod
    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response.

        Parameters
        ----------
        request : bytes
            The request that `Client.encrypt` returned.
        evaluation_keys : bytes
            The evaluation keys of that client.

        Returns
        -------
        response : bytes
            The encrypted response, for `Client.decrypt`.

        Raises
        ------
        KeyMismatchError
            If request, keys and program do not belong together.
        MemoryBudgetError
            If the request would take more memory than the budget.
        ProtocolError
            If a message is malformed, truncated or altered.
        """


class Backend(ABC):
    """An encryption engine. Instances are cheap, stateless factories.

    Client and evaluator live in different modules, and each is imported only when it is asked for,
    so that a server never loads code that decrypts.
    """

    #: Name in the registry.
    name: str
    #: What the rounding of leaves may cost at most, as a fraction of the range of a score; more is refused.
    worst_score_error: float = WORST_SCORE_ERROR

    @abstractmethod
    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        """The integer ensemble that this engine evaluates exactly.

        Parameters
        ----------
        ensemble : TreeEnsemble
            The float ensemble, over features or, if ``quantizer.trains_on_bins``, over codes.
        quantizer : FeatureQuantizer
            Fitted.

        Returns
        -------
        quantized : TreeEnsemble
            Thresholds and leaf values of integers.
        """

    @abstractmethod
    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        """Compile a quantized ensemble.

        Parameters
        ----------
        ensemble : TreeEnsemble
            The ensemble that `quantize` returned.
        quantizer : FeatureQuantizer
            The one it was quantized with.
        verbose : int, default=0
            Progress bars if positive.

        Returns
        -------
        program : Program
            A program without secrets.
        """

    @abstractmethod
    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        """Restore a program, checking what it is made from.

        Parameters
        ----------
        ensemble : TreeEnsemble
            The ensemble of the program.
        metadata : dict
            The settings that `Program.metadata` returned.

        Returns
        -------
        program : Program
            Equal to the one that was saved.
        """

    @abstractmethod
    def client(self, spec: ClientSpec, *, verbose: int = 0) -> Client:
        """Client of a program, without keys yet.

        Parameters
        ----------
        spec : ClientSpec
            What a client must know of the program.
        verbose : int, default=0
            Progress bars if positive.

        Returns
        -------
        client : Client
            The data owner's half.
        """

    @abstractmethod
    def evaluator(
        self,
        program: Program,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        rerandomize: bool = False,
        memory_budget_bytes: int | None = None,
    ) -> Evaluator:
        """Evaluator of a program.

        Parameters
        ----------
        program : Program
            Compiled by this engine.
        n_jobs : int, default=None
            Processes of the evaluation.
        verbose : int, default=0
            Progress bars if positive.
        rerandomize : bool, default=False
            Whether responses hide how they were computed (see `Evaluator`).
        memory_budget_bytes : int, default=None
            Memory that a request may take; None for 80 % of what the process may use.

        Returns
        -------
        evaluator : Evaluator
            The server's half.
        """

    @abstractmethod
    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        """The engine's arithmetic and noise without encryption.

        Parameters
        ----------
        program : Program
            Compiled by this engine.
        codes : ndarray of shape (n_samples, n_features), int32
            The codes that the program's quantizer gives the rows.

        Returns
        -------
        sums : ndarray of shape (n_samples, n_scores), int64
            Sums of leaves.
        """
