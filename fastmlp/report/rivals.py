"""The file of other programs' times and accuracies on a run's data, which `python -m bench.rivals_accuracy` writes."""

from pathlib import Path
from typing import Any

from fastmlp.errors import DataError
from fastmlp.files import json_of, read_small
from fastmlp.nn.checks import is_real
from fastmlp.runs.results import MOST_SECONDS
from fastmlp.text import visible_in

RIVALS = "rivals.json"


def rivals_of(folder: Path) -> dict[str, Any] | None:
    """Return the measurements in a sweep's folder, their texts escaped, or None; DataError for a damaged file."""
    path = folder / RIVALS
    if not path.exists():
        return None
    try:
        return checked(visible_in(json_of(read_small(path))))
    except (OSError, DataError) as error:
        raise DataError(f"{path} cannot be read ({error}). Measure it anew, or delete it.") from error


def checked(document: Any) -> dict[str, Any]:
    """Return a file's measurements, checked for all that is drawn of them; DataError otherwise."""
    try:
        fits = all(isinstance(document[name], str) for name in ("run_id", "about")) and len(document["rivals"]) > 0
        for one in document["rivals"]:
            seconds, accuracies = one["seconds"], one["val_accuracy"]
            fits = fits and isinstance(one["name"], str) and len(seconds) == len(accuracies) > 0
            fits = fits and all(is_real(n) and 0 < n < MOST_SECONDS for n in seconds)
            fits = fits and all(is_real(n) and 0 <= n <= 1 for n in accuracies)
    except (KeyError, TypeError):
        fits = False
    if not fits:
        raise DataError("it has not the seconds and accuracies of programs by name")
    return document
