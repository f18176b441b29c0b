"""Categorical columns of scikit-learn's histogram gradient boosting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exceptions import UnsupportedModelError
from ._categories import CategoryColumn, SetFeatures
from ._encoding import RowEncoding


class CategoricalColumns:
    """What a fitted model knows of its categories.

    Parameters
    ----------
    model : HistGradientBoostingClassifier or HistGradientBoostingRegressor
        Fitted.

    Attributes
    ----------
    order : ndarray of shape (n_columns,), int64
        The column of each feature that trees test: columns of categories come first there.
    sets : SetFeatures
        Features of the sets that were asked for so far.
    """

    def __init__(self, model: Any):
        n_columns = model.n_features_in_
        is_categorical = np.zeros(n_columns, dtype=bool) if model.is_categorical_ is None else model.is_categorical_
        self.sets = SetFeatures(n_columns)
        self.order = np.concatenate([np.flatnonzero(is_categorical), np.flatnonzero(~is_categorical)]).astype(np.int64)
        self._columns: list[CategoryColumn] = []
        if is_categorical.any():
            encoder = model._preprocessor.named_transformers_["encoder"]
            for categories in encoder.categories_:
                _refuse_dates(categories)
            self._columns = [
                CategoryColumn(int(j), tuple(categories.tolist()), in_arrays=True)
                for j, categories in zip(np.flatnonzero(is_categorical), encoder.categories_, strict=True)
            ]
            self._known, self._position = model._bin_mapper.make_known_categories_bitsets()

    def feature(self, predictor: Any, node: Any) -> int:
        """The feature that is 1 in rows that go left at a node.

        Categories that training did not see take the way of missing ones.
        """
        feature = int(node["feature_idx"])
        missing_left = bool(node["missing_go_to_left"])
        codes = _members(predictor.raw_left_cat_bitsets[node["bitset_idx"]])
        if missing_left:
            known = _members(self._known[self._position[feature]])
            codes |= set(range(len(self._columns[feature].values or ()))) - known
        return self.sets.feature(int(self.order[feature]), codes, with_missing=missing_left)

    def encoding(self) -> RowEncoding | None:
        """How rows become features; None where they are."""
        if not self._columns:
            return None
        return RowEncoding(self.sets.n_columns, categories=tuple(self._columns), sets=self.sets.sets)


def _refuse_dates(categories: np.ndarray) -> None:
    """Refuse dates and durations, of which missing ones are a category of their own in scikit-learn."""
    if categories.dtype.kind in "mM" or any(type(value).__name__ == "NaTType" for value in categories):
        raise UnsupportedModelError(
            "Categories that are dates, periods or durations are not supported: make strings of them before training, "
            "as by column.astype(str).astype('category')."
        )


def _members(bitset: np.ndarray) -> set[int]:
    """Members of a set of bytes, eight words of 32 bits."""
    return {code for code in range(256) if bitset[code // 32] >> (code % 32) & 1}
