#!/usr/bin/env bash
# Runs every check and every test:  ./tests.sh
#
#   static checks   ruff, mypy, import contracts, shellcheck where it is installed
#   this Python     all tests, those on S3 on the embedded server and on a real MinIO, with a core set of FTP clients
#   newer Pythons   3.12 and 3.13, each where it is there: all tests but tests/qa and the large files, on the embedded
#                   server alone, with the clients that are Python's own
#
# Tests run in several processes at once. A test has 20 seconds; on slow machines AIOFTPS3_TEST_LIMIT gives it more.
#
# ./tests.sh --nightly does the same in one process, with 1,000 randomised fault trials (tests/faults) in place of 100,
# 100,000 made-up command lines (tests/fuzz) in place of 2,000, both with new seeds each day, with other examples of the
# property tests each time, and with all FTP clients of docs/clients.md. A failing trial names its seed:
#   ./tests.sh tests/faults/test_trials.py --seed 20412345
#
# ./tests.sh --install-clients installs the FTP clients of the nightly run, tells which cannot be had, and runs nothing:
#   ./tests.sh tests/integration/clients --clients=all
#
# With other arguments it only runs pytest with them:  ./tests.sh tests/unit -k sigv4
#   No static checks, no other Pythons, and no MinIO except one that already runs (./minio-start.sh).
#
# It makes .venv, certificates and MinIO itself and uses them again the next time. On a machine with apt-get, as root, it
# also installs the clients that the tests drive. What cannot be had is said, first and last; its tests are skipped. Each
# skipped test is said last, with its reason; for a reason that tests/support/rules.py does not list, it fails.
#
# PYTHON                  interpreter for .venv (python3)
# AIOFTPS3_TEST_PYTHONS   the other versions to test ("3.12 3.13", those that are installed); empty for none
# AIOFTPS3_TEST_WORKERS   processes that run tests (one more than there are processors, 9 at most); 0: this one alone
# AIOFTPS3_TEST_LIMIT     seconds that a test may take (20)
#
# The exit code is 0 when all of it passed. The last line is pytest's own of the main run.
set -euo pipefail

nightly=no
only_clients=no
case "${1:-}" in
  --nightly | --install-clients)
    [ $# -eq 1 ] || { echo "$1 takes no other arguments" >&2; exit 2; }
    if [ "$1" = --nightly ]; then nightly=yes; else only_clients=yes; fi
    shift
    ;;
  # --help is ours only when it stands alone: pytest has one too.
  -h | --help) [ $# -gt 1 ] || { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "$0"; exit 0; } ;;
esac

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=scripts/venv.sh
. "$root/scripts/venv.sh"
# shellcheck source=scripts/minio.sh
. "$root/scripts/minio.sh"
# shellcheck source=scripts/clients.sh
. "$root/scripts/clients.sh"
cd "$root"

missing=()
failed=()
tested=()
other_pythons=()
we_started_minio=no

heading() {
  printf '\n==> %s\n' "$*"
}

say_what_is_missing() {
  local line
  [ "${#missing[@]}" -gt 0 ] || return 0
  echo
  echo "!!! NOT EVERYTHING IS TESTED:"
  for line in "${missing[@]}"; do
    echo "!!!   $line"
  done
}

stop_minio() {
  if [ "$we_started_minio" = yes ]; then
    we_started_minio=no
    ./minio-stop.sh || true
  fi
}
trap stop_minio EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs one part, named $1; its failure is remembered and the other parts still run.
part() {
  local name="$1"
  shift
  heading "$name"
  if ! "$@"; then
    failed+=("$name")
    echo "FAILED: $name" >&2
  fi
}

install_clients() {
  local program wanted=()
  for program in curl lftp openssl shellcheck; do
    command -v "$program" >/dev/null || wanted+=("$program")
  done
  [ "${#wanted[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    heading "installing ${wanted[*]}"
    if ! { DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${wanted[@]}" ||
      { apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${wanted[@]}"; }; } \
      >local/apt.log 2>&1; then
      tail -n 5 local/apt.log >&2
    fi
  fi
  for program in "${wanted[@]}"; do
    command -v "$program" >/dev/null && continue
    case "$program" in
      shellcheck) missing+=("shellcheck is not installed: the shell scripts are not checked") ;;
      openssl) missing+=("openssl is not installed: no certificates, and so no MinIO") ;;
      *) missing+=("$program is not installed: the tests that drive it are skipped") ;;
    esac
  done
}

# Tells the tests where MinIO is; nothing when none runs.
use_minio() {
  local kind name port
  read -r kind name port <<<"$(minio_running)" || return 1
  [ -n "$port" ] && [ -s "$minio_environment" ] || return 1
  # In a subshell of its own: the daemon's settings are no business of the tests.
  eval "$(
    # shellcheck source=/dev/null
    . "$minio_environment"
    printf 'export AIOFTPS3_TEST_MINIO%s=%q\n' \
      "" "$AWS_S3_BUCKET_HOST" \
      _ACCESS_KEY "$AWS_ACCESS_KEY_ID" \
      _SECRET_KEY "$AWS_SECRET_ACCESS_KEY" \
      _BUCKET "$AWS_S3_BUCKET_NAME" \
      _REGION "$AWS_S3_BUCKET_REGION" \
      _CA "$AWS_CA_BUNDLE"
  )"
}

start_minio() {
  if [ -z "$(minio_running)" ]; then
    # Any free port: the usual one may belong to another checkout, or to anything.
    if ! MINIO_PORT="${MINIO_PORT:-0}" ./minio-start.sh >/dev/null; then
      return 1
    fi
    we_started_minio=yes
  fi
  use_minio
}

static_checks() {
  part "ruff format" .venv/bin/ruff format --check .
  part "ruff check" .venv/bin/ruff check .
  part "mypy" .venv/bin/mypy
  if [ -e .importlinter ] || grep -q '^\[tool\.importlinter' pyproject.toml; then
    part "import contracts" .venv/bin/lint-imports
  fi
  if command -v shellcheck >/dev/null; then
    part "shellcheck" shellcheck --external-sources ./*.sh .ci/run scripts/*.sh
  fi
}

# Finds the interpreters of the other versions, and says which are not there.
find_other_pythons() {
  local version python
  for version in ${AIOFTPS3_TEST_PYTHONS-3.12 3.13}; do
    [ "$version" != "$main_version" ] || continue
    if python="$(find_python "$version")"; then
      if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        other_pythons+=("$python")
      else
        missing+=("Python $version has no venv module: nothing is tested on it")
      fi
    elif [ -n "${AIOFTPS3_TEST_PYTHONS:-}" ]; then
      echo "Python $version was asked for and is not installed" >&2
      failed+=("tests on Python $version")
    else
      missing+=("Python $version is not installed: nothing is tested on it")
    fi
  done
}

# Runs pytest in the virtual environment $1 of version $2; further arguments are pytest's. Its output goes out as it
# comes, and without its colours to local/pytest-$2.log.
run_pytest() {
  local environment="$1" log="local/pytest-$2.log" status=0 colour=no
  shift 2
  [ ! -t 1 ] || colour=yes
  "$environment/bin/python" -m pytest --color="$colour" --numprocesses="$workers" --dist=worksteal "$@" |
    tee "$log.coloured" || status=$?
  sed $'s/\033\\[[0-9;]*m//g' "$log.coloured" >"$log"
  rm "$log.coloured"
  return "$status"
}

tests_on_other_pythons() {
  local python version
  for python in ${other_pythons[@]+"${other_pythons[@]}"}; do
    version="$(python_version "$python")"
    heading "Python $version"
    if make_venv "$root/.venv-$version" "$python" "[dev]"; then
      tested+=("$version")
      part "tests on Python $version" env_without_minio run_pytest ".venv-$version" "$version" -m "not large" \
        --ignore=tests/qa --clients=ftplib,aioftp
    else
      failed+=("installation on Python $version")
    fi
  done
}

env_without_minio() (
  unset AIOFTPS3_TEST_MINIO
  "$@"
)

say_what_was_skipped() {
  local version lines said=/dev/null
  for version in "${tested[@]}"; do
    lines="$(grep -E '^(SKIPPED|XFAIL|not driven:|not built yet:) ' "local/pytest-$version.log" | grep -vxFf "$said" || true)"
    # What is left out on all of them is said once.
    said="local/pytest-$main_version.log"
    [ -n "$lines" ] || continue
    echo
    echo "Left out on Python $version:"
    printf '%s\n' "$lines" | sed 's/^/  /'
  done
}

mkdir -p local
python="$(find_any_python)"

workers="${AIOFTPS3_TEST_WORKERS:-}"
if [ -z "$workers" ]; then
  # Tests wait now and then, and leave a processor to another one. At night there is time, and clients with windows, which
  # starve beside other tests, are driven too.
  workers="$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1))"
  [ "$workers" -le 9 ] || workers=9
  [ "$nightly" = no ] || workers=0
fi

if [ $# -gt 0 ]; then
  make_venv "$root/.venv" "$python" "[dev]"
  use_minio || echo "no MinIO runs: the embedded server alone (./minio-start.sh starts one)" >&2
  status=0
  .venv/bin/python -m pytest "$@" || status=$?
  exit "$status"
fi

if [ "$only_clients" = yes ]; then
  make_venv "$root/.venv" "$python" "[dev]"
  install_ftp_clients nightly
  say_what_is_missing
  exit
fi

install_clients
make_venv "$root/.venv" "$python" "[dev]"
main_version="$(python_version .venv/bin/python)"
find_other_pythons
heading "FTP clients"
install_ftp_clients "$([ "$nightly" = yes ] && echo nightly || echo core)"
heading "certificates and MinIO"
if ! start_minio; then
  missing+=("there is no MinIO (see above): the integration tests run on the embedded server alone")
fi
say_what_is_missing

static_checks

trials=()
if [ "$nightly" = yes ]; then
  day="$(($(date +%s) / 86400))"
  trials=(--trials 1000 --fuzz-lines 100000 --first-seed "${day}000" --hypothesis-profile=exploring --clients all)
fi
tested+=("$main_version")
part "tests on Python $main_version" run_pytest .venv "$main_version" ${trials[@]+"${trials[@]}"}
stop_minio
tests_on_other_pythons

say_what_was_skipped
say_what_is_missing
echo
closing="$(tail -n 1 "local/pytest-$main_version.log")"
if [ "${#failed[@]}" -gt 0 ]; then
  echo "FAILED:"
  printf '  %s\n' "${failed[@]}"
  echo "$closing"
  exit 1
fi
echo "Everything passed."
echo "$closing"
