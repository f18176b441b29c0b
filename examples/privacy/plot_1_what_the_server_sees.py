"""
====================
What the server sees
====================

We open a request and look at its bytes: what is readable, what is not, and
whether two requests can be told apart. Then we try to read an answer with the
wrong key, and to damage one on its way.
"""

# %%
# Two parties
# -----------
#
# The model owner trains in the clear and writes one archive for each side. The
# *client* owns rows and makes the keys. The *server* owns the model. Only the
# client can decrypt: its secret key is made by
# :meth:`~fhe_estimators.serving.FHEClient.generate_keys`, which returns the
# public evaluation keys and keeps the rest.

import json
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import FHEError
from fhe_estimators.serving import FHEClient, FHEServer

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
clf = FHEGradientBoostingClassifier(
    n_estimators=50, max_depth=3, random_state=0
)
clf.fit(X_train, y_train).compile()

with tempfile.TemporaryDirectory() as folder:
    clf.save_server(Path(folder, "model.server.fhe"))
    clf.save_client(Path(folder, "model.client.fhe"))
    server = FHEServer.load(Path(folder, "model.server.fhe"))
    client = FHEClient.load(Path(folder, "model.client.fhe"))
    # Somebody else who uses the same model:
    stranger = FHEClient.load(Path(folder, "model.client.fhe"))

evaluation_keys = client.generate_keys()
stranger_keys = stranger.generate_keys()
row, other_row = X_test[:1], X_test[1:2]

# %%
# What is readable
# ----------------
#
# A message is a short header in JSON, ciphertexts, and a checksum. The header
# names the model and the keys that belong to the request, and says how many
# rows there are: no value of any row, and no result. It starts after ten bytes
# of format name, version and length.


def read_header(message):
    """The header of a message, and where its ciphertexts begin."""
    text = message[10:].decode("latin-1")
    header, length = json.JSONDecoder().raw_decode(text)
    return header, 10 + length


request = client.encrypt(row)
header, begin = read_header(request)
print(f"{row.size} measurements, {len(request):,} bytes of request")
for name, value in header.items():
    print(f"  {name:<11} {value}")

# %%
# What is not
# -----------
#
# All the rest are ciphertexts. We count how often each value of a byte occurs
# in them, and in the measurements themselves. There, exponents and round
# decimals stand out. The bytes of ciphertexts are almost equally frequent;
# what is left of a pattern is that of the compressed file format (SEAL uses
# Zstandard). An even histogram is no proof of security, which rests on the
# hardness of ring learning with errors (:doc:`/security/parameters`).


def ciphertext_bytes(message):
    """Everything between the header and the checksum."""
    return np.frombuffer(message[begin:-32], np.uint8)


ciphertexts = ciphertext_bytes(request)
clear = np.frombuffer(X.tobytes(), np.uint8)

# %%
# Encryption is randomized. Two encryptions of one row have no more bytes in
# common than those of two different rows, in both cases about 1 in 256, as by
# chance (a little more: the file format again). So the server cannot even tell
# whether a client asks the same question twice.

again = ciphertext_bytes(client.encrypt(row))
different = ciphertext_bytes(client.encrypt(other_row))


def equal_bytes(first, second):
    """Fraction of places at which two messages have the same byte."""
    shared = min(len(first), len(second))
    return (first[:shared] == second[:shared]).mean()


pairs = {
    "same row, twice": equal_bytes(ciphertexts, again),
    "two different rows": equal_bytes(ciphertexts, different),
}
for name, fraction in pairs.items():
    print(f"{name}: {fraction:.3%} of the bytes are equal")
print(f"chance: {1 / 256:.3%}")

# %%

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
for values, label in ((clear, "measurements"), (ciphertexts, "request")):
    frequencies = np.bincount(values, minlength=256) / len(values)
    ax.plot(frequencies, drawstyle="steps-mid", label=label)
chance = {"color": "0.4", "linestyle": "--", "linewidth": 1}
ax.axhline(1 / 256, label="all values equally frequent", **chance)
ax.set(xlabel="value of the byte", ylabel="frequency", xlim=(0, 255))
ax.set_yscale("log")
ax.legend(fontsize="small")

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
percent = [100 * fraction for fraction in pairs.values()]
ax.bar(list(pairs), percent, width=0.5, color="C1")
ax.axhline(100 / 256, label="chance", **chance)
ax.set(ylabel="bytes in common, percent", ylim=(0, 0.6))
ax.legend(fontsize="small")
plt.show()

# %%
# Who decrypts
# ------------
#
# The server multiplies and adds ciphertexts with the help of the evaluation
# keys, and returns a ciphertext. It never decrypts, neither rows nor
# intermediate values nor the score. The client does.

response = server.run(request, evaluation_keys)
print("client reads      ", client.decrypt_predict(response, request))
print("model in the clear", clf.predict(row))

# %%
# With another key
# ----------------
#
# Somebody who has the same model, but not the client's secret key, cannot read
# the answer. The identity of the keys in the header gives the mix-up away
# first. This identity is a name, not a protection, so we forge it (and that of
# the request) as well: what comes out is then noise, and the decryption
# refuses it instead of returning a wrong label. It also retires the keys: a
# server that learned how a client reacts to forgeries could learn the key.


def attempt(what, function, *arguments):
    """Print the error that a call raises."""
    try:
        print(f"{what}: {function(*arguments)}")
    except FHEError as error:
        text = textwrap.fill(f"{type(error).__name__}: {error}", 74)
        print(f"{what}\n{textwrap.indent(text, '    ')}\n")


def renamed(response, request):
    """The ciphertexts of a response, under the names of another request."""
    names, _ = unpack_message("request", request)
    _, ciphertexts = unpack_message("response", response)
    return pack_message("response", names, ciphertexts)


forged = renamed(response, stranger.encrypt(row))
attempt("a stranger decrypts", stranger.decrypt_predict, response)
attempt("the same, with a forged identity", stranger.decrypt_predict, forged)
attempt(
    "the server uses a stranger's keys", server.run, request, stranger_keys
)

# %%
# Damaged on the way
# ------------------
#
# Messages that were truncated or altered by accident are refused, not answered
# wrongly. Nor is a second, different response to a request decrypted, however
# well it is made.

flipped = bytearray(response)
flipped[len(response) // 2] ^= 1
half = response[: len(response) // 2]
attempt("cut off", client.decrypt_predict, half, request)
attempt("one bit flipped", client.decrypt_predict, bytes(flipped), request)
another = server.run(client.encrypt(other_row), evaluation_keys)
second = renamed(another, request)
attempt("a second response", client.decrypt_predict, second, request)

# %%
# The checksum finds accidents, and what no correct evaluation could have
# produced is refused. Neither proves that the server computed what it was
# asked to: :doc:`/security/threat_model` says what is protected and what is
# not.
