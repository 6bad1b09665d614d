#!/bin/sh
# What recording use costs: verdicts of logins per second with record_use off and on, in turn, with
# the policy in a Redis of its own. The median of each, and the one in per cent of the other.
#
#     tests/bench/use.sh BUILD_DIR [ROUNDS [SECONDS [ACCOUNTS]]]
set -eu
build=$(cd "$1" && pwd)
rounds=${2:-7}
seconds=${3:-3}
accounts=${4:-1000}
folder=$(mktemp -d /tmp/gatepost-use-XXXXXX)
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
awk -v n="$accounts" 'BEGIN { for (i = 0; i < n; i++)
    printf "HSET gatepost:account:u%d@example.com source any protocol:pop3 off\n", i }' |
    redis-cli -p "$port" --pipe >/dev/null

for record in off on; do
    cat >"$folder/$record.conf" <<END
socket = "unix:$folder/$record.socket"
store = "redis://127.0.0.1:$port"
user = "$(id -un)"
trusted = {}
record_use = $record
listener "submission" { daemon_name = "SUB" service = submission tls = required }
END
    "$build/milter/gatepost" -c "$folder/$record.conf" >"$folder/$record.log" 2>&1 &
    started="$started $!"
    tries=100
    until [ -S "$folder/$record.socket" ]; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || {
            cat "$folder/$record.log" >&2
            exit 1
        }
        sleep 0.1
    done
done

load() {
    "$build/tests/bench/milter_load" --socket "unix:$folder/$1.socket" --seconds "$2" --tls \
        --daemon-name SUB --sender 'u{n}@example.com' --login 'u{n}@example.com' \
        --sender-count "$accounts" --expect accept
}
for record in off on; do load "$record" 1 >/dev/null; done # connections, policies, first records
round=0
while [ "$round" -lt "$rounds" ]; do
    for record in off on; do load "$record" "$seconds" >>"$folder/$record.rates"; done
    round=$((round + 1))
done
median() {
    awk '$1 == "rate" { print $2 }' "$folder/$1.rates" | sort -n |
        awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}
off=$(median off) on=$(median on)
echo "recorded: $(redis-cli -p "$port" --scan --pattern 'gatepost-use:u*' | wc -l) of $accounts accounts"
echo "$off $on" | awk '{ printf "record_use off: %d/s, on: %d/s, %.1f %%\n", $1, $2, 100 * $2 / $1 }'
