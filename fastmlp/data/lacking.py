"""What is said of columns that a table lacks: the names most like them, and those that it has."""

from collections.abc import Iterable, Sequence

from fastmlp.data.library import listed


def unknown_column(name: str, names: Iterable[str]) -> str:
    """Return the message for a column that is not there, with the names most like it."""
    names = list(names)
    near = _near(name, names)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    if not near and any(_is_number(one) for one in names):
        meant = " A number is no name: where the first line is a row already, put a line of names above it."
    return f"There is no column {name!r}.{meant} There are {listed(names)}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _near(name: str, names: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    folded = {one.casefold(): one for one in names}
    return [folded[one] for one in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]


def lacking(source: str, known: Iterable[str], names: Sequence[str]) -> str:
    """Return the message for columns that a model was trained on, and of which a table with these names lacks some."""
    lacks, others = [name for name in known if name not in names], [name for name in names if name not in known]
    near = {name: _near(name, others)[:1] for name in lacks}
    meant = ", ".join(f"{one[0]!r} for {name!r}" for name, one in near.items() if one)
    return (
        f"{source} lacks the column{'s' * (len(lacks) > 1)} {listed(lacks)} that the model was trained on; it has "
        f"{listed(names)}. {f'Is it {meant}? ' if meant else ''}Give them under these names."
    )
