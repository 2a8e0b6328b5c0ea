"""In: means and squared coefficients of variation. Out: quantiles and chances of gamma distributions, as columns.

Sums of many uneven positive parts are close to gamma. Wilson and Hilferty (1931): the cube root of a gamma variable is
nearly normal, so both directions are closed forms.
"""

from __future__ import annotations

from typing import Final

import numpy as np

#: The normal quantile of 90 %.
Z90: Final = 1.2815515655446004
#: Beyond this the cube root is no help: the distribution is nearly all at zero.
_LARGEST: Final = 4.0
_SMALLEST: Final = 1e-8


def quantile(mean: np.ndarray, variation: np.ndarray, z: float) -> np.ndarray:
    """The value that stands `z` normal deviations up. Zero where the mean is."""
    ninth = np.clip(variation, _SMALLEST, _LARGEST) / 9
    root = np.maximum(1 - ninth + z * np.sqrt(ninth), 0)
    found: np.ndarray = mean * root**3
    return found


def chance_above(mean: np.ndarray, variation: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Chance that the variable exceeds `bound`; 1 where the bound lies below zero."""
    ninth = np.clip(variation, _SMALLEST, _LARGEST) / 9
    ratio = np.divide(np.maximum(bound, 0), mean, out=np.full(len(mean), 1e9), where=mean > 0)
    z = (np.cbrt(ratio) - 1 + ninth) / np.sqrt(ninth)
    return np.where(bound < 0, 1.0, 1 - normal(z))


def normal(z: np.ndarray) -> np.ndarray:
    """The standard normal distribution function: Abramowitz and Stegun 26.2.17, right to 7.5e-8."""
    size = np.minimum(np.abs(z), 38)
    t = 1 / (1 + 0.2316419 * size)
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-size * size / 2) / np.sqrt(2 * np.pi) * series
    found: np.ndarray = np.where(z >= 0, 1 - upper, upper)
    return found
