"""The data sets of a cross-validation, one a fold, each made when it is asked for: they share no memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fastmlp.data.dataset import Dataset, fingerprint_of

KEPT = 1 << 28  # bytes of rows, of all folds together, up to which all are kept


class Folds(Sequence[Dataset]):
    """Data sets that are made on demand: small ones are all kept, of large ones the first and the last one asked for.

    makers : functions that each return the same data set whenever they are called
    """

    def __init__(self, makers: Sequence[Callable[[], Dataset]]) -> None:
        self._makers, self._kept, self._fingerprints = makers, dict[int, Dataset](), dict[int, str]()

    def __len__(self) -> int:
        return len(self._makers)

    def __getitem__(self, i: int) -> Dataset:  # pyright: ignore[reportIncompatibleMethodOverride] - nobody slices it
        if not 0 <= i < len(self):
            raise IndexError(i)
        if i not in self._kept:
            made = self._makers[i]()
            size = sum(rows.nbytes for _, rows, _ in made.parts())
            if size * len(self) > KEPT:
                self._kept = {number: one for number, one in self._kept.items() if number == 0}
            if i in self._fingerprints:  # to hash the rows again would take as long as to make them
                made.__dict__["fingerprint"] = self._fingerprints[i]
            self._fingerprints[i] = made.fingerprint
            self._kept[i] = made
        return self._kept[i]


def joined(folds: Sequence[Dataset], words: str) -> Dataset:
    """Return the data set of a cross-validation; words : how the rows were split into these folds."""
    known = [(fold.fingerprint, fold.outline()) for fold in folds]
    whole = replace(folds[0], folds=folds, words=words)
    # Known: to ask each fold for it again would make all of them again.
    whole.__dict__["fingerprint"] = fingerprint_of(fingerprint for fingerprint, _ in known)
    whole.__dict__["outlines"] = {number: outline for number, (_, outline) in enumerate(known, 1)}
    return whole
