import os
import subprocess
import sys

import pytest

from fastmlp import coretype

AVX512 = "avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl"


def cpuinfo(vendor: str, family: int, flags: str, second: str = "") -> str:
    """Two processors in the format of Linux; the second may differ, which must not matter."""
    head = f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel name\t: Some: CPU\n"
    blocks = [
        f"processor\t: {i}\n{head}flags\t\t: fpu {f} fsrm\npower management:\n" for i, f in enumerate([flags, second])
    ]
    return "\n".join(blocks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(cpuinfo("AuthenticAMD", 26, AVX512), "SkylakeX", id="zen5"),
        pytest.param(cpuinfo("AuthenticAMD", 26, AVX512, second="sse"), "SkylakeX", id="first-cpu-counts"),
        pytest.param(cpuinfo("AuthenticAMD", 25, AVX512), None, id="zen4-chooses-well"),
        pytest.param(cpuinfo("AuthenticAMD", 26, "avx2 fma"), None, id="avx512-hidden"),
        pytest.param(cpuinfo("AuthenticAMD", 26, AVX512.replace("avx512vl", "")), None, id="one-flag-hidden"),
        pytest.param(cpuinfo("GenuineIntel", 26, AVX512), None, id="other-vendor"),
        pytest.param("processor : 0\nCPU implementer : 0x41\nFeatures : fp asimd\n", None, id="arm"),
        pytest.param("", None, id="empty"),
    ],
)
def test_rule_depends_on_vendor_family_and_flags(text: str, expected: str | None) -> None:
    rule = coretype.find_rule(text)
    assert (rule.core_type if rule else None) == expected


@pytest.fixture
def zen5(tmp_path, monkeypatch):
    """A machine whose OpenBLAS needs help, the variable unset and numpy not yet loaded."""
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo("AuthenticAMD", 26, AVX512))
    monkeypatch.setattr(coretype, "_CPUINFO", file)
    monkeypatch.setenv(coretype.VARIABLE, "")  # so that monkeypatch restores what `apply` sets
    monkeypatch.delitem(sys.modules, "numpy", raising=False)
    return file


@pytest.mark.usefixtures("zen5")
def test_apply_sets_the_variable_and_says_so() -> None:
    said = coretype.apply()
    assert os.environ[coretype.VARIABLE] == "SkylakeX"
    assert said is not None
    assert "Set OPENBLAS_CORETYPE=SkylakeX" in said
    assert "AMD Zen 5" in said


@pytest.mark.usefixtures("zen5")
def test_apply_respects_what_the_user_set(monkeypatch) -> None:
    monkeypatch.setenv(coretype.VARIABLE, "Haswell")
    said = coretype.apply()
    assert os.environ[coretype.VARIABLE] == "Haswell"
    assert said is not None
    assert "OPENBLAS_CORETYPE=Haswell is set" in said


@pytest.mark.usefixtures("zen5")
def test_apply_says_that_it_comes_too_late(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", coretype)
    said = coretype.apply()
    assert os.environ[coretype.VARIABLE] == ""
    assert said is not None
    assert "numpy is loaded already" in said


def test_apply_leaves_other_machines_alone(zen5) -> None:
    zen5.write_text(cpuinfo("AuthenticAMD", 25, AVX512))
    assert coretype.apply() is None
    zen5.unlink()  # as where there is no /proc
    assert coretype.apply() is None
    assert os.environ[coretype.VARIABLE] == ""


def test_module_loads_no_numpy() -> None:
    code = "import sys, fastmlp.coretype, fastmlp.train; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
