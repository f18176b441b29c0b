"""Encrypted predictions on a whole test set, and on one row.

XGBoost (50 trees of depth 3) is trained in the clear on the breast cancer data. A data owner encrypts
the test set, a server in a process of its own scores it, and the data owner decrypts the answers.
"""

import tempfile
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from fhe_estimators.serving import FHEClient, FHEServer


def train(server_archive, client_archive):
    """The model owner: train in the clear, compile, write one archive for each side."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    from fhe_estimators import FHEGradientBoostingClassifier

    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    clf = FHEGradientBoostingClassifier(library="xgboost", n_estimators=50, max_depth=3, random_state=0)
    clf.fit(X_train, y_train).compile()
    clf.save_server(server_archive)
    clf.save_client(client_archive)
    return clf, X_test, y_test


def serve(server_archive, requests, evaluation_keys):
    """The server: a process that has neither the rows nor the secret key. Responses, and seconds of each request."""
    server = FHEServer.load(server_archive)
    for request in requests:  # with the first one, keys are read and the model's constants encoded
        server.run(request, evaluation_keys)
    return [timed(server.run, request, evaluation_keys) for request in requests]


def timed(function, *arguments):
    """Result and seconds of a call."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def encrypted_predictions(client, X, server_archive, program):
    """Labels, margins, and figures of a request with all rows and of one with a single row."""
    evaluation_keys, keygen_seconds = timed(client.generate_keys)
    one, one_encrypt_seconds = timed(client.encrypt, X[:1])
    request, encrypt_seconds = timed(client.encrypt, X)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        served = pool.submit(serve, server_archive, [one, request], evaluation_keys).result()
    (one_response, one_seconds), (response, evaluate_seconds) = served
    labels, decrypt_seconds = timed(client.decrypt_predict, response)
    _, one_decrypt_seconds = timed(client.decrypt_predict, one_response, one)
    one_total = one_encrypt_seconds + one_seconds + one_decrypt_seconds
    total = encrypt_seconds + evaluate_seconds + decrypt_seconds
    predicted = {n_rows: program.predicted_seconds(n_rows) for n_rows in (1, len(X))}
    facts = program.describe()
    once = sum(facts["predicted_first_seconds"][n] - facts["predicted_seconds"][n] for n in (1, 1000))
    figures = {
        "generate keys": f"{keygen_seconds:.3f} s, once (with all else that is done once: {once:.2f} s predicted)",
        "encrypt": f"{encrypt_seconds:.3f} s",
        "evaluate (server)": f"{evaluate_seconds:.3f} s",
        "decrypt": f"{decrypt_seconds:.4f} s",
        "altogether, a row": f"{1e3 * total / len(X):.2f} ms",
        "evaluation keys": f"{len(evaluation_keys) / 1e6:.2f} MB, once",
        "upload": f"{len(request) / 1e6:.2f} MB",
        "download": f"{len(response) / 1e3:.0f} kB",
        "altogether": f"{total:.2f} s (predicted: {predicted[len(X)]:.2f} s)",
        "one row alone": f"{one_total:.2f} s (predicted: {predicted[1]:.2f} s)",
        "what the server saw": f"{len(X)} rows as ciphertexts, beginning {request[-4096:-4080].hex()}",
    }
    return labels, client.decrypt_scores(response), figures


def main():
    with tempfile.TemporaryDirectory() as folder:
        server_archive, client_archive = Path(folder, "model.server.fhe"), Path(folder, "model.client.fhe")
        clf, X, y = train(server_archive, client_archive)
        client = FHEClient.load(client_archive)
        facts = clf.program_.describe()
        labels, margins, figures = encrypted_predictions(client, X, server_archive, clf.program_)

    float_model = clf.estimator_
    error = abs(margins - float_model.predict(X, output_margin=True)).max()
    table = {
        "encryption": f"{facts['scheme']}; N = {facts['poly_modulus_degree']}, {facts['security_bits']:.0f} bits secure",
        "accuracy": f"{(labels == y).mean():.4f} encrypted, {float_model.score(X, y):.4f} float model",
        "labels as the float model's": f"{(labels == float_model.predict(X)).sum()} of {len(X)}",
        "largest margin error": f"{error:.1e}",
        "exact (quantized model)": f"{(margins == clf.decision_function(X)).sum()} of {len(X)}",
        **figures,
        "what the client learned": facts["client_learns"],
    }
    print(f"XGBoost 50 x depth 3, breast cancer, {len(X)} encrypted rows of {X.shape[1]} features\n")
    for name, value in table.items():
        print(textwrap.fill(value, 120, initial_indent=f"  {name:<28} ", subsequent_indent=" " * 31))


if __name__ == "__main__":
    main()
