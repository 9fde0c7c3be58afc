# What minio-start.sh, minio-stop.sh and tests.sh share; sourced by them. They set $root, the checkout.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # names that come from and go to those scripts

minio_directory="$root/local/minio"
minio_data="$minio_directory/data"
minio_state="$minio_directory/running"
minio_environment="$minio_directory/environment"
minio_log="$minio_directory/log"

# One container for each checkout, found again by its name.
minio_container="aioftps3-minio-$(printf '%s' "$root" | cksum | cut -d ' ' -f 1)"

# The command line of process $1, or nothing when there is no such process.
command_line_of() {
  if [ -r "/proc/$1/cmdline" ]; then
    tr '\0' ' ' <"/proc/$1/cmdline"
  else
    ps -p "$1" -o command= 2>/dev/null || true
  fi
}

# The MinIO of this checkout that runs, as "process PID PORT" or "container NAME PORT"; nothing when none does.
# A process counts only when its command line names this checkout's data: a process id is used again by others.
minio_running() {
  local kind name port
  [ -s "$minio_state" ] || return 0
  read -r kind name port <"$minio_state" || return 0
  case "$kind" in
    process)
      case "$(command_line_of "$name")" in
        *" server "*"$minio_data "*) echo "$kind $name $port" ;;
      esac
      ;;
    container)
      if [ "$(docker inspect --format '{{.State.Running}}' "$name" 2>/dev/null)" = true ]; then
        echo "$kind $name $port"
      fi
      ;;
  esac
}
