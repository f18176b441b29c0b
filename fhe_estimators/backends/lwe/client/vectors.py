"""Vectors of eight doubles or machine words as values of compiled loops (needs numba).

Loops over short rows, eight at a time, are what the client's loops consist of. Compilers leave most of their speed
behind, since they cannot know that rows do not overlap; with vectors, loads, stores and arithmetic are as written, and
operators are those of Python. On processors without registers of 512 bits a vector takes several.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

#: Elements of a vector.
WIDTH = 8
_ELEMENTS: dict[types.Type, Any] = {types.float64: ir.DoubleType(), types.uint64: ir.IntType(64)}
#: What elements of arrays are made of vectors' elements by, as they are loaded.
_NARROW: dict[types.Type, Any] = {types.float32: ir.FloatType(), types.uint32: ir.IntType(32)}


#: Numba calls what it decorates by other arguments than those it is defined with.
_intrinsic: Any = intrinsic


class Vector(types.Type):
    """Numba's type of a vector.

    Parameters
    ----------
    dtype : numba type
        Of the elements: float64 or uint64.
    """

    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector):
        super().__init__(manager, vector, ir.VectorType(_ELEMENTS[vector.dtype], WIDTH))


def _vector_of(array: types.Array) -> Vector:
    return Vector(types.float64 if isinstance(array.dtype, types.Float) else types.uint64)


def _address(context: Any, builder: Any, array_type: types.Array, array: Any, index: Any, element: Any) -> Any:
    """Pointer to a vector of elements at an index."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.VectorType(element, WIDTH).as_pointer())


@_intrinsic
def load(typing_context, array, index):
    """Eight elements of a contiguous array of float64, float32 or uint64, from an index on."""
    vector, narrow = _vector_of(array), _NARROW.get(array.dtype)

    def generate(context, builder, signature, arguments):
        data, start = arguments
        pointer = _address(context, builder, array, data, start, narrow or _ELEMENTS[vector.dtype])
        loaded = builder.load(pointer, align=array.dtype.bitwidth // 8)
        return builder.fpext(loaded, context.get_value_type(vector)) if narrow else loaded

    return vector(array, types.intp), generate


@_intrinsic
def store(typing_context, array, index, value):
    """Write a vector to a contiguous array, from an index on; into uint32, the lower halves of the elements' words."""

    def generate(context, builder, signature, arguments):
        narrow = _NARROW.get(array.dtype)
        data, start, elements = arguments
        pointer = _address(context, builder, array, data, start, narrow or _ELEMENTS[value.dtype])
        if narrow:
            words = builder.bitcast(elements, ir.VectorType(ir.IntType(64), WIDTH))
            elements = builder.trunc(words, ir.VectorType(narrow, WIDTH))
        builder.store(elements, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_intrinsic
def fill(typing_context, number):
    """Vector of a number of float64 or uint64, eight times."""
    vector = Vector(number)

    def generate(context, builder, signature, arguments):
        undefined = ir.Constant(context.get_value_type(vector), ir.Undefined)
        one = builder.insert_element(undefined, arguments[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))

    return vector(number), generate


def _define(operation: Any, dtype: types.Type, instruction: str, **options: Any) -> None:
    """Let an operator of two vectors of a kind be an instruction."""
    vector = Vector(dtype)

    @_intrinsic
    def compute(typing_context, left, right):
        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments, **options)

        return vector(vector, vector), generate

    @overload(operation)
    def choose(left, right):
        if left == vector and right == vector:
            return lambda left, right: compute(left, right)
        return None


for _operation, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_operation, types.float64, _instruction, flags=("contract",))  # to fused multiply-adds
for _operation, _instruction in (
    *((operator.and_, "and_"), (operator.or_, "or_"), (operator.xor, "xor")),
    *((operator.lshift, "shl"), (operator.rshift, "lshr")),
):
    _define(_operation, types.uint64, _instruction)
