"""A worker at a URL (client side)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch

from ...backends.lwe.parameters import CIPHERTEXT_BITS, LWEParameters
from ...exceptions import ProtocolError, WorkerError
from ...utils.http.client.connection import Connection
from ...utils.http.client.faults import page_fault
from ...utils.http.client.peer import Peer
from ...utils.http.client.tokens import check_token, configured_token, environment_token
from ..protocol import (
    HINTS_PATH,
    LAYERS_PATH,
    MESSAGE_OVERHEAD_BYTES,
    PRODUCTS_PATH,
    PROTOCOL_VERSION,
    SUPPORTED_VERSIONS,
    pack_tensor,
)
from ..schemas import Registration, Version, parse
from ..tensor_messages import tensor_parts, unpack_tensor

#: The largest list of layers that is read.
MAX_REGISTRATION_BYTES = 1 << 22
#: The largest response that is read before the sizes of the layers are known.
MAX_RESPONSE_BYTES = 1 << 30
_WORKER = Peer(
    name="Worker",
    type_name="HTTPWorker",
    command="fhe-estimators worker",
    example="https://worker.example:8400",
    listing="list of layers",
    size_parameter="batch_size",
    error=WorkerError,
)


class HTTPWorker:
    """Asks a worker over HTTP.

    Nothing that the worker sends is believed: no more is read than a response can have, nothing compressed, for no
    longer than the time-out, and what is read must be exactly of the form that was asked for.

    Parameters
    ----------
    url : str
        Such as ``"https://worker.example:8443"``.
    token : str, default=None
        Bearer token the worker expects. None: its entry in the JSON file of tokens by URL that the environment
        variable ``FHE_ESTIMATORS_TOKENS_FILE`` names, or else what ``FHE_ESTIMATORS_TOKEN`` holds; the latter goes to
        the only worker of a client and to none of several.
    timeout_seconds : float, default=120
        After which a worker counts as failed, however it spends the time; a second is added for each megabyte of a
        request and its response.
    verify : bool or str, default=True
        Check of the TLS certificate, or the path of a certificate authority's file.
    allow_insecure_token : bool, default=False
        Send the token over plain HTTP to another machine, too.

    Attributes
    ----------
    name : str
        The URL.
    release_ : str or None
        Release of fhe_estimators that the worker runs; set by `digests`.
    protocol_version_ : int
        Version of the protocol that the worker speaks; set by `digests`. With 1 it gives responses of 24 bits only.
    shapes_ : dict of str to tuple
        Rows and columns of the layers, as the worker says; set by `digests`.

    Notes
    -----
    Pickles do not hold the token; an unpickled worker takes it from the environment. Proxies of the environment are
    used for https:// only, and never for this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_seconds: float = 120.0,
        verify: bool | str = True,
        allow_insecure_token: bool = False,
    ):
        self.name = url
        self.release_: str | None = None
        self.protocol_version_ = PROTOCOL_VERSION
        self.shapes_: dict[str, tuple[int, int]] = {}
        self._settings: dict[str, Any] = {
            "timeout_seconds": timeout_seconds,
            "verify": verify,
            "allow_insecure_token": allow_insecure_token,
        }
        self._given_token = token
        token = token or configured_token(url)
        #: Whether the token is the one that only a client's single worker may get.
        self.uses_environment_token = token is None and environment_token() is not None
        self._connect(environment_token() if token is None else token)

    def _connect(self, token: str | None) -> None:
        check_token(self.name, token, _WORKER, allow_insecure=self._settings["allow_insecure_token"])
        self._connection = Connection(
            self.name, token, self._settings["timeout_seconds"], self._settings["verify"], _WORKER
        )
        self._n_outputs: dict[tuple[str, str], int] = {}

    def without_environment_token(self) -> HTTPWorker:
        """The same worker, to which ``FHE_ESTIMATORS_TOKEN`` is not sent.

        Returns
        -------
        worker : HTTPWorker
            Itself, if it has a token of its own.
        """
        if not self.uses_environment_token:
            return self
        copied = self.__copy__()
        copied.uses_environment_token = False
        copied._connect(None)
        return copied

    def __copy__(self) -> HTTPWorker:
        return HTTPWorker(self.name, token=self._given_token, **self._settings)

    def __deepcopy__(self, memo: dict[int, Any]) -> HTTPWorker:
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.name, **self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        HTTPWorker.__init__(self, **state)

    def __repr__(self) -> str:
        return f"HTTPWorker({self.name!r})"

    def digests(self) -> dict[str, str]:
        """Digests of the weights that the worker holds.

        Returns
        -------
        digests : dict of str to str
            The digests by the layer's name.
        """
        body = self._connection.request("GET", LAYERS_PATH, max_bytes=MAX_REGISTRATION_BYTES)
        what = f"Worker {self.name}'s list of layers"
        if not body.lstrip().startswith(b"{"):
            raise ProtocolError(f"Worker {self.name} {page_fault(body, _WORKER)}")
        version = parse(Version, body, what).protocol_version
        if version not in SUPPORTED_VERSIONS:
            raise WorkerError(
                f"Worker {self.name} speaks protocol version {version}, this client {PROTOCOL_VERSION}: install the "
                "same release of fhe_estimators on both."
            )
        found = parse(Registration, body, what)
        self.release_, self.shapes_, self.protocol_version_ = found.release or None, found.shapes, version
        return found.layers

    def expect(self, n_outputs: Mapping[tuple[str, str], int]) -> None:
        """Learn how large responses may be: the client's word, not the worker's.

        Parameters
        ----------
        n_outputs : mapping of (str, str) to int
            Outputs by layer and direction.
        """
        self._n_outputs = dict(n_outputs)

    def multiply(
        self, layer: str, direction: str, ciphertexts: torch.Tensor, *, download_bits: int = CIPHERTEXT_BITS
    ) -> tuple[torch.Tensor, float]:
        """Ciphertexts times the weights of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.
        ciphertexts : tensor of int8, shape (n_tokens, 3, n_inputs)
            Ciphertexts.
        download_bits : {24, 16}, default=24
            With 16, the lowest limb of the response is left out.

        Returns
        -------
        response : tensor of int8, shape (n_tokens, download_bits / 8, n_outputs)
            Ciphertexts of the product.
        seconds : float
            What the worker's arithmetic took, as it says.
        """
        header: dict[str, Any] = {"layer": layer, "direction": direction}
        if download_bits != CIPHERTEXT_BITS:
            header["download_bits"] = download_bits
        is_old = self.protocol_version_ < 3
        message = (pack_tensor if is_old else tensor_parts)("product_request", ciphertexts, **header)
        body = self._connection.request(
            "POST",
            PRODUCTS_PATH,
            message,
            max_bytes=self._largest(layer, direction, download_bits // 8 * len(ciphertexts)),
            media_type="application/octet-stream",
        )
        response, header = unpack_tensor("product", body)
        seconds = header.get("seconds")
        return response, seconds if isinstance(seconds, float) and 0 <= seconds < math.inf else 0.0

    def hint(self, layer: str, direction: str, seed: bytes, parameters: LWEParameters) -> torch.Tensor:
        """The public matrix of a run times the weights of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.
        seed : bytes
            The seed of the public matrix.
        parameters : LWEParameters
            The parameters of the encryption.

        Returns
        -------
        hint : tensor of int32, shape (n_outputs, rank, ring_degree)
            What the client unmasks products with.
        """
        described = parameters.to_dict()
        body: dict[str, Any] = {"layer": layer, "direction": direction, "seed": seed.hex(), "parameters": described}
        if self.protocol_version_ >= 3:
            body["protocol_version"] = PROTOCOL_VERSION
        max_bytes = self._largest(layer, direction, 4 * described["dimension"])
        content = self._connection.request("POST", HINTS_PATH, json.dumps(body).encode(), max_bytes=max_bytes)
        return unpack_tensor("hint", content)[0]

    def _largest(self, layer: str, direction: str, bytes_per_output: int) -> int:
        n_outputs = self._n_outputs.get((layer, direction))
        if n_outputs is None:
            return MAX_RESPONSE_BYTES
        return n_outputs * bytes_per_output + MESSAGE_OVERHEAD_BYTES
