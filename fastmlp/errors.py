"""The errors that a user of fastmlp can cause, each also the matching builtin.

Every message names what was given, what is allowed, and what to do next. The command lines print the message
alone and exit with status 2.
"""

import errno
from collections.abc import Iterable

# By name: Windows has not all of them.
_FULL = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")}
_DENIED = {getattr(errno, name, None) for name in ("EACCES", "EPERM", "EROFS")}


class FastMLPError(Exception):
    """Base class of all errors that fastmlp raises on purpose."""


class ConfigError(FastMLPError, ValueError):
    """A setting, a name or a shape that does not fit."""


class DataError(FastMLPError, ValueError):
    """A file or an array does not hold what it should."""


class MissingDataError(FastMLPError, FileNotFoundError):
    """A data set is not where it was looked for."""


class DownloadError(FastMLPError, OSError):
    """A download did not arrive whole."""


class OutputError(FastMLPError, OSError):
    """A result could not be written."""


class ClusterError(FastMLPError, ConnectionError):
    """A cluster can no longer be reached; what it was doing stays to be done."""


class WorkerError(FastMLPError, RuntimeError):
    """A worker cannot do any run, as it cannot start or has no data; what it was to do stays to be done."""


class MissingExtraError(FastMLPError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def remedy(error: BaseException, elsewhere: str) -> str:
    """Return what may help where something could not be written; elsewhere : what always does, as "choose another"."""
    number = getattr(error, "errno", None)
    if number in _FULL:
        return f"Free some space, or {elsewhere}."
    if number in _DENIED:
        return f"Check who may write there, or {elsewhere}."
    return f"{elsewhere[0].upper()}{elsewhere[1:]}."


def suggestion(given: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'name'?" for the known name that is most like the given one, nothing where none is."""
    from difflib import get_close_matches  # here: who makes no mistake need not wait for it

    near = get_close_matches(given, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
