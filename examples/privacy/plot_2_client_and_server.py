"""
===============================
Client and server, two programs
===============================

The data owner and the server run in two processes that share nothing but a
socket. We measure every message: its bytes, and the seconds it takes to make
and to answer it.
"""

# %%
# The model owner
# ---------------
#
# trains XGBoost in the clear, compiles, and writes an archive for each side.
# Archives hold JSON and arrays, no pickle and no secrets: the server's has the
# trees, the client's has neither trees nor leaves.

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
clf = FHEGradientBoostingClassifier(
    n_estimators=50, max_depth=3, random_state=0
)
clf.fit(X_train, y_train).compile()

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
server_file, client_file = folder / "server.fhe", folder / "client.fhe"
clf.save_server(server_file)
clf.save_client(client_file)
for archive in (server_file, client_file):
    print(f"{archive.name}: {archive.stat().st_size / 1e3:.0f} kB")

# %%
# The server
# ----------
#
# is a program of its own, started with nothing but its archive: it never had a
# row or a secret key. It takes evaluation keys once, then answers requests
# until the client hangs up. At the end it reports its seconds, and the modules
# of this library that it loaded: :class:`~fhe_estimators.serving.FHEServer`
# does not even import the code that decrypts.

SERVER = """
import json, sys, time
from multiprocessing.connection import Listener
from fhe_estimators.serving import FHEServer

server, seconds = FHEServer.load(sys.argv[1]), []
password = bytes.fromhex(sys.argv[2])
with Listener(("127.0.0.1", 0), authkey=password) as listener:
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
ours = [name for name in sys.modules if name.startswith("fhe_estimators")]
secret = [name for name in ours if "client" in name.split(".")]
print(json.dumps({"seconds": seconds, "decrypts": secret}))
"""

password = secrets.token_hex(16)
command = [sys.executable, "-c", SERVER, str(server_file), password]
process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
address = ("127.0.0.1", int(process.stdout.readline()))
connection = connect(address, authkey=bytes.fromhex(password))

# %%
# The client
# ----------
#
# makes its keys and sends the public ones. Then it asks for one row, for the
# test set, and for 4,096 rows, a full batch (rows of the data set, repeated).

client = FHEClient.load(client_file)
start = time.perf_counter()
evaluation_keys = client.generate_keys()
seconds, key_megabytes = (
    time.perf_counter() - start,
    len(evaluation_keys) / 1e6,
)
print(f"evaluation keys: {key_megabytes:.1f} MB in {seconds:.2f} s, sent once")
connection.send_bytes(evaluation_keys)


def ask(rows):
    """Labels of encrypted rows; bytes and seconds of both messages."""
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
        "response bytes": len(response),
        "encrypt": encrypt,
        "wait": wait,
        "decrypt": decrypt,
    }


ask(X_test[:1])  # only for the first request, the server parses the keys
costs = []
for rows in (X_test[:1], X_test, X[np.arange(4096) % len(X)]):
    labels, cost = ask(rows)
    equal = (labels == clf.estimator_.predict(rows)).sum()
    print(f"{len(rows):>5,} rows, {equal:,} labels as XGBoost's in the clear")
    costs.append(cost)

connection.close()
report = json.loads(process.communicate()[0])
scratch.cleanup()
print("modules with secrets, in the server:", report["decrypts"] or "none")

# %%
# What crosses the wire, and what it takes
# ----------------------------------------
#
# A small request is packed tightly, and the server takes it apart: one row
# costs little to send, and about as long to score as thousands. *Transfer* is
# the wait less the server's own time; here it is a local socket, so for a
# network divide the bytes by its bandwidth.

for cost, evaluate in zip(costs, report["seconds"][1:], strict=True):
    cost["evaluate (server)"] = evaluate
    cost["transfer"] = cost.pop("wait") - evaluate
places = np.arange(len(costs))
names = [f"{cost['rows']:,}" for cost in costs]

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
for shift, name in ((-0.18, "request"), (0.18, "response")):
    megabytes = [cost[f"{name} bytes"] / 1e6 for cost in costs]
    bars = ax.bar(places + shift, megabytes, 0.36, label=name)
    ax.bar_label(bars, fmt="{:.2g}", fontsize="small")
keys = {"color": "0.4", "linestyle": "--", "linewidth": 1}
ax.axhline(key_megabytes, label="evaluation keys, once", **keys)
ax.set(ylabel="megabytes", yscale="log", ylim=(0.1, 100))
ax.set_xticks(places, names)
ax.set_xlabel("rows of the request")
ax.legend(fontsize="small", loc="upper left")

fig, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
total = np.zeros(len(costs))
for phase in ("encrypt", "transfer", "evaluate (server)", "decrypt"):
    seconds = np.array([cost[phase] for cost in costs])
    bars = ax.bar(places, seconds, 0.6, bottom=total, label=phase)
    total += seconds
each = 1e3 * total / [cost["rows"] for cost in costs]
labels = [f"{milliseconds:,.1f} ms\na row" for milliseconds in each]
ax.bar_label(bars, labels, fontsize="small")
ax.set(ylabel="seconds", ylim=(0, 1.7 * total.max()))
ax.set_xticks(places, names)
ax.set_xlabel("rows of the request")
ax.legend(fontsize="small", loc="upper left", ncols=2)
plt.show()

# %%
# Any transport of bytes does: files, queues, HTTP
# (:doc:`/user_guide/deployment`). The messages need no secrecy, since they are
# ciphertexts and public keys, but they need authentication: over a network,
# use TLS.
