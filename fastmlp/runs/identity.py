"""The identity of a run: a hash of its config, its data set, and the version of the training code.

Two runs of one identity have the same bits on the same machine, so that a sweep need not run the second.
"""

import hashlib
import json
from dataclasses import fields

from fastmlp.config import RunConfig

# Counted up whenever a change of this package gives a config other results than before.
TRAINING_VERSION = 8
FLOATS = {field.name: field.type in (float, float | None) for field in fields(RunConfig)}


def run_id(config: RunConfig, fingerprint: str) -> str:
    """Return a run's name, sixteen hexadecimal digits of a SHA-256; fingerprint : that of the data set.

    It does not depend on how many runs work at once, nor where.
    """
    # 1 and 1.0 are equal, and so are configs that have them
    values = {name: float(v) if FLOATS[name] else v for name, v in config.to_json().items()}
    meaning = {"config": values, "data": fingerprint, "training": TRAINING_VERSION}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
