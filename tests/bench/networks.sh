#!/bin/sh
# What a network of a million members costs, against one of ten: tests/bench/networks.sh BUILD_DIR
# Starts a redis-server of its own on a unix socket and stops it again.
set -eu
build=${1:?usage: networks.sh BUILD_DIR}
members=${BENCH_MEMBERS:-1000000}
folder=$(mktemp -d "${TMPDIR:-/tmp}/gatepost-bench.XXXXXX")
redis=
finish() {
    [ -z "$redis" ] || kill "$redis" 2>/dev/null || true
    [ -z "$redis" ] || wait "$redis" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' INT TERM

redis-server --port 0 --unixsocket "$folder/redis.sock" --save '' --appendonly no \
    --dir "$folder" --logfile "$folder/redis.log" --daemonize no &
redis=$!
tries=0
until redis-cli -s "$folder/redis.sock" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "redis-server does not answer" >&2; exit 1; }
    sleep 0.1
done

# NAME COUNT: three of four IPv4 /24 to /32, one IPv6 /48 to /64, spread evenly
fill() {
    awk -v name="$1" -v count="$2" 'BEGIN {
        for (i = 0; i < count; i++) {
            x = (i * 2654435761) % 4294967296
            if (i % 4 == 3)
                cidr = sprintf("2001:%x:%x::/%d", int(x / 65536), x % 65536, 48 + i % 17)
            else
                cidr = sprintf("%d.%d.%d.%d/%d", int(x / 16777216), int(x / 65536) % 256,
                               int(x / 256) % 256, x % 256, 24 + i % 9)
            printf "HSET gatepost:network:%s %s note\r\n", name, cidr
        }
    }' | redis-cli -s "$folder/redis.sock" --pipe >/dev/null
}
fill ten 10
fill many "$members"
"$build/tests/bench/network_load" "redis+unix://$folder/redis.sock" ten many
