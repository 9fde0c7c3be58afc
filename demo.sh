#!/usr/bin/env bash
# Tries aioftps3 with nothing set up: makes .venv, installs the package into it, and runs `aioftps3 demo`, an FTPS
# server on loopback in front of an S3 inside the same process. Ctrl-C ends it. Arguments go to `aioftps3 demo`.
#
# Needs Python 3.11 or newer; PYTHON names the interpreter when python3 is not the one.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=scripts/venv.sh
. "$root/scripts/venv.sh"

python="$(find_any_python)"
make_venv "$root/.venv" "$python" ""
exec "$root/.venv/bin/aioftps3" demo "$@"
