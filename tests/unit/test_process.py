import asyncio
import ctypes
import resource
import subprocess
import sys

import pytest

from aioftps3 import process


async def test_asyncios_own_loop_is_accepted() -> None:
    process.refuse_unsupported(asyncio.get_running_loop())


@pytest.mark.parametrize("derived", [False, True], ids=["itself", "a class of somebody's over it"])
@pytest.mark.parametrize("module", ["uvloop", "uvloop.loop", "winloop"])
def test_uvloop_is_refused(module: str, derived: bool) -> None:
    """D3."""
    foreign = type("Loop", (asyncio.SelectorEventLoop,), {"__module__": module})
    if derived:
        foreign = type("OwnLoop", (foreign,), {})
    loop, library = foreign(), module.partition(".")[0]
    try:
        with pytest.raises(process.UnsupportedRuntimeError, match=f"^{library} loses"):
            process.refuse_unsupported(loop)
    finally:
        loop.close()


def test_a_loop_of_somebodys_over_asyncios_own_is_accepted() -> None:
    loop = type("OwnLoop", (asyncio.SelectorEventLoop,), {"__module__": "uvloops"})()
    process.refuse_unsupported(loop)
    loop.close()


async def test_an_old_python_is_refused() -> None:
    with pytest.raises(process.UnsupportedRuntimeError, match=r"Python 3\.11"):
        process.refuse_unsupported(asyncio.get_running_loop(), (3, 10))


def test_malloc_is_pinned_where_libc_has_mallopt() -> None:
    script = (
        "import ctypes, sys; from aioftps3.process import pin_malloc;"
        "sys.exit(pin_malloc() is not hasattr(ctypes.CDLL(None), 'mallopt'))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_libc_without_mallopt_is_skipped_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert process.pin_malloc() is False


def test_what_is_loaded_is_not_collected_again_and_again() -> None:
    script = (
        "import gc, aioftps3.app; from aioftps3.process import spare_the_collector;"
        "spare_the_collector(); print(len(gc.get_objects()) < 100)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "True"


def test_the_limit_of_open_files_is_raised_up_to_the_hard_one() -> None:
    script = (
        "import resource; from aioftps3.process import allow_many_files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128)); allow_many_files();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "(128, 128)"


def test_a_limit_that_is_high_enough_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[object] = []
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    monkeypatch.setattr(resource, "setrlimit", lambda *arguments: changes.append(arguments))
    process.allow_many_files()
    assert changes == []
