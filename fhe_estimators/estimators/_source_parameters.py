"""Estimators whose parameters are those of one class of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from ._base import BaseFHEEstimator


class SourceParameters(BaseFHEEstimator):
    """Mixin of estimators whose parameters are those of one class of scikit-learn.

    Parameters that the source class knows are handed to it; the others configure the encryption.
    """

    _source_class: ClassVar[type[BaseEstimator]]

    def _store_parameters(self, parameters: dict[str, Any]) -> None:
        """Set parameters from the ``locals()`` of ``__init__``."""
        for name in self._get_param_names():
            setattr(self, name, parameters[name])

    def _make_estimator(self) -> BaseEstimator:
        known = set(self._source_class().get_params()) - {"verbose"}
        return self._source_class(**{k: v for k, v in self.get_params(deep=False).items() if k in known})
