"""Write archives and messages in the formats of the version that is installed.

Before a format changes, run ``python tests/data/make_archives.py tests/data/vN`` and keep the folder: later versions
are tested against it. ``v1`` was written by the last commit before version 2 of the formats.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris

from fhe_estimators import (
    FHEDecisionTreeClassifier,
    FHEDecisionTreeRegressor,
    FHEGradientBoostingClassifier,
    FHEGradientBoostingRegressor,
    FHEIsolationForest,
    FHERandomForestClassifier,
)
from fhe_estimators.quantizers import UniformQuantizer
from fhe_estimators.serving import FHEClient, FHEServer

X, Y = load_iris(return_X_y=True)
NAMED = pd.DataFrame(X, columns=["a", "b", "c", "d"])
CONSTANT = np.column_stack([X[:, 2], np.ones(len(X))])
FIRST = {"max_depth": 2, "random_state": 0}
MODELS = {
    "ckks": (FHEGradientBoostingClassifier(4, library="sklearn", backend="ckks", **FIRST), X, Y == 2),
    "ckks_deep": (
        FHERandomForestClassifier(5, max_depth=6, backend="ckks", random_state=0),
        NAMED,
        np.array(["x", "y", "z"])[Y],
    ),
    "ckks_hidden": (
        FHEGradientBoostingRegressor(3, library="sklearn", backend="ckks", quantizer=UniformQuantizer(4), **FIRST),
        X,
        X[:, 3],
    ),
    "ckks_constant": (FHEDecisionTreeRegressor(backend="ckks", **FIRST), X, CONSTANT),
    "clear": (FHEDecisionTreeClassifier(backend="clear", quantizer="uniform", max_depth=3, random_state=0), X, Y),
    "clear_outliers": (FHEIsolationForest(5, max_samples=16, backend="clear", random_state=0), X, None),
    "auto": (FHERandomForestClassifier(3, max_depth=3, random_state=0), X, Y),
    "bfv": (FHERandomForestClassifier(3, max_depth=4, backend="bfv", random_state=0), X, Y),
    "tfhe": (FHEDecisionTreeClassifier(backend="tfhe", **FIRST), X, Y),
}
#: Messages that are small enough to be stored.
MESSAGES = {
    "clear": ["request", "response", "evaluation_keys", "client_keys"],
    "ckks": ["request"],
    "tfhe": ["request", "response"],
}


def write(name, folder):
    model, rows, y = MODELS[name]
    model.fit(rows, y).compile()
    model.save_server(folder / f"{name}.server.fhe")
    model.save_client(folder / f"{name}.client.fhe")
    rows = rows[::30]
    scores = model.decision_function(rows) if hasattr(model, "decision_function") else model.predict(rows)
    if name in MESSAGES:
        write_messages(name, folder, rows[:1])
    return {
        "program_id": model.program_.client_spec.program_id,
        "scores": np.asarray(scores).tolist(),
        "predictions": np.asarray(model.predict(rows)).tolist(),
    }


def write_messages(name, folder, rows):
    client, server = (cls.load(folder / f"{name}.{cls.__name__[3:].lower()}.fhe") for cls in (FHEClient, FHEServer))
    keys, request = client.generate_keys(), client.encrypt(rows)
    messages = {"evaluation_keys": keys, "request": request, "response": server.run(request, keys)}
    for kind in MESSAGES[name]:
        path = folder / f"{name}.{kind}"
        if kind == "client_keys":
            client.save_keys(path, "golden")
        else:
            path.write_bytes(messages[kind])


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    expected = {name: write(name, folder) for name in MODELS}
    (folder / "expected.json").write_text(json.dumps({"rows": X[::30].tolist(), **expected}, indent=1))
