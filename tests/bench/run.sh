#!/bin/sh
# The project's figures, by one command: tests/bench/run.sh [--quick] [OPTION]... [BUILD_DIR]
#
# Builds where no BUILD_DIR is given, makes a network and a mount namespace with nothing in them
# but loopback and a resolv.conf that names our own name server, and has figures/ measure there.
# Whatever is started ends with it, and nothing outside is touched. Root, or a kernel that lets
# users make namespaces. --help lists the options; results go to tests/bench/results.
set -eu
LC_ALL=C
export LC_ALL PYTHONDONTWRITEBYTECODE=1

top=$(cd "$(dirname "$0")/../.." && pwd)

build_all() (
    cd "$top"
    [ -e configure ] || autoreconf -fi
    mkdir -p build/bench
    cd build/bench
    [ -e Makefile ] || "$top/configure" >configure.log
    make -s -j2 all bench-programs
)

# Inside the namespaces: a folder in memory, which vanishes with them, and the name server's name.
measure() {
    ip link set lo up
    mount -t tmpfs none "$BENCH_FOLDER"
    echo "nameserver 127.0.0.1" >"$BENCH_FOLDER/resolv.conf"
    mount --bind "$BENCH_FOLDER/resolv.conf" /etc/resolv.conf
    exec /usr/bin/python3 "$top/tests/bench/figures" --folder "$BENCH_FOLDER" "$@"
}

if [ -n "${BENCH_FOLDER:-}" ]; then
    measure "$@"
fi

build=
for word in "$@"; do
    if [ "$word" = --help ]; then
        exec /usr/bin/python3 "$top/tests/bench/figures" --help
    fi
    build=$word # the last one may be it
done
if [ -z "$build" ] || [ ! -d "$build/milter" ]; then
    build_all
    set -- "$@" "$top/build/bench"
fi

BENCH_FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/gatepost-bench.XXXXXX")
export BENCH_FOLDER
running=
finish() {
    trap - EXIT
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null || true # all that it started dies with it
        wait "$running" || true
    fi
    rmdir "$BENCH_FOLDER"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
as_root=
[ "$(id -u)" = 0 ] || as_root=--map-root-user
unshare $as_root --net --mount sh "$0" "$@" &
running=$!
wait "$running"
running=
