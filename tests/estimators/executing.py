"""Estimators that compile when they are fitted, and predict on ciphertexts.

With them scikit-learn's own checks, which know nothing of ``compile`` and ``fhe``, test encrypted predictions.
"""

from inspect import getattr_static

from sklearn.utils.metaestimators import available_if

from fhe_estimators import estimators as module

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples")


def _executed(source, name):
    """A method of ``source`` that executes unless it is told otherwise, where ``source`` has the method."""
    inherited = getattr_static(source, name)

    @available_if(lambda self: inherited.__get__(self, type(self)))
    def method(self, X, fhe="execute", **params):
        return inherited.__get__(self, type(self))(X, fhe=fhe, **params)

    return method


def _executing(source):
    class Executing(source):
        def fit(self, X, y=None, sample_weight=None):
            return super().fit(X, y, sample_weight=sample_weight).compile()

    for name in METHODS:
        if getattr_static(source, name, None) is not None:
            setattr(Executing, name, _executed(source, name))
    Executing.__name__ = Executing.__qualname__ = f"Executing{source.__name__}"
    return Executing


#: By the name of the class that they execute. In the module's namespace, too, so that they can be pickled.
EXECUTING = {name: _executing(getattr(module, name)) for name in module.__all__ if name.startswith("FHE")}
globals().update({cls.__name__: cls for cls in EXECUTING.values()})
