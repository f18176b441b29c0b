"""Archives round-trip, and damaged ones are refused."""

import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_linnerud

from fhe_estimators import estimators as module
from fhe_estimators.exceptions import FHEError, NotCompiledError, ProtocolError
from fhe_estimators.serving import FHEClient, FHEServer
from fhe_estimators.serving._container import ARCHIVE_VERSION
from tests.serving.deployments import deploy, round_trip


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def classifier(iris):
    return module.FHERandomForestClassifier(4, max_depth=3, random_state=0).fit(*iris).compile()


@pytest.fixture
def archives(classifier, tmp_path):
    classifier.save_server(tmp_path / "server.fhe")
    classifier.save_client(tmp_path / "client.fhe")
    return tmp_path


@pytest.mark.parametrize("backend", ["clear", "auto"])
@pytest.mark.parametrize("quantizer", ["threshold", "uniform"])
@pytest.mark.parametrize("kind", ["tree", "forest", "boosting"])
def test_classifiers(kind, quantizer, backend, iris, tmp_path):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    estimator_class = {
        "tree": module.FHEDecisionTreeClassifier,
        "forest": module.FHERandomForestClassifier,
        "boosting": module.FHEGradientBoostingClassifier,
    }[kind]
    clf = estimator_class(max_depth=2, quantizer=quantizer, backend=backend, random_state=0)
    if kind != "tree":
        clf.set_params(n_estimators=3)
    clf.fit(X, names).compile()
    client, response = round_trip(clf, X[::7], tmp_path)
    np.testing.assert_array_equal(client.decrypt_predict(response), clf.predict(X[::7]))
    np.testing.assert_array_equal(client.decrypt_proba(response), clf.predict_proba(X[::7]))
    np.testing.assert_array_equal(client.decrypt_scores(response), clf.decision_function(X[::7]))
    np.testing.assert_array_equal(client.classes_, clf.classes_)


def test_multi_output(tmp_path):
    X, y = load_linnerud(return_X_y=True)
    labels = np.where(y > y.mean(axis=0), "high", "low")
    clf = module.FHERandomForestClassifier(3, max_depth=2, random_state=0).fit(X, labels).compile()
    client, response = round_trip(clf, X, tmp_path)
    np.testing.assert_array_equal(client.decrypt_predict(response), clf.predict(X))
    for theirs, ours in zip(client.decrypt_proba(response), clf.predict_proba(X), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_regressors(tmp_path):
    X, y = load_diabetes(return_X_y=True)
    reg = module.FHEGradientBoostingRegressor(
        5, max_depth=2, random_state=0, estimator_params={"objective": "count:poisson"}
    )
    reg.fit(X, y).compile()
    client, response = round_trip(reg, X[:40], tmp_path)
    np.testing.assert_array_equal(client.decrypt_predict(response), reg.predict(X[:40]))
    np.testing.assert_allclose(np.exp(client.decrypt_scores(response)), reg.predict(X[:40]))
    with pytest.raises(AttributeError, match="decrypt_proba is for classifiers"):
        client.decrypt_proba(response)


def test_outlier_detector(iris, tmp_path):
    forest = module.FHEIsolationForest(5, max_samples=32, contamination=0.1, random_state=0).fit(iris[0]).compile()
    client, response = round_trip(forest, iris[0], tmp_path)
    np.testing.assert_array_equal(client.decrypt_predict(response), forest.predict(iris[0]))
    np.testing.assert_array_equal(client.decrypt_scores(response), forest.decision_function(iris[0]))


def test_rows_are_checked_as_by_the_estimator(iris, tmp_path):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = module.FHEDecisionTreeClassifier(max_depth=2).fit(frame, y).compile()
    client, _ = deploy(clf, tmp_path)
    client.generate_keys()
    with pytest.raises(ValueError, match="feature names"):
        client.encrypt(frame[list("abdc")])
    with pytest.raises(ValueError, match="expecting 4 features"):
        client.encrypt(X[:, :3])
    with pytest.raises(ValueError, match="infinity"):
        client.encrypt(frame.replace(frame.iloc[0, 0], np.inf))
    with pytest.raises(ValueError, match="could not convert string to float"):
        client.encrypt(frame.astype(object).replace(frame.iloc[0, 0], "text"))
    with pytest.raises(ValueError, match="0 sample"):
        client.encrypt(frame[:0])


def test_missing_values_follow_the_model(iris, tmp_path):
    X, y = iris[0].copy(), iris[1]
    X[::5, 2] = np.nan
    clf = module.FHEGradientBoostingClassifier(4, max_depth=2).fit(X, y).compile()
    client, response = round_trip(clf, X, tmp_path)
    np.testing.assert_array_equal(client.decrypt_predict(response), clf.estimator_.predict(X))


def test_a_client_needs_keys(archives, iris):
    client = FHEClient.load(archives / "client.fhe")
    with pytest.raises(FHEError, match="generate_keys"):
        client.encrypt(iris[0])
    with pytest.raises(FHEError, match="generate_keys"):
        client.evaluation_keys  # noqa: B018


def test_saving_needs_a_compiled_model(iris, tmp_path):
    clf = module.FHEDecisionTreeClassifier(max_depth=2).fit(*iris)
    for save in (clf.save_server, clf.save_client):
        with pytest.raises(NotCompiledError, match=r"compile\(\)"):
            save(tmp_path / "model.fhe")
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_archive(classifier, tmp_path, monkeypatch):
    path = tmp_path / "server.fhe"
    classifier.save_server(path)
    before = path.read_bytes()
    monkeypatch.setattr("zipfile.ZipFile.writestr", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        classifier.save_server(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


LOADERS = [(FHEServer, "server.fhe"), (FHEClient, "client.fhe")]


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_other_files_are_refused(loader, name, archives):
    other = {"server.fhe": "client.fhe", "client.fhe": "server.fhe"}[name]
    with pytest.raises(ProtocolError, match="expected one written by save_"):
        loader.load(archives / other)
    (archives / "text").write_text("hello")
    with pytest.raises(ProtocolError, match="not an intact archive"):
        loader.load(archives / "text")
    with zipfile.ZipFile(archives / "zip", "w") as archive:
        archive.writestr("manifest.json", "[]")
    with pytest.raises(ProtocolError, match="not an archive of fhe_estimators"):
        loader.load(archives / "zip")
    with pytest.raises(FileNotFoundError):
        loader.load(archives / "missing")


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_truncated_archives_are_refused(loader, name, archives):
    path = archives / name
    content = path.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ProtocolError):
            loader.load(path)


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_a_flipped_bit_is_refused_or_changes_nothing(loader, name, archives, iris):
    path, X = archives / name, iris[0][:3]
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(len(content), size=60):
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            loaded = loader.load(path)
        except (ProtocolError, OSError):
            refused += 1
            continue
        path.write_bytes(content)
        intact = loader.load(path)
        if loader is FHEServer:  # dates and other decoration of the zip file
            assert loaded.program.client_spec.program_id == intact.program.client_spec.program_id
        else:
            np.testing.assert_array_equal(loaded._model.quantizer.transform(X), intact._model.quantizer.transform(X))
    assert refused > 30


def rewrite(path, change):
    """Change the manifest of an archive, its checksums staying right."""
    with zipfile.ZipFile(path) as archive:
        manifest, arrays = json.loads(archive.read("manifest.json")), archive.read("arrays.safetensors")
    change(manifest)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("arrays.safetensors", arrays)


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_future_versions_are_refused(loader, name, archives):
    rewrite(archives / name, lambda manifest: manifest.update(version=ARCHIVE_VERSION + 1))
    with pytest.raises(ProtocolError, match="Upgrade fhe_estimators"):
        loader.load(archives / name)


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_forged_manifests_are_refused(loader, name, archives):
    rewrite(archives / name, lambda manifest: manifest["settings"].update(backend="fancy"))
    with pytest.raises(ProtocolError, match="backend='fancy' is unknown"):
        loader.load(archives / name)
    rewrite(archives / name, lambda manifest: manifest["settings"].pop("link", manifest["settings"].pop("backend")))
    with pytest.raises(ProtocolError, match="not a valid archive"):
        loader.load(archives / name)


@pytest.mark.parametrize("engine", ["bfv", "ckks"])
def test_weaker_parameters_are_refused(engine, archives):
    def weaken(manifest):
        parameters = manifest["settings"]["program"]["engines"][engine]["parameters"]
        parameters["poly_modulus_degree"] //= 2

    rewrite(archives / "server.fhe", weaken)
    with pytest.raises(ProtocolError, match="128-bit"):
        FHEServer.load(archives / "server.fhe")


def test_archives_hold_no_pickle_and_the_clients_no_leaves(archives, classifier):
    for name in ("server.fhe", "client.fhe"):
        with zipfile.ZipFile(archives / name) as archive:
            assert sorted(archive.namelist()) == ["arrays.safetensors", "manifest.json"]
    content = (archives / "client.fhe").read_bytes()
    leaves = classifier.quantized_ensemble_.value[classifier.quantized_ensemble_.is_leaf]
    assert leaves.tobytes() not in content and b"tree_offsets" not in content


def test_labels_that_cannot_be_archived(iris, tmp_path):
    X, y = iris
    clf = module.FHEDecisionTreeClassifier(max_depth=1).fit(X, y).compile()
    clf.classes_ = np.array([(1,), (2,), None], dtype=object)
    with pytest.raises(ValueError, match="numbers or strings"):
        clf.save_client(tmp_path / "client.fhe")


def rezip(path, arrays=None, **options):
    """Write an archive again, its manifest as it was."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    if arrays is not None:
        entries["arrays.safetensors"] = arrays(entries["arrays.safetensors"])
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_compressed_archives_are_refused(loader, name, archives):
    """They could expand to any size."""
    rezip(archives / name)
    loader.load(archives / name)
    rezip(archives / name, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ProtocolError, match="entries are compressed"):
        loader.load(archives / name)


@pytest.mark.parametrize(("loader", "name"), LOADERS)
def test_arrays_belong_to_their_manifest(loader, name, archives):
    rezip(archives / name, lambda arrays: arrays[:-1] + bytes([arrays[-1] ^ 1]))
    with pytest.raises(ProtocolError, match="checksum of its arrays"):
        loader.load(archives / name)


def test_the_program_is_the_one_that_was_saved(archives):
    rewrite(archives / "server.fhe", lambda manifest: manifest["settings"].update(program_id="0" * 64))
    with pytest.raises(ProtocolError, match="not the one that was saved"):
        FHEServer.load(archives / "server.fhe")


def test_a_client_is_not_pickled(archives):
    with pytest.raises(TypeError, match="save_keys"):
        pickle.dumps(FHEClient.load(archives / "client.fhe"))
