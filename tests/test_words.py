"""What docstrings must say: each public name what it is, and of each array that it takes or gives shape and dtype.

A reader finds an array's shape and dtype in the docstring of the function, of its class, or of a name that it refers
to in backticks; a dtype that all arrays of a module share may stand in the module's docstring.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ROOTS = (ROOT / "fastmlp", ROOT / "kernels" / "fastmlp_kernels")
FILES = sorted(
    path
    for root in ROOTS
    for path in root.rglob("*.py")
    if not re.search(r"/_(?!_)", path.relative_to(root.parent).as_posix())
)

# Names of sizes as the package docstrings have them (small ones of a part), those of the BLIS papers, and numbers.
SHAPE = re.compile(
    r"(?<![\w`])\((?=[^()]*\b(?:[A-Zmn]|\d+|[mkn][cr])\b)[^()]*,[^()]*\)|\(\.\.\.\)|\bflat\b|\bany shape\b"
)
DTYPE = re.compile(r"\b(?:u?int(?:8|16|32|64)|b?float(?:16|32|64)|floats?|dtypes?)\b")
ARRAY = r"\b(?:np\.ndarray|NDArray|npt\.ArrayLike)\b"


class Documented(NamedTuple):
    """A function, method or class: its docstring, that of the class around it, and the arrays that it names."""

    text: str | None
    around: str
    arrays: list[str]
    gives: bool

    @property
    def words(self) -> str:
        return f"{self.text or ''} {self.around}"


def module_of(path):
    root = next(root for root in ROOTS if root in path.parents)
    return path.relative_to(root.parent).as_posix()


@cache
def contents(path):
    """Return a module's docstring and its public functions, methods and classes by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    array = ARRAY
    for node in (n for top in tree.body for n in (top.body if isinstance(top, ast.If) else [top])):
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call | ast.Dict):
            name = ast.unparse(node.targets[0])  # `Images = NDArray[np.uint8]`: another name for an array
            array += rf"|\b{name}\b" if re.search(array, ast.unparse(node.value)) else ""
    found: dict[str, Documented] = {}

    def is_array(annotation):
        return annotation is not None and bool(re.search(array, ast.unparse(annotation)))

    def of_function(node):
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return [a.arg for a in every if is_array(a.annotation) and not a.arg.startswith("_")]

    def walk(body, prefix, around):
        for node in body:
            if isinstance(node, ast.If):
                walk(node.body, prefix, around)
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            text, name = ast.get_docstring(node), prefix + node.name
            if isinstance(node, ast.FunctionDef):
                if any(ast.unparse(one).endswith(".setter") for one in node.decorator_list):
                    continue  # its property is described where it is read
                found[name] = Documented(text, around, of_function(node), is_array(node.returns))
                continue
            makes = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and is_array(n.annotation)]
            arrays = of_function(makes[0]) if makes else [ast.unparse(field.target) for field in fields]
            found[name] = Documented(text, around, [a for a in arrays if not a.startswith("_")], False)
            walk(node.body, f"{name}.", text or "")

    walk(tree.body, "", "")
    return ast.get_docstring(tree) or "", found


@cache
def everywhere():
    """Return all docstrings by the last part of the name of what they describe."""
    texts = {}
    for path in FILES:
        for name, one in contents(path)[1].items():
            texts.setdefault(name.rpartition(".")[2], []).append(one.words)
    return texts


def missing(one, module):
    """Return what a docstring does not say of its arrays."""
    words = one.words
    for name in re.findall(r"`([\w.]+)`", words):
        words += " ".join(everywhere().get(name.rpartition(".")[2], []))
    lacks = [name for name in one.arrays if not re.search(rf"\b{name}\b", words)]
    lacks += [] if SHAPE.search(words) else ["a shape"]
    return lacks + ([] if DTYPE.search(words + module) else ["a dtype"])


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_public_names_have_docstrings(path):
    module, found = contents(path)
    assert module
    assert [name for name, one in found.items() if not one.text] == []


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_arrays_have_a_shape_and_a_dtype_in_words(path):
    module, found = contents(path)
    with_arrays = {name: one for name, one in found.items() if (one.arrays or one.gives) and one.text}
    assert {name: lacks for name, one in with_arrays.items() if (lacks := missing(one, module))} == {}


def test_the_rule_sees_what_is_missing():
    def lacks(text, module=""):
        return missing(Documented(text, "", ["x"], True), module)

    assert lacks("Return x (N, H) float32.") == []
    assert lacks("Return x (N, H).", "All arrays are float32.") == []
    assert lacks("Return the sum.") == ["x", "a shape", "a dtype"]
    assert lacks("Return f(x, 3) of float32 (mean, std).") == ["a shape"]
