"""An S3 that cannot be used, and settings that cannot be right: who says so, and in which words."""

from __future__ import annotations

import contextlib
import ftplib
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.clients import connect, read, store
from tests.support.daemon import HOST, Daemon, daemon_environment, run_aioftps3


@dataclass(frozen=True, slots=True)
class _Wrong:
    """One thing that is wrong, and what is said of it."""

    change: dict[str, str]
    says: tuple[str, ...]
    size: str = "451"
    """The reply to SIZE, which is one HEAD: S3's 404 to that does not tell a missing bucket from a missing file."""


@pytest.fixture(
    params=["secret key", "access key", "bucket", "endpoint that nobody listens on", "endpoint of the other scheme"]
)
def wrong(request: pytest.FixtureRequest, backend: Backend) -> Iterator[_Wrong]:
    with socket.socket() as taken:  # bound and not listening: connections are refused, and nobody else gets the port
        taken.bind((HOST, 0))
        scheme, _, rest = backend.environment["AWS_S3_BUCKET_HOST"].partition("://")
        other = {"http": "https", "https": "http"}[scheme]
        yield {
            "secret key": _Wrong(
                {"AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)},
                ("wrong keys (SignatureDoesNotMatch)", "AWS_SECRET_ACCESS_KEY"),
            ),
            "access key": _Wrong(
                {"AWS_ACCESS_KEY_ID": "nobody"}, ("wrong keys (InvalidAccessKeyId)", "AWS_ACCESS_KEY_ID")
            ),
            "bucket": _Wrong(
                {"AWS_S3_BUCKET_NAME": "there-is-no-such-bucket"},
                ("there is no such bucket (NoSuchBucket)", "AWS_S3_BUCKET_NAME"),
                size="550",
            ),
            "endpoint that nobody listens on": _Wrong(
                {"AWS_S3_BUCKET_HOST": f"{scheme}://{HOST}:{taken.getsockname()[1]}"},
                ("the connection is refused", "AWS_S3_BUCKET_HOST"),
            ),
            "endpoint of the other scheme": _Wrong(
                {"AWS_S3_BUCKET_HOST": f"{other}://{rest}"}, ("AWS_S3_BUCKET_HOST", f"{other}://")
            ),
        }[request.param]


def test_a_wrong_s3_is_told_by_the_log_by_check_and_by_451(wrong: _Wrong, backend: Backend, tmp_path: Path) -> None:
    # At the level `debug` the log also tells by a traceback what S3's client saw.
    s3 = {**backend.environment, **wrong.change, "AIOFTPS3_LOG_LEVEL": "info"}
    (tmp_path / "check").mkdir()
    (tmp_path / "serve").mkdir()
    with ThreadPoolExecutor() as pool:
        checking = pool.submit(run_aioftps3, "check", daemon_environment(tmp_path / "check", s3, secrets.token_hex(12)))
        running = Daemon.start(tmp_path / "serve", s3, s3_is_good=False)
        try:
            for words in wrong.says:
                running.wait_for_log(words)
            _check_that_a_session_survives(running, wrong)
            assert running.stop() == 0
            running.check_log()
        finally:
            running.kill()
        checked = checking.result()
    assert checked.returncode == 1, checked
    (finding,) = [line for line in checked.stdout.splitlines() if line.startswith("WRONG ")]
    assert finding.removeprefix("WRONG ") in running.log(), "check and serve say the same"


def _check_that_a_session_survives(running: Daemon, wrong: _Wrong) -> None:
    with contextlib.closing(connect(running.access("explicit"))) as session:
        commands: dict[str, Callable[[], object]] = {
            "NLST": session.nlst,
            "MLSD": lambda: list(session.mlsd()),
            "RETR": lambda: read(session, "file"),
            "STOR": lambda: store(session, "file", b"content"),
            "SIZE": lambda: session.size("file"),
            "MLST": lambda: session.sendcmd("MLST file"),
            "CWD": lambda: session.cwd("directory"),
            "MKD": lambda: session.mkd("directory"),
            "RMD": lambda: session.rmd("directory"),
            "DELE": lambda: session.delete("file"),
            "RNFR": lambda: session.rename("file", "other"),
        }
        codes = {verb: _reply_code(command) for verb, command in commands.items()}
        assert codes == dict.fromkeys(commands, "451") | {"SIZE": wrong.size}
        assert session.pwd() == "/"
        session.quit()


def _reply_code(command: Callable[[], object]) -> str:
    try:
        command()
    except ftplib.Error as error:
        return str(error)[:3]
    return "good"


def test_a_good_s3_is_told_by_check(backend: Backend, tmp_path: Path) -> None:
    before = backend.sizes()
    checked = run_aioftps3("check", daemon_environment(tmp_path, backend.environment, secrets.token_hex(12)))
    assert checked.returncode == 0, checked
    lines = checked.stdout.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("ok ") for line in lines)
    assert backend.sizes() == before, "the check leaves nothing"


@pytest.mark.parametrize("command", ["serve", "check"])
def test_wrong_settings_are_told_all_at_once(command: str, tmp_path: Path) -> None:
    password = secrets.token_hex(12)
    secret_key = secrets.token_hex(20)
    s3 = {
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_S3_BUCKET_HOST": "ftp://s3.example",
        "AIOFTPS3_PART_SIZE": "1 MiB",
        "AIOFTPS3_PROT": "8021",
    }
    environment = daemon_environment(tmp_path, s3, password) | {"AIOFTPS3_PORT": "many", "FTP_USER_LOGIN": ""}
    done = run_aioftps3(command, environment)
    assert done.returncode == 2
    assert done.stdout == ""
    faults = done.stderr.splitlines()
    assert faults[0] == "aioftps3: 7 settings are wrong:"
    told = {line.split()[0] for line in faults[1:]}
    assert told == {
        "AIOFTPS3_PROT",
        "AIOFTPS3_PORT",
        "AIOFTPS3_PART_SIZE",
        "AWS_S3_BUCKET_HOST",
        "AWS_S3_BUCKET_NAME",
        "AWS_ACCESS_KEY_ID",
        "FTP_USER_LOGIN",
    }
    assert password not in done.stderr
    assert secret_key not in done.stderr


def test_a_port_that_is_taken_is_told(backend: Backend, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        environment = daemon_environment(tmp_path, backend.environment, secrets.token_hex(12))
        done = run_aioftps3("serve", environment | {"AIOFTPS3_PORT": str(taken.getsockname()[1])})
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr
