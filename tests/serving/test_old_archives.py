"""Files written by earlier versions load and predict as they did, or are refused with an error that says what to do."""

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fhe_estimators.backends.messages import MESSAGE_VERSION
from fhe_estimators.exceptions import ProtocolError
from fhe_estimators.serving import FHEClient, FHEServer
from fhe_estimators.serving._versions import ARCHIVE_VERSION
from fhe_estimators.serving.archive import save_client_archive, save_server_archive
from tests.data.make_archives import MESSAGES, MODELS

DATA = Path(__file__).parents[1] / "data"
VERSIONS = range(1, ARCHIVE_VERSION + 1)
ENGINES = ("clear", "ckks", "bfv", "auto", *(["tfhe"] if find_spec("concrete") else []))
NAMES = [name for name in MODELS if name.startswith(ENGINES)]
#: Versions and names of what is stored: version 1 had neither a bfv engine nor the automatic choice.
STORED = [(v, name) for v in VERSIONS for name in NAMES if (v, name) not in [(1, "bfv"), (1, "auto")]]


def stored(version, name):
    """Client and server from the archives of a version, the rows they know, and what these must give."""
    folder = DATA / f"v{version}"
    expected = json.loads((folder / "expected.json").read_text())
    rows = np.array(expected["rows"])
    if name == "ckks_deep":
        rows = pd.DataFrame(rows, columns=["a", "b", "c", "d"])
    client, server = FHEClient.load(folder / f"{name}.client.fhe"), FHEServer.load(folder / f"{name}.server.fhe")
    return client, server, rows, expected[name]


@pytest.mark.parametrize(("version", "name"), STORED)
def test_models_are_those_that_were_saved(version, name):
    client, server, _, expected = stored(version, name)
    assert server.program.client_spec.program_id == client._client.spec.program_id == expected["program_id"]


@pytest.mark.parametrize(
    ("version", "name"),
    # See test_clients_of_version_1_do_not_know_constant_scores.
    [pair for pair in STORED if pair != (1, "ckks_constant")],
)
def test_predictions_are_those_that_were_made(version, name):
    client, server, rows, expected = stored(version, name)
    evaluation_keys = client.generate_keys()
    response = server.run(client.encrypt(rows), evaluation_keys)
    predictions = client.decrypt_predict(response)
    np.testing.assert_array_equal(predictions, np.array(expected["predictions"]))
    if client.classes_ is not None or name == "clear_outliers":
        # In the power of two that an outlier's score is, processors and versions of NumPy differ by a last bit.
        atol = 1e-15 if name == "clear_outliers" else 0
        np.testing.assert_allclose(client.decrypt_scores(response), np.array(expected["scores"]), rtol=0, atol=atol)


@pytest.mark.parametrize("name", [name for version, name in STORED if version == 1])
def test_archives_can_be_saved_in_the_present_version(name, tmp_path):
    client, server, rows, expected = stored(1, name)
    save_server_archive(tmp_path / "server.fhe", server.program)
    save_client_archive(tmp_path / "client.fhe", dataclasses.replace(client._model, spec=server.program.client_spec))
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    evaluation_keys = client.generate_keys()
    response = server.run(client.encrypt(rows), evaluation_keys)
    np.testing.assert_array_equal(client.decrypt_predict(response), np.array(expected["predictions"]))


def test_clients_of_version_1_do_not_know_constant_scores():
    client, server, rows, _ = stored(1, "ckks_constant")
    client.generate_keys()
    with pytest.raises(ProtocolError, match=r"older than the server's, write it again with save_client\(\)"):
        client.decrypt_predict(server.run(client.encrypt(rows), client.evaluation_keys))


@pytest.mark.parametrize("version", range(1, MESSAGE_VERSION))
@pytest.mark.parametrize("name", [name for name in MESSAGES if name in NAMES])
def test_messages_of_earlier_versions_are_refused(version, name):
    client, server, _, _ = stored(version, name)
    keys, folder = client.generate_keys(), DATA / f"v{version}"
    client.encrypt(np.zeros((1, 4)))
    read = {
        "client_keys": lambda path: client.load_keys(path, "golden"),
        "evaluation_keys": lambda path: server.run(client.encrypt(np.zeros((1, 4))), path.read_bytes()),
        "request": lambda path: server.run(path.read_bytes(), keys),
        "response": lambda path: client.decrypt_predict(path.read_bytes()),
    }
    for kind in MESSAGES[name]:
        with pytest.raises(ProtocolError, match=f"format version {version}.*Upgrade fhe_estimators on both sides"):
            read[kind](folder / f"{name}.{kind}")
