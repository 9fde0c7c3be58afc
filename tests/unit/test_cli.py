import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aioftps3 import __version__
from aioftps3.auth import PasswordHash
from aioftps3.cli import main
from aioftps3.options import OPTIONS

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_S3_BUCKET_NAME": "bucket",
    "FTP_USER_LOGIN": "user",
    "FTP_USER_PASSWORD": "correct horse",
}


def exit_code(*argv: str) -> object:
    with pytest.raises(SystemExit) as caught:
        main(argv, {})
    return caught.value.code


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"aioftps3 {__version__}\n"


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("serve", "check", "sweep", "demo", "hash-password"))


@pytest.mark.parametrize("command", ["serve", "check", "sweep"])
def test_help_of_a_command_lists_every_flag_with_its_variable(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert exit_code(command, "--help") == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        for env, flag in option.names():
            assert bool(re.search(rf"\[{env}[];]", text)) is bool(flag)
            assert flag is None or f"{flag} " in text


def test_secrets_have_no_flag() -> None:
    assert exit_code("serve", "--ftp-user-password", "x") == 2
    assert exit_code("serve", "--aws-secret-access-key", "x") == 2


@pytest.mark.parametrize(
    "argv", [["nonsense"], ["serve", "--nonsense"], ["serve", "--po", "1"], ["demo", "--port", "1"]]
)
def test_wrong_usage_is_exit_code_2(argv: list[str]) -> None:
    assert exit_code(*argv) == 2


@pytest.mark.parametrize("age", ["-1h", "-1", "-.5d", "x", "1h-", ""])
def test_an_age_that_is_none_is_exit_code_2_and_says_what_would_be_one(
    age: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("sweep", "--older-than", age) == 2
    assert f"'{age}' is not a duration; right would be a number with s, m, h or d" in capsys.readouterr().err


def test_a_value_below_zero_is_no_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--memory-budget", "-1GiB", "--implicit-port", "-1"], ENVIRON) == 2
    told = capsys.readouterr().err
    assert "--memory-budget '-1GiB' is not a size" in told
    assert "--implicit-port '-1' is not a whole number" in told


def test_wrong_settings_are_exit_code_2_with_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {**ENVIRON, "AIOFTPS3_WORKERS": "2", "AIOFTPS3_NONSENSE": "1"}
    assert main(["--port", "x", "--allow-foreign-data-peer", "perhaps"], environ) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("aioftps3: 4 settings are wrong:\n")
    for name in ("--port", "--allow-foreign-data-peer", "AIOFTPS3_WORKERS", "AIOFTPS3_NONSENSE"):
        assert f"  {name} " in captured.err
    assert SECRET not in captured.err


def test_check_reports_wrong_settings_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], {}) == 2
    assert "AWS_S3_BUCKET_NAME is missing" in capsys.readouterr().err


def test_a_certificate_that_is_none_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("nothing")
    assert main(["check", "--tls-cert", str(file)], ENVIRON) == 2
    assert "AIOFTPS3_TLS_CERT and its key cannot be used" in capsys.readouterr().err


def test_hash_password_prints_the_hash_of_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret with blanks \n"))
    assert main(["hash-password"], {}) == 0
    assert PasswordHash.parse(capsys.readouterr().out.strip()).matches("secret with blanks ")


@pytest.mark.parametrize("line", ["", "\n", "a\x00b\n"])
def test_hash_password_refuses_what_cannot_be_sent(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(line))
    assert main(["hash-password"], {}) == 1
    assert "one line of printable characters" in capsys.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    result = subprocess.run([sys.executable, "-m", "aioftps3"], env={}, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "settings are wrong" in result.stderr
    assert "Traceback" not in result.stderr
