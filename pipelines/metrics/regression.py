"""CCC, RMSE and Pearson's r from moments a group.

Decisions. Variances and covariances are the population's (divided by n), as in the Aff-Wild2 challenge, in float64
whatever comes in. Raw sums of squares lose every digit when the mean is large, so a group keeps its means and its sums
of squares *about* them, and groups are merged by the parallel form of Welford's update (Chan, Golub and LeVeque 1983):
all terms are non-negative, nothing cancels. A mean is kept as an origin (one of the group's own values) and the mean
distance from it: differences of origins are exact, where a mean of 1e6 alone has lost ten digits of its unit. So what
is merged from chunks equals one pass. RMSE keeps its own sum of squared errors for the same reason.

Where nothing varies: CCC is 0, the value of its own formula, also where both are constant and equal (0/0). Pearson's r
is 0 for a constant prediction, so that a collapsed model ranks last instead of dropping out, and NaN for a constant
target, where it is undefined.

Ordinal classes are read as a scale: the expected class index, sum_c c p_c, against the true index.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.metrics.base import GroupStatistics, Metric, Predictions, index_groups, join_groups, sum_rows
from pipelines.recipe import Task

# Relative to the largest mean: rounding leaves about 1e-16 in a constant, float32 data vary by 1e-8 if they do at all.
CONSTANT = 1e-14


@dataclass(frozen=True)
class Moments(GroupStatistics):
    """First and second moments of prediction x and target y in each group, all (G, K) float64.

    Attributes:
        origin_x: a prediction of the group.
        origin_y: a target of the group.
        mean_x: mean prediction of the group, about `origin_x`.
        mean_y: mean target of the group, about `origin_y`.
        xx: sum of squared deviations of x from its mean over the group's rows.
        yy: the same of y.
        xy: sum of the products of both deviations.
        squared_error: sum of (x - y)^2.
        scalar: whether the metric is one number rather than one a dimension (K = 1, from ordinal classes).
    """

    origin_x: np.ndarray
    origin_y: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    xx: np.ndarray
    yy: np.ndarray
    xy: np.ndarray
    squared_error: np.ndarray
    scalar: bool


@dataclass(frozen=True)
class _Union:
    """Population moments of R weighted unions of groups, all (R, K); NaN for a union without rows."""

    var_x: np.ndarray
    var_y: np.ndarray
    cov: np.ndarray
    bias: np.ndarray
    mean_squared_error: np.ndarray


def concordance_correlation(prediction: np.ndarray, target: np.ndarray) -> float | np.ndarray:
    """Lin's concordance correlation coefficient (Lin 1989), with population variances, in float64.

    CCC = 2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2); 0 when either variance vanishes.

    Args:
        prediction: (n,) or (n, K) values.
        target: values of the same shape.

    Returns:
        A float, or (K,) float64.

    Raises:
        ValueError: shapes differ or have no row. NaN in gives NaN out.
    """
    x, y = np.asarray(prediction), np.asarray(target)
    if x.shape != y.shape or x.ndim not in (1, 2) or not len(x):
        raise ValueError(f"prediction {x.shape} and target {y.shape} must both be (n,) or (n, K) with n > 0")
    rows, scalar = np.zeros(len(x), dtype=np.intp), x.ndim == 1
    x, y = x.reshape(len(rows), -1), y.reshape(len(rows), -1)
    moments = _moments(x, y, groups=("",), index=rows, clips=np.array([len(rows)]), scalar=scalar)
    value = ConcordanceCorrelation().value(moments, np.ones((1, 1)))[0]
    return float(value) if scalar else value


def _moments(
    x: np.ndarray, y: np.ndarray, *, groups: tuple[str, ...], index: np.ndarray, clips: np.ndarray, scalar: bool
) -> Moments:
    """Two passes over (n, K) values; `index` (n,) names the row's group, `clips` (G,) counts its rows."""
    x, y = x.astype(np.float64), y.astype(np.float64)

    def total(values: np.ndarray) -> np.ndarray:
        columns = [np.bincount(index, weights=column, minlength=len(clips)) for column in values.T]
        return np.stack(columns, axis=1)

    def centred(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # A group's first value is taken off before its mean is: a constant then has exactly no variance.
        shifted = values - values[first][index]
        mean = total(shifted) / clips[:, None]
        return mean, shifted - mean[index]

    first = np.unique(index, return_index=True)[1]
    mean_x, dx = centred(x)
    mean_y, dy = centred(y)
    return Moments(
        groups=groups, clips=clips, origin_x=x[first], origin_y=y[first], mean_x=mean_x, mean_y=mean_y,
        xx=total(dx * dx), yy=total(dy * dy), xy=total(dx * dy), squared_error=total((x - y) ** 2), scalar=scalar,
    )  # fmt: skip


def _merge(parts: Sequence[Moments]) -> Moments:
    """Moments of the union of the parts' rows, groups of one name joined (Chan, Golub and LeVeque 1983)."""
    groups, index, clips = join_groups(parts)
    first = np.unique(index, return_index=True)[1]
    rows = np.concatenate([part.clips for part in parts])[:, None]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    def total(values: np.ndarray) -> np.ndarray:
        return sum_rows(values, index, len(groups))

    def centred(origin: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shifted = (origin - origin[first][index]) + mean
        centre = total(rows * shifted) / clips[:, None]
        return origin[first], centre, shifted - centre[index]

    origin_x, mean_x, dx = centred(joined("origin_x"), joined("mean_x"))
    origin_y, mean_y, dy = centred(joined("origin_y"), joined("mean_y"))
    return Moments(
        groups=groups, clips=clips, origin_x=origin_x, origin_y=origin_y, mean_x=mean_x, mean_y=mean_y,
        xx=total(joined("xx") + rows * dx * dx), yy=total(joined("yy") + rows * dy * dy),
        xy=total(joined("xy") + rows * dx * dy), squared_error=total(joined("squared_error")), scalar=parts[0].scalar,
    )  # fmt: skip


def _union(moments: Moments, weights: np.ndarray) -> _Union:
    """Population moments of the groups taken `weights` (R, G) times."""
    rows = weights * moments.clips
    total = rows.sum(axis=1, keepdims=True)
    share = np.divide(rows, total, out=np.full(rows.shape, np.nan), where=total != 0)

    def centred(origin: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shifted = (origin - origin[0]) + mean
        centre = share @ shifted
        return centre, shifted - centre[:, None, :]

    def within_and_between(within: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return share @ (within / moments.clips[:, None]) + np.einsum("rg,rgk,rgk->rk", share, a, b)

    def vanish(variance: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return np.where(variance <= (CONSTANT * np.abs(mean).max(axis=0)) ** 2, 0.0, variance)

    centre_x, dx = centred(moments.origin_x, moments.mean_x)
    centre_y, dy = centred(moments.origin_y, moments.mean_y)
    return _Union(
        var_x=vanish(within_and_between(moments.xx, dx, dx), moments.origin_x + moments.mean_x),
        var_y=vanish(within_and_between(moments.yy, dy, dy), moments.origin_y + moments.mean_y),
        cov=within_and_between(moments.xy, dx, dy),
        bias=(moments.origin_x[0] - moments.origin_y[0]) + (centre_x - centre_y),
        mean_squared_error=share @ (moments.squared_error / moments.clips[:, None]),
    )


class _ScaleMetric(Metric[Moments]):
    """What compares values on a scale."""

    def misfit(self, task: Task) -> str | None:
        if task.kind == "continuous" or task.ordinal:
            return None
        return f"it needs a scale, and the classes {', '.join(task.labels)} are not declared as one"

    def accumulate(self, predictions: Predictions) -> Moments:
        x, y = predictions.scores, predictions.target
        if predictions.of_classes:
            x, y = (x.astype(np.float64) @ np.arange(x.shape[1]))[:, None], y[:, None]
        groups, index, clips = index_groups(predictions.groups)
        return _moments(x, y, groups=groups, index=index, clips=clips, scalar=predictions.of_classes)

    def merge(self, parts: Sequence[Moments]) -> Moments:
        return _merge(parts)

    def value(self, statistics: Moments, weights: np.ndarray) -> np.ndarray:
        values = self._read(_union(statistics, weights.astype(np.float64)))
        return values[:, 0] if statistics.scalar else values

    @abstractmethod
    def _read(self, m: _Union) -> np.ndarray:
        """(R, K) values; NaN in, NaN out."""


class ConcordanceCorrelation(_ScaleMetric):
    """Lin's concordance correlation coefficient; see `concordance_correlation`."""

    name = "ccc"

    def _read(self, m: _Union) -> np.ndarray:
        constant = (m.var_x == 0) | (m.var_y == 0)
        return np.where(constant, 0.0, 2 * m.cov / np.where(constant, 1.0, m.var_x + m.var_y + m.bias**2))


class RootMeanSquaredError(_ScaleMetric):
    """Square root of the mean squared error, in units of the target."""

    name = "rmse"
    higher_is_better = False

    def _read(self, m: _Union) -> np.ndarray:
        return np.sqrt(m.mean_squared_error)


class PearsonCorrelation(_ScaleMetric):
    """Pearson's r; 0 for a constant prediction, NaN for a constant target."""

    name = "pearson"

    def _read(self, m: _Union) -> np.ndarray:
        constant = (m.var_x == 0) | (m.var_y == 0)
        r = np.where(constant, 0.0, m.cov) / np.where(constant, 1.0, np.sqrt(m.var_x) * np.sqrt(m.var_y))
        return np.where(m.var_y == 0, np.nan, r)
