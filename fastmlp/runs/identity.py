"""What makes a run the same run: its config, its data, and the meaning of the code that trains it."""

import hashlib
import json
from dataclasses import fields

from fastmlp.config import RunConfig

# Counted up whenever a change of this package gives a config other results than before.
TRAINING_VERSION = 3
FLOATS = {field.name: field.type is float for field in fields(RunConfig)}


def run_id(config: RunConfig, fingerprint: str) -> str:
    """Return the run's name, sixteen hexadecimal digits of a SHA-256; fingerprint : that of the data set.

    How many runs work at once, and where, has no part in it.
    """
    # 1 and 1.0 are equal, and so are configs that have them
    values = {name: float(v) if FLOATS[name] else v for name, v in config.to_json().items()}
    meaning = {"config": values, "data": fingerprint, "training": TRAINING_VERSION}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
