"""Encrypted trees by phase."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier

from fhe_estimators import FHEClassifier

MODELS = {
    "XGBoost 50 x 3": XGBClassifier(n_estimators=50, max_depth=3, random_state=0),
    "forest 50 x 4": RandomForestClassifier(n_estimators=50, max_depth=4, random_state=0),
}


class Trees:
    """A fitted model that asv compiles and asks for predictions."""

    params = (list(MODELS), ["ckks", "bfv"], [1, 1000])
    param_names = ("model", "backend", "n_samples")
    timeout = 300
    warmup_time = 0

    def setup(self, model: str, backend: str, n_samples: int) -> None:
        X, y = load_breast_cancer(return_X_y=True)
        try:
            self.estimator = FHEClassifier(MODELS[model], backend=backend).fit(X[::2], y[::2]).compile()
        except ValueError as error:  # a commit that did not have the engine yet
            raise NotImplementedError(str(error)) from error
        codes = self.estimator.quantize(X)
        self.codes = codes[[i % len(codes) for i in range(n_samples)]]
        self.program = self.estimator.program_
        self.client = self.estimator.backend_.client(self.program.client_spec)
        self.evaluator = self.estimator.backend_.evaluator(self.program)
        self.keys = self.client.generate_keys()
        self.request = self.client.encrypt(self.codes)
        self.evaluator.run(self.request, self.keys)  # the keys are parsed once

    def time_compile(self, model: str, backend: str, n_samples: int) -> None:
        self.estimator.compile()

    def time_encrypt(self, model: str, backend: str, n_samples: int) -> None:
        self.client.encrypt(self.codes)

    def time_evaluate(self, model: str, backend: str, n_samples: int) -> None:
        self.evaluator.run(self.request, self.keys)

    def track_request_bytes(self, model: str, backend: str, n_samples: int) -> int:
        return len(self.request)

    def track_key_bytes(self, model: str, backend: str, n_samples: int) -> int:
        return len(self.keys)

    track_request_bytes.unit = track_key_bytes.unit = "bytes"  # type: ignore[attr-defined]
