"""``fhe-estimators compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..ensembles import as_estimator
from ..estimators import FHEClassifier, FHERegressor
from ..utils import import_optional
from ._comparison import compare_with_cleartext

#: Types of these in .skops files are loaded; those of others are refused by skops.
_TRUSTED_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "numpy", "collections")


def compare(
    model: str,
    data: str,
    target: str,
    backend: str,
    fhe: str,
    rows: int | None,
    scoring: list[str] | None,
    csv: str | None,
) -> None:
    """Print the report on a model file and a CSV file."""
    pandas = import_optional("pandas", extra="plots", purpose="fhe-estimators compare")
    fitted, frame = load_model(Path(model)), pandas.read_csv(data)
    if target not in frame:
        raise ValueError(f"--target {target!r} is no column of {data}: it has {', '.join(map(str, frame.columns))}.")
    y = frame.pop(target).to_numpy()
    text = [str(name) for name in frame.select_dtypes(exclude=["number", "bool"])]
    if text:
        raise ValueError(f"The features {text} are text: encode them as when the model was trained.")
    X: Any = frame if hasattr(fitted, "feature_names_in_") else frame.to_numpy(dtype=np.float64)
    wrapper = FHEClassifier if is_classifier(fitted) else FHERegressor
    estimator = wrapper.from_fitted(fitted, X, backend=backend)
    if fhe != "disable":
        estimator.compile()
    report = compare_with_cleartext(estimator, X, y, fhe=fhe, scoring=scoring or None, n_rows=rows)
    print(report)
    if csv is not None:
        report.to_frame().to_csv(csv, index=False)


def load_model(path: Path) -> Any:
    """A fitted model from a file of a format that runs no code when it is read."""
    if not path.is_file():
        raise ValueError(f"There is no model file {path}.")
    if path.suffix in (".json", ".ubj"):
        return _load_xgboost(path)
    if path.suffix == ".txt":
        return _load_lightgbm(path)
    if path.suffix == ".skops":
        return _load_skops(path)
    raise ValueError(
        f"{path.name} is of an unknown kind: save the model as .json or .ubj (XGBoost's save_model), .txt (LightGBM's) "
        "or .skops (skops.io.dump, for models of scikit-learn). Pickles are not read: they run any code they hold."
    )


def _load_xgboost(path: Path) -> Any:
    xgboost = import_optional("xgboost", extra="xgboost", purpose="reading XGBoost models")
    return as_estimator(xgboost.Booster(model_file=path))


def _load_lightgbm(path: Path) -> Any:
    lightgbm = import_optional("lightgbm", extra="lightgbm", purpose="reading LightGBM models")
    try:
        return as_estimator(lightgbm.Booster(model_file=path))
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(f"{path.name} is no file that LightGBM's save_model wrote: {error}") from error


def _load_skops(path: Path) -> Any:
    skops = import_optional("skops.io", extra="plots", purpose="reading .skops files")
    unknown = skops.get_untrusted_types(file=path)
    trusted = [name for name in unknown if name.partition(".")[0] in _TRUSTED_LIBRARIES]
    return skops.load(path, trusted=trusted)
