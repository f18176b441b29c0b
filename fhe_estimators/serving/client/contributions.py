"""Reasons for the scores of a remote model: another model of the service, which its card names (client side)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from ...ensembles import RowEncoding
from ...exceptions import ServiceError
from ..archive import ClientModel
from .fhe_client import FHEClient
from .session import Session
from .sharing import SharedSession


def _has_contributions(model: ContributionsOfService) -> bool:
    return model._contributing_name() is not None


class ContributionsOfService:
    """What `RemoteModel` asks of the model of its contributions."""

    _shared: SharedSession
    client_archive: Any

    @available_if(_has_contributions)
    def predict_contributions(self, X: Any) -> np.ndarray:
        """What each feature contributes to the scores: reasons for a prediction.

        For models beside which the service serves the `FHEContributions` of the same trees: the service finds it by
        itself. It has keys of its own, in memory. Not with ``client_archive``, which is the archive of one model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features + 1) or (n_samples, n_scores, n_features + 1)
            As the estimator's ``predict_contributions`` returns them.
        """
        this: Any = self
        session: Session = this._session()
        with_our_settings = {name: getattr(self, name) for name in ("rows_per_request", "n_concurrent", "verbose")}
        companion = self._shared.companion(session, self._make_companion)
        check_same_rows(companion._session().model, session.model)
        flat = clone(companion).set_params(**with_our_settings)._scored(X, FHEClient.decrypt_predict)
        n_scores = len(session.model.base_score)
        return flat if n_scores == 1 else flat.reshape(len(flat), n_scores, -1)

    def _contributing_name(self) -> str | None:
        this: Any = self
        name = this._session().card.get("contributions")
        return name if isinstance(name, str) and self.client_archive is None else None

    def _make_companion(self) -> Any:
        this: Any = self
        parameters = this.get_params(deep=False)
        return type(this)(**{**parameters, "model": self._contributing_name(), "keys_file": None, "password": None})

    def _companion_session(self) -> Session | None:
        """The session of the model of contributions, once there is one."""
        this: Any = self
        companion = self._shared.companion(this._session(), None)
        return None if companion is None else companion._session()


def check_same_rows(contributions: ClientModel, model: ClientModel) -> None:
    """A `ServiceError` unless both take the same rows, and one has a score for each feature and score of the other."""
    ours, theirs = model.quantizer, contributions.quantizer
    same = (
        len(contributions.base_score) == len(model.base_score) * (ours.n_features_in_ + 1)
        and _settings(ours.encoding_) == _settings(theirs.encoding_)
        and len(ours.edges_) == len(theirs.edges_)
        and all(np.array_equal(a, b) for a, b in zip(ours.edges_, theirs.edges_, strict=True))
        and list(getattr(ours, "feature_names_in_", [])) == list(getattr(theirs, "feature_names_in_", []))
    )
    if not same:
        raise ServiceError(
            "The model that the service names for contributions takes other rows, or has other scores, than the model "
            "it belongs to: the service is at fault."
        )


def _settings(encoding: RowEncoding | None) -> str:
    """All of an encoding as text, in which missing categories (NaN) are equal."""
    return json.dumps(None if encoding is None else encoding.to_dict())
