"""The names of the data sets, and the folder where they are kept: what a command knows before it reads one."""

import os
import sys
from pathlib import Path

from fastmlp.data.cifar import TITLES

DATASET_NAMES = ("auto", *TITLES, "embedded")


def cache_dir() -> Path | None:
    """Return the folder for downloads: XDG_CACHE_HOME, else the platform's usual one, then `fastmlp` in it.

    None where there is neither a HOME nor a home in the system's table of users.
    """
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "fastmlp"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if os.environ.get("HOME") == "":  # which Python takes for the root of all files
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "fastmlp"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "fastmlp"
    return home / ".cache" / "fastmlp"
