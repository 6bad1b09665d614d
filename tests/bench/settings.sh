#!/bin/sh
# How many changes gatepost-settings makes in a second: a PATCH each of so many accounts, by clients that
# keep their connections, with the store in a Redis of its own.
#
#     tests/bench/settings.sh BUILD_DIR [CHANGES [CLIENTS]]
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d /tmp/gatepost-settings-XXXXXX)
port=$((20000 + $$ % 20000))
started=
finish() {
    for one in $started; do
        kill "$one" 2>/dev/null || true
        wait "$one" || true
    done
    rm -rf "$folder"
}
trap finish EXIT
redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$folder" >"$folder/redis.log" &
started="$!"
until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
(umask 077 && echo "0123456789abcdef0123456789abcdef proxy" >"$folder/tokens")
cat >"$folder/conf" <<END
store = "redis://127.0.0.1:$port"
log = stderr
settings { listen = "unix:$folder/socket" token_file = "$folder/tokens" }
END
"$build/milter/gatepost-settings" -c "$folder/conf" 2>"$folder/log" &
started="$started $!"
tries=100
until [ -S "$folder/socket" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || {
        cat "$folder/log" >&2
        exit 1
    }
    sleep 0.1
done
python3 "$here/settings_load.py" "$folder/socket" "${2:-1000}" "${3:-8}"
echo "in the history: $(redis-cli -p "$port" XLEN gatepost-self:history)"
