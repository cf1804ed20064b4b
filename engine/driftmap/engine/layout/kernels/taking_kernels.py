"""How threads share out an epoch's chunks: each takes the next ones once it is done with those before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from driftmap.engine.types import Int64Array

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def take(taken: Int64Array, index: int, n: int) -> int:
        """Take the next `n` of what threads share out; `taken[index]` counts what they took. Returns the first."""
        first = int(taken[index])
        taken[index] += n
        return first

else:

    @intrinsic
    def take(_context: Any, taken: Any, _index: Any, _n: Any) -> Any:
        """Take the next `n` of what threads share out; `taken[index]` counts what they took. Returns the first."""

        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            values = context.make_array(taken)(context, builder, args[0])
            return builder.atomic_rmw("add", builder.gep(values.data, [args[1]]), args[2], "monotonic")

        return types.int64(taken, types.int64, types.int64), generate
