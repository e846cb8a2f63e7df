"""Compiled kernels on disk, so that the next process loads in milliseconds what took seconds to compile.

numba's own cache looks only at the file that holds a function and misses a change in a helper elsewhere
(numba/numba#8359), and a damaged file ends the process that reads it (numba/numba#10434). In this one

- a file is an entry, and its name says all that the code depends on: see `KernelCache`;
- it begins with a digest of its name and of what follows, checked before it is read: whatever is wrong with it, the
  file goes and the function compiles;
- it is written under another name and then renamed, so that others see it whole or not at all; what cannot be written
  is not.

Entries are pickles: whoever can write them can run code. So the folder must be the user's own, with no rights for
others, or it is not used.
"""

import logging
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from fastmlp_kernels._store import ENTRY, folder, read, remove, tidy, wanted, write
from fastmlp_kernels._target import TILE, amx_bfloat16, amx_int8, cache_bytes

__all__ = ["KernelCache", "package_version", "wanted"]

# numba's settings that change the code it makes, where it has them.
_CODE_OPTIONS = (
    "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES",
    "ENABLE_AVX", "ENABLE_PROFILING", "DISABLE_INTEL_SVML", "USING_SVML", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS",
    "USE_LEGACY_TYPE_SYSTEM",
)  # fmt: skip

logger = logging.getLogger("fastmlp_kernels")


def _digest(*parts: Any) -> str:
    return sha256(repr(parts).encode()).hexdigest()[:16]


def _source(directory: Path, pattern: str) -> str | None:
    """Return a digest of a folder's code, None where there is none to read, as in an archive."""
    digest = sha256()
    try:
        files = sorted(directory.glob(pattern))
        for path in files:
            code = path.read_bytes()
            digest.update(f"{path.name} {len(code)} ".encode() + code)
    except OSError:
        return None
    return digest.hexdigest() if files else None


_PACKAGE = Path(__file__).parent


def _package_source() -> str | None:
    return _source(_PACKAGE, "**/*.py")


def _folder_source(file: Path) -> str | None:
    """Return a digest of the code beside a file; None where there is no such file, as in a notebook."""
    return _source(file.parent, "*.py") if os.path.isfile(file) else None  # noqa: PTH113 - Path's may raise


_package_source_at_import, _folder_source_at_import = cache(_package_source), cache(_folder_source)


def _absolute(file: str) -> Path:
    try:
        return Path(file).absolute()
    except FileNotFoundError:  # the current folder is there no more, and so no code beside a file in it
        return Path(file)


def package_version() -> str:
    """Return a digest of this package's code and of the versions of numba, llvmlite, numpy and Python."""
    return _digest(_package_source_at_import(), numba.__version__, llvmlite.__version__, np.__version__, sys.version)


_Base: Any = _Cache  # its annotations say that all methods return None


class KernelCache(_Base):
    """The disk cache of one function's compiled code, as numba calls it: an entry for each tuple of argument types.

    An entry's name holds four digests: of where it comes from (this Python's environment, the folders of this package
    and of the function, the CPU, numba's options); of its version, in two parts (this package's code, numba, llvmlite,
    numpy and Python; the code in the function's folder); of the function and the types of its arguments. Those of one
    origin and another version are of no more use.

    Global values that a function reads are compiled in as constants, as always in numba. They have no part in the name,
    so nobody may change them by hand before it compiles.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._of, self._file = function, _absolute(function.__code__.co_filename)
        # now, as the code on disk may be another by the time that something is compiled
        self._code = self._sources(_package_source_at_import, _folder_source_at_import) if wanted() else (None, None)

    def _sources(
        self, package: Callable[[], str | None], caller: Callable[[Path], str | None]
    ) -> tuple[str | None, str | None]:
        of_package = package()
        return of_package, of_package if self._file.parent == _PACKAGE else caller(self._file)

    @property
    def cache_path(self) -> str:
        """The folder of the entries, as text."""
        return str(folder() or "")

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return the compiled code that is kept for arguments of these types, None where none is."""
        target_context.refresh()  # numba: the context must know all types before code is linked into it
        path = None
        try:
            if (path := self._path(sig, target_context)) is None or (content := read(path)) is None:
                return None
            return CompileResult._rebuild(target_context, *pickle.loads(content))  # noqa: S301
        except Exception as error:  # whatever it is: the function compiles
            logger.info("An entry of the cache of kernels could not be used: %r", error)
            if path is not None:
                remove(path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write compiled code to the disk, where it can be written."""
        if data.lifted or data.library.has_dynamic_globals:  # these hold only in this process
            logger.info("A compiled kernel could not be kept: numba linked it to addresses of this process")
            return
        try:
            path = self._path(sig, data.target_context)
            # where the code on disk has changed since, no one knows which of it this process has imported
            if path is None or self._sources(_package_source, _folder_source) != self._code:
                return
            # the annotation, a listing of the function with all types, takes longer than the rest
            write(path, dumps(data._replace(type_annotation="")._reduce()))
            tidy(path)
        except Exception as error:  # a full disk, or code that numba cannot pickle: the function works without
            logger.info("A compiled kernel could not be kept: %r", error)

    def _path(self, sig: Any, target_context: Any) -> Path | None:
        where, types = folder(), repr(sig)
        # What a closure holds is in no name that code is linked by; an address, as of a function among the arguments,
        # means nothing in another process.
        if where is None or None in self._code or self._of.__closure__ or " at 0x" in types:
            return None
        # What multiplies bytes or bfloat16, packed as uint32 or int32, depends on whether the system grants tiles.
        amx = (amx_int8(), amx_bfloat16()) if "int32" in types else None
        compiled_in = TILE, cache_bytes(1), cache_bytes(2), amx, sys.flags.optimize
        options = [(name, str(getattr(config, name, None))) for name in _CODE_OPTIONS]
        codegen = target_context.codegen()
        cpu = type(codegen).magic_tuple(codegen)  # without what `_overloads` adds, as it changes nothing here
        origin = _digest(sys.prefix, str(_PACKAGE), str(self._file.parent), cpu, options, compiled_in)
        function = self._of.__module__, self._of.__qualname__, self._of.__code__.co_firstlineno
        version = f"{package_version()}-{_digest(self._code[1])}"
        return where / f"{origin}-{version}-{_digest(function, types)}{ENTRY}"

    def enable(self) -> None:
        """Do nothing: the environment decides."""

    def disable(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""
