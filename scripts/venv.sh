# Virtual environments, as demo.sh and tests.sh make them; sourced by them. They set $root, the checkout.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root comes from those scripts

# Prints "3.11" and the like for the interpreter $1; fails when it is none, or one that cannot run.
python_version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

is_new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# The interpreter of minor version $1, on PATH or among pyenv's.
find_python() {
  local candidate
  for candidate in "python$1" python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python3; do
    if [ "$(python_version "$candidate")" = "$1" ]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# The interpreter to use when nobody chose one: $PYTHON, else the machine's python3, else the oldest that will do.
find_any_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    if ! is_new_enough "$PYTHON"; then
      echo "Python 3.11 or newer is needed; PYTHON=$PYTHON is $(python_version "$PYTHON" || echo no Python)" >&2
      return 1
    fi
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python; do
    if is_new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  for candidate in 3.11 3.12 3.13; do
    if find_python "$candidate"; then
      return
    fi
  done
  echo "Python 3.11 or newer is needed; python3 here is $(python_version python3 || echo not installed)." \
    "Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python3.11 $0" >&2
  return 1
}

# What tells one installed interpreter from another; a virtual environment has that of the one it was made with.
python_identity() {
  "$1" -c 'import sys; print(sys.version.replace("\n", " "), sys.base_prefix)' 2>/dev/null
}

# Makes the virtual environment $1 with the interpreter $2 and installs the package with the extras $3 ("" or "[dev]").
# One that is there is used as it is while pyproject.toml, the interpreter and the checkout's place are the same.
# The package itself is linked, not copied: changed code needs no new installation.
make_venv() {
  local directory="$1" python="$2" extras="$3" identity wanted stamp="$1/.installed$3" place="$1/.made-in"
  identity="$(python_identity "$python")"
  wanted="$identity $(cksum <"$root/pyproject.toml")"
  # Moved or copied, its scripts still name the old place.
  if [ "$(python_identity "$directory/bin/python")" != "$identity" ] ||
    { [ -e "$place" ] && [ "$(cat "$place")" != "$root" ]; }; then
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
      echo "this Python has no venv module: $python (Debian, Ubuntu: apt-get install python3-venv)" >&2
      return 1
    fi
    echo "making ${directory#"$root/"} with Python $(python_version "$python")" >&2
    "$python" -m venv --clear "$directory" || return 1
  elif [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] || [ "$(cat "$directory/.installed[dev]" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  echo "installing aioftps3$extras into ${directory#"$root/"} ..." >&2
  "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root$extras" || return 1
  printf '%s\n' "$root" >"$place"
  printf '%s\n' "$wanted" >"$stamp"
}
