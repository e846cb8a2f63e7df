"""Checkpoints: the state of a training run in one .npz file, replaced in one step, for that run alone to resume."""

import errno
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fastmlp.errors import OutputError, remedy
from fastmlp.files import json_of, replacing
from fastmlp.nn.checks import is_real, is_whole
from fastmlp.nn.history import History, State
from fastmlp.npy import read_zip

# Arrays in the file, and fields of State. The optimiser's slots go by the name of the first there was.
_ARRAYS = {"parameters": "parameters", "velocity": "slots", "best": "best"}


def save(path: Path, run_id: str, state: State) -> None:
    """Write a state to `path` in one step; it is on the disk when this returns. OutputError where it cannot be."""
    facts = {"run_id": run_id, "generator": state.generator, "seconds": state.seconds, "began": state.began}
    facts |= {"history": asdict(state.history), "steps": state.steps}
    with replacing(path) as part:
        np.savez(part.file, facts=json.dumps(facts), **{name: getattr(state, of) for name, of in _ARRAYS.items()})


def load(path: Path, run_id: str, like: np.ndarray | None = None) -> State | None:
    """Return the state that `save` wrote for this run, None where the file is missing, damaged or another run's.

    like : (P,) float32 or float64, the parameters of the network that resumes; a state of other shape or dtype counts
        as damaged

    Raises OutputError where the file exists and cannot be read, as a run that began anew would replace it.
    """
    try:
        return _state(read_zip(path), run_id, like)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in (None, errno.EINVAL):  # as damage leads to
            return None
        raise OutputError(
            f"The checkpoint {path} could not be read ({error}). {remedy(error, 'remove it: its run then begins anew')}"
        ) from error
    except Exception:  # a damaged file can raise nearly anything; all say the same
        return None


def _state(parts: dict[str, np.ndarray], run_id: str, like: np.ndarray | None) -> State | None:
    facts = json_of(str(parts.pop("facts")))
    if facts["run_id"] != run_id or parts.keys() != _ARRAYS.keys():
        return None
    wanted = parts["parameters"] if like is None else like
    fits = wanted.ndim == 1 and wanted.dtype in (np.float32, np.float64)
    for name, array in parts.items():
        shapes = [wanted.shape] if name != "velocity" else [wanted.shape, (max(len(array), 1), *wanted.shape)]
        fits = fits and array.shape in shapes and array.dtype == wanted.dtype and bool(np.isfinite(array).all())
    history, began = History(**facts["history"]), facts["began"]
    series = list(vars(history).values())
    fits = fits and len(history.train_loss) > 0 and all(map(is_real, [n for one in series for n in one]))
    fits = fits and {len(one) for one in series} <= {len(history.train_loss), 0}
    fits = fits and is_real(facts["seconds"]) and facts["seconds"] >= 0
    steps = facts.get("steps", 0)  # none was counted while nothing asked for it
    fits = fits and is_whole(steps, 0)
    if not fits or not (began is None or (len(began) == 2 and all(map(is_real, began)))):
        return None
    np.random.default_rng().bit_generator.state = facts["generator"]  # raises where it is none
    own = {name: facts[name] for name in ("generator", "seconds")}
    parts["velocity"] = parts["velocity"].reshape(-1, wanted.size)  # one slot was (P,)
    arrays = {of: parts[name] for name, of in _ARRAYS.items()}
    return State(history, **arrays, **own, began=None if began is None else tuple(began), steps=steps)
