"""
======================
Reasons for a decision
======================

Whoever is refused credit may ask why. A bureau that never saw an application
can still say: it evaluates, on ciphertexts, what each column contributed to
the score. Only the applicant's bank can read the reasons.
"""

# %%
# A model of risk
# ---------------
#
# German credit, as in :doc:`plot_6_credit_scoring`. Categories become zeros
# and ones at the bank; we keep which column each of them came from.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.datasets import fetch_german_credit
from fhe_estimators.inspection import ContributionDisplay

applications, bad = fetch_german_credit(return_X_y=True)
ordered = ["checking_account", "savings", "employed_since", "job"]
texts = applications.select_dtypes(exclude="number").columns
encode = make_column_transformer(
    (OrdinalEncoder(), ordered),
    (OneHotEncoder(sparse_output=False), texts.difference(ordered).tolist()),
    remainder="passthrough",
    verbose_feature_names_out=False,
).set_output(transform="pandas")
boosting = FHEGradientBoostingClassifier(
    library="xgboost", n_estimators=30, max_depth=3, random_state=0
)
scoring = make_pipeline(encode, boosting)
train, test, bad_train, bad_test = train_test_split(
    applications, bad, test_size=0.4, random_state=0, stratify=bad
)
scoring.fit(train, bad_train)
boosting.compile()
risk = scoring.predict_proba(test)[:, 1]
print(f"{scoring.score(test, bad_test):.3f} of the test labels are right")

# %%
# One application
# ---------------
#
# A sample's way through a tree changes the mean risk of the training samples
# below it, step by step. Each change is credited to the column that is
# compared. The contributions add up to the margin, the logarithm of the odds.
# Here is the application of the highest risk, encrypted:

refused = test.iloc[[int(np.argmax(risk))]]
row = encode.transform(refused)
contributions = boosting.predict_contributions(row, fhe="execute")[0]
margin = boosting.decision_function(row)[0]
print(f"sum of contributions {contributions.sum():.4f}, margin {margin:.4f}")

# %%
# A reason is about a column of the application, not about one of the zeros and
# ones that it was turned into, so we add these up.

columns = applications.columns
source = [
    next(i for i, column in enumerate(columns) if name.startswith(column))
    for name in boosting.feature_names_in_
]
by_column = np.zeros(len(columns) + 1)
np.add.at(by_column, [*source, len(columns)], contributions)
named = [f"{column} = {refused[column].iloc[0]}" for column in columns]
display = ContributionDisplay(by_column, named).plot(max_features=8)
display.ax_.set(xlabel="logarithm of the odds of a bad risk")
plt.show()

# %%
# What it costs
# -------------
#
# The circuit stays the same, but its leaves hold a value for each feature in
# place of one. Reasons are therefore dearer than a score, and compiled on
# first use:

for what, program in (
    ("score", boosting.program_),
    ("reasons", boosting.contributions_.program_),
):
    costs = program.describe()
    print(
        f"{what:<8} upload {costs['upload_bytes'] / 1e3:,.0f} kB, "
        f"download {costs['download_bytes'] / 1e3:,.0f} kB"
    )

# %%
# They are exact: what is decrypted equals what the model in the clear says, on
# every application.

rows = encode.transform(test.iloc[:40])
encrypted = boosting.predict_contributions(rows, fhe="execute")
print((encrypted == boosting.predict_contributions(rows)).all())

# %%
# Path attributions favour columns that are compared far down a tree, where
# groups are small. Shapley values have better properties and a higher price:
# :doc:`/user_guide/inspection` says which. Reasons tell the bank more of the
# model than a score does; a bureau that fears imitation should bound how many
# it answers.
