"""
===============================
Client and server, two programs
===============================

The data owner and the server run in two processes that share nothing but a socket. We measure every message: its bytes,
and the seconds it takes to make and to answer it.
"""

# %%
# The model owner
# ---------------
#
# trains XGBoost in the clear, compiles, and writes an archive for each side. Archives hold JSON and arrays, no pickle
# and no secrets: the server's has the trees, the client's has neither trees nor leaves.

import json
import secrets
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Client as connect
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.serving import FHEClient

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
clf = FHEGradientBoostingClassifier(n_estimators=50, max_depth=3, random_state=0).fit(X_train, y_train).compile()

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
clf.save_server(folder / "model.server.fhe")
clf.save_client(folder / "model.client.fhe")
for side in ("server", "client"):
    print(f"archive of the {side}: {(folder / f'model.{side}.fhe').stat().st_size / 1e3:.0f} kB")

# %%
# The server
# ----------
#
# is a program of its own, started with nothing but its archive: it never had a row or a secret key. It takes
# evaluation keys once, then answers requests until the client hangs up. At the end it reports its seconds, and the
# modules of this library that it loaded: :class:`~fhe_estimators.serving.FHEServer` does not even import the code
# that decrypts.

SERVER = """
import json, sys, time
from multiprocessing.connection import Listener
from fhe_estimators.serving import FHEServer

server, seconds = FHEServer.load(sys.argv[1]), []
with Listener(("127.0.0.1", 0), authkey=bytes.fromhex(sys.argv[2])) as listener:
    print(listener.address[1], flush=True)
    with listener.accept() as connection:
        evaluation_keys = connection.recv_bytes()
        try:
            while True:
                request = connection.recv_bytes()
                start = time.perf_counter()
                response = server.run(request, evaluation_keys)
                seconds.append(time.perf_counter() - start)
                connection.send_bytes(response)
        except EOFError:
            pass
modules = [name for name in sys.modules if name.startswith("fhe_estimators")]
print(json.dumps({"seconds": seconds, "decrypts": [name for name in modules if name.endswith(".client")]}))
"""

password = secrets.token_hex(16)
process = subprocess.Popen(
    [sys.executable, "-c", SERVER, str(folder / "model.server.fhe"), password], stdout=subprocess.PIPE, text=True
)
connection = connect(("127.0.0.1", int(process.stdout.readline())), authkey=bytes.fromhex(password))

# %%
# The client
# ----------
#
# makes its keys and sends the public ones. Then it asks for one row, for the test set, and for 4,096 rows, a full
# batch (rows of the data set, repeated).

client = FHEClient.load(folder / "model.client.fhe")
start = time.perf_counter()
evaluation_keys = client.generate_keys()
print(f"evaluation keys: {len(evaluation_keys) / 1e6:.1f} MB in {time.perf_counter() - start:.2f} s, sent once")
connection.send_bytes(evaluation_keys)


def ask(rows):
    """Labels of encrypted rows; bytes and seconds of the request and of the answer."""
    times = [time.perf_counter()]
    request = client.encrypt(rows)
    times.append(time.perf_counter())
    connection.send_bytes(request)
    response = connection.recv_bytes()
    times.append(time.perf_counter())
    labels = client.decrypt_predict(response)
    times.append(time.perf_counter())
    encrypt, wait, decrypt = np.diff(times)
    return labels, {
        "rows": len(rows),
        "request bytes": len(request),
        "answer bytes": len(response),
        "encrypt": encrypt,
        "wait": wait,
        "decrypt": decrypt,
    }


ask(X_test[:1])  # the server parses the evaluation keys on the first request only
costs = []
for rows in (X_test[:1], X_test, X[np.arange(4096) % len(X)]):
    labels, cost = ask(rows)
    equal = (labels == clf.estimator_.predict(rows)).sum()
    print(f"{len(rows):>5,} rows encrypted, {equal:,} labels as XGBoost's in the clear")
    costs.append(cost)

connection.close()
report = json.loads(process.communicate()[0])
scratch.cleanup()
print("modules that hold secret keys, in the server:", report["decrypts"] or "none")

# %%
# What crosses the wire, and what it takes
# ----------------------------------------
#
# A small request is packed tightly, and the server takes it apart: one row costs little to send, and about as long to
# score as thousands. *Transfer* is the wait less the server's own time; here it is a local socket, so for a network
# divide the bytes by its bandwidth.

for cost, evaluate in zip(costs, report["seconds"][1:], strict=True):
    cost |= {"evaluate (server)": evaluate, "transfer": cost.pop("wait") - evaluate}

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
places = np.arange(len(costs))
for number, what in enumerate(("request bytes", "answer bytes")):
    bars = left.bar(places + 0.36 * (number - 0.5), [cost[what] / 1e6 for cost in costs], 0.36, label=what.split()[0])
    left.bar_label(bars, fmt="{:.2g}", fontsize="small")
left.axhline(len(evaluation_keys) / 1e6, color="0.4", linestyle="--", linewidth=1, label="evaluation keys, once")
left.set(ylabel="megabytes", yscale="log", ylim=(0.1, 100))
left.legend(fontsize="small", loc="upper left")
bottom = np.zeros(len(costs))
for phase in ("encrypt", "transfer", "evaluate (server)", "decrypt"):
    seconds = np.array([cost[phase] for cost in costs])
    right.bar(places, seconds, 0.6, bottom=bottom, label=phase)
    bottom += seconds
per_row = [f"{1e3 * total / cost['rows']:,.1f} ms\na row" for total, cost in zip(bottom, costs, strict=True)]
right.bar_label(right.containers[-1], per_row, fontsize="small")
right.set(ylabel="seconds", ylim=(0, 1.7 * bottom.max()))
right.legend(fontsize="small", loc="upper left", ncols=2)
for ax in (left, right):
    ax.set_xticks(places, [f"{cost['rows']:,}" for cost in costs])
    ax.set_xlabel("rows of the request")
plt.show()

# %%
# Any transport of bytes does: files, queues, HTTP (:doc:`/user_guide/deployment`). The messages need no secrecy,
# since they are ciphertexts and public keys, but they need authentication: over a network, use TLS.
