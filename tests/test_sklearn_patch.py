"""`patch` and `python -m fastmlp.sklearn`, and what is said of a scikit-learn that is another than the known ones."""

import pickle
import subprocess
import sys
from types import SimpleNamespace

import pytest
from sklearn import neural_network
from sklearn.neural_network import _multilayer_perceptron as module

from fastmlp import sklearn
from fastmlp.errors import MissingExtraError
from fastmlp.sklearn import patching, private
from fastmlp.sklearn.__main__ import main

NAMES = ("MLPClassifier", "MLPRegressor")


@pytest.fixture
def restored():
    yield
    sklearn.unpatch()
    for name in NAMES:
        assert getattr(neural_network, name) is getattr(module, name)


@pytest.mark.usefixtures("restored")
def test_patch_changes_the_public_names_and_says_so_once(capsys, monkeypatch):
    monkeypatch.setattr(patching, "_told", [])
    before = neural_network.MLPClassifier(max_iter=7)
    sklearn.patch()
    sklearn.patch()
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    assert (MLPClassifier, MLPRegressor) == (sklearn.MLPClassifier, sklearn.MLPRegressor)
    assert capsys.readouterr().err.count("fastmlp's MLPClassifier") == 1
    assert type(pickle.loads(pickle.dumps(before))) is module.MLPClassifier  # which stays where pickles look for it
    assert type(pickle.loads(pickle.dumps(MLPClassifier()))) is sklearn.MLPClassifier


@pytest.mark.usefixtures("restored")
def test_unpatch_puts_back_what_stood_there(monkeypatch):
    class Another(module.MLPClassifier):
        pass

    sklearn.unpatch()  # without a patch: nothing
    with monkeypatch.context() as patched:
        patched.setattr(neural_network, "MLPClassifier", Another)
        sklearn.patch()
        sklearn.unpatch()
        assert neural_network.MLPClassifier is Another


@pytest.mark.process
def test_a_script_runs_patched_with_its_own_arguments_and_folder(tmp_path):
    (tmp_path / "neighbour.py").write_text("from sklearn.neural_network import MLPClassifier\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom neighbour import MLPClassifier\n"
        "if __name__ == '__main__':\n    print(MLPClassifier.__module__, *sys.argv)\n    sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "fastmlp.sklearn", str(script), "--help", "-x", "1"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["fastmlp.sklearn.dropin", str(script), "--help", "-x", "1"]
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nothing.py"], "there is no file 'nothing.py': give the path of a Python script"),
        (["."], "there is no file '.'"),
        ([], "the following arguments are required: script"),
        (["--hepl", "x.py"], "Did you mean '--help'?"),
    ],
)
def test_what_is_no_script_is_told(argv, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_the_installed_scikit_learn_is_known():
    assert private.differences() == []
    private.check()


def test_another_scikit_learn_is_refused(monkeypatch):
    changed = type("Changed", (module.BaseMultilayerPerceptron,), {"_backprop": lambda self, X, y: (self, X, y)})
    other = SimpleNamespace(**vars(module) | {"BaseMultilayerPerceptron": changed, "SGDOptimizer": lambda lr: lr})
    del other.AdamOptimizer
    found = private.differences(other)
    assert "no AdamOptimizer" in found
    assert "_backprop(self, X, y)" in found
    assert "SGDOptimizer(lr)" in found
    monkeypatch.setattr(private, "differences", lambda: found)
    with pytest.raises(
        MissingExtraError, match=r"from 1\.7 on, and in the one that is here, .* these are others: no A"
    ):
        private.check()


def test_names_that_load_later_are_listed():
    assert {"FastMLPClassifier", "MLPClassifier", "MLPRegressor", "patch", "unpatch"} <= set(dir(sklearn))
    for name in dir(sklearn):
        assert getattr(sklearn, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'MLPTransformer'"):
        sklearn.MLPTransformer  # noqa: B018
