import os
import subprocess
import sys

from fastmlp import coretype, train
from fastmlp.cli import sweep as cli


def test_the_core_type_is_chosen_before_numpy_loads() -> None:
    code = """if True:
        import sys
        from fastmlp import coretype, train
        loaded = []
        coretype.apply = lambda: loaded.append("numpy" in sys.modules)
        status = train.main(["--out", "/dev/null"])
        print(loaded, "numpy" in sys.modules, status)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[False] True 2"


def test_what_was_chosen_is_said(monkeypatch) -> None:
    given = []
    monkeypatch.setattr(cli, "train", lambda call, note, *_: given.append((call.argv, note)) or 7)
    for sentence in ("Set it.", None):
        monkeypatch.setattr(coretype, "apply", lambda said=sentence: said)
        assert train.main(["--quiet"]) == 7
        assert given.pop() == (["--quiet"], sentence)


def test_a_wrong_cache_switch_is_an_error_without_a_traceback() -> None:
    environment = os.environ | {"FASTMLP_NUMBA_CACHE": "maybe"}
    command = [sys.executable, "-m", "fastmlp.train", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: FASTMLP_NUMBA_CACHE='maybe': set it to 1")
    assert "Traceback" not in done.stderr
