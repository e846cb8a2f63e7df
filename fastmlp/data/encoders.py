"""What becomes of a column: the features that it is written into, by what was learnt from its training rows.

An encoder is a record of JSON's types. `Number` writes a standardised number, `Category` a 1 among columns of 0, one a
value, `Hashed` two of 64 for a value of very many, `Date` parts of a time. Each has a further feature that is 1 where
the column is missing, if it was in training; its others are then 0, but for a number's, which has its median.
All features are float32, within +-LIMIT, and finite whatever a table holds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.cells import TRUTHS
from fastmlp.data.frame import Frame, floats
from fastmlp.data.kinds import as_numbers, as_times

if TYPE_CHECKING:
    import polars as pl

SCALES = {
    "standard": "by mean and standard deviation",
    "robust": "by median and interquartile range, over 1.349, which is 1 for a normal distribution",
    "quantile": "by rank among the training rows, to a normal distribution",
}
LIMIT = 1e4  # standardised numbers end here; no number of 100 million training rows is more deviations from their mean
ONE_HOT = 64  # values of a category that have a feature of their own
HASHED = 64  # features of a category with more
TINY = 1e-290  # numbers below are 0 among quantiles: a line from one to the next would have an infinite slope
RARE = 5  # rows of a value that has a feature of its own, in large tables; 1 % of the rows in small ones
_MOST_RARE = 0.1  # of the rows, in a category that has features of its own
_QUANTILES = 256
_WHOLE = r"^([+-]?\d+)\.0+$"
_CHUNK = 1 << 16

Features = NDArray[np.float32]


def level_texts(column: "pl.Series") -> "pl.Series":
    """Return the values of a category as texts, null where they are missing.

    However a file writes them, they are one text: true for True and TRUE, 1 for 1.0.
    """
    import polars as pl

    texts = column.cast(pl.String)
    if (column.dtype == pl.String or column.dtype.is_float()) and texts.str.ends_with("0").any():
        texts = texts.str.replace(_WHOLE, "$1")
    if column.dtype == pl.String:
        texts = texts.replace({one: one.lower() for one in TRUTHS if one != one.lower()})
    return texts


@dataclass(frozen=True)
class Number:
    """A number: what is missing or infinite becomes the median, then all are standardised.

    center, scale : subtracted and divided by, where `points` is empty; scale 0 makes all of it 0. points, scores : by
    quantiles, numbers in ascending order and what they become; those between by a line, those outside as the nearest
    """

    kind: ClassVar[str] = "number"
    name: str
    median: float
    center: float
    scale: float
    points: tuple[float, ...]
    scores: tuple[float, ...]
    missing: bool

    @classmethod
    def learn(cls, frame: Frame, name: str, scale: str) -> Self:
        """Learn from a frame of training rows; scale : a key of SCALES."""
        values = floats(as_numbers(frame, name))
        finite = np.isfinite(values)
        missing = not finite.all()
        known = values[finite] if missing else values
        if not len(known) or known.min() == known.max():
            same = float(known[0]) if len(known) else 0.0
            return cls(name, same, same, 0.0, (), (), missing)
        work = np.empty_like(known)  # once, as new memory takes longer than what is done in it
        middle = median(known, work)
        if scale == "quantile":
            points, scores = _normal_scores(known)
            return cls(name, middle, 0.0, 1.0, points, scores, missing)
        center, deviation = _moments(known, work)
        if scale == "robust":
            low, high = np.quantile(known, [0.25, 0.75], method="inverted_cdf")
            spread = float(high / 1.349 - low / 1.349)
            center, deviation = middle, spread if spread > 0 else deviation
        return cls(name, middle, center, deviation, (), (), missing)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        return (self.name, f"{self.name} missing")[: 1 + self.missing]

    def write(self, frame: Frame, out: Features, _: Any = None) -> None:
        """Write the features of a frame's rows into out (N, F) float32, which is 0."""
        values = floats(as_numbers(frame, self.name))
        unknown = ~np.isfinite(values)
        if unknown.any():
            values = np.where(unknown, self.median, values)
            if self.missing:
                out[:, 1] = unknown
        if self.points:
            # Halved, as the distance of two large numbers is infinite.
            out[:, 0] = np.interp(values / 2, np.array(self.points) / 2, self.scores)
        elif self.scale:
            out[:, 0] = _scaled(values, self.center, self.scale)


@dataclass(frozen=True)
class Category:
    """A category of few values: a feature for each of `levels`, which is 1 in its rows.

    other : whether there is one for values that were rare in training; what was not seen in training is 1 there, or
    nowhere.
    """

    kind: ClassVar[str] = "category"
    name: str
    levels: tuple[str, ...]
    other: bool
    missing: bool

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        ends = [f"{self.name} other"] * self.other + [f"{self.name} missing"] * self.missing
        return (*(f"{self.name}={level}" for level in self.levels), *ends)

    def write(self, frame: Frame, out: Features, _: Any = None) -> None:
        """Write the features of a frame's rows into out (N, F) float32, which is 0."""
        import polars as pl

        texts = level_texts(frame.column(self.name))
        unseen, missing = len(self.levels), len(self.levels) + self.other
        codes = texts.replace_strict(
            pl.Series(self.levels, dtype=pl.String),
            pl.Series(range(unseen), dtype=pl.Int32),
            default=unseen if self.other else -1,
            return_dtype=pl.Int32,
        ).to_numpy()
        codes = np.where(texts.is_null().to_numpy(), missing if self.missing else -1, codes)
        _write_ones(out, codes)


@dataclass(frozen=True)
class Hashed:
    """A category of many values: each is a 1 in two of `buckets` features, one in either half, by a hash of its text.

    The values are not kept, and those that were not seen in training are hashed too. Of 1,024 pairs of features many
    values share some, and few a pair, where there are few hundred.
    """

    kind: ClassVar[str] = "hashed"
    name: str
    buckets: int
    missing: bool

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        return (*(f"{self.name} hash {i}" for i in range(self.buckets)), f"{self.name} missing")[
            : self.buckets + self.missing
        ]

    def prepare(self, frame: Frame) -> "pl.Series":
        """Return the hash of each row's value, uint32, null where it is missing.

        It takes 4 bytes a row, and while it runs about 100 bytes a value.
        """
        import polars as pl

        texts = level_texts(frame.column(self.name))
        levels = texts.drop_nulls().unique()
        hashes = np.empty(len(levels), np.uint32)
        for start in range(0, len(levels), _CHUNK):
            part = levels.slice(start, _CHUNK).to_list()
            hashes[start : start + len(part)] = [_hash(level) for level in part]
        return texts.replace_strict(levels, pl.Series(hashes), default=None, return_dtype=pl.UInt32)

    def write(self, frame: Frame, out: Features, hashes: "pl.Series") -> None:
        """Write the features of a frame's rows into out (N, F) float32, which is 0; hashes : of these rows."""
        del frame
        half = self.buckets // 2
        missing = hashes.is_null().to_numpy()
        values = hashes.fill_null(0).to_numpy().astype(np.int64)
        _write_ones(out, np.where(missing, -1, values % half))
        _write_ones(out, np.where(missing, self.buckets if self.missing else -1, half + values // half % half))


@dataclass(frozen=True)
class Date:
    """A time: year, and the time since the first of training, standardised; month, day of week and hour on a circle.

    written : how its texts are written, None for times; hours : whether times of day occurred in training; first :
    seconds from 1970 to the first of training; year and time : their means and standard deviations
    """

    kind: ClassVar[str] = "date"
    name: str
    written: str | None
    hours: bool
    first: float
    year: tuple[float, float]
    time: tuple[float, float]
    missing: bool

    @classmethod
    def learn(cls, frame: Frame, name: str, written: str | None) -> Self:
        """Learn from a frame of training rows."""
        times = as_times(frame, name, written)
        known = times.drop_nulls()
        missing = len(known) < len(times)
        if not len(known):
            return cls(name, written, False, 0.0, (0.0, 0.0), (0.0, 0.0), missing)
        seconds = floats(known)
        first = float(seconds.min())
        hours = bool((seconds % 86400 != 0).any())
        return cls(name, written, hours, first, _moments(floats(known.dt.year())), _moments(seconds - first), missing)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        circles = ["month", "weekday", "hour"][: 2 + self.hours]
        parts = ["year", "time", *(f"{one} {what}" for one in circles for what in ("sin", "cos"))]
        return tuple(f"{self.name} {part}" for part in parts + ["missing"] * self.missing)

    def write(self, frame: Frame, out: Features, _: Any = None) -> None:
        """Write the features of a frame's rows into out (N, F) float32, which is 0."""
        times = as_times(frame, self.name, self.written)
        known = times.is_not_null().to_numpy()
        seconds = floats(times)
        turns = [floats(times.dt.month() - 1) / 12, floats(times.dt.weekday() - 1) / 7, seconds % 86400 / 86400]
        parts = [_scaled(floats(times.dt.year()), *self.year), _scaled(seconds - self.first, *self.time)]
        for turn in turns[: 2 + self.hours]:
            parts += [np.sin(2 * math.pi * turn), np.cos(2 * math.pi * turn)]
        for i, part in enumerate(parts):
            out[:, i] = np.where(known, part, 0)
        if self.missing:
            out[:, len(parts)] = ~known


Encoder = Number | Category | Hashed | Date
ENCODERS: Mapping[str, type[Encoder]] = {one.kind: one for one in (Number, Category, Hashed, Date)}


def learn_category(frame: Frame, name: str) -> Category | Hashed:
    """Learn the values of a category from a frame of training rows, and whether each gets a feature.

    Each that has `RARE` rows, or 1 % of them, does, if there are at most `ONE_HOT` and 10 % of the rows have others.
    """
    texts = level_texts(frame.column(name))
    missing = texts.null_count() > 0
    known = texts.drop_nulls()
    counts = known.value_counts(name="rows")
    common = counts.filter(counts["rows"] >= min(RARE, len(known) / 100))
    levels = len(common)
    if levels <= ONE_HOT and len(known) - int(common["rows"].sum()) <= _MOST_RARE * len(known):
        return Category(name, tuple(sorted(common[name].to_list())), levels < len(counts), missing)
    return Hashed(name, HASHED, missing)


def _hash(level: str) -> int:
    return int.from_bytes(blake2b(level.encode(), digest_size=4).digest(), "little")


def _write_ones(out: Features, codes: NDArray[np.integer]) -> None:
    """Write a 1 into each row's column of out (N, F) float32 that codes (N,) names, none where it is -1."""
    rows = np.flatnonzero(codes >= 0)
    out[rows, codes[rows]] = 1


def _scaled(values: NDArray[np.float64], center: float, scale: float) -> NDArray[np.float64]:
    """Return (values - center) / scale, (N,) float64, within LIMIT; 0 where the scale is 0."""
    if not scale:
        return np.zeros(len(values))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.clip((values - center) / scale, -LIMIT, LIMIT)


def _moments(values: NDArray[np.float64], work: NDArray[np.float64] | None = None) -> tuple[float, float]:
    """Return mean and standard deviation of (N,) float64, which overflow for no values; exactly 0 where all are one.

    work : (N,) float64 that is overwritten, None for a new array
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 0.0
    unit = max(abs(low), abs(high))
    scaled = np.divide(values, unit, out=work)
    mean = float(scaled.mean())
    scaled -= mean
    return mean * unit, float(np.sqrt(np.mean(np.square(scaled, out=scaled)))) * unit


def median(values: NDArray[np.float64], work: NDArray[np.float64] | None = None) -> float:
    """Return the median of (N,) float64, which overflows for no values; work : (N,) float64 that is overwritten."""
    parted, middle = np.empty_like(values) if work is None else work, len(values) // 2
    parted[:] = values
    parted.partition(middle)  # by one place, which takes a tenth of what it takes by two
    high = float(parted[middle])
    return high if len(values) % 2 else float(parted[:middle].max()) / 2 + high / 2


def _normal_scores(known: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return quantiles of (N,) float64 values, without repetitions, and the normal distribution's at the same ranks."""
    count = min(_QUANTILES, len(known))
    ranks = (np.arange(count) + 0.5) / count
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(float(rank)) for rank in ranks])
    quantiles = np.quantile(known, ranks, method="inverted_cdf")
    points, where = np.unique(np.where(np.abs(quantiles) < TINY, 0.0, quantiles), return_inverse=True)
    means = np.bincount(where, scores) / np.bincount(where)  # of values that take up several ranks
    return tuple(map(float, points)), tuple(map(float, means))
