"""The page of `fastmlp_kernels`: its list is complete, its examples run, its tables come from the script."""

import re

import pytest

import fastmlp_kernels
from bench import kernels_accuracy, kernels_page, kernels_scalars
from bench.cases import CASES
from fastmlp_kernels import jit
from test_kernels_check import NO_KERNELS
from test_kernels_process import run_python

TEXT = kernels_page.PAGE.read_text(encoding="utf-8")


def test_the_page_lists_every_function_once():
    listed = re.findall(r"^\| `(\w+)\(", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(fastmlp_kernels.__all__)
    assert {*CASES, *NO_KERNELS} == set(fastmlp_kernels.__all__)  # and the tables have each of them


def test_the_examples_run_as_written():
    """Those that need a file or a process of their own, and those that are timed, are run in one by `test_readme`."""
    names = {}
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        if not re.search("cache=True|overload_numpy|^def before", code, re.MULTILINE):
            names = {}
            exec(code, names)  # noqa: S102 - the page's own text
            if "entropy" in names:
                assert names["out"].shape == (1000,)
                assert (names["out"] > 0).all()
    assert names["loss"] > 0


@pytest.mark.process
def test_the_users_loops_are_timed():
    code = "from bench.users_examples import *\nprint(table(blocks(PAGE.read_text(encoding='utf-8')), 0.001))"
    _, _, *lines = run_python(code).splitlines()
    assert len(lines) == 3
    time = r"[\d.e+]+ (us|ms|s)"  # a loop of milliseconds takes a second on a busy machine
    assert all(re.search(rf" {time} \| {time} \(\d+\.\dx\) \| ", line) for line in lines), lines


def test_the_page_has_the_tables_between_its_markers():
    block = re.search(r"<!-- kernels:start -->\n(.*?)<!-- kernels:end -->", TEXT, re.DOTALL)
    assert block is not None
    for name in CASES:
        assert block[1].count(f"| `{name}` |") >= 3  # accuracy, and speed at two shapes


def test_the_page_has_every_function_of_one_element():
    named = set(re.findall(r"`jit\.(\w+1)`", TEXT))
    assert named == {name for name in jit.__all__ if name.endswith("1")} == set(kernels_scalars.ALL)


def test_a_walk_tells_the_largest_error_and_where_it_is():
    for name, bound in {"tanh1": 2.6, "pow1": 2}.items():  # all functions' own are in `test_kernels_scalars`
        most, at = kernels_scalars.walk32(name, stride=99_991)
        assert 0 < most <= bound
        assert len(at) == (2 if name == "pow1" else 1)


def test_the_tables_of_functions_of_one_element_have_a_line_each():
    names = ["pow1", "gelu1", "logit1"]
    for table in (kernels_scalars.accuracy_table(names, 99_991, 20), kernels_scalars.speed_table(names, seconds=0)):
        assert [f"| `jit.{name}` |" in line for name, line in zip(names, table.splitlines()[2:], strict=True)] == [
            True
        ] * 3


def test_the_accuracy_table_has_each_result():
    table = kernels_accuracy.accuracy_table(["softmax", "softmax_cross_entropy"])
    assert re.search(r"\| `softmax_cross_entropy` \| correct \| .* \| 0 \| 0 \|", table)
    assert "| `softmax` |" in table


def test_the_speed_table_has_every_rival_and_when_compiling_has_paid():
    table = kernels_page.speed_table(["bias_relu"], {"bias_relu": 0.5}, seconds=0)
    assert len(table.splitlines()) == 2 + len(kernels_page.SHAPES)
    assert "| 0.50 s |" in table


@pytest.mark.parametrize(("seconds", "calls"), [(2e-3, "250"), (1e-3, "never"), (0.5e-3, "never"), (1.3e-3, "834")])
def test_break_even_is_counted_against_the_fastest_rival(seconds, calls):
    taken = {"fastmlp": 1e-3, "numpy_inplace": seconds, "scipy": 5e-3}
    assert kernels_page.break_even(0.25, taken) == calls


def test_the_table_of_sums_tells_errors():
    table = kernels_page.sum_table(100_001)
    ours = next(line for line in table.splitlines() if "accurate_sum" in line)
    assert float(ours.split("|")[-2]) <= 50 * 2**-53
