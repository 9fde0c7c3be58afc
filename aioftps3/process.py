"""What the daemon arranges with its own process: memory, open files, and what it refuses to run on."""

import asyncio
import contextlib
import ctypes
import gc
import resource
import sys

__all__ = (
    "UnsupportedRuntimeError",
    "allow_many_files",
    "pin_malloc",
    "refuse_unsupported",
    "spare_the_collector",
)

MIN_PYTHON = (3, 11)
"""Earlier ones report the end of a TLS stream in a way that uploads cannot be told to be whole."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
"""glibc's largest: buffers of a part and of TLS records come from the heap, and are not mapped anew each time."""

TRIM_THRESHOLD_BYTES = 256 * 1024 * 1024
"""Freed heap that is kept. Setting this one alone makes things worse: it stops glibc from adapting the other."""

_UNSUPPORTED_LOOPS = frozenset({"uvloop", "winloop"})
"""Libraries of event loops; winloop is uvloop for Windows."""

OPEN_FILES = 65_536
"""Enough for any number of sessions that one process serves; systems often begin with 1024."""


class UnsupportedRuntimeError(Exception):
    """The interpreter or the event loop is one that loses data."""


def pin_malloc() -> bool:
    """Fix glibc's malloc thresholds, which saves up to half of the CPU time of transfers; whether it could be done."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES), (_M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES))
    return all(mallopt(parameter, number) == 1 for parameter, number in settings)


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as the system lets it, up to `OPEN_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def spare_the_collector() -> None:
    """Take all that exists now out of the garbage collector's sight; call it when everything is loaded.

    A full collection would look at it each time and hold the event loop for more than 10 ms (measured).
    """
    gc.collect()
    gc.freeze()


def refuse_unsupported(loop: asyncio.AbstractEventLoop, version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Raises UnsupportedRuntimeError on a Python that is too old, and on uvloop or anything that is made of it."""
    if version < MIN_PYTHON:
        raise UnsupportedRuntimeError("Python 3.11 or newer is needed")
    for base in type(loop).__mro__:
        library = base.__module__.partition(".")[0]
        if library in _UNSUPPORTED_LOOPS:
            raise UnsupportedRuntimeError(
                f"{library} loses the end of uploads over TLS; only asyncio's own loops are supported"
            )
