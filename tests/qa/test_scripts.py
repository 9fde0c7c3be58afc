"""The shell scripts: they parse, stop at errors, say what is wrong, and touch nothing that is not theirs."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).parents[2]
COMMANDS = sorted([*ROOT.glob("*.sh"), ROOT / ".ci" / "run"])
SOURCED = sorted((ROOT / "scripts").glob("*.sh"))
CLIENT_PROGRAMS = ROOT / "tests" / "integration" / "clients" / "programs"
PAIRS = ("ca", "ftps", "minio")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts in a place of their own, with a local/ of its own."""
    place = tmp_path / "a checkout"
    place.mkdir()
    for path in COMMANDS:
        if path.parent == ROOT:
            shutil.copy(path, place)
    shutil.copytree(ROOT / "scripts", place / "scripts")
    return place


def _executable(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _path_without(place: Path, *programs: str) -> str:
    """A PATH with everything that this machine's has, but for the programs named."""
    place.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        if not Path(directory).is_dir():
            continue
        for program in Path(directory).iterdir():
            link = place / program.name
            if program.name not in programs and not link.is_symlink():
                link.symlink_to(program)
    return str(place)


@pytest.mark.parametrize("script", [*COMMANDS, *SOURCED], ids=_name)
def test_script_parses(script: Path) -> None:
    checked = _run("bash", "-n", script)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("script", COMMANDS, ids=_name)
def test_command_is_executable_and_stops_at_the_first_error(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert script.stat().st_mode & stat.S_IXUSR
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text


def test_ci_runs_what_every_developer_runs() -> None:
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith("\nexec ./tests.sh\n")


# certificates-create.sh


def _files(checkout: Path, pair: str) -> tuple[Path, Path]:
    directory = checkout / "local" / "certificates"
    if pair == "minio":
        return directory / "minio" / "public.crt", directory / "minio" / "private.key"
    return directory / f"{pair}.crt", directory / f"{pair}.key"


def _certificate(checkout: Path, pair: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(_files(checkout, pair)[0].read_bytes())


def _key(checkout: Path, pair: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(_files(checkout, pair)[1].read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _create_certificates(checkout: Path, *arguments: str) -> dict[str, bytes]:
    created = _run(checkout / "certificates-create.sh", *arguments)
    assert created.returncode == 0, created.stderr
    return {pair: _files(checkout, pair)[0].read_bytes() for pair in PAIRS}


def _sign_for(checkout: Path, pair: str, lifetime: timedelta) -> None:
    """Puts a certificate in place that is right in all but how long it still lasts."""
    now = datetime.now(UTC)
    old = _certificate(checkout, pair)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    signed = builder.sign(_key(checkout, "ca"), hashes.SHA256())
    _files(checkout, pair)[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def test_certificates_are_p256_for_loopback_names_and_signed_by_the_local_authority(checkout: Path) -> None:
    _create_certificates(checkout)
    authority = _certificate(checkout, "ca")
    for pair in PAIRS:
        certificate, key = _certificate(checkout, pair), _key(checkout, pair)
        assert isinstance(key.curve, ec.SECP256R1)
        assert certificate.public_key() == key.public_key()
        certificate.verify_directly_issued_by(authority)
    for pair in ("ftps", "minio"):
        names = _certificate(checkout, pair).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost"]
        assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]


def test_private_keys_are_for_their_owner_alone(checkout: Path) -> None:
    _create_certificates(checkout)
    assert {stat.S_IMODE(_files(checkout, pair)[1].stat().st_mode) for pair in PAIRS} == {0o600}
    assert sorted(path.name for path in (checkout / "local" / "certificates").iterdir()) == [
        "ca.crt",
        "ca.key",
        "ftps.crt",
        "ftps.key",
        "minio",
    ]


def test_valid_certificates_are_kept(checkout: Path) -> None:
    assert _create_certificates(checkout) == _create_certificates(checkout)


def test_force_makes_all_certificates_anew(checkout: Path) -> None:
    before = _create_certificates(checkout)
    after = _create_certificates(checkout, "--force")
    assert not set(before.values()) & set(after.values())


def test_certificate_that_expires_within_a_week_is_renewed_alone(checkout: Path) -> None:
    before = _create_certificates(checkout)
    _sign_for(checkout, "ftps", timedelta(days=6))
    _sign_for(checkout, "minio", timedelta(days=8))
    kept = _files(checkout, "minio")[0].read_bytes()
    after = _create_certificates(checkout)
    assert after["ca"] == before["ca"]
    assert after["minio"] == kept
    assert _certificate(checkout, "ftps").not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


def test_certificate_with_another_key_is_renewed(checkout: Path) -> None:
    before = _create_certificates(checkout)
    shutil.copy(_files(checkout, "minio")[1], _files(checkout, "ftps")[1])
    after = _create_certificates(checkout)
    assert after["minio"] == before["minio"]
    assert after["ftps"] != before["ftps"]


def test_new_authority_signs_all_certificates_anew(checkout: Path) -> None:
    before = _create_certificates(checkout)
    _files(checkout, "ca")[1].unlink()
    after = _create_certificates(checkout)
    assert not set(before.values()) & set(after.values())


def test_certificates_without_openssl_say_what_to_install(checkout: Path, tmp_path: Path) -> None:
    refused = _run(checkout / "certificates-create.sh", PATH=_path_without(tmp_path / "bin", "openssl"))
    assert refused.returncode == 1
    assert "openssl is not installed" in refused.stderr


def test_certificates_refuse_an_unknown_argument(checkout: Path) -> None:
    refused = _run(checkout / "certificates-create.sh", "--forced")
    assert refused.returncode == 2
    assert "--forced" in refused.stderr


# minio-start.sh and minio-stop.sh


def test_minio_start_without_any_way_to_get_minio_names_them_all(checkout: Path, tmp_path: Path) -> None:
    bare = _path_without(tmp_path / "bin", "minio", "docker", "go")
    refused = _run(checkout / "minio-start.sh", PATH=bare, MINIO_PORT="0")
    assert refused.returncode == 1
    assert "no minio on PATH, no docker engine that answers, and no go" in refused.stderr


def test_minio_that_ends_at_once_is_shown_with_its_last_words(checkout: Path, tmp_path: Path) -> None:
    _executable(tmp_path / "bin" / "minio", "#!/bin/sh\necho 'FATAL: no such drive' >&2\nexit 3\n")
    refused = _run(checkout / "minio-start.sh", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", MINIO_PORT="0")
    assert refused.returncode == 1
    assert "FATAL: no such drive" in refused.stderr
    assert "ended instead of starting" in refused.stderr
    assert not (checkout / "local" / "minio" / "running").exists()


def test_minio_gets_its_credentials_in_the_environment_and_listens_on_loopback(checkout: Path, tmp_path: Path) -> None:
    fake = '#!/bin/sh\necho "$@"\nenv | grep ^MINIO_\nexit 3\n'
    _executable(tmp_path / "bin" / "minio", fake)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    _run(checkout / "minio-start.sh", PATH=path, MINIO_PORT="0", MINIO_VOLUMES="/elsewhere")
    arguments, *environment = (checkout / "local" / "minio" / "log").read_text(encoding="utf-8").splitlines()
    assert "secret" not in arguments
    assert "--address 127.0.0.1:" in arguments
    assert {line.partition("=")[0] for line in environment} == {
        "MINIO_BROWSER",
        "MINIO_ROOT_PASSWORD",
        "MINIO_ROOT_USER",
        "MINIO_UPDATE",
    }


def test_minio_in_docker_is_published_on_loopback_with_credentials_by_name(checkout: Path, tmp_path: Path) -> None:
    path = _path_without(tmp_path / "bin", "minio", "docker", "go")
    said = tmp_path / "said"
    _executable(tmp_path / "bin" / "docker", f'#!/bin/sh\nprintf "%s " "$@" >>"{said}"\necho >>"{said}"\n')
    refused = _run(checkout / "minio-start.sh", PATH=path, MINIO_PORT="0", MINIO_IMAGE="registry.example/minio")
    assert "ended instead of starting" in refused.stderr
    (command,) = (line for line in said.read_text(encoding="utf-8").splitlines() if line.startswith("run "))
    assert "--publish 127.0.0.1:" in command
    assert "registry.example/minio server " in command
    assert "--env MINIO_ROOT_PASSWORD " in command
    assert "secret" not in command


def test_minio_start_names_the_port_that_is_taken(checkout: Path, tmp_path: Path) -> None:
    _executable(tmp_path / "bin" / "minio", "#!/bin/sh\nexit 3\n")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = _run(checkout / "minio-start.sh", PATH=path, MINIO_PORT=str(port))
    assert refused.returncode == 1
    assert f"port {port} is taken" in refused.stderr


def test_minio_stop_never_ends_a_process_that_is_not_its_own(checkout: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        state = checkout / "local" / "minio" / "running"
        state.parent.mkdir(parents=True)
        state.write_text(f"process {stranger.pid} 9000\n")
        stopped = _run(checkout / "minio-stop.sh")
        assert stranger.poll() is None
        stranger.terminate()
    assert stopped.returncode == 0
    assert "does not run" in stopped.stderr
    assert not state.exists()


# scripts/clients.sh


def _with_clients(checkout: Path, script: str) -> str:
    """What a script says that has the functions which install clients, and then what is missing."""
    begin = (
        f'set -euo pipefail; root="{checkout}"; missing=(); . "$root/scripts/clients.sh"; mkdir -p "$clients_directory"'
    )
    ran = _run("bash", "-c", f'{begin}\n{script}\nprintf "%s\\n" "${{missing[@]-}}"')
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_one_package_that_cannot_be_had_keeps_no_other_away(checkout: Path) -> None:
    pretended = """
      id() { echo 0; }; dpkg-query() { return 1; }
      apt-get() { case "$*" in *none*) return 1 ;; install*) echo "installed: $*" ;; esac; }
    """
    said = _with_clients(checkout, f'{pretended} install_packages one none two; cat "$clients_log"')
    assert [name for name in ("one", "none", "two") if f"--no-install-recommends {name}\n" in said] == ["one", "two"]
    assert "none: apt-get cannot install it" in said


def test_a_client_whose_compiler_is_not_installed_is_named(checkout: Path) -> None:
    said = _with_clients(checkout, 'make_client rust "" build_rust no-such-compiler')
    assert "no-such-compiler is not installed" in said
    assert "(rust) is not tested" in said


def test_a_client_that_cannot_be_made_is_named_and_its_remains_count_for_nothing(checkout: Path) -> None:
    said = _with_clients(checkout, 'fail() { touch half; return 1; }; make_client some "" fail true')
    assert "local/clients/some could not be made" in said
    assert not (checkout / "local" / "clients" / "some" / ".made-of").exists()


def test_a_client_is_made_once_and_again_when_its_sources_change(checkout: Path) -> None:
    sources = checkout / "tests" / "integration" / "clients" / "programs" / "some"
    sources.mkdir(parents=True)
    (sources / "source").write_text("1")
    make = 'work() { cat source; }; make_client some some work true; cat "$clients_log"'
    assert _with_clients(checkout, f"{make}; {make}").count("1") == 2, "the log is shown twice"
    (sources / "source").write_text("2")
    assert "2" in _with_clients(checkout, make)


# demo.sh and tests.sh


@pytest.mark.parametrize("script", ["demo.sh", "tests.sh"])
def test_an_old_python_is_refused_with_its_version(checkout: Path, tmp_path: Path, script: str) -> None:
    old = "import sys; sys.version_info = (3, 9, 18, 'final', 0); exec(sys.argv[2])"
    python = _executable(tmp_path / "python3", f'#!/bin/sh\nexec {sys.executable} -c "{old}" "$@"\n')
    refused = _run(checkout / script, PYTHON=str(python))
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed" in refused.stderr
    assert "is 3.9" in refused.stderr


def test_a_python_without_venv_is_refused_with_the_package_to_install(checkout: Path, tmp_path: Path) -> None:
    (checkout / "pyproject.toml").touch()
    bare = "import sys; sys.modules['venv'] = None; exec(sys.argv[2])"
    python = _executable(tmp_path / "python3", f'#!/bin/sh\nexec {sys.executable} -c "{bare}" "$@"\n')
    refused = _run(checkout / "demo.sh", PYTHON=str(python))
    assert refused.returncode == 1
    assert "no venv module" in refused.stderr
    assert "python3-venv" in refused.stderr


def test_each_command_with_options_explains_itself(checkout: Path) -> None:
    for name in ("certificates-create.sh", "minio-start.sh", "tests.sh"):
        explained = _run(checkout / name, "--help")
        assert (explained.returncode, explained.stderr) == (0, "")
        assert "certificates" in explained.stdout


# tests.sh with interpreters that only pretend

PRETENDER = """#!/bin/sh
# Python 3.{minor}, as far as tests.sh looks.
case "$1 $2" in
  "-m venv")
    mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"
    for tool in ruff mypy lint-imports; do
      printf '#!/bin/sh\\n[ ! -e "{place}/%s-fails" ]\\n' "$tool" >"$4/bin/$tool"
      chmod +x "$4/bin/$tool"
    done
    ;;
  "-m pip") ;;
  "-m pytest")
    echo "3.{minor}: $*" >>"{place}/runs"
    echo "SKIPPED [1] tests/test_it.py:1: curl is not installed"
    echo "SKIPPED [1] tests/test_it.py:2: only on 3.{minor}"
    if [ -e "{place}/3.{minor}-fails" ]; then
      echo "== 1 failed in 3.{minor} s =="
      exit 1
    fi
    echo "== 1 passed in 3.{minor} s =="
    ;;
  *) exec {python} -c "import sys; sys.version_info = (3, {minor}, 0, 'final', 0); exec(sys.argv[2])" "$@" ;;
esac
"""

LEFT_OUT = (
    "minio",
    "docker",
    "apt-get",
    "shellcheck",
    "python3.12",
    "python3.13",
    "npm",
    "javac",
    "mvn",
    "go",
    "cargo",
)
"""What these runs do without: it costs time, or belongs to this machine."""


class Pretended:
    """A checkout and interpreters in which nothing is really tested."""

    def __init__(self, checkout: Path, place: Path, *newer: int) -> None:
        self._checkout = checkout
        self._place = place
        (checkout / "pyproject.toml").touch()
        (checkout / ".ci").mkdir()
        shutil.copytree(CLIENT_PROGRAMS, checkout / CLIENT_PROGRAMS.relative_to(ROOT))
        for minor in (11, *newer):
            self._pretend(minor)
        self._environment = {
            "PATH": f"{place / 'bin'}{os.pathsep}{_path_without(place / 'rest', *LEFT_OUT)}",
            "PYTHON": str(place / "bin" / "python3.11"),
            "PYENV_ROOT": str(place),
            "HOME": str(place),
        }

    def _pretend(self, minor: int) -> None:
        text = PRETENDER.format(minor=minor, place=self._place, python=sys.executable)
        _executable(self._place / "bin" / f"python3.{minor}", text)

    def fail(self, what: str) -> None:
        """Have a static check, or the tests of a version, fail."""
        (self._place / f"{what}-fails").touch()

    def run(self, *arguments: str, **environment: str) -> tuple[int, list[str]]:
        """The exit code and the lines of a run."""
        done = _run(self._checkout / "tests.sh", *arguments, **self._environment, **environment)
        return done.returncode, done.stdout.splitlines()

    @property
    def runs(self) -> list[str]:
        """How pytest was called, behind the version."""
        return (self._place / "runs").read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the interpreters are; this run's own settings are none of theirs."""
    for name in [name for name in os.environ if name.startswith("AIOFTPS3_TEST_")]:
        monkeypatch.delenv(name)
    made = tmp_path / "machine"
    made.mkdir()
    return made


def _where(lines: list[str], text: str) -> list[int]:
    return [number for number, line in enumerate(lines) if text in line]


def test_a_run_says_first_and_last_what_is_missing_and_ends_with_the_main_runs_last_line(
    checkout: Path, place: Path
) -> None:
    code, lines = Pretended(checkout, place, 12, 13).run()
    assert code == 0
    (first_check,), (last_tests,) = _where(lines, "==> ruff format"), _where(lines, "==> tests on Python 3.13")
    for missing in ("there is no MinIO", "shellcheck is not installed"):
        before, after = _where(lines, missing)
        assert before < first_check
        assert after > last_tests
    assert lines[-2:] == ["Everything passed.", "== 1 passed in 3.11 s =="]


def test_a_run_lists_every_skipped_test_at_its_end_and_what_all_pythons_skip_once(checkout: Path, place: Path) -> None:
    _, lines = Pretended(checkout, place, 12, 13).run()
    end = lines[_where(lines, "== 1 passed in 3.13 s ==")[0] + 1 :]
    said = [line for line in end if "SKIPPED" in line or line.startswith("Left out")]
    assert said == [
        "Left out on Python 3.11:",
        "  SKIPPED [1] tests/test_it.py:1: curl is not installed",
        "  SKIPPED [1] tests/test_it.py:2: only on 3.11",
        "Left out on Python 3.12:",
        "  SKIPPED [1] tests/test_it.py:2: only on 3.12",
        "Left out on Python 3.13:",
        "  SKIPPED [1] tests/test_it.py:2: only on 3.13",
    ]


def test_the_main_run_selects_nothing_and_the_others_leave_out_what_is_documented(checkout: Path, place: Path) -> None:
    pretended = Pretended(checkout, place, 12)
    assert pretended.run(AIOFTPS3_TEST_WORKERS="2")[0] == 0
    common = "-m pytest --color=no --numprocesses=2 --dist=worksteal"
    assert pretended.runs == [
        f"3.11: {common}",
        f"3.12: {common} -m not large --ignore=tests/qa --clients=ftplib,aioftp",
    ]


def test_the_nightly_run_is_longer_and_runs_one_test_at_a_time(checkout: Path, place: Path) -> None:
    pretended = Pretended(checkout, place)
    assert pretended.run("--nightly")[0] == 0
    (run,) = pretended.runs
    assert "--numprocesses=0 " in run
    assert "--trials 1000 --fuzz-lines 100000 --first-seed " in run
    assert run.endswith("--clients all")


def test_clients_can_be_installed_alone_and_what_cannot_be_had_is_named(checkout: Path, place: Path) -> None:
    pretended = Pretended(checkout, place)
    code, lines = pretended.run("--install-clients")
    assert code == 0
    assert _where(lines, "npm is not installed")
    assert not (place / "runs").exists()
    assert pretended.run("--install-clients", "more")[0] == 2


@pytest.mark.parametrize(
    ("what", "called"),
    [("ruff", "ruff check"), ("mypy", "mypy"), ("3.11", "tests on Python 3.11"), ("3.13", "tests on Python 3.13")],
)
def test_a_failure_fails_the_run_and_the_other_parts_still_run(
    checkout: Path, place: Path, what: str, called: str
) -> None:
    pretended = Pretended(checkout, place, 13)
    pretended.fail(what)
    code, lines = pretended.run()
    assert code == 1
    assert [run.partition(":")[0] for run in pretended.runs] == ["3.11", "3.13"]
    end = lines[_where(lines, "FAILED:")[-1] :]
    assert f"  {called}" in end
    assert end[-1] == f"== 1 {'failed' if what == '3.11' else 'passed'} in 3.11 s =="


def test_a_machine_with_one_python_is_told_what_is_not_tested(checkout: Path, place: Path) -> None:
    code, lines = Pretended(checkout, place).run()
    assert code == 0
    for version in ("3.12", "3.13"):
        assert len(_where(lines, f"Python {version} is not installed: nothing is tested on it")) == 2


def test_a_python_that_was_asked_for_has_to_be_there(checkout: Path, place: Path) -> None:
    code, lines = Pretended(checkout, place, 12).run(AIOFTPS3_TEST_PYTHONS="3.12 3.13")
    assert code == 1
    assert lines[-3:-1] == ["FAILED:", "  tests on Python 3.13"]


def test_no_other_pythons_are_tested_when_none_are_wanted(checkout: Path, place: Path) -> None:
    pretended = Pretended(checkout, place, 12, 13)
    code, lines = pretended.run(AIOFTPS3_TEST_PYTHONS="")
    assert code == 0
    assert len(pretended.runs) == 1
    assert not _where(lines, "Python 3.12")
