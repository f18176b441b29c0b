"""
Quick start
===========

Train a random forest in the clear, compile it, and predict on encrypted rows.
Then compare: no label changes here, the scores carry the rounding error of the
leaf values, and the price is time and bytes.
"""

# %%
# Train in the clear
# ------------------
#
# The breast cancer data of scikit-learn: 569 tumours with 30 measurements
# each. :class:`~fhe_estimators.FHERandomForestClassifier` has the parameters
# of scikit-learn's random forest, and trains one.

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fhe_estimators import FHERandomForestClassifier
from fhe_estimators.inspection import AgreementDisplay, compare_with_cleartext

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

clf = FHERandomForestClassifier(n_estimators=50, max_depth=4, random_state=0)
clf.fit(X_train, y_train)

# %%
# Compile
# -------
#
# Compilation turns the trees into an arithmetic circuit and chooses encryption
# parameters for it. It makes no keys and no secrets: the model owner can do it
# alone. ``program_.describe()`` says what came out: a program holds two
# engines, of which each request takes the faster one for its number of rows.

clf.compile()
facts = clf.program_.describe()
names = ["scheme", "security_bits", "poly_modulus_degree", "depth"]
for name in [*names, "rows_per_batch", "evaluation_key_bytes", "choice"]:
    print(f"{name:>20}: {facts[name]}")

# %%
# Predict on encrypted rows
# -------------------------
#
# ``fhe="execute"`` generates keys, encrypts the rows, evaluates the trees on
# ciphertexts and decrypts the answers, all in this process.
# (:doc:`/user_guide/deployment` takes the two sides apart.) The default,
# ``fhe="disable"``, evaluates the same integer model in the clear. The two
# agree exactly.

labels = clf.predict(X_test, fhe="execute")
probabilities = clf.predict_proba(X_test, fhe="execute")

same_labels = labels == clf.predict(X_test)
same_probabilities = probabilities == clf.predict_proba(X_test)
print("labels as in the clear:       ", same_labels.all())
print("probabilities as in the clear:", same_probabilities.all())
print(f"accuracy of encrypted labels:  {(labels == y_test).mean():.4f}")

# %%
# Compare with the float model
# ----------------------------
#
# ``clf.estimator_`` is the forest that scikit-learn trained.
# :func:`~fhe_estimators.inspection.compare_with_cleartext` scores the same
# rows with it, with the integer model in the clear and under encryption (with
# new keys), and reports agreement, metrics with bootstrap intervals, seconds
# of every phase, and bytes.

scoring = ["accuracy", "roc_auc"]
report = compare_with_cleartext(clf, X_test, y_test, scoring=scoring)
print(report)

# %%
# The rows were compared with every threshold by the client, exactly; only the
# leaf values were rounded, to integers. That is the whole difference between
# the encrypted and the float model, and
# :class:`~fhe_estimators.inspection.AgreementDisplay` draws it. No noise of
# the encryption is left: the client rounds it away when it decrypts.

AgreementDisplay.from_estimator(clf, X_test)
plt.show()

# %%
# Encryption took nothing from the predictions. It took time, and little of it
# per row if rows are sent together: a ciphertext has room for
# ``rows_per_batch`` rows, and the server's time for a hundred of them or for a
# whole batch is about the same. See :doc:`/user_guide/trees` for the
# estimators and :doc:`/user_guide/performance` for what costs how much.
