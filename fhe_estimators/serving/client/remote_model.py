"""A model at a URL, as an estimator of scikit-learn (client side)."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if

from ...ensembles.links import ClassificationLink, IsolationLink
from ...utils import progress_bar
from .connection import ServiceConnection
from .contributions import ContributionsOfService
from .fhe_client import FHEClient
from .forecast import forecast, request_rows
from .secrets import Secret, hidden, revealed
from .session import Session
from .sharing import SharedSession

#: Parameters that clones must have in common to share keys.
_CONNECTING = (
    "url",
    "model",
    "token",
    "client_archive",
    "keys_file",
    "password",
    "timeout_seconds",
    "retry_seconds",
    "verify",
    "allow_insecure_token",
)
_Decrypt = Callable[..., Any]  # of a client, a response and its request; margins of rows by name


def _is_classifier(model: RemoteModel) -> bool:
    return isinstance(model._session().model.link, ClassificationLink)


def _has_decision(model: RemoteModel) -> bool:
    return isinstance(model._session().model.link, (ClassificationLink, IsolationLink))


class RemoteModel(ContributionsOfService, BaseEstimator):
    """A model that a service scores encrypted rows with: rows are encrypted here, and scores decrypted here.

    It is fitted already. It connects when it is first used, makes keys, and sends the evaluation keys once. Many rows
    go in several requests, some at a time; requests are repeated while the service is busy or away. Threads may share
    it, and clones made by scikit-learn share its keys.

    Parameters
    ----------
    url : str
        Of a service that ``fhe-estimators serve`` runs, such as ``"https://scores.example:8000"``.
    model : str, default=None
        Name of the model; None for the only one.
    token : str, default=None
        Bearer token. None: the URL's entry in the JSON file that the environment variable
        ``FHE_ESTIMATORS_TOKENS_FILE`` names, or what ``FHE_ESTIMATORS_TOKEN`` holds. No ``repr`` and no pickle holds
        it: processes take it from the environment.
    client_archive : path-like, default=None
        Archive of the model from its owner; None to ask the service for it.
    keys_file : path-like, default=None
        Where keys are kept between processes, encrypted with ``password``; None: they end with this object.
    password : str, default=None
        Of ``keys_file``.
    rows_per_request : int, default=None
        None for as many as the engine takes in a batch.
    n_concurrent : int, default=4
        Requests under way at a time.
    timeout_seconds : float, default=120
        Of a request, apart from the time that its bytes need.
    retry_seconds : float, default=300
        How long a request is repeated while the service is busy or cannot be reached.
    verify : bool or str, default=True
        Check of the TLS certificate, or the path of a certificate authority's file.
    allow_insecure_token : bool, default=False
        Send the token over plain HTTP to another machine, too.
    verbose : int, default=0
        Progress bars if positive.

    Attributes
    ----------
    classes_ : ndarray or list of ndarray
        Labels of a classifier.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If the model was trained on named columns.

    Raises
    ------
    ServiceError
        By all that asks the service: if it cannot be reached or refuses.

    Examples
    --------
    >>> from fhe_estimators.serving import RemoteModel
    >>> RemoteModel("https://scores.example", token="secret")
    RemoteModel(token=<hidden>, url='https://scores.example')
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        token: str | None = None,
        client_archive: str | os.PathLike | None = None,
        keys_file: str | os.PathLike | None = None,
        password: str | None = None,
        rows_per_request: int | None = None,
        n_concurrent: int = 4,
        timeout_seconds: float = 120.0,
        retry_seconds: float = 300.0,
        verify: bool | str = True,
        allow_insecure_token: bool = False,
        verbose: int = 0,
    ):
        self.url = url
        self.model = model
        self.token = token
        self.client_archive = client_archive
        self.keys_file = keys_file
        self.password = password
        self.rows_per_request = rows_per_request
        self.n_concurrent = n_concurrent
        self.timeout_seconds = timeout_seconds
        self.retry_seconds = retry_seconds
        self.verify = verify
        self.allow_insecure_token = allow_insecure_token
        self.verbose = verbose
        self._shared = SharedSession()

    def __setattr__(self, name: str, value: Any) -> None:
        # whichever way a parameter is set, `repr` must not show it
        super().__setattr__(name, hidden(value) if name in ("token", "password") else value)

    def fit(self, X: Any, y: Any = None) -> RemoteModel:
        """Connect, and check that rows are those of the model. Nothing is trained, and nothing sent of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : None, default=None
            Ignored.

        Returns
        -------
        self : RemoteModel
            As it was.
        """
        self._session().reader.quantize(X)
        return self

    def predict(self, X: Any, *, base_margin: Any = None) -> np.ndarray:
        """What the estimator's ``predict`` returns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in the estimator's ``predict``; it stays with this client.

        Returns
        -------
        predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, values, or +1 and -1 of an outlier detector.
        """
        return self._scored(X, FHEClient.decrypt_predict, base_margin)

    @available_if(_is_classifier)
    def predict_proba(self, X: Any, *, base_margin: Any = None) -> np.ndarray | list[np.ndarray]:
        """What a classifier's ``predict_proba`` returns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in the estimator's ``predict``; it stays with this client.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            A list, one an output, for multi-output models.
        """
        return self._scored(X, FHEClient.decrypt_proba, base_margin)

    @available_if(_has_decision)
    def decision_function(self, X: Any, *, base_margin: Any = None) -> np.ndarray:
        """What ``decision_function`` of the estimator returns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in the estimator's ``predict``; it stays with this client.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Margins, or scores of outliers.
        """
        return self._scored(X, FHEClient.decrypt_scores, base_margin)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R2 of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        score : float
            As scikit-learn's ``score`` of such estimators.
        """
        measure = accuracy_score if _is_classifier(self) else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    def describe(self, n_rows: int | None = None) -> dict[str, Any]:
        """Security, sizes and costs, before anything is sent.

        Parameters
        ----------
        n_rows : int, default=None
            Rows to predict the cost of.

        Returns
        -------
        facts : dict
            As ``program_.describe()``; and for ``n_rows``, under ``"forecast"``, the requests, seconds and bytes.
        """
        session = self._session()
        facts = dict(session.card["describe"])
        for name in {"predicted_seconds", "predicted_first_seconds"} & set(facts):
            if isinstance(facts[name], dict):  # whose numbers of rows JSON makes text
                facts[name] = {int(rows): seconds for rows, seconds in facts[name].items()}
        if n_rows is not None:
            known = session.has_sent_keys()
            facts["forecast"] = forecast(session.card, n_rows, self.rows_per_request, keys_are_known=known)
        return facts

    def refresh(self) -> RemoteModel:
        """Connect anew: to the model that is served now, with fresh keys.

        Returns
        -------
        self : RemoteModel
            Without keys yet, if they are not in a file.
        """
        self._shared = SharedSession()
        return self

    @property
    def classes_(self) -> Any:
        """Labels of a classifier."""
        classes = self._session().model.classes
        if classes is None:
            raise AttributeError("Only classifiers have classes_.")
        return classes

    @property
    def n_features_in_(self) -> int:
        """Features of the model."""
        return int(self._session().model.quantizer.n_features_in_)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, if the model was trained on named columns."""
        names = getattr(self._session().model.quantizer, "feature_names_in_", None)
        if names is None:
            raise AttributeError("The model was trained on columns without names.")
        return names

    def _scored(self, X: Any, decrypt: _Decrypt, base_margin: Any = None) -> Any:
        if self.n_concurrent < 1 or (self.rows_per_request is not None and self.rows_per_request < 1):
            raise ValueError("n_concurrent and rows_per_request must be positive.")
        session = self._session()
        codes = session.reader.quantize(X)  # all rows are checked before the first is sent
        session.reader.check_margins(base_margin, len(codes))
        size = request_rows(session.card, self.rows_per_request)
        starts = range(0, max(1, len(codes)), size)
        parts = [codes[start : start + size] for start in starts]
        decrypts: list[_Decrypt] = [decrypt] * len(parts)
        if base_margin is not None:
            margins = np.asarray(base_margin)
            decrypts = [partial(decrypt, base_margin=margins[start : start + size]) for start in starts]
        with (
            ThreadPoolExecutor(min(self.n_concurrent, len(parts))) as threads,
            progress_bar((), description="score rows", verbose=self.verbose, total=len(codes)) as bar,
        ):
            futures = [
                threads.submit(session.ask, part, of_part) for part, of_part in zip(parts, decrypts, strict=True)
            ]
            try:
                found = []
                for future, part in zip(futures, parts, strict=True):
                    found.append(future.result())
                    bar.update(len(part))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        if isinstance(found[0], list):  # several outputs
            return [np.concatenate(of_output) for of_output in zip(*found, strict=True)]
        return np.concatenate(found)

    def _session(self) -> Session:
        settings = [getattr(self, name) for name in _CONNECTING]
        return self._shared.session(settings, self._connect)

    def _connect(self) -> Session:
        connection = ServiceConnection(
            self.url,
            self.model,
            token=_value(self.token),
            timeout_seconds=self.timeout_seconds,
            verify=self.verify,
            allow_insecure_token=self.allow_insecure_token,
        )
        return Session(
            connection,
            client_archive=self.client_archive,
            keys_file=self.keys_file,
            password=_value(self.password),
            retry_seconds=self.retry_seconds,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> RemoteModel:
        copied = RemoteModel(**self.get_params(deep=False))
        copied._shared = self._shared
        return copied

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        from sklearn.utils import ClassifierTags, RegressorTags

        link = self._session().model.link
        if isinstance(link, ClassificationLink):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        elif isinstance(link, IsolationLink):
            tags.estimator_type = "outlier_detector"
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        tags.input_tags.allow_nan = self._session().model.row_checks.get("ensure_all_finite") is not True
        tags.requires_fit = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_shared"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._shared = SharedSession()

    def __copy__(self) -> RemoteModel:
        return self.__sklearn_clone__()

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteModel:
        return self.__sklearn_clone__()


def _value(parameter: Any) -> str | None:
    value = revealed(parameter) if isinstance(parameter, Secret) else parameter
    return None if value is None else str(value)
