#!/bin/sh
# What one SPF evaluation costs, by Gatepost, by libspf2 and by pyspf: tests/bench/spf_cost.sh
# BUILD_DIR. libspf2 and pyspf ask the name server of resolv.conf at its port 53, so this runs in a
# network and with a resolv.conf of its own; nothing outside them is touched. Needs iproute2,
# python3-spf and python3-dnspython, and root or user namespaces.
set -eu
build=$(cd "${1:?usage: spf_cost.sh BUILD_DIR}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
if [ "${2:-}" != inside ]; then
    user=
    [ "$(id -u)" = 0 ] || user=--map-root-user
    # shellcheck disable=SC2086 # one word or none
    exec unshare $user --net --mount sh "$0" "$build" inside
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/gatepost-bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
echo "nameserver 127.0.0.1" >"$folder/resolv.conf"
mount --bind "$folder/resolv.conf" /etc/resolv.conf
ip link set lo up
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/spf_cost.py" "$build"
