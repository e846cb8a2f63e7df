"""The generated blocks of the READMEs: text between two markers that only a script writes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fastmlp.files import write_whole

README = Path(__file__).parent / "README.md"
"""The page of results and performance."""
FRONT = Path(__file__).parents[1] / "README.md"


def markers(name: str) -> tuple[str, str]:
    """Return the lines that open and close the block of this name."""
    return f"<!-- {name}:start -->", f"<!-- {name}:end -->"


def replace_block(text: str, name: str, block: str) -> str:
    """Return `text` with `block` between the markers; ValueError unless each stands there once, in order."""
    start, end = markers(name)
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"the file must have {start} and after it {end}, once each")
    before, after = text.split(start)[0], text.split(end)[1]
    return f"{before}{start}\n{block}\n{end}{after}"


def block_of(text: str, name: str) -> str:
    """Return what stands between the markers."""
    start, end = markers(name)
    return text.partition(f"{start}\n")[2].partition(f"\n{end}")[0]


def write_block(path: Path, name: str, block: str) -> None:
    """Replace the block of this name in a file, in one step."""
    write_whole(path, replace_block(path.read_text(encoding="utf-8"), name, block))


def give_block(path: Path | None, name: str, block: str) -> None:
    """Write the block of this name into a file, or print it where none is given."""
    if path is None:
        print(block)
    else:
        write_block(path, name, block)


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column stands left, the others right; nothing where it has no lines."""
    lines = list(lines)
    if not lines:
        return ""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *lines])
