"""The names of the data sets, and the folder where they are kept: what a command knows before it reads one."""

import os
import sys
from pathlib import Path

from fastmlp.data.cifar import TITLES

DATASET_NAMES = ("auto", *TITLES, "embedded")


def cache_dir() -> Path:
    """Return the folder for downloads: XDG_CACHE_HOME, else the platform's usual one, then `fastmlp` in it."""
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "fastmlp"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "fastmlp"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fastmlp"
    return Path.home() / ".cache" / "fastmlp"
