"""`RemoteModel` for asyncio (client side)."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from .remote_model import RemoteModel


class AsyncRemoteModel:
    """A model at a URL, whose methods are coroutines.

    Encryption and decryption compute, so they run in threads; the event loop goes on meanwhile.

    Parameters
    ----------
    url : str
        Of the service.
    **parameters
        Of `RemoteModel`.

    Attributes
    ----------
    model : RemoteModel
        What it asks.

    Examples
    --------
    >>> from fhe_estimators.serving import AsyncRemoteModel
    >>> async def labels(rows):
    ...     return await AsyncRemoteModel("https://scores.example").predict(rows)
    """

    def __init__(self, url: str, **parameters: Any):
        self.model = RemoteModel(url, **parameters)

    async def predict(self, X: Any, *, base_margin: Any = None) -> np.ndarray:
        """As `RemoteModel.predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row.

        Returns
        -------
        predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels or values.
        """
        return await asyncio.to_thread(lambda: self.model.predict(X, base_margin=base_margin))

    async def predict_proba(self, X: Any, *, base_margin: Any = None) -> np.ndarray | list[np.ndarray]:
        """As `RemoteModel.predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            Of the classes.
        """
        return await asyncio.to_thread(lambda: self.model.predict_proba(X, base_margin=base_margin))

    async def decision_function(self, X: Any, *, base_margin: Any = None) -> np.ndarray:
        """As `RemoteModel.decision_function`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Margins, or scores of outliers.
        """
        return await asyncio.to_thread(lambda: self.model.decision_function(X, base_margin=base_margin))

    async def classes(self) -> Any:
        """``classes_`` of `RemoteModel`.

        Returns
        -------
        classes : ndarray or list of ndarray
            Labels.
        """
        return await asyncio.to_thread(lambda: self.model.classes_)

    async def describe(self, n_rows: int | None = None) -> dict[str, Any]:
        """As `RemoteModel.describe`.

        Parameters
        ----------
        n_rows : int, default=None
            Rows to predict the cost of.

        Returns
        -------
        facts : dict
            Security, sizes and costs.
        """
        return await asyncio.to_thread(self.model.describe, n_rows)
