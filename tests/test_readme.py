"""The examples of the READMEs, run as they are written.

Blocks of Python run whole, in a new process and an empty folder. Of blocks of shell each line runs by itself; RULES
says what is done to a line that would take long, or need what a test machine has not. A line that no rule knows fails.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from fastmlp.cli.options import build_parser

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
PAGES = [page for folder in ("", "fastmlp", "kernels", "bench") if (page := ROOT / folder / "README.md").exists()]
# One epoch on the embedded images stands for what a sweep would do for minutes: the last of equal options counts.
# Threads, as each worker process would load all anew; test_sweep_processes has those.
SHORT = "--dataset embedded --epochs 1 --workers threads"
BLAS = f"{SHORT} --matmul blas"  # where packed products would be compiled for this line alone
# (start of a line, what is added to it, or "=" and what takes its place); the first that fits
RULES = [
    ("python3 -m venv", "=true"),  # the two commands of the quick start: .ci/run runs the one, a person the other
    ("pip install -e ", "=extras"),  # looked up, not installed
    ("pip install ./kernels", "=true"),  # tests/test_kernels_alone.py does
    ("dask ", "=true"),  # a cluster: tests/test_sweep_cluster.py starts a real one
    ("MLFLOW_TRACKING_URI=", "=true"),  # a server: tests/test_log_mlflow.py has what stands for one
    ("python -m fastmlp.train --preset report-grid --out runs/cluster --scheduler", "=parse"),
    ("pytest --benchmark-only", "=parse"),  # minutes: .ci/run runs each benchmark once
    ("python -m bench.", "=parse"),
    ("python -m fastmlp.train --list", ""),
    ("python -m fastmlp.train --data-dir path/to", "=parse"),  # data are no part of the project
    ("python -m fastmlp.train --data ", "=parse"),  # of anyone's own
    ("python -m fastmlp.train --layers 3072,512", SHORT),
    ("python -m fastmlp.train --layers 3072-256-128-20 --activation gelu", BLAS),
    ("python -m fastmlp.train --experiments relu half_units --seeds 3", "--dataset embedded --epochs 1"),  # processes
    ("python -m fastmlp.train --experiments relu --optimizer", BLAS),
    ("python -m fastmlp.train --grid optimizer", BLAS),
    ("python -m fastmlp.train --init-from", SHORT),
    ("python -m fastmlp.train --random 30", f"{SHORT} --random 3 lr=1e-4..1e-1"),
    ("python -m fastmlp.train --precision", f"{SHORT} --experiments relu"),
    ("python -m fastmlp.train", SHORT),
    ("fastmlp predict model.npz", ""),
    ("fastmlp export model.npz", ""),
    ("python -m fastmlp.predict", ""),
    ("python -m fastmlp.export", ""),
    ("python -m fastmlp.gradcheck", "--layers 48,16,20"),  # .ci/run has the whole of it
    ("python -m fastmlp.data describe", "--dataset embedded"),
    ("python -m fastmlp.report", ""),
    ("python -m fastmlp.reproduce", ""),
]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for i, found in enumerate(re.finditer(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)):
            yield f"{page.parent.name if page.parent != ROOT else 'README'}-{i}", found[1]


def lines() -> list[str]:
    """Return the shell blocks' lines without their remarks."""
    found = []
    for _, block in blocks("sh"):
        found += [line.partition(" #")[0].strip() for line in block.splitlines()]
    return [line for line in dict.fromkeys(found) if line]


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Give commands this interpreter, this tree and a home of their own; their kernels are those of all tests."""
    home = tmp_path_factory.mktemp("home")
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]),
        "PYTHONWARNINGS": "default",
        "XDG_CACHE_HOME": str(home),
    }


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["/usr/bin/env", "bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory, environment) -> Path:
    """Give a folder with what the examples read: a sweep's folder in the place of DIR, pictures, a table's model."""
    import polars
    from PIL import Image

    where = tmp_path_factory.mktemp("examples")
    run(f"python -m fastmlp.train --layers 3072,8,20 {SHORT} --out DIR", where, environment)
    (where / "holiday").mkdir()
    for name in ("cat.jpg", "holiday/sea.png"):
        Image.effect_noise((60, 40), 80).convert("RGB").save(where / name)
    rows = range(40)
    table = polars.DataFrame({
        "id": rows, "name": [f"row {i}" for i in rows], "size": [i % 7 + 0.5 for i in rows],
        "kind": ["ab"[i % 2] for i in rows], "answer": ["yes" if i % 3 else "no" for i in rows],
    })  # fmt: skip
    table.write_csv(where / "test.csv")
    table.drop("answer").write_csv(where / "new.csv")
    table.drop("answer").write_parquet(where / "new.parquet")
    own = "--data test.csv --target answer --columns id=drop,name=drop --epochs 1 --matmul packed --out own"
    run(f"python -m fastmlp.train {own} && cp own/models/*.npz model.npz", where, environment)
    return where


@pytest.mark.skipif(sys.platform == "win32", reason="the examples are for a Unix shell")
@pytest.mark.parametrize("line", lines())
def test_a_line_of_shell(line, folder, environment):
    added = next((rule for start, rule in RULES if line.startswith(start)), None)
    assert added is not None, f"no rule says how to run this line: {line}"
    command = line.replace("RUN_ID", next((folder / "DIR" / "models").glob("*.npz")).stem)
    if "--dry-run" in line and "--data " not in line:
        added = "--dataset embedded"
    if added == "=extras":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        named = re.findall(r"\[(.*)\]", line)
        assert set(",".join(named).split(",")) - {""} <= set(known)
    elif added == "=parse":
        module = next((word for word in shlex.split(line) if word.startswith("bench.")), None)
        if line.startswith("python -m fastmlp.train"):
            build_parser().parse_args(shlex.split(line)[3:])
        elif module:
            assert "usage" in run(f"cd {shlex.quote(str(ROOT))} && python -m {module} --help", folder, environment)
        else:
            assert all((ROOT / word).exists() for word in shlex.split(line) if word.startswith("bench/"))
    elif not added.startswith("="):
        run(f"{command} {added}", folder, environment)


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in blocks("python")])
def test_a_block_of_python(code, tmp_path, environment):
    if "dask_jobqueue" in code and "dask_jobqueue" not in packages_distributions():
        compile(code, "README.md", "exec")
        pytest.skip("needs dask-jobqueue and a Slurm cluster")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    run(f"{shlex.quote(sys.executable)} -W error example.py", tmp_path, environment)
