"""A service of a model that splits on categories: clients send whether rows are in the sets it asks for."""

import numpy as np

from fhe_estimators import FHEGradientBoosting
from fhe_estimators.serving import RemoteModel
from tests.ensembles.test_categories import table
from tests.serving.served import served


def test_remote_models_of_categories(tmp_path):
    frame, y = table()
    clf = FHEGradientBoosting(5, library="lightgbm", max_depth=3, backend="ckks").fit(frame, y > 0).compile()
    clf.save_server(tmp_path / "model.server.fhe")
    clf.save_client(tmp_path / "model.client.fhe")
    strange = frame.assign(country=frame["country"].astype(object).where(frame["age"] > 0, "Laos").astype("category"))
    with served([tmp_path / "model.server.fhe"]) as (_, url, _):
        remote = RemoteModel(url, model="model", token="token-of-alice")
        for rows in (frame, strange):
            np.testing.assert_array_equal(remote.predict(rows), clf.predict(rows))
            np.testing.assert_array_equal(remote.predict(rows), clf.estimator_.predict(rows))
