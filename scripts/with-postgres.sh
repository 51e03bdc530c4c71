#!/usr/bin/env bash
# Runs a command with a PostgreSQL of its own, which is gone when the command ends:
#
#   scripts/with-postgres.sh cargo test -p headwater-store
#
# The command finds it in HEADWATER_TEST_POSTGRES_URL and may create as many databases in it as it likes. Where that
# variable is set already, the command uses that server instead. Durability is left on: the tests measure the real thing.
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: $0 COMMAND [ARGUMENT…]" >&2
  exit 2
fi
if [ -n "${HEADWATER_TEST_POSTGRES_URL:-}" ]; then
  exec "$@"
fi

server_bin=
for folder in "$(dirname "$(command -v initdb || true)")" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
  if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
    server_bin=$folder
    break
  fi
done
if [ -z "$server_bin" ]; then
  echo "no PostgreSQL server found: install the package postgresql" >&2
  exit 1
fi

# PostgreSQL refuses to run as root.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
  user=nobody
  if id postgres >/dev/null 2>&1; then user=postgres; fi
  as_user=(runuser -u "$user" --)
fi

cluster=$(mktemp -d "${TMPDIR:-/tmp}/headwater-postgres.XXXXXX")
if [ ${#as_user[@]} -gt 0 ]; then
  chown "$user" "$cluster"
fi

stop() {
  cd /
  if [ -e "$cluster/data/postmaster.pid" ]; then
    "${as_user[@]}" "$server_bin/pg_ctl" -D "$cluster/data" -m immediate -w stop >/dev/null 2>&1 || true
  fi
  rm -rf "$cluster"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# -N: a new cluster need not survive a power cut before its first start; the server itself syncs.
(cd / && "${as_user[@]}" "$server_bin/initdb" -D "$cluster/data" -U headwater --auth=trust --encoding=UTF8 --locale=C \
  -N >"$cluster/initdb.log" 2>&1) || {
  cat "$cluster/initdb.log" >&2
  exit 1
}

port=
for _ in $(seq 20); do
  candidate=$((20000 + RANDOM % 12000))
  if (cd / && "${as_user[@]}" "$server_bin/pg_ctl" -D "$cluster/data" -l "$cluster/data/server.log" -w -t 60 start -o \
    "-p $candidate -c listen_addresses=127.0.0.1 -c unix_socket_directories=$cluster -c max_connections=200 \
     -c shared_buffers=128MB -c timezone=UTC -c log_min_messages=error" >/dev/null 2>&1); then
    port=$candidate
    break
  fi
done
if [ -z "$port" ]; then
  cat "$cluster/data/server.log" >&2
  exit 1
fi

export HEADWATER_TEST_POSTGRES_URL="postgres://headwater@127.0.0.1:$port/postgres"
"$@"
