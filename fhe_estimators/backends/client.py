"""What the clients of all engines do alike: identified keys, a record of every request, one response a request.

A server that does not follow the protocol chooses its responses freely. If it learns what a client makes of them
(whether it accepts one, or which scores come out), each decryption can tell it something about the secret key. So a
client

- decodes by its own record of the request, never by what a response says;
- accepts one response a request: a second, different one is refused without being decrypted;
- gives its keys up as soon as something decrypts to what no honest server can have sent.

A record can also be read from the request's bytes: they carry a message authentication code under a key that is saved
with the client's keys.
"""

from __future__ import annotations

import hmac
import json
import os
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from ..exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysMissingError,
    KeysRetiredError,
    ProtocolError,
    RequestMismatchError,
)
from ._base import Client
from ._program import ClientSpec
from .messages import (
    Blob,
    blobs_digest,
    check_identity,
    is_identifier,
    message_digest,
    pack_message,
    unpack_message,
)

T = TypeVar("T")


class HasKeyId(Protocol):
    """Keys with a name."""

    @property
    def key_id(self) -> str:
        """Identity of the keys."""


K = TypeVar("K", bound=HasKeyId)

#: Requests that a client remembers, with the digest of each one's response.
REMEMBERED_REQUESTS = 1024
_ID_BYTES, _MAC_KEY_BYTES = 16, 32
#: What clients say of keys that they gave up.
RETIRED = (
    "This client's keys are retired: a response to one of its requests was not what the program can have computed. "
    "Were the rows encrypted again under the same keys, a malicious server could read the secret key out of the "
    "client's reactions. Make fresh keys with new_session() of FHEClient (or generate_keys()), send the server the new "
    "evaluation keys, and ask again; remove key files with the retired keys."
)


@dataclass(frozen=True)
class RequestRecord:
    """What a client knows of a request of its own.

    Parameters
    ----------
    key_id : str
        The identity of the keys it was encrypted under.
    request_id : str
        32 hexadecimal digits, drawn at random.
    shape : dict
        Public facts that decoding needs, as the engine wrote them into the request's header.
    """

    key_id: str
    request_id: str
    shape: Mapping[str, Any]


class RequestLog:
    """A client's memory of its requests and their first responses: bounded, and safe for threads.

    Parameters
    ----------
    capacity : int, default=REMEMBERED_REQUESTS
        Requests to remember; the oldest is forgotten first.
    """

    def __init__(self, capacity: int = REMEMBERED_REQUESTS):
        self._capacity = capacity
        self._lock = Lock()
        self._records: OrderedDict[str, RequestRecord] = OrderedDict()
        self._responses: OrderedDict[str, bytes] = OrderedDict()
        self._last: RequestRecord | None = None

    def add(self, record: RequestRecord) -> None:
        """Remember a request, as the last one."""
        with self._lock:
            self._records[record.request_id] = self._last = record
            self._forget(self._records)

    def find(self, request_id: Any) -> RequestRecord | None:
        """The request with an id, or None."""
        with self._lock:
            return self._records.get(request_id) if isinstance(request_id, str) else None

    def last(self, key_id: str) -> RequestRecord:
        """The last request; `RequestMismatchError` if none was made under these keys."""
        last = self._last
        if last is None or last.key_id != key_id:
            raise RequestMismatchError(
                "This client has encrypted no request under its keys: pass the request that the response belongs to."
            )
        return last

    def claim(self, record: RequestRecord, digest: bytes) -> None:
        """Note the first response to a request; `RequestMismatchError` if there was another one."""
        with self._lock:
            if self._responses.setdefault(record.request_id, digest) != digest:
                raise RequestMismatchError(
                    "This is a second, different response to a request that was answered already: it is not decrypted, "
                    "since an honest server computes one response. Encrypt the rows anew if the first one was lost."
                )
            self._forget(self._responses)

    def _forget(self, entries: OrderedDict) -> None:
        while len(entries) > self._capacity:
            entries.popitem(last=False)


@dataclass(frozen=True)
class _Keys:
    """Keys of a client and the messages they make."""

    program_id: str
    key_id: str
    secret: Any = field(repr=False)
    mac_key: bytes = field(repr=False)
    evaluation_keys: bytes = field(repr=False)

    @property
    def identity(self) -> dict[str, str]:
        return {"program_id": self.program_id, "key_id": self.key_id}

    def mac(self, header: Mapping[str, Any], blobs: Sequence[Blob], digest: bytes) -> str:
        """Authentication code of a request: of its header without the code, and of its ciphertexts."""
        text = json.dumps([header, [len(blob) for blob in blobs]], sort_keys=True).encode()
        return hmac.digest(self.mac_key, text + digest, "sha256").hex()


class SessionKeys(Generic[K]):
    """The keys of a client's session, if it has any, and the names of those that it gave up."""

    def __init__(self) -> None:
        self._current: K | None = None
        self._retired: set[str] = set()

    def current(self) -> K:
        """The keys; `KeysMissingError` if there are none, `KeysRetiredError` if they were given up."""
        if self._current is not None:
            return self._current
        if self._retired:
            raise KeysRetiredError(RETIRED)
        raise KeysMissingError("This client has no keys yet: call generate_keys() first.")

    @property
    def has_any(self) -> bool:
        """Whether there are keys."""
        return self._current is not None

    def replace(self, keys: K | None) -> None:
        """Use other keys, or none."""
        self._current = keys

    def check(self, key_id: str) -> None:
        """Raise `KeysRetiredError` if these keys were given up."""
        if key_id in self._retired:
            raise KeysRetiredError(RETIRED)

    def retire(self, keys: K) -> bool:
        """Give keys up for good; whether they were in use until now."""
        self._retired.add(keys.key_id)
        if self._current is keys:
            self._current = None
            return True
        return False


class SessionClient(Client):
    """Base of clients: an engine adds keys, encryption and decryption, and nothing about the protocol.

    Parameters
    ----------
    spec : ClientSpec
        What a client must know of a program.
    verbose : int, default=0
        Progress bars if positive.
    """

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self._log = RequestLog()
        self._session = SessionKeys[_Keys]()

    @abstractmethod
    def _generate(self) -> tuple[Any, Sequence[Blob]]:
        """Fresh keys.

        Returns
        -------
        secret : object
            What encrypting and decrypting need; never changed afterwards, so threads may share it.
        evaluation_keys : list of bytes
            Public, for the server.
        """

    @abstractmethod
    def _dump_keys(self, secret: Any, evaluation_keys: Sequence[Blob]) -> Sequence[Blob]:
        """Everything that `_load_keys` needs, as bytes."""

    @abstractmethod
    def _load_keys(self, blobs: Sequence[memoryview]) -> tuple[Any, Sequence[Blob]]:
        """What `_generate` returned, from what `_dump_keys` did; `ProtocolError` if it is none of this program."""

    @abstractmethod
    def _encrypt(self, secret: Any, codes: np.ndarray, request_id: str) -> tuple[dict[str, Any], Sequence[Blob]]:
        """Encrypt rows.

        Returns
        -------
        shape : dict
            JSON-serializable, public: what decoding needs to know beside the program.
        ciphertexts : list of bytes
            The ciphertexts that the server gets.
        """

    @abstractmethod
    def _read_response(self, request: RequestRecord, blobs: Sequence[memoryview]) -> Any:
        """The ciphertexts of a response, checked by public rules only; `ProtocolError` if they break one."""

    @abstractmethod
    def _decrypt(self, secret: Any, request: RequestRecord, ciphertexts: Any) -> np.ndarray:
        """Sums of leaves; `DecryptionError` if what is decrypted breaks any rule that honest results keep."""

    def generate_keys(self) -> bytes:
        secret, blobs = self._generate()
        key_id = os.urandom(_ID_BYTES).hex()
        return self._adopt(key_id, secret, os.urandom(_MAC_KEY_BYTES), blobs)

    def _adopt(self, key_id: str, secret: Any, mac_key: bytes, blobs: Sequence[Blob]) -> bytes:
        identity = {"program_id": self.spec.program_id, "key_id": key_id}
        evaluation_keys = pack_message("evaluation_keys", identity, blobs)
        self._session.replace(_Keys(**identity, secret=secret, mac_key=mac_key, evaluation_keys=evaluation_keys))
        return evaluation_keys

    def _require_keys(self) -> _Keys:
        return self._session.current()

    @property
    def evaluation_keys(self) -> bytes:
        return self._require_keys().evaluation_keys

    def export_keys(self) -> bytes:
        keys = self._require_keys()
        _, public = unpack_message("evaluation_keys", keys.evaluation_keys)
        return pack_message("client_keys", keys.identity, [keys.mac_key, *self._dump_keys(keys.secret, public)])

    def import_keys(self, keys: bytes) -> None:
        header, blobs = unpack_message("client_keys", keys)
        check_identity("client_keys", header, program_id=self.spec.program_id)
        key_id = str(header.get("key_id"))
        if not is_identifier(key_id) or not blobs or len(blobs[0]) != _MAC_KEY_BYTES:
            raise ProtocolError("The client_keys are malformed.")
        self._session.check(key_id)
        secret, public = self._load_keys(blobs[1:])
        self._adopt(key_id, secret, bytes(blobs[0]), public)

    def encrypt(self, codes: np.ndarray) -> bytes:
        keys = self._require_keys()
        request_id = os.urandom(_ID_BYTES).hex()
        shape, blobs = self._encrypt(keys.secret, np.asarray(codes), request_id)
        header = {**keys.identity, "request_id": request_id, **shape}
        digest = blobs_digest(blobs)
        request = pack_message("request", {**header, "mac": keys.mac(header, blobs, digest)}, blobs, digest=digest)
        self._log.add(RequestRecord(keys.key_id, request_id, shape))
        return request

    def decrypt(self, response: bytes, request: bytes | None = None) -> np.ndarray:
        return self._opened(response, request, self._decrypt)

    def _opened(self, response: bytes, request: bytes | None, decrypt: Callable[[Any, RequestRecord, Any], T]) -> T:
        """What a function makes of the secret, the client's record of the request, and the response's ciphertexts."""
        keys = self._require_keys()
        header, blobs = unpack_message("response", response)
        check_identity("response", header, **keys.identity)
        record = self._log.last(keys.key_id) if request is None else self._record_of(keys, request)
        if header.get("request_id") != record.request_id:
            what = "the last request of this client" if request is None else "the request that was passed"
            raise RequestMismatchError(
                f"The response answers another request than {what} (request_id differs). Pass the request that it "
                "belongs to as decrypt(response, request=...)."
            )
        ciphertexts = self._read_response(record, blobs)
        self._log.claim(record, message_digest(response))
        try:
            return decrypt(keys.secret, record, ciphertexts)
        except DecryptionError as error:
            self._session.retire(keys)
            raise DecryptionError(f"{error} {RETIRED}") from error

    def _record_of(self, keys: _Keys, request: bytes) -> RequestRecord:
        """The record of a request from its bytes, if this client, or one with the same keys, made it."""
        header, blobs = unpack_message("request", request)
        check_identity("request", header, **keys.identity)
        record = self._log.find(header.get("request_id"))
        if record is not None and record.key_id == keys.key_id:
            return record
        mac, request_id = header.pop("mac", None), header.get("request_id")
        expected = keys.mac(header, blobs, blobs_digest(blobs))
        if not isinstance(mac, str) or not hmac.compare_digest(mac.encode(), expected.encode()):
            raise KeyMismatchError("The request was not made by a client with these keys, or was altered since.")
        shape = {name: value for name, value in header.items() if name not in (*keys.identity, "request_id")}
        return RequestRecord(keys.key_id, str(request_id), shape)

    def forget_keys(self, *, for_good: bool = False) -> None:
        """Drop the keys there are, if any.

        Parameters
        ----------
        for_good : bool, default=False
            Whether they are retired: refused when they are imported again.
        """
        if for_good and self._session.has_any:
            self._session.retire(self._session.current())
        self._session.replace(None)
