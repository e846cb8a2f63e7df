"""A training run on disk: one .npz, replaced in one step, that only the run which wrote it goes on from."""

import errno
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fastmlp.errors import OutputError, remedy
from fastmlp.files import json_of, opened, replacing
from fastmlp.fit import History, State

_ARRAYS = ("parameters", "velocity", "best")


def save(path: Path, run_id: str, state: State) -> None:
    """Replace `path` by this state; it is on the disk, whole, when this returns. OutputError where it cannot be."""
    facts = {"run_id": run_id, "generator": state.generator, "seconds": state.seconds, "began": state.began}
    facts |= {"history": asdict(state.history)}
    with replacing(path) as part:
        np.savez(part.file, facts=json.dumps(facts), **{name: getattr(state, name) for name in _ARRAYS})


def load(path: Path, run_id: str) -> State | None:
    """Return the state that `save` wrote for this run; None where there is none, or a damaged one: begin anew.

    OutputError where it is there and cannot be read: a run that begins anew would replace it.
    """
    try:
        # np.load leaves a damaged file open where it opened it itself; it checks each part's CRC as that is read
        with opened(path) as file, np.load(file, allow_pickle=False) as parts:
            facts = json_of(str(parts["facts"]))
            arrays = {name: parts[name] for name in _ARRAYS}
        if facts["run_id"] != run_id:
            return None
        began = None if facts["began"] is None else tuple(facts["began"])
        own = {name: facts[name] for name in ("generator", "seconds")}
        return State(History(**facts["history"]), **arrays, **own, began=began)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in (None, errno.EINVAL):  # as damage leads to
            return None
        raise OutputError(
            f"The checkpoint {path} could not be read ({error}). {remedy(error, 'remove it: its run then begins anew')}"
        ) from error
    except Exception:  # a damaged archive can raise nearly any; all say the same
        return None
