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
    """A setting, a name or a shape is not one that is allowed."""


class DataError(FastMLPError, ValueError):
    """A file or an array does not hold what it should."""


class MissingDataError(FastMLPError, FileNotFoundError):
    """A data set is in none of the places where it was looked for."""


class DownloadError(FastMLPError, OSError):
    """A download could not be completed."""


class OutputError(FastMLPError, OSError):
    """A result could not be written."""


class ClusterError(FastMLPError, ConnectionError):
    """A cluster can no longer be reached; its runs remain to be done."""


class WorkerError(FastMLPError, RuntimeError):
    """A worker can do no run, as it cannot start or has no data; its runs remain to be done."""


class MissingExtraError(FastMLPError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""


def remedy(error: BaseException, elsewhere: str) -> str:
    """Return advice for an error of writing; elsewhere : what always helps, such as "choose another folder"."""
    number = getattr(error, "errno", None)
    if number in _FULL:
        return f"Free some space, or {elsewhere}."
    if number in _DENIED:
        return f"Check who may write there, or {elsewhere}."
    return f"{elsewhere[0].upper()}{elsewhere[1:]}."


def suggestion(given: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'name'?" for the known name most like the given one; empty where none is like it."""
    from difflib import get_close_matches  # here: who makes no mistake need not wait for it

    near = get_close_matches(given, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
