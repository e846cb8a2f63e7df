"""What makes a run the same run: its config, its data, and the meaning of the code that trains it."""

import hashlib
import json

from fastmlp.config import RunConfig

# Counted up whenever a change of this package gives a config other results than before.
TRAINING_VERSION = 1


def run_id(config: RunConfig, fingerprint: str) -> str:
    """Return the run's name, sixteen hexadecimal digits of a SHA-256; fingerprint : that of the data set.

    How many runs work at once, and where, has no part in it.
    """
    meaning = {"config": config.to_json(), "data": fingerprint, "training": TRAINING_VERSION}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
