#!/usr/bin/env bash
# Makes the certificates for local development, under local/certificates (not in git):
#
#   ca.crt ca.key                         a certificate authority that nothing but this checkout trusts
#   minio/public.crt minio/private.key    MinIO's pair, in the layout that its --certs-dir wants
#   ftps.crt ftps.key                     the daemon's pair, for AIOFTPS3_TLS_CERT and AIOFTPS3_TLS_KEY
#
# All are ECDSA P-256, for localhost, 127.0.0.1 and ::1. What is valid for another week is kept, so running this again
# changes nothing; --force makes all of them anew. Needs openssl only.
set -euo pipefail

readonly RENEW_BEFORE_SECONDS=$((7 * 24 * 60 * 60))
readonly CA_DAYS=3650
# Apple's platforms refuse server certificates that are valid for longer than 825 days.
readonly SERVER_DAYS=365

usage() {
  echo "usage: ./certificates-create.sh [--force]"
  echo "Makes or renews the certificates for local development in local/certificates; --force makes all of them anew."
}

force=no
for argument in "$@"; do
  case "$argument" in
    --force) force=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "certificates-create.sh: unknown argument: $argument" >&2; usage >&2; exit 2 ;;
  esac
done

if ! command -v openssl >/dev/null; then
  echo "certificates-create.sh: openssl is not installed (Debian, Ubuntu: apt-get install openssl)" >&2
  exit 1
fi

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
directory="$root/local/certificates"
# Private keys are never readable by others, not even while they are written.
umask 077
mkdir -p "$directory/minio"

work="$(mktemp -d "$directory/.new.XXXXXX")"
trap 'rm -rf "$work"' EXIT

# openssl talks while it works; that is shown only when it fails.
quietly() {
  if ! "$@" >"$work/output" 2>&1; then
    echo "certificates-create.sh: failed: $*" >&2
    cat "$work/output" >&2
    return 1
  fi
}

# Whether the certificate $1 has the key $2 and lasts for another week.
is_current_pair() {
  [ -s "$1" ] && [ -s "$2" ] &&
    openssl x509 -in "$1" -noout -checkend "$RENEW_BEFORE_SECONDS" >/dev/null 2>&1 &&
    [ "$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null)" = "$(openssl pkey -in "$2" -pubout 2>/dev/null)" ]
}

is_signed_by_the_authority() {
  openssl verify -CAfile "$directory/ca.crt" "$1" >/dev/null 2>&1
}

# Puts the new certificate $1 and key $2 in place of $3 and $4: each rename is atomic, readers never see half a file.
install_pair() {
  chmod 644 "$1"
  chmod 600 "$2"
  mv -f "$2" "$4"
  mv -f "$1" "$3"
}

make_authority() {
  cat >"$work/ca.cnf" <<'END'
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = aioftps3 local development CA
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
END
  quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/ca.key"
  quietly openssl req -new -x509 -sha256 -days "$CA_DAYS" -config "$work/ca.cnf" -key "$work/ca.key" -out "$work/ca.crt"
  install_pair "$work/ca.crt" "$work/ca.key" "$directory/ca.crt" "$directory/ca.key"
}

# $1 common name, $2 certificate, $3 key
make_server_pair() {
  cat >"$work/server.cnf" <<END
[req]
prompt = no
distinguished_name = name
[name]
CN = $1
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
END
  quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/server.key"
  quietly openssl req -new -sha256 -config "$work/server.cnf" -key "$work/server.key" -out "$work/server.csr"
  # A random serial instead of a counter file: two runs at the same time then cannot give one number twice.
  quietly openssl x509 -req -sha256 -days "$SERVER_DAYS" -in "$work/server.csr" \
    -CA "$directory/ca.crt" -CAkey "$directory/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
    -extfile "$work/server.cnf" -extensions extensions -out "$work/server.crt"
  install_pair "$work/server.crt" "$work/server.key" "$2" "$3"
}

# $1 what it is for, $2 certificate, $3 key
renew_server_pair() {
  local shown="${2#"$root/"}"
  if [ "$force" = no ] && is_current_pair "$2" "$3" && is_signed_by_the_authority "$2"; then
    chmod 600 "$3"
    echo "kept $shown"
  else
    make_server_pair "aioftps3 local development: $1" "$2" "$3"
    echo "made $shown"
  fi
}

if [ "$force" = no ] && is_current_pair "$directory/ca.crt" "$directory/ca.key"; then
  chmod 600 "$directory/ca.key"
  echo "kept local/certificates/ca.crt"
else
  make_authority
  echo "made local/certificates/ca.crt"
fi
renew_server_pair MinIO "$directory/minio/public.crt" "$directory/minio/private.key"
renew_server_pair FTPS "$directory/ftps.crt" "$directory/ftps.key"
