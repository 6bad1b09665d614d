#!/bin/sh
# What gatepostctl replay needs for a long log, with the policy in a Redis of its own: a quarter
# each of logins at the MTA and at a door, and of mail from strangers and from registered senders.
#
#     tests/bench/replay.sh BUILD_DIR [LINES [ACCOUNTS]]
set -eu
build=$(cd "$1" && pwd)
lines=${2:-1000000}
accounts=${3:-10000}
folder=$(mktemp -d /tmp/gatepost-replay-XXXXXX)
port=$((20000 + $$ % 20000))
redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$folder" >"$folder/redis.log" &
redis=$!
trap 'kill $redis; wait $redis || true; rm -rf "$folder"' EXIT
until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done

cat >"$folder/gatepost.conf" <<END
socket = "unix:$folder/socket"
store = "redis://127.0.0.1:$port"
trusted = {}
listener "mx" { daemon_name = "MX" }
listener "submission" { daemon_name = "SUB" service = submission tls = required }
listener "imap" { door = dovecot service = imap }
END
awk -v n="$accounts" 'BEGIN { for (i = 0; i < n; i++)
    printf "HSET gatepost:account:u%d@example.com source any protocol:pop3 off\n", i }' |
    redis-cli -p "$port" --pipe >/dev/null
awk -v n="$lines" -v accounts="$accounts" 'BEGIN {
    for (i = 0; i < n; i++) {
        who = "u" int(i / 4) % accounts "@example.com"
        if (i % 4 == 0)
            part = "stage=door session=886e3baa-" i " queue= listener=imap service=imap client=192.0.2." i % 250 " helo= sender= login=" who " account=" who " spf= verdict=accept reason=account from=conf mode=enforce would= reply= us=120 tls=yes door=dovecot"
        else if (i % 4 == 1)
            part = "stage=mail session=886e3baa-" i " queue= listener=submission service=submission client=192.0.2." i % 250 " helo=pc.example sender=" who " login=" who " account=" who " spf= verdict=accept reason=account from=conf mode=enforce would= reply= us=120 tls=yes"
        else {
            if (i % 4 == 2)
                who = "x" i % 50000 "@d" i % 9000 ".example"
            part = "stage=mail session=886e3baa-" i " queue= listener=mx service=smtp client=192.0.2." i % 250 " helo=mx.example sender=" who " login= account=" who " spf=softfail verdict=mark reason=spf from=conf mode=enforce would= reply= us=1203 tls=no"
        }
        print "Nov 28 12:00:00 host gatepost[77]: event=verdict " part
    } }' >"$folder/log"

# seconds of processor time that finished children have used; not in a subshell, which has none
cpu() {
    times >"$folder/times"
    spent=$(awk 'NR == 2 { gsub("[ms]", " "); print $1 * 60 + $2 + $3 * 60 + $4 }' "$folder/times")
}

run() {
    printf '%s\n' "replay of $lines lines, $accounts accounts${1:+, $*}"
    status=0
    cpu
    before=$spent
    begin=$(date +%s%N)
    "$build/milter/gatepostctl" -c "$folder/gatepost.conf" replay "$folder/log" "$@" \
        >"$folder/told" || status=$?
    end=$(date +%s%N)
    cpu
    [ "$status" -le 1 ] || exit 1
    head -1 "$folder/told"
    awk -v ns=$((end - begin)) -v before="$before" -v after="$spent" \
        'BEGIN { printf "%.1f s, of which %.1f s of processor time\n", ns / 1e9, after - before }'
}

run
run --with 'protocol off @example.com imap'
