"""A statistic with its values on resamples of the questions, to be averaged and compared.

Statistics of one seed and number of questions were computed on the same resamples, so their
differences and ratios are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from catts.evals.metrics import (
    FloatArray,
    Interval,
    Statistic,
    interval_of,
    ratio,
    resamples,
    weighted_mean,
)


@dataclass(frozen=True)
class Resampled:
    """A number and what it was on each resample."""

    value: float
    draws: FloatArray
    """Shape (n_boot,); NaN where the statistic is undefined."""

    @classmethod
    def of(
        cls,
        clusters: Sequence[ArrayLike],
        statistic: Statistic = weighted_mean,
        *,
        n_boot: int = 2000,
        seed: int = 0,
    ) -> Self:
        """A statistic of the rows of all clusters.

        Args:
            clusters: the rows of each question, shape (n_i,) or (n_i, d), all questions in one
                order in every statistic that this is to be compared with; n_i may be 0.
            statistic: the mean by default.
            n_boot: number of resamples.
            seed: of the resamples.

        Raises:
            ValueError: there is no row.
        """
        return cls(*resamples(clusters, statistic, n_boot=n_boot, seed=seed))

    @classmethod
    def undefined(cls) -> Self:
        """What nothing can be said of; so is whatever it is put together with."""
        return cls(float("nan"), np.full(1, np.nan))

    @classmethod
    def mean(cls, several: Sequence[Self]) -> Self:
        """Their mean, resample by resample."""
        return cls(
            float(np.mean([one.value for one in several])),
            np.mean(np.broadcast_arrays(*[one.draws for one in several]), axis=0),
        )

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.value - other.value, self.draws - other.draws)

    def __truediv__(self, other: Self) -> Self:
        value = ratio(np.array([self.value]), np.array([other.value]))
        return type(self)(float(value[0]), ratio(self.draws, other.draws))

    @property
    def defined(self) -> bool:
        """Whether there is a number at all."""
        return bool(np.isfinite(self.value))

    def interval(self, *, reflected: bool = False) -> Interval:
        """With its 95 % interval; `reflected` as in `catts.evals.metrics.cluster_bootstrap`.

        Raises:
            ValueError: the statistic is undefined.
        """
        return interval_of(self.value, self.draws, reflected=reflected)
