"""The scikit-learn estimator under all of scikit-learn's own checks, and without scikit-learn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn

ROOT = Path(__file__).parents[1]
# scikit-learn checks an estimator with array API dispatch only where this variable was set before scipy was loaded.
CHECK = """
import json, warnings
from fastmlp.sklearn import FastMLPClassifier
from sklearn.utils.estimator_checks import check_estimator
warnings.simplefilter("error")  # a check that warns is one that fails
done = check_estimator(FastMLPClassifier(), on_skip=None, on_fail=None)
print(json.dumps([[one["check_name"], one["status"], repr(one["exception"])] for one in done]))
"""
CHECKS = {"1.9": 63}  # how many of them a version of scikit-learn has; any other one 50 or more


def run_python(code, **environment):
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=os.environ | paths | environment, capture_output=True, text=True, check=False)


def test_every_check_of_scikit_learn_runs_and_passes():
    pytest.importorskip("pandas", reason="scikit-learn's checks of data frames need pandas")
    done = run_python(CHECK, SCIPY_ARRAY_API="1")
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout.splitlines()[-1])
    assert [one for one in checks if one[1] != "passed"] == []
    assert len(checks) == CHECKS.get(".".join(sklearn.__version__.split(".")[:2]), max(50, len(checks)))


def test_without_scikit_learn_the_error_names_the_extra():
    code = """
import sys
sys.modules["sklearn"] = None
from fastmlp.errors import MissingExtraError
try:
    import fastmlp.sklearn
except MissingExtraError as error:
    print(error)
"""
    assert "pip install 'fastmlp[sklearn]'" in run_python(code).stdout
