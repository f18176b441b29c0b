"""What the model owner compiles: a program, and what its clients must know of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ensembles import TreeEnsemble


@dataclass(frozen=True)
class ClientSpec:
    """What a client must know to use a program: plain data, without secrets and without the model.

    Parameters
    ----------
    backend : str
        Name of the engine in the registry.
    program_id : str
        Digest that ties messages to one compiled program.
    metadata : dict, default={}
        JSON-serializable.
    arrays : dict of ndarray, default={}
        What is not.
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

        Has at least ``scheme``, ``security_bits`` (of the parameters in use, estimated; 0 if
        nothing is encrypted), ``poly_modulus_degree``, ``depth``,
        ``n_ciphertexts``, ``upload_bytes``, ``download_bytes``, ``evaluation_key_bytes``,
        ``server_sees``, ``client_learns``; ``predicted_seconds``, a dict from 1 and 1,000 rows to the
        seconds of a request on this machine, encryption and decryption included, keys and network
        excluded; ``predicted_first_seconds``, the same of a client's first request, with all that is done once:
        keys are made and read, and constants of the model encoded (engines without a cost model leave it
        out); ``peak_memory_bytes``, the memory of a server process during the largest batch or
        row, libraries included; and what servers can do to hide how they computed a
        score: ``can_rerandomize`` and ``flooding_bits``, the statistical distance of the noise in
        responses to noise that depends on nothing, as ``-log2``.
        """

    def predicted_seconds(self, n_rows: int) -> float:
        """Seconds of a request on this machine, encryption and decryption included, keys and network excluded.

        Parameters
        ----------
        n_rows : int
            Rows of the request.

        Returns
        -------
        seconds : float
            By default on the line through what `describe` says of 1 and of 1,000 rows.
        """
        known = self.describe()["predicted_seconds"]
        return float(known[1] + (n_rows - 1) * (known[1000] - known[1]) / 999)

    def required_memory_bytes(self) -> int:
        """Memory of a server process that a request takes at least.

        Returns
        -------
        n_bytes : int
            What `describe` tells as ``peak_memory_bytes``, unless that counts caches.
        """
        return int(self.describe()["peak_memory_bytes"])

    def engine_for(self, n_rows: int) -> str:
        """Name of the engine that evaluates a request.

        Parameters
        ----------
        n_rows : int
            Rows of the request.

        Returns
        -------
        name : str
            The program's own engine, unless it holds several.
        """
        return self.backend

    @property
    def programs(self) -> dict[str, Program]:
        """Programs by the name of their engine: this one, unless it holds several."""
        return {self.backend: self}

    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """JSON-serializable settings from which `Backend.load` restores the program beside its ensemble."""
