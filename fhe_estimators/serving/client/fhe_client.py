"""The data owner's half of a deployment: the secret key lives and dies here."""

from __future__ import annotations

import os
from typing import Any, NoReturn, cast

import numpy as np

from ...backends import resolve_backend
from ...ensembles import checked_rows, with_margins
from ...ensembles.links import ClassificationLink
from ..archive import ClientModel, load_client_archive
from .key_file import read_key_file, write_key_file


class FHEClient:
    """Encrypts rows for a server and decrypts its responses.

    Parameters
    ----------
    model : ClientModel
        What a client archive holds; `load` reads one.
    verbose : int, default=0
        Progress bars if positive.

    Attributes
    ----------
    classes_ : ndarray, list of ndarray or None
        Labels of a classifier.
    n_features_in_ : int

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators import FHEDecisionTreeClassifier
    >>> from fhe_estimators.serving import FHEClient, FHEServer
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y).compile()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf.save_server(os.path.join(folder, "model.server.fhe"))
    ...     clf.save_client(os.path.join(folder, "model.client.fhe"))
    ...     server = FHEServer.load(os.path.join(folder, "model.server.fhe"))
    ...     client = FHEClient.load(os.path.join(folder, "model.client.fhe"))
    >>> evaluation_keys = client.generate_keys()
    >>> response = server.run(client.encrypt(X[::60]), evaluation_keys)
    >>> client.decrypt_predict(response)
    array([0, 1, 2])
    """

    def __init__(self, model: ClientModel, *, verbose: int = 0):
        self._model = model
        self._client = resolve_backend(model.spec.backend).client(model.spec, verbose=verbose)
        self.classes_ = model.classes
        self.n_features_in_ = model.quantizer.n_features_in_

    @classmethod
    def load(cls, path: str | os.PathLike, *, verbose: int = 0) -> FHEClient:
        """Read an archive written by an estimator's ``save_client``.

        Parameters
        ----------
        path : path-like
            The path of the archive.
        verbose : int, default=0
            Progress bars if positive.

        Returns
        -------
        client : FHEClient
            A client without keys yet.

        Raises
        ------
        ProtocolError
            If the file is damaged, of another kind or of a later format version.
        """
        return cls(load_client_archive(path), verbose=verbose)

    def generate_keys(self, *, backend: str | None = None) -> bytes:
        """Make fresh keys; the secret one stays in this object.

        Parameters
        ----------
        backend : str, default=None
            The only engine to make keys for, of a model that was compiled with ``backend="auto"``: ``"bfv"`` for
            clients that send few rows at a time, ``"ckks"`` for many. None: all that such a model uses.

        Returns
        -------
        evaluation_keys : bytes
            Public, for the server.

        Raises
        ------
        ValueError
            If the model was not compiled for that engine.
        """
        return cast(Any, self._client).generate_keys(**self._pinned(backend))

    def start_session(self) -> None:
        """Begin anew with fresh keys, each made when `encrypt` first needs it.

        A model that was compiled with ``backend="auto"`` holds two engines with keys of their own. `evaluation_keys`
        grow when a request is the first one for its engine: send them with every request, or again when they change.
        """
        self._client.start_session()

    def new_session(self) -> bytes:
        """Give up the keys there are, if any, and make fresh ones.

        What a server could learn of a secret key ends with the session: call this after every `DecryptionError`, which
        retires the keys, and otherwise as often as keys may be renewed. Responses to earlier requests are refused from
        now on.

        Returns
        -------
        evaluation_keys : bytes
            Public, for the server, which forgets the earlier ones.
        """
        return self.generate_keys()

    @property
    def evaluation_keys(self) -> bytes:
        """The public evaluation keys, for the server."""
        return self._client.evaluation_keys

    def save_keys(self, path: str | os.PathLike, password: str) -> None:
        """Write all keys, the secret one included, to a file that is encrypted with a password.

        A client that loads them decrypts responses to requests of this one, if it is given the requests, and the
        server need not be sent new evaluation keys.

        Parameters
        ----------
        path : path-like
            Readable by its owner only.
        password : str
            The file is as safe as the password is hard to guess.

        Raises
        ------
        KeysMissingError
            If there are no keys yet, or they are retired.
        """
        write_key_file(path, self._client.export_keys(), password)

    def load_keys(self, path: str | os.PathLike, password: str) -> None:
        """Take over the keys in a file written by `save_keys` of a client of the same model.

        Parameters
        ----------
        path : path-like
            The path of the file.
        password : str
            The one it was written with.

        Raises
        ------
        KeyMismatchError
            If the keys belong to another model.
        KeysRetiredError
            If this client gave these keys up after a response that it had to refuse.
        ProtocolError
            If the password is wrong, or the file is damaged or of another kind.
        """
        self._client.import_keys(read_key_file(path, password))

    def encrypt(self, X: Any, *, backend: str | None = None) -> bytes:
        """Quantize and encrypt rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows as for the estimator's ``predict``: the same columns, NaN where the model accepts it.
        backend : str, default=None
            The engine to encrypt for, of a model that was compiled with ``backend="auto"``. None: the fastest one for
            this number of rows, of those that there are keys for.

        Returns
        -------
        request : bytes
            For `FHEServer.run`. Keep it if another process, or one of several threads, is to decrypt the response.

        Raises
        ------
        KeysMissingError
            If there are no keys yet, or they are retired.
        ValueError
            If the rows are not what the model accepts, or it was not compiled for that engine.
        """
        return self.encrypt_codes(self.quantize(X), backend=backend)

    def quantize(self, X: Any) -> np.ndarray:
        """What `encrypt` does before it encrypts: check rows, and quantize them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows as for the estimator's ``predict``.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_features), int32
            For `encrypt_codes`.
        """
        quantizer = self._model.quantizer
        return quantizer.codes(checked_rows(quantizer, X, quantizer.encoding_, self._model.row_checks))

    def encrypt_codes(self, codes: np.ndarray, *, backend: str | None = None) -> bytes:
        """Encrypt quantized rows.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_features), int32
            Rows that `quantize` returned, or some of them.
        backend : str, default=None
            The engine to encrypt for, as in `encrypt`.

        Returns
        -------
        request : bytes
            As `encrypt` returns it.

        Raises
        ------
        KeysMissingError
            If there are no keys yet, or they are retired.
        """
        return cast(Any, self._client).encrypt(codes, **self._pinned(backend))

    def _pinned(self, backend: str | None) -> dict[str, str]:
        """Arguments of the engine's client that pin an engine, checked."""
        if backend is None or backend == self._model.spec.backend:
            return {}
        engines = getattr(self._client, "engines", (self._model.spec.backend,))
        if backend not in engines:
            raise ValueError(
                f"backend={backend!r} is no engine of this model: it was compiled for "
                f"{' and '.join(map(repr, engines))}."
            )
        return {"backend": backend}

    def decrypt_predict(self, response: bytes, request: bytes | None = None, *, base_margin: Any = None) -> np.ndarray:
        """What the estimator's ``predict`` returns.

        Parameters
        ----------
        response : bytes
            The response that the server returned.
        request : bytes, default=None
            The request it answers, from `encrypt` of a client with the same keys. None: the last one of this client.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in the estimator's ``predict``; the server never sees it.

        Returns
        -------
        predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, values, or +1 and -1 of an outlier detector.

        Raises
        ------
        DecryptionError
            If the response is none that the program can give. The keys are retired then: call `new_session`.
        RequestMismatchError
            If the response belongs to another request, or is a second, different one to this request.
        KeyMismatchError
            If request or response were made under other keys or for another model.
        ProtocolError
            If the response is malformed, truncated or altered.
        """
        return self._model.link.predict(self._scores(response, request, base_margin), self.classes_)

    def decrypt_proba(
        self, response: bytes, request: bytes | None = None, *, base_margin: Any = None
    ) -> np.ndarray | list[np.ndarray]:
        """What a classifier's ``predict_proba`` returns.

        Parameters
        ----------
        response : bytes
            The response that the server returned.
        request : bytes, default=None
            The request that the response answers, as for `decrypt_predict`.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as for `decrypt_predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            A list, one an output, for multi-output models.
        """
        link = self._model.link
        if not isinstance(link, ClassificationLink):
            raise AttributeError("decrypt_proba is for classifiers: use decrypt_predict or decrypt_scores.")
        return link.probabilities(self._scores(response, request, base_margin))

    def decrypt_scores(self, response: bytes, request: bytes | None = None, *, base_margin: Any = None) -> np.ndarray:
        """What ``decision_function`` returns; of a regressor, its scores before the link function.

        Parameters
        ----------
        response : bytes
            The response that the server returned.
        request : bytes, default=None
            The request that the response answers, as for `decrypt_predict`.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as for `decrypt_predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Margins, probabilities or values, as the model has them.
        """
        return self._model.link.decision(self._scores(response, request, base_margin))

    def _scores(self, response: bytes, request: bytes | None, base_margin: Any = None) -> np.ndarray:
        model = self._model
        scores = model.base_score + self._client.decrypt(response, request) / model.score_scale
        return self._with_margins(scores, base_margin)

    def _with_margins(self, scores: np.ndarray, base_margin: Any) -> np.ndarray:
        model = self._model
        if base_margin is not None and model.link.takes_margins and model.replaced_by_margins is None:
            raise ValueError(
                "This model's archive was written by a version that knew no base_margin: save the client archive again."
            )
        return with_margins(scores, base_margin, model.replaced_by_margins)

    def check_margins(self, base_margin: Any, n_rows: int) -> None:
        """Refuse margins that do not fit, before anything is encrypted.

        Parameters
        ----------
        base_margin : array-like of shape (n_rows,) or (n_rows, n_scores), or None
            As for `decrypt_predict`.
        n_rows : int
            Number of rows.

        Raises
        ------
        ValueError
            If the model takes no margins, or not these.
        """
        self._with_margins(np.zeros((n_rows, len(self._model.base_score))), base_margin)

    def __reduce__(self) -> NoReturn:
        raise TypeError("An FHEClient holds a secret key and cannot be pickled: use save_keys and load_keys.")
