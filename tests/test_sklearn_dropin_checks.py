"""scikit-learn's own tests of its perceptrons, and its checks of estimators, on this package's.

Each in a process of its own: the names are swapped before the tests import them, and SciPy reads its switch for the
array API when it is imported.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process
TESTS = "sklearn.neural_network.tests.test_mlp"
CHECKS = """
import json, warnings
from sklearn import neural_network
from sklearn.utils.estimator_checks import check_estimator
from fastmlp import sklearn
warnings.simplefilter("ignore")  # the checks fit few rows, which scikit-learn itself warns of
for home in (sklearn, neural_network):
    results = check_estimator(getattr(home, {name!r})(), on_skip=None, on_fail=None)
    print(json.dumps([[result["check_name"], result["status"], repr(result["exception"])] for result in results]))
"""


def test_scikit_learn_s_own_tests_pass(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "pytest", "-p", "swapped", "-p", "no:cacheprovider", "-q", "--pyargs", TESTS]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    passed = re.search(r"^(\d+) passed(, \d+ warnings?)? in ", done.stdout, re.MULTILINE)
    assert done.returncode == 0, done.stdout
    assert passed, done.stdout  # nothing skipped
    assert int(passed[1]) >= 55


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_every_check_passes_that_does_on_scikit_learn_s_own(name):
    done = subprocess.run(
        [sys.executable, "-c", CHECKS.format(name=name)],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    ours, theirs = (json.loads(line) for line in done.stdout.splitlines())
    assert len(ours) == len(theirs) >= 55
    assert [result for result in ours if result[1] == "failed"] == []
    # one that is about estimators with a decision_function, which scikit-learn's has none of
    skipped = [[result for result in results if result[1] != "passed"] for results in (ours, theirs)]
    assert skipped[0] == skipped[1]
    assert len(skipped[0]) <= 1
