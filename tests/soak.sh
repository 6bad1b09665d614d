#!/bin/sh
# A long run of the filter of a build folder: many sessions while policy changes, Redis fails in
# every way that tests/e2e/support/faults.py knows, and the configuration is reloaded. Ends with
# figures; status 1 when a session failed, a verdict was wrong, or memory, threads or descriptors
# grew. Needs root, Redis and python3-dnspython, starts servers of its own and touches no other.
#
#   tests/soak.sh BUILD_DIR [SESSIONS]     (by default 1000000)
#
# GATEPOST_SEED for the same order of events again; GATEPOST_PATIENCE (5): how much slower than an
# idle machine this one may be; GATEPOST_BOUND_MS (250): how soon a change must be obeyed;
# GATEPOST_FIGURES: a file that gets the figures as well.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" | sed '/^set/d' >&2
    exit 2
fi
build=$(cd "$1" && pwd)
GATEPOST=$build/milter/gatepost
MILTER_LOAD=$build/tests/bench/milter_load
MILTER_ASKER=$build/tests/bench/milter_asker
for program in "$GATEPOST" "$MILTER_LOAD" "$MILTER_ASKER"; do
    if [ ! -x "$program" ]; then
        echo "soak.sh: $program is missing: make all bench-programs" >&2
        exit 2
    fi
done
# freed memory that the sanitizer keeps back would look like a leak until it has its fill
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:quarantine_size_mb=16}
UBSAN_OPTIONS=print_stacktrace=1
PYTHONDONTWRITEBYTECODE=1
export GATEPOST MILTER_LOAD MILTER_ASKER ASAN_OPTIONS UBSAN_OPTIONS PYTHONDONTWRITEBYTECODE
cd "$(dirname "$0")/e2e"
exec /usr/bin/python3 soak.py "${2:-1000000}"
