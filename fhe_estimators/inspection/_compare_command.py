"""``fhe-estimators compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..ensembles import as_estimator, column_names
from ..estimators import FHEClassifier, FHERegressor
from ..utils import import_optional
from ._comparison import compare_with_cleartext

#: What supported models consist of, by its full name, besides what skops trusts itself (in its latest releases all of
#: scikit-learn's below but the trees). No name of a module and no prefix: libraries have functions that run what they
#: are given, and a file may name any of them.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "sklearn._loss.link.HalfLogitLink",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.ExponentialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss.loss.HuberLoss",
    "sklearn._loss.loss.PinballLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)


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
    X: Any = frame if column_names(fitted) is not None else frame.to_numpy(dtype=np.float64)
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
    if path.suffix == ".cbm":
        return _load_catboost(path)
    if path.suffix == ".skops":
        return _load_skops(path)
    raise ValueError(
        f"{path.name} is of an unknown kind: save the model as .json or .ubj (XGBoost's save_model), .txt (LightGBM's) "
        "or .cbm (CatBoost's), or as .skops (skops.io.dump, for models of scikit-learn). Pickles are not read: they "
        "run any code they hold."
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


def _load_catboost(path: Path) -> Any:
    catboost = import_optional("catboost", extra="catboost", purpose="reading CatBoost models")
    model = catboost.CatBoost()
    try:
        model.load_model(str(path))
    except catboost.CatBoostError as error:
        raise ValueError(f"{path.name} is no file that CatBoost's save_model wrote: {error}") from error
    # A classifier's file knows its classes.
    kind = catboost.CatBoostClassifier if len(model.classes_) else catboost.CatBoostRegressor
    return kind().load_model(str(path))


def _load_skops(path: Path) -> Any:
    skops = import_optional("skops.io", extra="plots", purpose="reading .skops files")
    try:
        unknown = [name for name in skops.get_untrusted_types(file=path) if name not in TRUSTED_TYPES]
        if unknown:
            raise ValueError(
                f"{path.name} names {unknown[:5]}, which no supported model consists of: it was not loaded, as it "
                "might run code."
            )
        return skops.load(path, trusted=list(TRUSTED_TYPES))
    except (ValueError, OSError, ImportError):
        raise
    except Exception as error:  # whatever skops, zipfile and json raise on broken input
        raise ValueError(f"{path.name} is no file that skops.io.dump wrote: {error}") from error
