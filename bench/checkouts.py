"""Another checkout of this repository, whose code a process of its own runs in place of this one's."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""This checkout."""


def checkout(text: str) -> Path:
    """Return the folder that a command line names; ArgumentTypeError where it is no checkout."""
    if not (Path(text) / "fastmlp").is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a checkout of this repository; give the folder of one")
    return Path(text).resolve()


def on(tree: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment in which Python imports this checkout's code, under -P: else its own folder comes first."""
    return {**environment, "PYTHONPATH": os.pathsep.join(str(tree / part) for part in ("", "kernels"))}
