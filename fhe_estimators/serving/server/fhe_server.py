"""The server's half of a deployment. Reaches no code that holds secret keys or decrypts."""

from __future__ import annotations

import os
from typing import Any

from ...backends import Program, resolve_backend
from ..archive import load_server_archive


class FHEServer:
    """Scores encrypted rows with a model loaded from a server archive.

    Parameters
    ----------
    program : Program
        Compiled model, from `load` or a compiled estimator's ``program_``.
    n_jobs : int, default=None
        Processes over the batches of a request.
    verbose : int, default=0
        Progress bars if positive.
    rerandomize : bool, default=False
        Hide from clients how scores were computed, with encryptions of zero and noise; ``describe()`` says how well
        (``flooding_bits``).
    memory_budget_bytes : int, default=None
        Memory that a request may take; None for 80 % of what the process may use. ``describe()`` says what a request
        takes (``peak_memory_bytes``).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators import FHEDecisionTreeClassifier
    >>> from fhe_estimators.serving import FHEServer
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y).compile()
    >>> FHEServer(clf.program_).describe()["security_bits"]
    128
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
        self._evaluator = resolve_backend(program.backend).evaluator(
            program,
            n_jobs=n_jobs,
            verbose=verbose,
            rerandomize=rerandomize,
            memory_budget_bytes=memory_budget_bytes,
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        rerandomize: bool = False,
        memory_budget_bytes: int | None = None,
    ) -> FHEServer:
        """Read an archive written by an estimator's ``save_server``.

        Parameters
        ----------
        path : path-like
            The path of the archive.
        n_jobs : int, default=None
            Processes over the batches of a request.
        verbose : int, default=0
            Progress bars if positive.
        rerandomize : bool, default=False
            Whether responses hide how they were computed.
        memory_budget_bytes : int, default=None
            Memory that a request may take; None for 80 % of what the process may use.

        Returns
        -------
        server : FHEServer
            Ready to `run`.

        Raises
        ------
        ProtocolError
            If the file is damaged, of another kind or of a later format version.
        """
        return cls(
            load_server_archive(path),
            n_jobs=n_jobs,
            verbose=verbose,
            rerandomize=rerandomize,
            memory_budget_bytes=memory_budget_bytes,
        )

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted rows to encrypted scores.

        Parameters
        ----------
        request : bytes
            The request that `FHEClient.encrypt` returned.
        evaluation_keys : bytes
            That client's ``evaluation_keys``. Public: they encrypt nothing and decrypt nothing.

        Returns
        -------
        response : bytes
            The encrypted scores, for `FHEClient.decrypt_predict` and its siblings.

        Raises
        ------
        KeyMismatchError
            If request, keys and model do not belong together.
        MemoryBudgetError
            If the request would take more memory than the budget.
        ProtocolError
            If a message is malformed, truncated or altered.
        """
        return self._evaluator.run(request, evaluation_keys)

    def describe(self) -> dict[str, Any]:
        """Security, sizes and costs, as ``program_.describe()``.

        Returns
        -------
        facts : dict
            The facts, as plain values.
        """
        return self.program.describe()
