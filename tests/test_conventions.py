"""Rules that hold for the whole project: what an import costs, and what a file may hold."""

import ast
import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE, KERNELS = ROOT / "fastmlp", ROOT / "kernels" / "fastmlp_kernels"
MODULES = sorted([*PACKAGE.rglob("*.py"), *KERNELS.rglob("*.py")])
SOURCES = sorted(p for folder in (PACKAGE, KERNELS, ROOT / "tests", ROOT / "bench") for p in folder.rglob("*.py"))


def run_python(code):
    """Return what a fresh interpreter prints; it fails here if it fails there."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def module_name(path):
    root = ROOT if PACKAGE in path.parents else KERNELS.parent
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def test_importing_fastmlp_loads_neither_numpy_nor_numba():
    loaded = run_python("import sys, fastmlp; print(sorted({'numpy', 'numba', 'fastmlp_kernels'} & set(sys.modules)))")
    assert loaded == "[]"


def test_the_names_of_fastmlp_are_there_on_first_use():
    assert run_python("import fastmlp; print([n for n in fastmlp.__all__ if getattr(fastmlp, n) is None])") == "[]"


def test_importing_the_kernels_and_the_layers_compiles_nothing():
    code = """
import fastmlp_kernels.jit as jit, fastmlp
from fastmlp.nn.packed.run import run
for precision in ("float32", "float64", "bfloat16"):
    fastmlp.MLP([6, 5, 3], precision=precision), fastmlp.SGD()
kernels = [*(f for f in vars(jit).values() if hasattr(f, "signatures")), run]
print(len(kernels), sum(len(f.signatures) for f in kernels))
"""
    count, compiled = map(int, run_python(code).split())
    assert count >= 18
    assert compiled == 0


def test_one_file_owns_numbas_options():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if path.name != "_jit.py":
            assert not re.search(r"\bnjit\b|fastmath=|error_model=|cache=True", text), path.name


# Which the subclasses of scikit-learn's estimators set as well.
SKLEARN = {"_optimizer", "_no_improvement_count", "_label_binarizer"}


def private(name):
    return name.startswith("_") and not name.endswith("__")


def private_names(path):
    """Return the private names that a file defines, and those that it takes from objects not its own or imports."""
    defined, taken = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            (defined if own and isinstance(node.ctx, ast.Store) else taken).add(node.attr)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastmlp."):
            taken |= {alias.name for alias in node.names}
    return set(filter(private, defined)), set(filter(private, taken))


def test_no_module_touches_what_is_private_to_another():
    names = {path: private_names(path) for path in MODULES if PACKAGE in path.parents}
    everywhere = set.union(*(defined for defined, _ in names.values())) - SKLEARN
    assert len(everywhere) > 100
    for path, (defined, taken) in names.items():
        assert taken & everywhere - defined == set(), path  # other libraries' names are nowhere defined


def test_no_compiled_function_takes_more_than_seven_arguments():
    """What goes together goes as a record; numba's intrinsics stand for instructions, and are free."""
    compiled, counted = {"kernel", "part", "reduction", "scalar", "overload"}, 0
    for path in [*KERNELS.rglob("*.py"), *(PACKAGE / "nn" / "packed").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            marks = getattr(node, "decorator_list", ())
            names = {ast.unparse(mark.func if isinstance(mark, ast.Call) else mark) for mark in marks}
            if isinstance(node, ast.FunctionDef) and names & compiled:
                counted += 1
                assert len(node.args.args) <= 7, f"{node.name} in {path.name}"
    assert counted > 100


# Who writes files: all others do by `files`. What each has of its own must stay: it adds a line, goes on with what a
# download left, keeps kernels where no fastmlp may be.
WRITERS = ["files.py", "sweep/store.py", "data/part.py", "_store.py", "log.py"]
# Of what is no file on a disk.
PIPES = r"os\.(?:fd)?open\((?:os\.devnull|os\.dup\(\d\)).*|open\(os\.devnull.*|archive\.open\(.*|ZipFile\(data.*"
WRITING = [
    r"""open\([^)\n]*["'](?:[wax]b?\+?|rb?\+)["']""",
    r"\bO_(?:CREAT|WRONLY|RDWR)\b",
    r"\.write_(?:text|bytes)\(",
]
WRITING += [r"\.tofile\(|FileHandler|mkstemp|NamedTemporary", r"""memmap\([^)\n]*["']w""", r"np\.savez?\((?!\w+\.file)"]


def test_files_are_written_in_one_place():
    texts = {path: re.sub(PIPES, "", path.read_text(encoding="utf-8")) for path in MODULES}
    found = {path for path, text in texts.items() if re.search("|".join(WRITING), text)}
    writers = {path for path in MODULES if any(path.match(name) for name in WRITERS)}
    assert len(found) > 3
    assert sorted(map(module_name, found - writers)) == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_public_functions_and_classes_have_docstrings(path):
    module = import_module(module_name(path))
    assert inspect.getdoc(module), "the module itself"
    for name, value in vars(module).items():
        value = getattr(value, "py_func", value)  # of a compiled one
        own = getattr(value, "__module__", None) == module.__name__
        if own and not name.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
            assert value.__doc__, name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_hold_no_path_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""["'\s(](/home/|/root/|/Users/|/work/|/tmp/)\w""", text)


def test_the_page_of_results_has_the_benchmark_table_between_its_markers():
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- bench:start -->\n(.*?)<!-- bench:end -->", text, re.DOTALL)
    assert block is not None
    assert "| `bias_tanh` |" in block[1]
    assert "| step |" in block[1]
