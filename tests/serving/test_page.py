"""The page of a service for people, and which models it says belong together."""

import re
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fhe_estimators import FHEClassifier
from fhe_estimators.ensembles import RowEncoding
from fhe_estimators.ensembles._encoding import CategoryColumn
from fhe_estimators.estimators import FHEContributions
from fhe_estimators.exceptions import ServiceError
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.serving import RemoteModel
from fhe_estimators.serving.client.contributions import check_same_rows
from fhe_estimators.serving.server.explanations import explains, trees_digest
from fhe_estimators.serving.server.page import HEADERS, models_page
from tests.serving.served import ALICE, TOKENS, iris_model, served

TAGS = "html|head|meta|title|style|body|main|h[123]|p|nav|ul|li|a|br|section|d[ltd]|bdi|code|pre|span"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def forest():
    X, y = load_iris(return_X_y=True)
    clf = FHEClassifier(RandomForestClassifier(4, max_depth=3, random_state=0), backend="clear").fit(X, y).compile()
    return clf, FHEContributions(clf).fit().compile(), X


def card(**changes):
    describe = {
        "security_bits": 128,
        "scheme": HOSTILE,
        "server_sees": HOSTILE,
        "client_learns": [HOSTILE],
        "evaluation_key_bytes": 2_500_000,
        "upload_bytes": 1000,
        "download_bytes": {"1": 2000},
        "predicted_seconds": {"1": 0.01, "1000": 1},
    }
    found = {
        "name": "model",
        "program_id": HOSTILE,
        "backend": HOSTILE,
        "n_features": 2,
        "client_archive": True,
        "feature_names": [HOSTILE, "\u202eplain"],
        "classes": [HOSTILE, "b"],
        "task": "classification",
        "describe": describe,
    }
    return {**found, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"contributions": HOSTILE},
        {"explains": HOSTILE},
        {"classes": [[HOSTILE, "a"], [0, 1]]},
        {"classes": None, "task": HOSTILE, "feature_names": None},
        {"client_archive": False},
        {"name": HOSTILE},
    ],
)
def test_everything_on_the_page_is_escaped(changes):
    for cards in ([card(**changes)], [card(**changes), card(name="other")]):
        page = models_page(cards, f"http://x/{HOSTILE}'; rm -rf", needs_token=True)
        assert "<script" not in page and 'alert("' not in page
        assert all(re.fullmatch(TAGS, tag) for tag in re.findall(r"<(\w+)", page))


def test_the_policy_allows_the_style_and_nothing_else(tmp_path):
    iris_model(tmp_path)
    with served([tmp_path / "model.server.fhe"]) as (_, _, http):
        response = http.get("/")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "http" not in re.sub(r"<pre.*?</pre>", "", response.text, flags=re.DOTALL)  # nothing from elsewhere
    assert "not encrypted: the server reads rows and scores" in response.text  # the engine is `clear`


def test_long_lists_of_features_are_cut():
    page = models_page([card(feature_names=[f"name {j}" for j in range(1000)])], "http://x", needs_token=False)
    assert "<dd>1000<ul" in page and "and 940 more" in page and "name 61" not in page and "token" not in page


def test_contributions_belong_to_the_model_whose_values_they_sum_to(forest):
    clf, contributions, _ = forest
    model, reasons = clf.program_.ensemble, contributions.program_.ensemble
    assert trees_digest(model) == trees_digest(reasons)
    assert explains(reasons, model) and not explains(model, reasons) and not explains(model, model)
    smaller = replace(model, value=(0.8 * model.value).astype(np.int64))  # trained again: equal comparisons
    assert trees_digest(smaller) == trees_digest(model) and not explains(reasons, smaller)
    assert not explains(reasons, replace(model, base_score=model.base_score + 0.5))
    one_leaf = model.value.copy()  # the last of a tree: its first one still fits
    one_leaf[model.tree_offsets[1] - 1] += 1000
    assert not explains(reasons, replace(model, value=one_leaf))
    other = replace(model, threshold=model.threshold + 1)
    assert trees_digest(other) != trees_digest(model) and not explains(reasons, other)


def test_a_service_finds_contributions_by_itself(forest, tmp_path):
    clf, contributions, X = forest
    for name, estimator in (("why", contributions), ("forest", clf)):
        estimator.save_server(tmp_path / f"{name}.server.fhe")
        estimator.save_client(tmp_path / f"{name}.client.fhe")
    iris_model(tmp_path, name="other")
    with served([tmp_path / f"{name}.server.fhe" for name in ("why", "forest", "other")]) as (_, url, http):
        page = http.get("/").text
        remote = RemoteModel(url, model="forest", token=next(iter(TOKENS)), rows_per_request=20)
        np.testing.assert_allclose(remote.predict_contributions(X), clf.predict_contributions(X), atol=1e-12)
        traffic = remote._companion_session().traffic.counts()
        assert traffic["requests"] == 8 and traffic["request_bytes"] > 0 and traffic["key_bytes"] > 0
        remote.predict_contributions(X[:1])
        assert remote._companion_session().traffic.counts()["key_bytes"] == traffic["key_bytes"]
        assert not hasattr(RemoteModel(url, model="other", token=next(iter(TOKENS))), "predict_contributions")
        archive = tmp_path / "forest.client.fhe"
        with_archive = RemoteModel(url, model="forest", token=next(iter(TOKENS)), client_archive=archive)
        assert not hasattr(with_archive, "predict_contributions")
        other = RemoteModel(url, model="other", token=next(iter(TOKENS)))
        with pytest.raises(ServiceError, match="the service is at fault"):
            check_same_rows(other._session().model, remote._session().model)
    assert 'what each feature contributes, by <a href="#model-why">why</a>' in page
    assert 'to the scores of <a href="#model-forest">forest</a>' in page
    assert "fhe-estimators connect" in page and "--model forest" in page


def test_the_same_categories_are_the_same_rows():
    def model(n_scores, values):
        quantizer = ThresholdQuantizer()
        quantizer.edges_ = [np.array([0.5])] * 2
        quantizer.set_encoding(RowEncoding(2, categories=(CategoryColumn(1, values),)))
        return SimpleNamespace(quantizer=quantizer, base_score=np.zeros(n_scores))

    check_same_rows(model(3, ("a", float("nan"))), model(1, ("a", float("nan"))))
    for other in (model(3, ("a", "b")), model(4, ("a", float("nan")))):
        with pytest.raises(ServiceError, match="takes other rows"):
            check_same_rows(other, model(1, ("a", float("nan"))))


def test_a_model_that_is_replaced_is_not_explained_by_what_explained_the_old_one(forest, tmp_path):
    clf, contributions, _ = forest
    for name, estimator in (("why", contributions), ("forest", clf)):
        estimator.save_server(tmp_path / f"{name}.server.fhe")
        estimator.save_client(tmp_path / f"{name}.client.fhe")
    with served([tmp_path / f"{name}.server.fhe" for name in ("forest", "why")]) as (_, _, http):

        def become(expected):
            end = time.monotonic() + 60
            while (found := http.get("/v1/models/forest", headers=ALICE).json()["contributions"]) != expected:
                assert time.monotonic() < end, found
                time.sleep(0.2)

        become("why")
        iris_model(tmp_path, name="forest")
        become(None)
        clf.save_client(tmp_path / "forest.client.fhe")
        clf.save_server(tmp_path / "forest.server.fhe")
        become("why")
