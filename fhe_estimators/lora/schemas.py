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
