"""Trees that nobody trains and an engine must evaluate: exact under `bfv`, and `auto` by either of its engines."""

import numpy as np
import pytest

from fhe_estimators.backends import resolve_backend
from fhe_estimators.ensembles import LEAF, TreeEnsemble, sum_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.quantizers import ThresholdQuantizer

#: Backend, and the engine that a request is pinned to.
ROUTES = [("bfv", None), ("auto", "bfv"), ("auto", "ckks")]


def leaf(value):
    return {"value": value}


def split(feature, threshold, left, right):
    return {"feature": feature, "threshold": threshold, "left": left, "right": right}


def ensemble_of(trees, n_features, allow_nan=False):
    """A float ensemble from nested nodes; values of leaves are kept by quantization if they are integers."""
    nodes, offsets = [], [0]

    def add(node):
        number = len(nodes)
        nodes.append({"feature": LEAF, "threshold": 0.0, "left": LEAF, "right": LEAF, "value": 0.0, **node})
        for side in ("left", "right"):
            if isinstance(node.get(side), dict):
                nodes[number][side] = add(node[side])
        return number

    for tree in trees:
        add(tree)
        offsets.append(len(nodes))
    types = {"feature": np.int32, "threshold": np.float64, "left": np.int32, "right": np.int32}
    arrays = {name: np.array([node[name] for node in nodes], dtype=dtype) for name, dtype in types.items()}
    return TreeEnsemble(
        n_features,
        1,
        np.array(offsets, dtype=np.int64),
        np.zeros(len(trees), dtype=np.int32),
        **arrays,
        missing_right=np.arange(len(nodes)) % 2 == 1,
        value=np.array([[node["value"]] for node in nodes]),
        base_score=np.zeros(1),
        link=IdentityLink(),
        allow_nan=allow_nan,
    )


def chain(features, thresholds):
    """A path that goes on to the right at every test; one leaf hangs to the left of each."""
    tree = leaf(len(features) + 0.5)
    for number, (feature, threshold) in reversed(list(enumerate(zip(features, thresholds, strict=True)))):
        tree = split(feature, threshold, leaf(float(number)), tree)
    return tree


NEVER_REACHED = [split(0, 1.0, split(0, 4.0, leaf(1.0), leaf(1000.0)), split(0, 0.0, leaf(-1000.0), leaf(2.0)))]
SINGLE_LEAVES = [leaf(3.0), split(1, 2.0, leaf(-1.0), leaf(1.0)), leaf(-7.0)]
SAME_FEATURE = [chain([0] * 14, np.arange(14) - 4.0), chain([1] * 9 + [0] * 3, [*np.arange(9), 8.0, 2.0, 1.0])]
EQUAL_THRESHOLDS = [
    split(0, 2.0, split(0, 2.0, leaf(1.0), leaf(99.0)), split(1, 2.0, split(0, 2.0, leaf(98.0), leaf(2.0)), leaf(4.0)))
] * 3
ALL_EQUAL_LEAVES = [split(0, 1.0, leaf(5.0), split(1, 1.0, leaf(5.0), leaf(5.0)))]
CASES = {
    "leaves that no row reaches": (NEVER_REACHED, 1),
    "single leaves": (SINGLE_LEAVES, 2),
    "nothing but a leaf": ([leaf(2.0)], 1),
    "a feature many times on a path": (SAME_FEATURE, 2),
    "equal thresholds": (EQUAL_THRESHOLDS, 2),
    "leaves that are equal": (ALL_EQUAL_LEAVES, 2),
    "many features on a path": ([chain(range(33), [0.5] * 33)], 33),
}


class Deployed:
    """Both parties of an ensemble."""

    def __init__(self, backend, ensemble, quantizer, *, quantize=True):
        self.backend = resolve_backend(backend)
        self.ensemble = self.backend.quantize(ensemble, quantizer) if quantize else ensemble
        self.program = self.backend.compile(self.ensemble, quantizer)
        self.client = self.backend.client(self.program.client_spec)
        self.server = self.backend.evaluator(self.program)

    def check(self, codes, engine):
        """Encrypted and simulated sums are those in the clear."""
        self.client.start_session()
        request = self.client.encrypt(codes, **({} if engine is None else {"backend": engine}))
        expected = sum_leaves(self.ensemble, codes)
        response = self.server.run(request, self.client.evaluation_keys)
        np.testing.assert_array_equal(self.client.decrypt(response), expected)
        np.testing.assert_array_equal(self.backend.simulate(self.program, codes), expected)


@pytest.mark.parametrize(("backend", "engine"), ROUTES)
@pytest.mark.parametrize("name", CASES)
def test_trees_of_every_shape_are_exact(name, backend, engine):
    trees, n_features = CASES[name]
    allow_nan = n_features == 2
    ensemble = ensemble_of(trees, n_features, allow_nan)
    quantizer = ThresholdQuantizer(ensemble).fit()
    values = np.arange(-5.0, 15.0, 1.0)
    rows = np.column_stack([np.roll(values, 3 * feature) for feature in range(n_features)])
    if n_features > 2:  # down the path, and off it at each test
        rows = (np.arange(n_features) < np.arange(0, n_features + 1, 4)[:, None]).astype(float)
    if allow_nan:
        rows = np.vstack([rows, [[np.nan, 3.0], [3.0, np.nan], [np.nan, np.nan]]])
    Deployed(backend, ensemble, quantizer).check(quantizer.transform(rows), engine)


def integers(values, n_trees):
    """Stumps with a low and a high leaf in integers, as they are."""
    trees = [split(0, 0.5, leaf(low), leaf(high)) for low, high in [values] * n_trees]
    ensemble = ensemble_of(trees, 1)
    quantizer = ThresholdQuantizer(ensemble).fit()
    quantized = quantizer.quantize_thresholds(ensemble)
    arrays = {name: getattr(quantized, name) for name in quantized.__dataclass_fields__}
    return TreeEnsemble(**{**arrays, "value": np.rint(quantized.value).astype(np.int64)}), quantizer


@pytest.mark.parametrize(
    ("low", "high", "n_trees"),
    [
        (-2048, 2047, 16),  # digits of 12 bits: the sums are half of the modulus and a little less
        (-2049, 2048, 16),  # and just carry into a second one
        (-32768, 32768, 1),  # the largest numbers modulo 65,537
        (-32769, 32769, 1),
        (65536, 65537, 1),  # -1 and 0 modulo 65,537
        (65536, 65538, 3),
        (-(2**29), 2**29 - 1, 1),
    ],
)
def test_sums_at_the_ends_of_the_plain_modulus_are_exact(low, high, n_trees):
    ensemble, quantizer = integers((low, high), n_trees)
    codes = quantizer.transform(np.array([[0.0], [1.0]]))
    assert sum_leaves(ensemble, codes).ravel().tolist() == [n_trees * low, n_trees * high]
    Deployed("bfv", ensemble, quantizer, quantize=False).check(codes, None)
