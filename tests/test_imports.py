"""Who may know whom: each module is held to it by the folder it is in, wherever in a file an import stands."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE, KERNELS = ROOT / "fastmlp", ROOT / "kernels" / "fastmlp_kernels"

# Each knows those before it. `config` stands below `models`, as a model file holds the config that its network was
# trained by; it names what the tables of `nn` and `data` offer.
FLOORS = ("kernels", "nn", "config", "models", "runs", "sweep", "report", "cli", "doors")
# Known on all floors, and knowing no more than each other.
EVERYWHERE = {"errors", "files", "npy", "signals", "table", "terminal", "text"}
# Imports that the rule would refuse, each inside a function, so that nothing is loaded before it is called.
EXCEPTIONS = {
    ("fastmlp.config", "fastmlp.models.translate"): "its methods hand it over, and users know them",
    ("fastmlp.data.normalize", "fastmlp_kernels"): "the moments of images are a kernel; the rest of data is numpy",
    ("fastmlp.terminal", "fastmlp_kernels._compiling"): "any command may be the first to compile, and says so",
}


class Import(NamedTuple):
    """A module that another one imports: "now" with it, when a function is "called", or for "types" alone."""

    module: str
    when: str


def name_of(path):
    root = ROOT if PACKAGE in path.parents else KERNELS.parent
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for folder in (PACKAGE, KERNELS) for path in sorted(folder.rglob("*.py"))}


def imports_of(module):
    """Return what a module imports of this project. The version, in `fastmlp` itself, is everybody's."""
    return {one for one in _imports_in(MODULES[module]) if one.module in MODULES}


def libraries_of(module):
    """Return the first names of all that a module imports, of whatever package."""
    return {one.module.split(".")[0] for one in _imports_in(MODULES[module])}


@cache
def _imports_in(path):
    return set(_imports(ast.parse(path.read_text(encoding="utf-8")), "now"))


def _imports(tree, when):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                if name != "fastmlp.__version__":
                    yield Import(name if name in MODULES else str(node.module), when)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(node, "called")
        else:
            for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            yield from _imports(node, "types" if for_types else when)


def place_of(module):
    """Return a module's floor, or "everywhere", or the name of the folder or file that stands beside the floors."""
    package, *names = module.split(".")
    if package == KERNELS.name:
        return "kernels"
    if not names or names[-1] == "__main__" or names[0] == "sklearn":
        return "doors"
    if names[0] in EVERYWHERE:
        return "everywhere"
    is_door = (PACKAGE / f"{names[0]}.py").exists() and names[0] != "config"
    return "doors" if is_door else names[0]


def may_know(one, other):
    """Whether a module of one place may import one of another."""
    if one == other or (other == "everywhere" and one not in ("kernels", "reference")):
        return True
    if one not in FLOORS:
        return False
    if other == "data":
        return FLOORS.index(one) >= FLOORS.index("config")
    return other in FLOORS and FLOORS.index(other) < FLOORS.index(one)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_only_what_stands_above_its_folder(module):
    place = place_of(module)
    wrong = {name for name, _ in imports_of(module) if not may_know(place, place_of(name))}
    assert {name for name in wrong if (module, name) not in EXCEPTIONS} == set()


@pytest.mark.parametrize(("module", "name"), EXCEPTIONS)
def test_an_exception_is_needed_and_loads_nothing_before_its_call(module, name):
    assert not may_know(place_of(module), place_of(name))
    assert {when for known, when in imports_of(module) if known == name} == {"called"}


def test_each_folder_has_its_place():
    assert {place_of(module) for module in MODULES} == {*FLOORS, "everywhere", "data", "reference"}
    assert {path.stem for path in PACKAGE.glob("*.py")} >= EVERYWHERE


def test_the_kernels_know_numpy_and_numba_alone():
    others = {"argparse", "json", "rich", "subprocess", "threadpoolctl"}
    for module in MODULES:
        if place_of(module) == "kernels":
            known = (
                {"argparse"} if module == "fastmlp_kernels.cache" else set()
            )  # a command, which no other one imports
            assert not libraries_of(module) & others - known, module


def test_the_layers_know_no_file_process_or_terminal():
    outside = {"argparse", "json", "multiprocessing", "os", "pathlib", "rich", "subprocess", "sys"}
    for module in MODULES:
        assert place_of(module) != "nn" or not libraries_of(module) & outside, module


def test_the_reference_imports_numpy_alone_and_stays_short():
    parts = [module for module in MODULES if place_of(module) == "reference"]
    assert set.union(*map(libraries_of, parts)) <= {"collections", "math", "numpy", "typing", "fastmlp"}
    assert max(len(MODULES[part].read_text(encoding="utf-8").splitlines()) for part in parts) < 160


def test_the_kernels_know_the_matrix_products_nowhere_but_in_their_folder():
    outside = [module for module in MODULES if module.startswith(f"{KERNELS.name}.")]
    outside = [module for module in outside if f"{KERNELS.name}.gemm" not in module]
    assert {name for module in outside for name, _ in imports_of(module) if ".gemm" in name} == set()


def cycle_among(kept):
    """Return a circle of modules that know each other by the imports which kept(module, one) chooses, or None."""
    graph = {module: {one.module for one in imports_of(module) if kept(module, one)} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_no_modules_load_each_other():
    assert cycle_among(lambda _, one: one.when == "now") is None


def test_no_modules_of_two_folders_know_each_other_s_types():
    def kept(module, one):
        within = MODULES[module].parent == MODULES[one.module].parent
        return one.when == "now" or (one.when == "types" and not within)

    assert cycle_among(kept) is None


def test_a_circle_is_found(monkeypatch, tmp_path):
    for name, text in {"a": "import fastmlp.b", "b": "def f():\n    from fastmlp.a import x", "c": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setitem(MODULES, f"fastmlp.{name}", tmp_path / f"{name}.py")
    assert cycle_among(lambda _, one: one.when == "now") is None
    circle = cycle_among(lambda *_: True)
    assert circle is not None
