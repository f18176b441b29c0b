"""The parameters of keys and ciphertexts that Concrete's client is given, checked before it makes a key.

They come with a client archive, so whoever wrote that could have taken the noise away. Concrete writes them as JSON and
believes whatever it reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...exceptions import FHEError, InsecureParametersError, ProtocolError
from .._security import check_lwe_security
from ._circuit import load_concrete

#: Concrete computes modulo 2^64.
_MODULUS_BITS = 64
_NATIVE_MODULUS: dict[str, Any] = {"modulus": {"native": {}}}
#: More keys, or larger ones, are of no use and would take all memory.
_MAX_KEYS, _MAX_KEY_BYTES = 64, 1 << 34


class _Encryption(NamedTuple):
    """What is encrypted under which key, and the variance of its noise as a fraction of the modulus."""

    name: str
    key: int
    dimension: int
    variance: float
    modulus: Any


def security_of_specs(specs: bytes) -> float:
    """Security of the weakest key or ciphertext of a circuit.

    Parameters
    ----------
    specs : bytes
        Concrete's ``ClientSpecs``, serialized.

    Returns
    -------
    bits : float
        The estimate, which is at least 128.

    Raises
    ------
    InsecureParametersError
        If a key or ciphertext offers less, or an input is not encrypted at all.
    ProtocolError
        If these are no parameters of a circuit.
    """
    try:
        values = json.loads(specs)
        keys = _secret_keys(values["keyset"])
        encryptions = [*_evaluation_keys(values["keyset"], keys), *_ciphertexts(values["circuits"])]
        _refuse_other_integers(values.get("tfhers_specs"))
        return min(_security(encryption, keys) for encryption in encryptions)
    except FHEError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"These are no client parameters of Concrete ({type(error).__name__}: {error}).") from error


def load_specs(specs: bytes) -> Any:
    """Concrete's ``ClientSpecs``, checked as `security_of_specs` does.

    Parameters
    ----------
    specs : bytes
        Serialized.

    Returns
    -------
    specs : concrete.fhe.ClientSpecs
        For a client.
    """
    security_of_specs(specs)
    try:
        return load_concrete().ClientSpecs.deserialize(specs)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ProtocolError("Concrete finds no client parameters in what the client was given.") from error


def _security(encryption: _Encryption, keys: dict[int, int]) -> float:
    if keys[encryption.key] != encryption.dimension:
        raise ProtocolError(
            f"{encryption.name} has dimension {encryption.dimension}, and its key {keys[encryption.key]}."
        )
    if encryption.modulus != _NATIVE_MODULUS:
        raise InsecureParametersError(f"{encryption.name} has a modulus other than 2^{_MODULUS_BITS}.")
    return check_lwe_security(
        encryption.name,
        dimension=encryption.dimension,
        modulus_bits=_MODULUS_BITS,
        noise_std=math.sqrt(_number(encryption.variance)) * 2.0**_MODULUS_BITS,
        secret="binary",
    )


def _secret_keys(keyset: dict[str, Any]) -> dict[int, int]:
    """Dimension of each secret key."""
    keys = keyset["lweSecretKeys"]
    if [key["id"] for key in keys] != list(range(len(keys))) or len(keys) > _MAX_KEYS:
        raise ProtocolError(f"Secret keys are not numbered from 0, or are more than {_MAX_KEYS}.")
    for key in keys:
        params = key["params"]
        if params["keyType"] != "binary" or params["integerPrecision"] != _MODULUS_BITS:
            raise InsecureParametersError(
                f"Secret key {key['id']} is not a binary one of {_MODULUS_BITS}-bit words: "
                f"keyType={params['keyType']!r}, integerPrecision={params['integerPrecision']!r}."
            )
    return {key["id"]: _integer(key["params"]["lweDimension"]) for key in keys}


def _evaluation_keys(keyset: dict[str, Any], keys: dict[int, int]) -> Iterator[_Encryption]:
    bootstrap, keyswitch = keyset["lweBootstrapKeys"], keyset["lweKeyswitchKeys"]
    if keyset.get("packingKeyswitchKeys"):
        raise ProtocolError("Circuits of this engine have no packing keyswitch keys.")
    if len(bootstrap) + len(keyswitch) > _MAX_KEYS:
        raise ProtocolError(f"There are more than {_MAX_KEYS} evaluation keys.")
    n_words = 0
    for key in bootstrap:
        polynomials, degree = (_integer(key["params"][name]) for name in ("glweDimension", "polynomialSize"))
        n_words += _rows(f"The bootstrap key {key['id']}", key, keys) * (polynomials + 1) ** 2 * degree
        yield _encryption(f"The bootstrap key {key['id']}", key, polynomials * degree)
    for key in keyswitch:
        dimension = _integer(key["params"]["outputLweDimension"])
        n_words += _rows(f"The keyswitch key {key['id']}", key, keys) * (dimension + 1)
        yield _encryption(f"The keyswitch key {key['id']}", key, dimension)
    if 8 * n_words > _MAX_KEY_BYTES:
        raise ProtocolError(f"The evaluation keys would take {8 * n_words / 2**30:.0f} GiB.")


def _rows(name: str, key: dict[str, Any], keys: dict[int, int]) -> int:
    """Ciphertexts of an evaluation key: one a coefficient of the key that it is made from and level."""
    params = key["params"]
    if params["inputLweDimension"] != keys[key["inputId"]] or params["keyType"] != "binary":
        raise ProtocolError(f"{name} does not fit the binary secret key that it is made from.")
    if params["integerPrecision"] != _MODULUS_BITS:
        raise ProtocolError(f"{name} is not one of {_MODULUS_BITS}-bit words.")
    levels = _integer(params["levelCount"])
    if levels * _integer(params["baseLog"]) > _MODULUS_BITS:
        raise ProtocolError(f"{name} decomposes into more than {_MODULUS_BITS} bits.")
    return keys[key["inputId"]] * levels


def _encryption(name: str, key: dict[str, Any], dimension: int) -> _Encryption:
    return _Encryption(name, key["outputId"], dimension, key["params"]["variance"], key["params"]["modulus"])


def _ciphertexts(circuits: list[dict[str, Any]]) -> Iterator[_Encryption]:
    (circuit,) = circuits
    if not isinstance(circuit["name"], str):
        raise ProtocolError("The circuit has no name.")
    for kind in ("inputs", "outputs"):
        (gate,) = circuit[kind]
        if list(gate["typeInfo"]) != ["lweCiphertext"]:
            raise InsecureParametersError(f"The {kind} are not encrypted: their type is {list(gate['typeInfo'])}.")
        ciphertext = gate["typeInfo"]["lweCiphertext"]
        for size in ciphertext["abstractShape"]["dimensions"]:
            _integer(size)
        _integer(ciphertext["encoding"]["integer"]["width"])
        if len(ciphertext["encoding"]["integer"]["mode"]) != 1:
            raise ProtocolError(f"The {kind} have no encoding of integers.")
        encryption = ciphertext["encryption"]
        yield _Encryption(
            f"The ciphertexts of the {kind}",
            encryption["keyId"],
            encryption["lweDimension"],
            encryption["variance"],
            encryption["modulus"],
        )


def _refuse_other_integers(specs: dict[str, Any] | None) -> None:
    """Concrete can take integers of other programs, with parameters of their own."""
    for kind in ("input_types_per_func", "output_types_per_func"):
        for types in (specs or {}).get(kind, {}).values():
            if any(each is not None for each in types):
                raise ProtocolError("Circuits of this engine have no integers of TFHE-rs.")


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 1 << 17:
        raise ValueError(f"{value!r} is not a positive integer of reasonable size")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
        raise InsecureParametersError(f"A variance of noise is {value!r}: it must be from 0 to 1.")
    return float(value)
