"""What the archives of the server and of the client hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from ..backends import ClientSpec, Program, resolve_backend
from ..ensembles import RowEncoding, TreeEnsemble
from ..ensembles.links import Link, link_from_dict
from ..exceptions import ProtocolError
from ..quantizers import FeatureQuantizer, resolve_quantizer
from ._container import read_archive, write_archive

T = TypeVar("T")
#: Of a label, so that a type in an archive does not ask for all memory.
_MAX_LABEL_BYTES = 1 << 16
#: What absent entries of sparse rows stand for, by the setting in archives; earlier versions did not write it.
_ABSENT_VALUES: dict[bool | None, float | None] = {True: np.nan, False: 0.0, None: None}


@dataclass(frozen=True, eq=False)
class ClientModel:
    """All that a data owner needs of a compiled model: no trees, no leaves, no secrets.

    Parameters
    ----------
    spec : ClientSpec
        What the engine's client needs.
    quantizer : FeatureQuantizer
        Fitted, with ``feature_names_in_`` if the model was trained on named columns.
    link : Link
    base_score : ndarray of shape (n_scores,)
    score_scale : ndarray of shape (n_scores,)
        Real scores are ``base_score + leaf sums / score_scale``.
    row_checks : dict
        ``dtype`` and ``ensure_all_finite`` of `sklearn.utils.check_array`.
    classes : ndarray, list of ndarray or None
        Labels of a classifier, a list of them for several outputs; None for other models.
    replaced_by_margins : ndarray of shape (n_scores,) or None
        The part of scores in whose place a row's margin comes; None for models that take none, and of archives that
        earlier versions wrote.
    """

    spec: ClientSpec
    quantizer: FeatureQuantizer
    link: Link
    base_score: np.ndarray
    score_scale: np.ndarray
    row_checks: dict[str, Any]
    classes: np.ndarray | list[np.ndarray] | None = None
    replaced_by_margins: np.ndarray | None = None


def save_server_archive(path: str | os.PathLike, program: Program) -> None:
    """Write a compiled program: the quantized model and its parameters."""
    stored = [field.name for field in fields(TreeEnsemble) if not field.metadata.get("of_client")]
    ensemble = {name: getattr(program.ensemble, name) for name in stored}
    arrays = {name: value for name, value in ensemble.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in ensemble.items() if name not in arrays and value is not None}
    settings = {
        "backend": program.backend,
        "program_id": program.client_spec.program_id,
        "program": program.metadata(),
        "ensemble": {**plain, "link": program.ensemble.link.to_dict()},
    }
    write_archive(path, "server", settings, arrays)


def load_server_archive(path: str | os.PathLike) -> Program:
    """Restore a program, checking that it is the one that was saved."""
    settings, arrays = read_archive(path, "server")

    def restore() -> Program:
        values: dict[str, Any] = {
            **settings["ensemble"],
            **arrays,
            "link": link_from_dict(settings["ensemble"]["link"]),
        }
        program = resolve_backend(settings["backend"]).load(TreeEnsemble(**values), settings["program"])
        if program.client_spec.program_id != settings["program_id"]:
            raise ProtocolError("its program is not the one that was saved")
        return program

    return _restored(path, restore)


def save_client_archive(path: str | os.PathLike, model: ClientModel) -> None:
    """Write what `FHEClient` needs."""
    names = getattr(model.quantizer, "feature_names_in_", None)
    settings = {
        "backend": model.spec.backend,
        "program_id": model.spec.program_id,
        "spec": model.spec.metadata,
        "quantizer": {
            "name": model.quantizer.name,
            "input_dtype": model.quantizer.input_dtype_,
            "absent_is_missing": _absent_is_missing(model.quantizer),
            "encoding": None if model.quantizer.encoding_ is None else model.quantizer.encoding_.to_dict(),
        },
        "feature_names": None if names is None else [str(name) for name in names],
        "link": model.link.to_dict(),
        "row_checks": model.row_checks,
        "classes": _classes_to_json(model.classes),
    }
    arrays = {
        "base_score": model.base_score,
        "score_scale": model.score_scale,
        **{f"spec.{name}": array for name, array in model.spec.arrays.items()},
        **{f"quantizer.{name}": array for name, array in model.quantizer.to_arrays().items()},
    }
    if model.replaced_by_margins is not None:
        arrays["replaced_by_margins"] = model.replaced_by_margins
    write_archive(path, "client", settings, arrays)


def load_client_archive(path: str | os.PathLike) -> ClientModel:
    """Read what `save_client_archive` wrote."""
    settings, arrays = read_archive(path, "client")

    def restore() -> ClientModel:
        resolve_backend(settings["backend"])  # an unknown engine is noticed here
        quantizer = resolve_quantizer(settings["quantizer"]["name"])
        quantizer.set_arrays(_with_prefix(arrays, "quantizer."), settings["quantizer"]["input_dtype"])
        quantizer.absent_value_ = _ABSENT_VALUES[settings["quantizer"].get("absent_is_missing")]
        if settings["quantizer"].get("encoding") is not None:
            quantizer.set_encoding(RowEncoding.from_dict(settings["quantizer"]["encoding"]))
        if settings["feature_names"] is not None:
            quantizer.feature_names_in_ = np.array(settings["feature_names"], dtype=object)
        spec = ClientSpec(settings["backend"], settings["program_id"], settings["spec"], _with_prefix(arrays, "spec."))
        return ClientModel(
            spec,
            quantizer,
            link_from_dict(settings["link"]),
            arrays["base_score"],
            arrays["score_scale"],
            settings["row_checks"],
            _classes_from_json(settings["classes"]),
            arrays.get("replaced_by_margins"),
        )

    return _restored(path, restore)


def _restored(path: str | os.PathLike, restore: Callable[[], T]) -> T:
    try:
        return restore()
    except ImportError:
        raise  # a missing engine is no fault of the archive
    except Exception as error:  # whatever constructors raise on values of another kind, too large or nested too deep
        raise ProtocolError(f"{path} is not a valid archive of fhe_estimators: {error}") from error


def _with_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _absent_is_missing(quantizer: FeatureQuantizer) -> bool | None:
    return None if quantizer.absent_value_ is None else bool(np.isnan(quantizer.absent_value_))


def _classes_to_json(classes: np.ndarray | list[np.ndarray] | None) -> Any:
    if classes is None:
        return None
    if isinstance(classes, list):
        return [_classes_to_json(of_output) for of_output in classes]
    values = classes.tolist()
    if not all(isinstance(value, (bool, int, float, str)) for value in values):
        raise ValueError(f"Class labels must be numbers or strings to be archived, got {values!r}.")
    return {"dtype": classes.dtype.str if classes.dtype.kind != "O" else "object", "values": values}


def _classes_from_json(classes: Any) -> Any:
    if classes is None:
        return None
    if isinstance(classes, list):
        return [_classes_from_json(of_output) for of_output in classes]
    dtype = np.dtype(classes["dtype"])
    if dtype.itemsize > _MAX_LABEL_BYTES:
        raise ValueError(f"its labels have type {classes['dtype']!r}")
    return np.array(classes["values"], dtype=dtype)
