"""A tree model of Concrete ML on given rows; runs in its own environment, prints JSON."""

import json
import resource
import sys
import time
from importlib.metadata import metadata, version

import numpy as np

with np.load(sys.argv[1]) as data:
    X_TRAIN, Y_TRAIN, X_TEST, Y_TEST = (data[name] for name in ("X_train", "y_train", "X_test", "y_test"))
MODELS = {
    "xgboost": ("XGBClassifier", {"n_estimators": 50, "max_depth": 3, "random_state": 0}),
    "forest": ("RandomForestClassifier", {"n_estimators": 50, "max_depth": 4, "random_state": 0}),
    "tree": ("DecisionTreeClassifier", {"max_depth": 5, "random_state": 0}),
}


def timed(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def main(key, n_bits, n_rows):
    import concrete.ml.sklearn as models

    name, parameters = MODELS[key]
    model, float_model = getattr(models, name)(n_bits=n_bits, **parameters).fit_benchmark(X_TRAIN, Y_TRAIN)
    float_labels, clear_labels = float_model.predict(X_TEST), model.predict(X_TEST)
    compile_seconds, circuit = timed(model.compile, X_TRAIN)
    keygen_seconds, _ = timed(circuit.keygen, force=True)
    seconds = {"encrypt": [], "evaluate": [], "decrypt": []}
    labels = []
    for row in X_TEST[:n_rows]:
        codes = model.quantize_input(row[None])
        spent, request = timed(circuit.encrypt, codes)
        seconds["encrypt"].append(spent)
        spent, response = timed(circuit.run, request)
        seconds["evaluate"].append(spent)
        spent, answer = timed(circuit.decrypt, response)
        seconds["decrypt"].append(spent)
        labels.append(int(model.post_processing(model.dequantize_output(answer)).argmax(axis=1)[0]))
    return {
        "accuracy": float(np.mean(clear_labels == Y_TEST)),
        "equal_to_float": int(np.sum(clear_labels == float_labels)),
        "encrypted_equal_to_clear": int(np.sum(np.array(labels) == clear_labels[:n_rows])),
        "n_test": len(Y_TEST),
        "n_encrypted": n_rows,
        "compile_seconds": compile_seconds,
        "keygen_seconds": keygen_seconds,
        **{f"{phase}_seconds": float(np.median(runs)) for phase, runs in seconds.items()},
        "key_bytes": len(circuit.client.evaluation_keys.serialize()),
        "request_bytes": len(request.serialize()),
        "response_bytes": len(response.serialize()),
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "version": version("concrete-ml"),
        "python": metadata("concrete-ml")["Requires-Python"],
        "numpy": version("numpy"),
        "licence": metadata("concrete-ml")["License"],
    }


if __name__ == "__main__":
    result = main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(result))
