"""float32 arithmetic that the compiler can vectorise: a power function without a call, and a counter-based hash.

numba widens float32 with a plain literal to float64, so every constant here is a typed global.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from driftmap.engine.core.jit import exact_inline, fast_inline

if TYPE_CHECKING:
    import numpy.typing as npt

ZERO = np.float32(0)
HALF = np.float32(0.5)
ONE = np.float32(1)
TWO = np.float32(2)

_MANTISSA = np.int32(0x007FFFFF)
_EXPONENT_OF_ONE = np.int32(0x3F800000)
_MANTISSA_BITS = np.int32(23)
_BIAS = np.int32(127)
_EXPONENT = np.int32(0x7F800000)
_UNIT = np.float32(2.0**23)
_PER_UNIT = np.float32(2.0**-23)
_FLOAT_BIAS = np.float32(127)


_CHEBYSHEV = 0.5 + 0.5 * np.cos((np.arange(256) + 0.5) / 256 * np.pi)
"""Points in [0, 1] at which polynomials are fitted by least squares."""


def _fit_polynomial(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], degree: int, *, is_relative: bool
) -> tuple[np.float32, ...]:
    """Fit y(x), its absolute or relative error; the coefficients, that of x ** 0 first."""
    weights = 1 / y if is_relative else np.ones_like(y)
    powers = np.vander(x, degree + 1, increasing=True) * weights[:, None]
    return tuple(np.linalg.lstsq(powers, y * weights)[0].astype(np.float32))


# log2(1 + x) / x, 2**x; and for `rough_power` log2(m) - (m - 1), 2**(m - 1), by the mantissa m in [1, 2]
_L0, _L1, _L2, _L3, _L4, _L5, _L6 = _fit_polynomial(
    _CHEBYSHEV, np.log2(1 + _CHEBYSHEV) / _CHEBYSHEV, 6, is_relative=True
)
_E0, _E1, _E2, _E3, _E4, _E5 = _fit_polynomial(_CHEBYSHEV, 2**_CHEBYSHEV, 5, is_relative=True)
_R0, _R1, _R2, _R3, _R4 = _fit_polynomial(1 + _CHEBYSHEV, np.log2(1 + _CHEBYSHEV) - _CHEBYSHEV, 4, is_relative=False)
_S0, _S1, _S2, _S3 = _fit_polynomial(1 + _CHEBYSHEV, 2**_CHEBYSHEV, 3, is_relative=True)

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def float_bits(x: np.float32) -> np.int32:
        """Return the bits of a float32 as an int32."""
        return np.float32(x).view(np.int32)

    def bits_float(i: np.int32) -> np.float32:
        """Return the float32 with these bits."""
        return np.int32(i).view(np.float32)

else:

    @intrinsic
    def float_bits(_context: Any, _x: Any) -> Any:
        """Return the bits of a float32 as an int32."""

        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], ir.IntType(32))

        return types.int32(types.float32), generate

    @intrinsic
    def bits_float(_context: Any, _i: Any) -> Any:
        """Return the float32 with these bits."""

        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], ir.FloatType())

        return types.float32(types.int32), generate


@fast_inline
def power(x: np.float32, exponent: np.float32) -> np.float32:
    """Return x ** exponent for normal x > 0, within 1e-5 (relative) for results between 1e-30 and 1e30.

    2 ** (exponent * log2 x) with both functions as polynomials. A call of the C library's `powf` instead keeps the
    loop around it scalar (tests/benchmarks/bench_kernels.py).
    """
    bits = float_bits(x)
    whole = np.float32(np.int32(bits >> _MANTISSA_BITS) - _BIAS)
    part = bits_float(np.int32((bits & _MANTISSA) | _EXPONENT_OF_ONE)) - ONE
    log2 = whole + part * (_L0 + part * (_L1 + part * (_L2 + part * (_L3 + part * (_L4 + part * (_L5 + part * _L6))))))
    raised = exponent * log2
    floor = np.floor(raised)
    rest = raised - floor
    scale = bits_float(np.int32((np.int32(floor) + _BIAS) << _MANTISSA_BITS))
    exp2: np.float32 = scale * (_E0 + rest * (_E1 + rest * (_E2 + rest * (_E3 + rest * (_E4 + rest * _E5)))))
    return exp2


@fast_inline
def rough_power(x: np.float32, exponent: np.float32) -> np.float32:
    """Return x ** exponent for normal x > 0, within 3e-4 (relative) for results between 1e-30 and 1e30.

    What `power` does, in 16 operations instead of 25: the bits of a float32 are its logarithm but for a curve over the
    mantissa, which shorter polynomials take off and put on.
    """
    bits = float_bits(x)
    part = bits_float(np.int32((bits & _MANTISSA) | _EXPONENT_OF_ONE))
    curve = _R0 + part * (_R1 + part * (_R2 + part * (_R3 + part * _R4)))
    log2 = np.float32(bits) * _PER_UNIT - _FLOAT_BIAS + curve
    raised = np.int32((exponent * log2 + _FLOAT_BIAS) * _UNIT)
    rest = bits_float(np.int32((raised & _MANTISSA) | _EXPONENT_OF_ONE))
    exp2: np.float32 = bits_float(np.int32(raised & _EXPONENT)) * (_S0 + rest * (_S1 + rest * (_S2 + rest * _S3)))
    return exp2


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S32 = np.uint64(32)


@exact_inline
def mix(state: np.uint64, value: int) -> np.uint64:
    """Hash one more number into a 64-bit state (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = state + (np.uint64(value) + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@exact_inline
def below(state: np.uint64, n: int) -> np.int64:
    """Turn a hash into a number in [0, n), for n below 2**31, all but evenly."""
    return np.int64(((state >> _S32) * np.uint64(n)) >> _S32)
