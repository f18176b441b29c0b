"""What JSON from the other side must look like; anything else is a `ProtocolError` (both sides; needs pydantic)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..exceptions import ProtocolError

#: Inner dimensions of a product that 32-bit accumulation is exact for.
MAX_FEATURES = 1 << 17
MAX_LAYERS = 100_000

LayerName = Annotated[str, Field(min_length=1, max_length=1000)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=1, le=MAX_FEATURES)]
Direction = Literal["forward", "backward"]

Schema = TypeVar("Schema", bound=BaseModel)


class _Strict(BaseModel):
    """Nothing is converted: a number in quotes is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Version(BaseModel):
    """What a registration must begin to be read by: later ones may differ in all else."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    protocol_version: Annotated[int, Field(ge=0, le=10**6)]


class Registration(Version):
    """Layers that a worker holds, their digests and (rows, columns), and the release it runs."""

    layers: Annotated[dict[LayerName, Digest], Field(max_length=MAX_LAYERS)]
    shapes: Annotated[dict[LayerName, tuple[Size, Size]], Field(max_length=MAX_LAYERS, strict=False)] = {}
    release: Annotated[str, Field(max_length=100, pattern="^[0-9A-Za-z.+!_-]*$")] = ""


class ProductHeader(_Strict):
    """Of a request for a product, without what describes the tensor."""

    layer: LayerName
    direction: Direction
    download_bits: Literal[16, 24] = 24


class ParametersBody(_Strict):
    """LWE parameters, not yet checked for security."""

    dimension: Annotated[int, Field(ge=1, le=1 << 20)]
    modulus_bits: Annotated[int, Field(ge=1, le=64)]
    ring_degree: Annotated[int, Field(ge=1, le=1 << 20)]


class HintBody(_Strict):
    """A request for a hint."""

    layer: LayerName
    direction: Direction
    seed: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    parameters: ParametersBody
    protocol_version: Annotated[int, Field(ge=1, le=10**6)] = 2


class ManifestVersion(BaseModel):
    """What the manifest of a part of a checkpoint must begin to be read by."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    format_version: Annotated[int, Field(ge=1, le=10**6)]


class LayerEntry(_Strict):
    """A layer of a part: its weights lie in a file of the same folder."""

    name: LayerName
    file: Annotated[str, Field(pattern=r"^\d{4,6}\.safetensors$")]
    digest: Digest
    shape: tuple[Size, Size]


class QuantizerEntry(_Strict):
    """Fields of a `LinearQuantizer`."""

    n_limbs: Literal[1, 2]
    per_channel: bool
    activations: Literal["static-tensor", "dynamic-tensor", "dynamic-token"] | None


class NormsEntry(_Strict):
    """Fields of `WeightNorms` besides the tensor."""

    largest_euclidean: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    largest_absolute: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    n_inputs: Size


class MemberEntry(_Strict):
    """A linear module of the model."""

    path: LayerName
    n_outputs: Size
    transposed: bool


class ClientLayerEntry(LayerEntry):
    """A layer as the client knows it."""

    quantizer: QuantizerEntry
    norms: dict[Direction, NormsEntry]
    members: Annotated[list[MemberEntry], Field(min_length=1)]
    rounding_error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    verify_bits: Annotated[int, Field(ge=0, le=10_000)]


class WorkerManifest(_Strict):
    """The list of layers of a workers' part."""

    format_version: int
    layers: list[LayerEntry]


class ClientManifest(_Strict):
    """The list of layers of a client's part."""

    format_version: int
    layers: list[ClientLayerEntry]


def parse(schema: type[Schema], content: bytes | bytearray | dict[str, Any], what: str) -> Schema:
    """JSON text, or what a message's header holds, by a schema; ``what`` names it in the error."""
    try:
        if isinstance(content, dict):
            return schema.model_validate(content)
        return schema.model_validate_json(bytes(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part)[:50] for part in first["loc"][:3])
        raise ProtocolError(f"{what} is malformed{' at ' + place if place else ''}: {first['msg'][:200]}.") from None
