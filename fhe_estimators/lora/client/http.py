"""A worker at a URL (client side)."""

from __future__ import annotations

import os
import ssl
from typing import Any

import torch

from ...backends.lwe.parameters import LWEParameters
from ...exceptions import ProtocolError, WorkerError
from ...utils import import_optional
from ..protocol import (
    HINTS_PATH,
    LAYERS_PATH,
    PRODUCTS_PATH,
    PROTOCOL_VERSION,
    TOKEN_VARIABLE,
    pack_tensor,
    unpack_tensor,
)

#: The largest response a client reads, so that a worker cannot fill its memory.
MAX_RESPONSE_BYTES = 4 << 30


class HTTPWorker:
    """Asks a worker over HTTP.

    Parameters
    ----------
    url : str
        Such as ``"https://worker.example:8443"``.
    token : str, default=None
        Bearer token the worker expects; None: what the environment variable ``FHE_ESTIMATORS_TOKEN`` holds, if set.
    timeout_seconds : float, default=120
        After which a silent worker counts as failed.
    verify : bool or str, default=True
        Check of the TLS certificate, or the path of a certificate authority's file.
    """

    def __init__(
        self, url: str, *, token: str | None = None, timeout_seconds: float = 120.0, verify: bool | str = True
    ):
        self._httpx = import_optional("httpx", extra="serving", purpose="Workers over HTTP")
        self.name = url
        self._settings: dict[str, Any] = {"token": token, "timeout_seconds": timeout_seconds, "verify": verify}
        token = token or os.environ.get(TOKEN_VARIABLE)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        trusted = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
        self._client = self._httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds, verify=trusted)

    def __deepcopy__(self, memo: dict[int, Any]) -> HTTPWorker:
        return HTTPWorker(self.name, **self._settings)

    def digests(self) -> dict[str, str]:
        """Digests of the weights that the worker holds.

        Returns
        -------
        digests : dict of str to str
            By the layer's name.
        """
        response = self._request("GET", LAYERS_PATH).json()
        if not isinstance(response, dict) or response.get("protocol_version") != PROTOCOL_VERSION:
            raise WorkerError(
                f"Worker {self.name} speaks protocol version {response.get('protocol_version')!r}, this client "
                f"{PROTOCOL_VERSION}: install the same release of fhe_estimators on both."
            )
        return {str(name): str(digest) for name, digest in response["layers"].items()}

    def multiply(self, layer: str, direction: str, ciphertexts: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Ciphertexts times the weights of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.
        ciphertexts : tensor of int8, shape (n_tokens, 3, n_inputs)
            Ciphertexts.

        Returns
        -------
        response : tensor of int8, shape (n_tokens, 3, n_outputs)
            Ciphertexts of the product.
        seconds : float
            What the worker's arithmetic took.
        """
        message = pack_tensor("product_request", ciphertexts, layer=layer, direction=direction)
        response, header = unpack_tensor("product", self._request("POST", PRODUCTS_PATH, message).content)
        seconds = header.get("seconds")
        return response, float(seconds) if isinstance(seconds, (int, float)) else 0.0

    def hint(self, layer: str, direction: str, seed: bytes, parameters: LWEParameters) -> torch.Tensor:
        """The public matrix of a run times the weights of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.
        seed : bytes
            Of the public matrix.
        parameters : LWEParameters
            Of the encryption.

        Returns
        -------
        hint : tensor of int32, shape (n_outputs, rank, ring_degree)
            What the client unmasks products with.
        """
        body = {"layer": layer, "direction": direction, "seed": seed.hex(), "parameters": parameters.to_dict()}
        return unpack_tensor("hint", self._request("POST", HINTS_PATH, json=body).content)[0]

    def _request(self, method: str, path: str, content: bytes | None = None, **options: Any) -> Any:
        try:
            with self._client.stream(method, path, content=content, **options) as response:
                parts, size = [], 0
                for part in response.iter_bytes():
                    size += len(part)
                    if size > MAX_RESPONSE_BYTES:
                        raise ProtocolError(f"Worker {self.name} sent more than {MAX_RESPONSE_BYTES} bytes.")
                    parts.append(part)
                response = self._httpx.Response(response.status_code, content=b"".join(parts))
        except self._httpx.TimeoutException as error:
            raise WorkerError(f"Worker {self.name} did not answer in time ({type(error).__name__}).") from error
        except self._httpx.HTTPError as error:
            raise WorkerError(f"Worker {self.name} cannot be reached: {error}") from error
        if response.status_code != 200:
            raise WorkerError(
                f"Worker {self.name} refused the request (HTTP {response.status_code}): {response.text[:500]}"
            )
        return response
