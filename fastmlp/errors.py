"""The errors that a user of fastmlp can cause, each also the matching builtin.

Every message names what was given, what is allowed, and what to do next. The command lines print the message
alone and exit with status 2.
"""


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


class MissingExtraError(FastMLPError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
