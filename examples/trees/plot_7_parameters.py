"""
Parameters: from depth to ring degree, and how to read ``describe()``
=====================================================================

Nobody chooses encryption parameters by hand here: they follow from the trees.
This example shows how depth becomes levels, levels become a modulus, the
modulus a ring degree, and that sizes and time; and what each field of
``program_.describe()`` means.
"""

# %%
# Compile at growing depth
# ------------------------
#
# Forests of ten trees on the diabetes data of scikit-learn, for the engine
# that scores many rows at once (``backend="ckks"``; the default holds it
# beside one for few rows, and describes both). Compilation makes no keys, so
# this is quick.

import textwrap
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_diabetes

from fhe_estimators import FHERandomForestRegressor
from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.exceptions import InsecureParametersError
from fhe_estimators.inspection import NoiseBudgetDisplay, measure_phases

X, y = load_diabetes(return_X_y=True)


def compiled(max_depth, backend="ckks"):
    forest = FHERandomForestRegressor(
        n_estimators=10, max_depth=max_depth, random_state=0, backend=backend
    )
    return forest.fit(X, y).compile()


depths = [1, 2, 3, 4, 6, 8, 9, 12, 16]
facts = [compiled(depth).program_.describe() for depth in depths]
table = pd.DataFrame(facts, index=pd.Index(depths, name="max_depth"))
columns = ["depth", "coeff_modulus_bits", "poly_modulus_degree"]
print(table[[*columns, "n_comparisons", "n_products"]].to_string())

# %%
# **Levels** (``depth``). A tree of depth :math:`D` takes :math:`\lceil \log_2
# D \rceil` multiplications one after another (and at least one level).
#
# **Modulus** (``coeff_modulus_bits``). A product of primes of so many bits.
# The first ones hold the answer, every level but the first uses up one more,
# and the last one serves key switching only. More levels need more bits.
#
# **Ring degree** (``poly_modulus_degree``, :math:`N`). A larger modulus is
# less secure, a larger ring more. The compiler takes the smallest ring of the
# table in :doc:`/security/parameters` in which the modulus has 128 bits of
# security and the predicted noise is small enough to be rounded away.
#
# **Sizes.** A ciphertext has :math:`N` coefficients for every prime, and both
# numbers grow with depth. On top of that, deeper trees ask more distinct
# questions (``n_comparisons``), and a batch needs a ciphertext for almost
# every question.

sizes = {
    "upload_bytes": "upload of a full batch",
    "small_request_bytes": "upload of a small request",
    "evaluation_key_bytes": "evaluation keys",
    "download_bytes": "download of a batch",
}
megabytes = (table[list(sizes)].astype(float) / 1e6).rename(columns=sizes)
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
megabytes.plot(ax=ax, marker="o", logy=True, ylabel="MB", grid=True)
ax.legend(loc="upper left", fontsize="small")
ax.set_ylim(top=3e4)

steps = table[["depth", "poly_modulus_degree"]].astype(float) / [1, 8192]
steps.columns = ["levels", "ring degree / 8192"]
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
steps.plot(ax=ax, marker="o", drawstyle="steps-mid", grid=True)
ax.set_yticks(range(6))
plt.show()

# %%
# Where the ring has no room for both, the compiler gives up a bit or two of
# precision (never more than 1e-4 of the score range) before it gives up
# packing comparisons of a row into one ciphertext, without which a single row
# would be as large a request as a full batch. ``layout="rows"`` does without
# packing: smaller keys, the best precision.

for layout in ("auto", "rows"):
    forest = compiled(6, backend=CKKSBackend(layout=layout))
    described = forest.program_.describe()
    print(f"layout={layout!r}, {described['score_bits']} score bits")
    for name in (
        "small_request_bytes",
        "upload_bytes",
        "evaluation_key_bytes",
    ):
        print(f"{name:>22}: {described[name] / 1e6:6.2f} MB")

# %%
# Field by field
# --------------
#
# All fields of one compiled model:

forest = compiled(4)
indent = " " * 24
for name, value in forest.program_.describe().items():
    line = f"{name:>22}: {value}"
    print(textwrap.fill(line, 79, subsequent_indent=indent))

# %%
# ``security_bits``
#     Of the best known classical attack. 128 is the floor.
# ``poly_modulus_degree``, ``coeff_modulus_bits``, ``depth``
#     Ring degree, bits of the primes, and levels, as above.
# ``score_bits``
#     Sums of leaves are integers below ``2 ** score_bits``: the precision of
#     scores.
# ``predicted_error_std``
#     Standard deviation of the noise of a decrypted sum, in units of these
#     integers.
# ``n_comparisons``, ``n_products``, ``n_relinearizations``
#     Distinct comparisons; products of ciphertexts; and key switchings after
#     products, the dearest step of the server.
# ``rows_per_batch``, ``n_ciphertexts``, ``upload_bytes``, ``download_bytes``
#     Rows that share ciphertexts, N/2 of them; how many ciphertexts such a
#     batch is, and what it and its answer weigh.
# ``rows_per_small_request``, ``small_request_bytes``
#     Up to so many rows, comparisons of a row are packed, and the upload
#     shrinks to so much.
# ``evaluation_key_bytes``
#     Public keys, sent once.
# ``server_sees``, ``client_learns``
#     What each side gets to know: :doc:`/security/threat_model`.
#
# The sizes are predictions from the parameters. Those of real messages are
# within a few per cent:

n_rows = forest.program_.describe()["rows_per_small_request"]
phases = measure_phases(forest, X[:n_rows])
print(f"evaluation keys: {phases.key_bytes:,} bytes")
print(f"request of {n_rows} rows: {phases.request_bytes:,} bytes")

# %%
# Noise
# -----
#
# Ciphertexts hold noise, and every operation adds some. The client rounds
# decrypted sums to integers, so the answer is exact as long as the noise stays
# below one half. :class:`~fhe_estimators.inspection.NoiseBudgetDisplay`
# measures what rounding removed, beside the prediction by which the parameters
# were chosen.

display = NoiseBudgetDisplay.from_estimator(forest, X)
plt.show()

# %%
# The floor
# ---------
#
# Parameters below 128 bits of security cannot be made, not even on purpose.
# The same modulus in a smaller ring:

try:
    replace(forest.program_.parameters, poly_modulus_degree=4096)
except InsecureParametersError as error:
    print(textwrap.fill(str(error), 79))

# %%
# A model for which no secure ring offers the levels and the precision is
# refused with a
# ``ParameterSelectionError``. To make a model cheaper, limit ``max_depth``
# first, then the number of trees.
