#!/usr/bin/env bash
# Starts a real MinIO on https, on loopback only, and makes a bucket in it: an S3 for local development and for the tests.
#
# MinIO publishes no binaries any more, so the program comes from the first of these that is there:
#   1. `minio` on PATH
#   2. local/bin/minio, where an earlier run built it
#   3. docker, when a docker engine answers
#   4. go: `go install github.com/minio/minio@latest` into local/bin, once; this takes about two minutes
#
# The environment that points the daemon (and anything else that speaks S3) to it is printed, and written to
# local/minio/environment:  . local/minio/environment && aioftps3 serve
#
# MINIO_PORT    port on 127.0.0.1 (9000); 0 takes any that is free
# MINIO_IMAGE   docker image (minio/minio)
#
# Everything is under local/ (not in git): data in local/minio/data, log in local/minio/log. minio-stop.sh stops it.
# Needs curl 7.75 or newer, and openssl for the certificates.
set -euo pipefail

# Fixed and public on purpose: they open nothing but a server on this machine's loopback that holds test data.
readonly ACCESS_KEY=aioftps3-development
readonly SECRET_KEY=aioftps3-development-secret
readonly BUCKET=aioftps3-development
readonly REGION=us-east-1
readonly READY_WITHIN_SECONDS=60

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
certificates="$root/local/certificates"
# shellcheck source=scripts/minio.sh
. "$root/scripts/minio.sh"

say() {
  echo "minio-start.sh: $*" >&2
}

fail() {
  say "$*"
  exit 1
}

case "${1:-}" in
  "") ;;
  -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
  *) fail "takes no arguments; see ./minio-start.sh --help" ;;
esac

command -v curl >/dev/null || fail "curl is not installed (Debian, Ubuntu: apt-get install curl)"
[[ "$(curl --help all 2>/dev/null)" == *--aws-sigv4* ]] || fail "curl 7.75 or newer is needed, for its --aws-sigv4"

is_taken() {
  # The connection is opened in a subshell, and so closed at once.
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

free_port() {
  local port tries=0
  while [ "$tries" -lt 100 ]; do
    # Below the range from which Linux and others give ports to outgoing connections.
    port=$((20000 + RANDOM % 10000))
    if ! is_taken "$port"; then
      echo "$port"
      return
    fi
    tries=$((tries + 1))
  done
  return 1
}

# curl for MinIO: only this checkout's CA is trusted, no proxy is asked, and no ~/.curlrc is read.
curl_minio() {
  curl --disable --silent --show-error --noproxy '*' --cacert "$certificates/ca.crt" --max-time 10 "$@"
}

# The process id of the MinIO that this run started, if it is a process.
started=

built_minio="$root/local/bin/minio"

build_minio() {
  say "building MinIO with go, once, into local/bin (about two minutes, longer on a slow network) ..."
  mkdir -p "$root/local/bin"
  local started=$SECONDS shown=$SECONDS log="$minio_directory/build.log" builder
  # From outside of any module; a GOBIN or GOFLAGS of the developer's own must not send it elsewhere.
  (cd "$minio_directory" && GOBIN="$root/local/bin" GOFLAGS=-buildvcs=false \
    exec go install github.com/minio/minio@latest) >"$log" 2>&1 &
  builder=$!
  # shellcheck disable=SC2064  # the process id of now
  trap "kill $builder 2>/dev/null || true; exit 130" INT TERM
  while kill -0 "$builder" 2>/dev/null; do
    if [ $((SECONDS - shown)) -ge 15 ]; then
      shown=$SECONDS
      say "... still building, $((SECONDS - started)) s; $(grep -c downloading "$log" || true) modules downloaded so far"
    fi
    sleep 1
  done
  trap - INT TERM
  if ! wait "$builder"; then
    tail -n 20 "$log" >&2
    fail "go could not build MinIO; all it said is in local/minio/build.log"
  fi
  say "built local/bin/minio in $((SECONDS - started)) s"
}

start_process() {
  local program="$1" port="$2" detach=nohup
  # A session of its own: Ctrl-C in the terminal that started it does not reach it.
  if command -v setsid >/dev/null; then
    detach=setsid
  fi
  (
    # A stray MINIO_ variable of the caller's would change what is started.
    while read -r name; do
      unset "$name"
    done < <(compgen -e MINIO_)
    export MINIO_ROOT_USER="$ACCESS_KEY" MINIO_ROOT_PASSWORD="$SECRET_KEY" MINIO_BROWSER=off MINIO_UPDATE=off
    export HOME="$minio_directory"
    exec "$detach" "$program" server --address "127.0.0.1:$port" --certs-dir "$certificates/minio" "$minio_data"
  ) >"$minio_log" 2>&1 </dev/null &
  started=$!
  echo "process $started $port" >"$minio_state"
}

start_container() {
  local port="$1"
  docker rm --force "$minio_container" >/dev/null 2>&1 || true
  # The credentials go by name, so that they are in no command line. As the developer, whose the data then is.
  MINIO_ROOT_USER="$ACCESS_KEY" MINIO_ROOT_PASSWORD="$SECRET_KEY" MINIO_BROWSER=off MINIO_UPDATE=off \
    docker run --detach --rm --name "$minio_container" --user "$(id -u):$(id -g)" \
    --publish "127.0.0.1:$port:9000" --volume "$certificates/minio:/certificates:ro" --volume "$minio_data:/data" \
    --env MINIO_ROOT_USER --env MINIO_ROOT_PASSWORD --env MINIO_BROWSER --env MINIO_UPDATE \
    "${MINIO_IMAGE:-minio/minio}" server --address :9000 --certs-dir /certificates /data >"$minio_log" ||
    fail "docker could not start ${MINIO_IMAGE:-minio/minio}"
  echo "container $minio_container $port" >"$minio_state"
}

show_log() {
  if [[ "$(cat "$minio_state" 2>/dev/null)" == container* ]]; then
    docker logs --tail 20 "$minio_container" >&2 2>/dev/null || true
  else
    tail -n 20 "$minio_log" >&2
  fi
}

# Gives up on what was started and cannot be used.
give_up() {
  show_log
  "$root/minio-stop.sh" >/dev/null 2>&1 || true
  fail "$*"
}

# The process just started still has this script's own command line for a moment, which minio_running would refuse.
is_alive() {
  if [ -n "$started" ]; then
    kill -0 "$started" 2>/dev/null
  else
    [ -n "$(minio_running)" ]
  fi
}

wait_until_ready() {
  local url="$1" deadline=$((SECONDS + READY_WITHIN_SECONDS))
  until curl_minio --fail --output /dev/null "$url/minio/health/ready" 2>/dev/null; do
    is_alive || give_up "MinIO ended instead of starting; its last words are above"
    [ "$SECONDS" -lt "$deadline" ] || give_up "MinIO was not ready after $READY_WITHIN_SECONDS s; its log is above"
    sleep 0.1
  done
}

make_bucket() {
  local url="$1" deadline=$((SECONDS + READY_WITHIN_SECONDS)) answer status
  # "Server not initialized yet": it is ready in its own eyes a moment before it can do anything.
  until
    put_bucket "$url"
    [ "$status" != 503 ] || [ "$SECONDS" -ge "$deadline" ]
  do
    sleep 0.1
  done
  case "$status" in
    200) ;;
    409) ;; # it is there since an earlier run
    *) give_up "MinIO refused to make the bucket $BUCKET ($status): $answer" ;;
  esac
}

# Sets the caller's `answer` and `status`.
put_bucket() {
  local url="$1"
  # The credentials reach curl through its standard input, as a configuration file, so that they are in no command line.
  answer="$(curl_minio --config - --aws-sigv4 "aws:amz:$REGION:s3" --request PUT --write-out '\n%{http_code}' \
    "$url/$BUCKET" <<<"user = \"$ACCESS_KEY:$SECRET_KEY\"")" || give_up "MinIO did not answer"
  status="${answer##*$'\n'}"
}

write_environment() {
  local url="$1"
  {
    echo "# Made by minio-start.sh. Use it with:  . local/minio/environment"
    printf 'export %s=%q\n' \
      AWS_ACCESS_KEY_ID "$ACCESS_KEY" \
      AWS_SECRET_ACCESS_KEY "$SECRET_KEY" \
      AWS_S3_BUCKET_NAME "$BUCKET" \
      AWS_S3_BUCKET_REGION "$REGION" \
      AWS_S3_BUCKET_HOST "$url" \
      AWS_CA_BUNDLE "$certificates/ca.crt" \
      FTP_USER_LOGIN user \
      FTP_USER_PASSWORD password \
      AIOFTPS3_HOST 127.0.0.1 \
      AIOFTPS3_TLS_CERT "$certificates/ftps.crt" \
      AIOFTPS3_TLS_KEY "$certificates/ftps.key"
    # A session token or profile of the developer's own would be used with these keys, and be refused.
    echo "unset AWS_SESSION_TOKEN AWS_PROFILE"
  } >"$minio_environment.new"
  mv -f "$minio_environment.new" "$minio_environment"
}

"$root/certificates-create.sh" >&2

mkdir -p "$minio_data"
running="$(minio_running)"
if [ -n "$running" ]; then
  read -r kind name port <<<"$running"
  url="https://localhost:$port"
  wait_until_ready "$url"
  say "MinIO already runs at $url ($kind $name)"
else
  port="${MINIO_PORT:-9000}"
  case "$port" in
    *[!0-9]* | "") fail "MINIO_PORT is not a number: $port" ;;
    0) port="$(free_port)" || fail "found no free port" ;;
  esac
  if is_taken "$port"; then
    fail "port $port is taken by another program; choose another one, MINIO_PORT=9100 ./minio-start.sh, or 0 for any"
  fi
  url="https://localhost:$port"
  if command -v minio >/dev/null; then
    program="$(command -v minio)"
    say "starting MinIO: $program"
    start_process "$program" "$port"
  elif [ -x "$built_minio" ]; then
    say "starting MinIO: local/bin/minio"
    start_process "$built_minio" "$port"
  elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    say "starting MinIO in docker: ${MINIO_IMAGE:-minio/minio}"
    start_container "$port"
  elif command -v go >/dev/null; then
    build_minio
    start_process "$built_minio" "$port"
  else
    fail "no MinIO: there is no minio on PATH, no docker engine that answers, and no go to build it with (https://go.dev/dl)"
  fi
  wait_until_ready "$url"
  say "MinIO runs at $url, on loopback only; its keys are fixed and public, for development"
fi
make_bucket "$url"
write_environment "$url"
say "this environment is in local/minio/environment too:  . local/minio/environment && aioftps3 serve"
cat "$minio_environment"
