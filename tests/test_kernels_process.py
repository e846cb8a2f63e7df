"""What only a fresh process shows: warm-up, the disk cache and its switch, and the kernels as plain Python."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmlp_kernels
from fastmlp_kernels import jit

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[1]
KERNELS = [name for name in jit.__all__ if not name.endswith("1")]
# Losses called from Python share two bodies; each one's own is compiled where compiled code calls it.
SHARED = ["cross_entropy_of_batch", "elementwise_of_batch"]
ALONE = [name for name in KERNELS if not re.search("_loss|squared_error|cross_entropy", name)]


def environment_of(kernels: Path = ROOT / "kernels", /, **environment: str) -> dict[str, str]:
    """Return this process's environment without settings of this package and of numba but those given.

    Kernels are kept where the tests keep theirs, unless another cache is given: what was compiled once is not again.
    """
    shared = None if "XDG_CACHE_HOME" in environment else "NUMBA_CACHE_DIR"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "FASTMLP_")) or k == shared}
    return env | {"PYTHONPATH": os.pathsep.join([str(kernels), str(ROOT), str(ROOT / "tests")]), **environment}


def run_python(code: str, kernels: Path = ROOT / "kernels", /, **environment: str) -> str:
    """Return what a fresh interpreter prints, with warnings as errors; fail where it fails or complains."""
    command = [sys.executable, "-P", "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment_of(kernels, **environment), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


NO_KERNELS = {"overload_numpy", "restore_numpy", "warmup"}
WARM_THEN_TRAIN = """
import json, numpy as np, fastmlp_kernels
from fastmlp_kernels import jit
from fastmlp_kernels.elementwise import elementwise_of_batch
from fastmlp_kernels.loss import cross_entropy_of_batch
from fastmlp import MLP, ImageInput

BODIES = {name: getattr(jit, name) for name in jit.__all__ if name != "widest_vectors"}
BODIES |= {"cross_entropy_of_batch": cross_entropy_of_batch, "elementwise_of_batch": elementwise_of_batch}

def compiled():
    return {name: len(body.signatures) for name, body in BODIES.items()}

seconds = fastmlp_kernels.warmup()
after_warmup = compiled()
again = fastmlp_kernels.warmup("float32")
pixels = np.random.default_rng(0).integers(0, 256, (50, 12), np.uint8)
mean, inv_std = np.empty((50, 3), np.float32), np.empty((50, 3), np.float32)
fastmlp_kernels.image_moments(pixels, 3, mean, inv_std)
inputs, labels = ImageInput(pixels, mean, inv_std), np.arange(50) % 4
for activation in ("tanh", "sigmoid", "relu", "identity"):
    model = MLP([12, 8, 4], activation, matmul="blas")
    model.fit(inputs, labels, validation=(inputs, labels), epochs=1, batch_size=32)
    model.predict(inputs)
stats = [body.stats for name, body in BODIES.items() if not name.endswith("1")]
print(json.dumps({
    "names": sorted(seconds), "again": sorted(again), "positive": min(seconds.values()) > 0,
    "warm": after_warmup, "trained": compiled(),
    "hits": sum(sum(s.cache_hits.values()) for s in stats), "misses": sum(sum(s.cache_misses.values()) for s in stats),
}))
"""


def test_after_warmup_training_compiles_nothing_and_the_cache_serves_the_next_process():
    first, second = (json.loads(run_python(WARM_THEN_TRAIN)) for _ in range(2))
    for report in (first, second):
        assert report["names"] == report["again"] == sorted({*fastmlp_kernels.__all__} - NO_KERNELS)
        assert report["positive"]
        assert [name for name in ALONE + SHARED if report["warm"].get(name) == 0] == []
        assert report["trained"] == report["warm"]
    assert second["misses"] == 0
    assert second["hits"] == first["hits"] + first["misses"] >= len(ALONE + SHARED)


COMPILE_THEN_RUN = """
import json
from fastmlp.nn.packed.run import run
from fastmlp.runs.run import compile_for, run_one
from fastmlp_kernels import jit
from samples import config, dataset

kernels = [run, *(getattr(jit, name) for name in jit.__all__ if not name.endswith("1") and name != "widest_vectors")]
made = config(dataset="embedded", activation="identity", layers=(3072, 16, 20), batch_size=32, epochs=1)
compile_for(made)
compiled = [len(kernel.signatures) for kernel in kernels]
run_one(made, dataset(images=40))
print(json.dumps({
    "compiled": compiled, "run": [len(kernel.signatures) for kernel in kernels],
    "hits": sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels),
    "misses": sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels),
}))
"""


def test_compiling_ahead_leaves_nothing_to_a_packed_run_and_the_cache_serves_the_next_process():
    first, second = (json.loads(run_python(COMPILE_THEN_RUN)) for _ in range(2))
    for report in (first, second):
        assert report["run"] == report["compiled"]
        assert sum(report["compiled"]) >= 2  # the steps, and the images' moments
    assert second["misses"] == 0
    assert second["hits"] == first["hits"] + first["misses"] == sum(first["compiled"])


# Where kernels are compiled for fewer vectors, LLVM leaves calls that it makes part of their callers elsewhere.
PRODUCTS = """
import numpy as np
from fastmlp_kernels import gemm

ones = np.ones((2, 2), np.float32)
gemm.matmul(ones, ones, np.empty_like(ones))
gemm.dense_forward(ones, ones, ones[0], "tanh", np.empty_like(ones))
gemm.dense_update(ones, ones, ones.copy(), ones.copy(), lr=0.1, momentum=0.9, weight_decay=0.0)
print([sum(kernel.stats.cache_hits.values()) for kernel in (gemm._matmul, gemm._dense_forward, gemm._dense_update)])
"""


def test_the_cache_serves_products_that_threads_may_share():
    run_python(PRODUCTS)
    assert run_python(PRODUCTS) == "[1, 1, 1]\n"


TANH_OF_ONE = """
import numpy as np, fastmlp_kernels
from fastmlp_kernels.jit import bias_tanh
z = np.ones((1, 1), np.float32)
fastmlp_kernels.bias_tanh(z, np.zeros(1, np.float32))
print(float(z[0, 0]), sum(bias_tanh.stats.cache_hits.values()))
"""


def test_the_cache_forgets_when_a_helper_in_another_file_changes(tmp_path):
    copy = tmp_path / "kernels"
    shutil.copytree(ROOT / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))

    def run() -> tuple[float, int]:
        value, hits = run_python(TANH_OF_ONE, copy, NUMBA_CACHE_DIR=str(tmp_path / "cache")).split()
        return float(value), int(hits)

    value, hits = run()
    assert value == pytest.approx(np.tanh(1), rel=1e-6)
    assert hits == 0
    assert run() == (value, 1)
    helper = copy / "fastmlp_kernels" / "_elementary32.py"
    changed = re.sub(r"TANH_HIGH = F\(.*\)", "TANH_HIGH = F(0.5)", helper.read_text(encoding="utf-8"))
    helper.write_text(changed, encoding="utf-8")
    value, hits = run()
    assert value == pytest.approx(np.tanh(0.5), rel=1e-6)  # not what was cached
    assert hits == 0
    assert run() == (value, 1)


def test_the_cache_of_packed_steps_knows_of_every_file_that_they_are_made_of(tmp_path):
    for folder in ("fastmlp", "kernels"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join([str(tmp_path), str(tmp_path / "kernels")])
    key = """
from fastmlp.nn.packed.run import run
print(run._cache._path("types", run.targetctx).name)
"""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path}
    keys = [run_python(key, **environment), run_python(key, **environment)]
    assert keys[0] == keys[1]
    for helper in ("fastmlp/nn/packed/rows.py", "fastmlp/nn/packed/run.py", "kernels/fastmlp_kernels/gemm/micro.py"):
        with (tmp_path / helper).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        keys.append(run_python(key, **environment))
        assert keys[-1] not in keys[:-1], helper


def test_the_cache_lies_in_the_users_folder_unless_it_is_switched_off(tmp_path):
    def run(value: str) -> str:
        return run_python(TANH_OF_ONE, XDG_CACHE_HOME=str(tmp_path / "caches"), FASTMLP_NUMBA_CACHE=value).split()[1]

    run_python("import fastmlp_kernels as k; k.momentum_step", XDG_CACHE_HOME=str(tmp_path / "caches"))
    assert run("0") == "0"
    assert list(tmp_path.iterdir()) == []  # neither an import writes, nor what may not
    assert [run(""), run("1"), run("0")] == ["0", "1", "0"]
    assert len(list((tmp_path / "caches" / "fastmlp" / "kernels").iterdir())) == 1


def test_a_wrong_value_of_the_variable_is_refused():
    code = "try:\n import fastmlp_kernels\nexcept ValueError as error:\n print(error)"
    message = run_python(code, FASTMLP_NUMBA_CACHE="maybe")
    assert message == "FASTMLP_NUMBA_CACHE='maybe': set it to 1 (keep compiled code on disk) or to 0 (do not)\n"


def small_trainings() -> list[float]:
    """Return losses and accuracies after two epochs of a few networks; only those over BLAS need no machine code."""
    import numpy as np

    from fastmlp import MLP

    figures = []
    for dtype in ("float32", "float64"):
        x = np.random.default_rng(0).standard_normal((30, 4)).astype(dtype)
        for activation in ("tanh", "sigmoid", "relu"):
            model = MLP([4, 5, 3], activation, precision=dtype, matmul="blas")
            model.fit(x, np.arange(30) % 3, epochs=2, batch_size=16)
            figures += model.evaluate(x, np.arange(30) % 3)
    return figures


def test_the_kernels_run_as_plain_python_too():
    code = (
        "import fastmlp_kernels as k\nk.warmup()\n" + inspect.getsource(small_trainings) + "print(*small_trainings())"
    )
    plain = run_python(code, NUMBA_DISABLE_JIT="1").split()
    np.testing.assert_allclose(np.array(plain, float), small_trainings(), rtol=1e-5)


def test_packed_products_say_that_they_exist_only_compiled():
    code = """
import numpy as np
from fastmlp import MLP
from fastmlp_kernels import gemm

def packed_product():
    a = np.ones((2, 2), np.float32)
    gemm.matmul(a, a, np.empty_like(a))

for make in (packed_product, lambda: MLP([4, 3], matmul="packed")):
    try:
        make()
    except RuntimeError as error:
        print(error)
"""
    told = run_python(code, NUMBA_DISABLE_JIT="1").splitlines()
    assert told == ["NUMBA_DISABLE_JIT is set, and packed products exist only compiled: unset it or take BLAS"] * 2


ACTIVATIONS = """
import sys
import numpy as np, fastmlp_kernels
from fastmlp_kernels import jit
for name in sys.argv[1].split():
    h, delta, sums = np.full((2, 3), 0.5), np.ones((2, 3)), np.zeros(3)
    getattr(fastmlp_kernels, f"bias_{name}")(h, np.zeros(3))
    getattr(fastmlp_kernels, f"{name}_backward")(delta, h, sums)
    hits = sum(sum(getattr(jit, kernel).stats.cache_hits.values()) for kernel in (f"bias_{name}", f"{name}_backward"))
    print(name, h[0, 0], sums[0], hits)
"""


def test_kernels_that_processes_compiled_side_by_side_stay_apart_in_one(tmp_path):
    """Each process numbers what it compiles from 1: the parts of one kernel have names that another's have, too."""

    def run(names: str) -> list[str]:
        code = f"import sys; sys.argv = ['', {names!r}]\n{ACTIVATIONS}"
        return run_python(code, NUMBA_CACHE_DIR=str(tmp_path)).splitlines()

    names = ["tanh", "sigmoid", "relu", "identity"]
    alone = [line for name in names for line in run(name)]
    together = run(" ".join(names))
    assert [line.rsplit(" ", 1)[0] for line in together] == [line.rsplit(" ", 1)[0] for line in alone]
    assert [line.rsplit(" ", 1)[1] for line in together] == ["2"] * 4
    assert len({line.split()[1] for line in alone}) == 3  # relu and identity agree on 0.5
