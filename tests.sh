#!/usr/bin/env bash
# Runs every check and every test:  ./tests.sh
#
#   static checks (ruff, mypy, import contracts, shellcheck where it is installed), all tests on this machine's Python
#   with a real MinIO, then the tests again, without MinIO and without the large files, on each newer Python there is.
#
# ./tests.sh --nightly does the same with 1,000 randomised fault trials (tests/faults) in place of 100, and 100,000 made-up
# command lines (tests/fuzz) in place of 2,000, with new seeds each day, and with all FTP clients of docs/clients.md in place
# of its core set. A failing trial names its seed:
#   ./tests.sh tests/faults/test_trials.py --seed 20412345
#
# With other arguments it only runs pytest with them:  ./tests.sh tests/unit -k sigv4
#   No static checks, no other Pythons, and no MinIO except one that already runs (./minio-start.sh).
#
# It makes .venv, certificates and MinIO itself and uses them again the next time. On a machine with apt-get, as root, it
# also installs the clients that the tests drive. What cannot be had is said, first and last; its tests are skipped.
#
# PYTHON                  interpreter for .venv (python3)
# AIOFTPS3_TEST_PYTHONS   the other versions to test ("3.12 3.13", those that are installed); empty for none
#
# The exit code is 0 when all of it passed. The last line is pytest's own of the main run.
set -euo pipefail

nightly=no
case "${1:-}" in
  --nightly)
    [ $# -eq 1 ] || { echo "--nightly takes no other arguments" >&2; exit 2; }
    nightly=yes
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

tests_on_other_pythons() {
  local version python main
  main="$(python_version .venv/bin/python)"
  for version in ${AIOFTPS3_TEST_PYTHONS-3.12 3.13}; do
    [ "$version" != "$main" ] || continue
    if ! python="$(find_python "$version")"; then
      if [ -n "${AIOFTPS3_TEST_PYTHONS:-}" ]; then
        echo "Python $version was asked for and is not installed" >&2
        failed+=("tests on Python $version")
      fi
      continue
    fi
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
      missing+=("Python $version has no venv module: nothing is tested on it")
      continue
    fi
    heading "Python $version"
    if make_venv "$root/.venv-$version" "$python" "[dev]"; then
      part "tests on Python $version" env -u AIOFTPS3_TEST_MINIO ".venv-$version/bin/python" -m pytest -m "not large" \
        --clients ftplib,aioftp
    else
      failed+=("installation on Python $version")
    fi
  done
}

mkdir -p local
python="$(find_any_python)"

if [ $# -gt 0 ]; then
  make_venv "$root/.venv" "$python" "[dev]"
  use_minio || echo "no MinIO runs: the embedded server alone (./minio-start.sh starts one)" >&2
  status=0
  .venv/bin/python -m pytest "$@" || status=$?
  exit "$status"
fi

install_clients
make_venv "$root/.venv" "$python" "[dev]"
heading "FTP clients"
install_ftp_clients "$([ "$nightly" = yes ] && echo nightly || echo core)"
heading "certificates and MinIO"
if ! start_minio; then
  missing+=("there is no MinIO (see above): the integration tests run on the embedded server alone")
fi
say_what_is_missing

static_checks

# pytest's own output goes out as it comes; its last line is kept to be said again at the end.
closing="local/pytest-closing-line"
trials=()
if [ "$nightly" = yes ]; then
  day="$(($(date +%s) / 86400))"
  trials=(--trials 1000 --fuzz-lines 100000 --first-seed "${day}000" --clients all)
fi
run_tests() {
  local status=0 colour=no
  [ ! -t 1 ] || colour=yes
  .venv/bin/python -m pytest --color="$colour" "${trials[@]}" | tee local/pytest.log || status=$?
  sed $'s/\033\\[[0-9;]*m//g' local/pytest.log | tail -n 1 >"$closing"
  return "$status"
}
part "tests on Python $(python_version .venv/bin/python)" run_tests
stop_minio
tests_on_other_pythons

say_what_is_missing
echo
if [ "${#failed[@]}" -gt 0 ]; then
  echo "FAILED:"
  printf '  %s\n' "${failed[@]}"
  cat "$closing"
  exit 1
fi
echo "Everything passed."
cat "$closing"
