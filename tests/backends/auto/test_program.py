"""Programs that hold two engines: exact on either side of the crossing, honest about what they hold."""

import json
import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from fhe_estimators import FHEClassifier, FHEDecisionTreeClassifier, FHEGradientBoostingClassifier
from fhe_estimators.backends import resolve_backend
from fhe_estimators.backends.auto import compilation
from fhe_estimators.backends.bfv import BFVBackend
from fhe_estimators.backends.bfv.program import BFVProgram
from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.ckks.program import CKKSProgram
from fhe_estimators.exceptions import MemoryBudgetWarning, ParameterSelectionError, ProtocolError
from tests.attacks.deployments import Target


@pytest.fixture(scope="module")
def boosting():
    X, y = load_breast_cancer(return_X_y=True)
    return FHEGradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0).fit(X, y).compile(), X


def test_auto_is_the_default(boosting):
    clf, _ = boosting
    assert clf.backend == clf.backend_.name == clf.program_.backend == "auto"
    assert FHEDecisionTreeClassifier().backend == FHEClassifier().backend == "auto"


def test_both_sides_of_the_crossing_are_exact(boosting):
    clf, X = boosting
    crossing = clf.program_.describe()["crossing_rows"]
    assert 1 < crossing < len(X)
    for n_rows in (1, crossing - 1, crossing, len(X)):
        codes = clf.quantize(X[:n_rows])
        for fhe in ("execute", "simulate"):
            np.testing.assert_array_equal(clf.sum_leaves(codes, fhe), clf.sum_leaves(codes))


def test_the_description_shows_the_choice_and_both_costs(boosting):
    program = boosting[0].program_
    facts = program.describe()
    assert json.loads(json.dumps(facts))
    engines, crossing = facts["engines"], facts["crossing_rows"]
    assert engines["bfv"]["rows"] == [1, crossing - 1] and engines["ckks"]["rows"] == [crossing, None]
    assert f"{crossing:,} rows" in facts["choice"]
    for n_rows in (1, 1000):
        best = min(engine["predicted_seconds"][n_rows] for engine in engines.values())
        assert facts["predicted_seconds"][n_rows] == best < facts["predicted_first_seconds"][n_rows]
    for n_rows in (1, crossing - 1, crossing, 5000):
        both = [one.predicted_seconds(n_rows) for one in program.programs.values()]
        assert program.predicted_seconds(n_rows) == min(both)
    assert facts["evaluation_key_bytes"] == sum(engine["evaluation_key_bytes"] for engine in engines.values())
    assert facts["security_bits"] == min(engine["security_bits"] for engine in engines.values()) >= 128
    assert facts["small_request_bytes"] == engines["bfv"]["upload_bytes"] < facts["upload_bytes"]
    assert not facts["can_rerandomize"] and facts["engines_left_out"] == {}


def test_both_engines_evaluate_the_same_integers(boosting):
    clf, _ = boosting
    assert all(program.ensemble is clf.program_.ensemble for program in clf.program_.programs.values())
    restored = pickle.loads(pickle.dumps(clf.program_))
    assert restored.program_id == clf.program_.program_id and restored.choice == clf.program_.choice


def test_keys_are_made_when_an_engine_is_used(boosting):
    clf, X = boosting
    clf = pickle.loads(pickle.dumps(clf))
    few = clf.predict(X[:1], fhe="execute")
    client, _ = clf._two_parties()
    of_few = len(client.evaluation_keys)
    engines = clf.program_.describe()["engines"]
    assert of_few < 1.1 * engines["bfv"]["evaluation_key_bytes"]
    many = clf.predict(X, fhe="execute")
    assert len(client.evaluation_keys) > of_few + 0.9 * engines["ckks"]["evaluation_key_bytes"]
    np.testing.assert_array_equal([*few, *many], clf.predict(np.vstack([X[:1], X])))


@pytest.mark.parametrize(("broken", "left"), [(CKKSBackend, "bfv"), (BFVBackend, "ckks")])
def test_the_only_engine_that_can_hold_a_model_takes_all_rows(broken, left, monkeypatch):
    def refuse(self, *_, **__):
        raise ParameterSelectionError("too deep for this ring")

    monkeypatch.setattr(broken, "compile", refuse)
    if broken is CKKSBackend:
        monkeypatch.setattr(broken, "quantize", refuse)
    target = Target("auto")
    facts = target.program.describe()
    assert facts["engines_left_out"] == {broken.name: "too deep for this ring"} and set(facts["engines"]) == {left}
    assert facts["crossing_rows"] is None and facts["choice"] == f"{left} for any number of rows"
    for n_rows in (1, 100):
        request = target.ask(n_rows)
        np.testing.assert_array_equal(
            target.client.decrypt(target.server.run(request, target.keys)), target.expected(n_rows)
        )
    other = BFVBackend if broken is CKKSBackend else CKKSBackend
    monkeypatch.setattr(other, "compile", refuse)
    with pytest.raises(ParameterSelectionError, match=r"bfv: too deep.*ckks: too deep"):
        Target("auto")


@pytest.mark.parametrize(("large", "left"), [(CKKSProgram, "bfv"), (BFVProgram, "ckks")])
def test_an_engine_that_does_not_fit_in_memory_is_left_out_without_a_warning(large, left, monkeypatch):
    monkeypatch.setattr(large, "required_memory_bytes", lambda self: 10**15)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MemoryBudgetWarning)
        target = Target("auto")
    facts = target.program.describe()
    assert (
        set(facts["engines"]) == {left} and "would take 1e+06 GB of memory" in facts["engines_left_out"][large.backend]
    )
    response = target.server.run(target.ask(3), target.keys)
    np.testing.assert_array_equal(target.client.decrypt(response), target.expected(3))


def test_compile_warns_if_a_row_does_not_fit_in_memory(monkeypatch):
    """One engine is kept all the same: another machine may serve it."""
    X, y = load_breast_cancer(return_X_y=True)
    clf = FHEDecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)
    monkeypatch.setattr("fhe_estimators.utils._memory.memory_limit_bytes", lambda: 10**6)
    for backend in ("auto", "bfv"):
        with pytest.warns(
            MemoryBudgetWarning, match=r"would take \d+ MB .* half of the 1 MB.* larger machine"
        ) as found:
            facts = clf.set_params(backend=backend).compile().program_.describe()
        assert [one.filename for one in found] == [__file__] * len(found), "the warning points at the call"
        assert backend == "bfv" or len(facts["engines"]) == len(facts["engines_left_out"]) == 1


def test_rows_in_slots_are_not_tried_for_huge_forests(monkeypatch):
    monkeypatch.setattr(compilation, "MOST_NODES", 50)
    X, y = load_breast_cancer(return_X_y=True)
    clf = FHEClassifier(RandomForestClassifier(3, random_state=0)).fit(X, y)
    monkeypatch.setattr(CKKSBackend, "compile", None)
    facts = clf.compile().program_.describe()
    assert "nodes are more than the 50" in facts["engines_left_out"]["ckks"]
    np.testing.assert_array_equal(clf.predict_proba(X[:4], fhe="execute"), clf.predict_proba(X[:4]))


def test_forged_programs_are_refused(boosting):
    clf, _ = boosting
    metadata, backend = clf.program_.metadata(), resolve_backend("auto")
    load = lambda **changes: backend.load(clf.program_.ensemble, {**metadata, **changes})  # noqa: E731
    assert load().program_id == clf.program_.program_id
    of_engines = metadata["engines"]
    for changes in (
        {"engines": {}},
        {"engines": None},
        {"engines": {**of_engines, "clear": {}}},
        {"engines": {"auto": metadata}},
        {"engines": {"ckks": of_engines["bfv"]}},
        {"engines": {"bfv": of_engines["bfv"]}},  # the choice names both
        {"choice": {**metadata["choice"], "crossing_rows": -3}},
        {"left_out": ["ckks"]},
    ):
        with pytest.raises((ProtocolError, KeyError)):
            load(**changes)
    assert (
        load(engines={"bfv": of_engines["bfv"]}, choice={"few": "bfv", "many": "bfv", "crossing_rows": None}).program_id
        != load().program_id
    )
