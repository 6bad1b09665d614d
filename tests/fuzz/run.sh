#!/bin/sh
# Replays the saved inputs of each fuzz target and then lets it search for a while, all of them at
# the same time: tests/fuzz/run.sh BUILD_DIR [SECONDS]. What it finds is kept in BUILD_DIR/found.
set -eu
build=${1:?usage: run.sh BUILD_DIR [SECONDS]}
seconds=${2:-20}
tests=$(cd "$(dirname "$0")" && pwd)
export ASAN_OPTIONS="quarantine_size_mb=8:malloc_context_size=6${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
mkdir -p "$build/log"

# fuzz TARGET FLAG...: its status is that of a failure
fuzz() {
    target=$1
    log=$build/log/$target
    shift
    mkdir -p "$build/found/$target" "$build/corpus/$target"
    if "$build/$target" -runs=0 "$@" "$tests/corpus/$target" >"$log" 2>&1 &&
        "$build/$target" -max_total_time="$seconds" -timeout=10 \
            -artifact_prefix="$build/found/$target/" "$@" \
            "$build/corpus/$target" "$tests/corpus/$target" >"$log" 2>&1; then
        echo "$target: $(tail -n 1 "$log")"
    else
        cat "$log" >&2
        echo "$target: failed" >&2
        return 1
    fi
}

running=
trap 'kill $running 2>/dev/null; exit 1' INT TERM
fuzz fuzz_spf_record -max_len=600 -dict="$tests/spf.dict" &
running="$running $!"
fuzz fuzz_log_line -max_len=2000 &
running="$running $!"
fuzz fuzz_door -max_len=2000 -dict="$tests/door.dict" &
running="$running $!"
fuzz fuzz_settings -max_len=2000 -dict="$tests/settings.dict" &
running="$running $!"
fuzz fuzz_mail_talk -max_len=4000 &
running="$running $!"
fuzz fuzz_dns_packet -max_len=1232 &
running="$running $!"
fuzz fuzz_spf -max_len=1024 -dict="$tests/spf.dict" &
running="$running $!"
failed=0
for pid in $running; do
    wait "$pid" || failed=1
done
exit "$failed"
