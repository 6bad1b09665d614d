#!/bin/sh
# Gatepost beside a libmilter filter that does nothing, on this machine, in the same minutes.
# It owns a temporary folder and every process it starts there: filters and a Redis on unix
# sockets, nothing on the network. What is compared, and what it needs, is in "The cases" below.
#
# BENCH_SECONDS (3), BENCH_ROUNDS (3) and BENCH_CONNECTIONS ("8 64") change the measurement.

set -eu
LC_ALL=C
export LC_ALL

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: tests/bench/run.sh BUILD_DIR [RESULTS_FILE]" >&2
    exit 2
fi
gatepost=$1/milter/gatepost
load=$1/tests/bench/milter_load
empty=$1/tests/bench/empty_filter
results=${2:-/dev/null}
seconds=${BENCH_SECONDS:-3}
rounds=${BENCH_ROUNDS:-3}

for program in "$gatepost" "$load" "$empty"; do
    if [ ! -x "$program" ]; then
        echo "run.sh: $program is missing: build it first" >&2
        exit 2
    fi
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/gatepost-bench.XXXXXX")
pids=

alive() {
    kill -0 "$1" 2>/dev/null
}

# All are asked to stop at once; libmilter may take seconds over it, so they get two.
stop_all() {
    trap - EXIT
    for pid in $pids; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    tries=0
    for pid in $pids; do
        while alive "$pid" && [ $tries -lt 20 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait
    rm -rf "$dir"
}
trap stop_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND...: runs it, with its output in NAME.log, until its socket NAME.sock is there.
start() {
    name=$1
    shift
    "$@" >"$dir/$name.log" 2>&1 &
    pid=$!
    pids="$pids $pid"
    tries=0
    while [ ! -S "$dir/$name.sock" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 50 ] || ! alive "$pid"; then
            echo "run.sh: $name did not start:" >&2
            tail -n 20 "$dir/$name.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

# configure NAME STORE: writes NAME.conf for a gatepost that serves NAME.sock.
configure() {
    cat >"$dir/$1.conf" <<EOF
socket = "unix:$dir/$1.sock"
socket_group = ""
user = ""
store = "$2"
log = stderr
authentication_results = off
received_spf = off
EOF
}

# measure SOCKET_NAME CONNECTIONS SECONDS [OPTION]...: prints "rate p50 p99", the last two of MAIL.
measure() {
    socket=$dir/$1.sock
    connections=$2
    duration=$3
    shift 3
    "$load" --socket "unix:$socket" --connections "$connections" --seconds "$duration" \
        --expect accept "$@" >"$dir/load.out" 2>"$dir/load.err" &
    load_pid=$!
    pids="$pids $load_pid"
    if ! wait "$load_pid"; then
        echo "run.sh: the run against $socket failed:" >&2
        cat "$dir/load.err" "$dir/load.out" >&2
        exit 1
    fi
    pids=${pids% *}
    awk '$1 == "rate" { rate = $2 } $1 == "mail" { print rate, $3, $5 }' "$dir/load.out"
}

# The cases. "empty-again" is the empty filter once more: how far its ratio is from 1 tells what
# the other ratios are worth. No case needs the DNS: the sender's address is listed.
cases="empty login-file login-redis ip-redis empty-again"

run_case() {
    case $1 in
    empty | empty-again) measure empty "$2" "$3" --login alice@example.com ;;
    login-file) measure file "$2" "$3" --login alice@example.com ;;
    login-redis) measure redis "$2" "$3" --login alice@example.com ;;
    ip-redis) measure redis "$2" "$3" --sender news@example.com --client 192.0.2.10 ;;
    esac
}

# Writes the case's figures of one round, each with its share of the empty filter's rate then.
run_round() {
    for case in $cases; do
        run_case "$case" "$1" "$seconds" >"$dir/figures"
        read -r rate p50 p99 <"$dir/figures"
        [ "$case" != empty ] || empty_rate=$rate
        echo "$rate $p50 $p99 $empty_rate" |
            awk '{ print $1, $2, $3, ($4 > 0 ? $1 / $4 : 0) }' >>"$dir/$case.$1"
    done
}

# median FILE COLUMN
median() {
    awk -v column="$2" '{ print $column }' "$1" | sort -n |
        awk '{ v[NR] = $1 }
             END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

print_line() {
    printf '%-14s %11s %12s %7s %12s %12s\n' "$@" | tee -a "$results"
}

set_up() {
    echo "account:alice@example.com protocol:pop3 off" >"$dir/policy"
    configure file "file:$dir/policy"
    configure redis "redis+unix://$dir/store.sock?db=0"
    start store redis-server --port 0 --unixsocket "$dir/store.sock" --dir "$dir" \
        --save '' --appendonly no --daemonize no
    redis-cli -s "$dir/store.sock" >/dev/null <<EOF
HSET gatepost:account:alice@example.com protocol:pop3 off
HSET gatepost:account:news@example.com source authorized ip:192.0.2.0/24 "bench"
EOF
    start empty "$empty" "unix:$dir/empty.sock"
    start file "$gatepost" -c "$dir/file.conf"
    start redis "$gatepost" -c "$dir/redis.conf"
}

: >"$results"
set_up
print_line configuration connections sessions/s ratio "MAIL p50 us" "MAIL p99 us"
for connections in ${BENCH_CONNECTIONS:-8 64}; do
    for case in $cases; do
        run_case "$case" "$connections" 0.3 >/dev/null # fills caches, makes threads
    done
    round=0
    while [ $round -lt "$rounds" ]; do
        run_round "$connections"
        round=$((round + 1))
    done
    for case in $cases; do
        file=$dir/$case.$connections
        print_line "$case" "$connections" "$(median "$file" 1 | awk '{ printf "%.0f", $1 }')" \
            "$(median "$file" 4 | awk '{ printf "%.3f", $1 }')" \
            "$(median "$file" 2)" "$(median "$file" 3)"
    done
done
