#!/bin/sh
# All tests on each Debian release, from nothing: a fresh root by debootstrap, a clone of what is
# committed, and in it both commands of README.md. As root:
#   sh tests/releases.sh [RELEASE...]     bookworm and trixie when none is named
# The roots lie below build/releases and are removed in the end; KEEP=1 keeps them, and a root that
# is there is used again. Ends with the counts of each release.
set -eu

cd "$(dirname "$0")/.."
top=$(pwd)
folder=$top/build/releases
mirror=${MIRROR:-http://deb.debian.org/debian}

# The second part, in a mount namespace and a process namespace of its own: both end with it.
if [ "${1:-}" = --inside ]; then
    root=$2
    mount --make-rprivate /
    mount --bind "$root" "$root" # the root of a chroot is to be a mount point
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs tmp "$root/run"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
        CI=true sh -c 'cd /gatepost && sh packaging/quickstart.sh && sh tests/run.sh' </dev/null
fi

[ "$(id -u)" = 0 ] || {
    echo "tests/releases.sh: debootstrap and chroot need root" >&2
    exit 1
}
command -v debootstrap >/dev/null || {
    echo "tests/releases.sh: debootstrap is missing: apt-get install debootstrap" >&2
    exit 1
}
[ $# -gt 0 ] || set -- bookworm trixie

summary=
status=0
for release; do
    root=$folder/$release
    log=$folder/$release.log
    mkdir -p "$folder"
    printf '\n== %s: %s\n' "$release" "$log"
    if ! [ -e "$root/etc/debian_version" ]; then
        debootstrap --variant=minbase "$release" "$root" "$mirror" >"$log" 2>&1
    fi
    rm -rf "$root/gatepost"
    git clone -q "$top" "$root/gatepost"
    chown -R 0:0 "$root/gatepost"
    # the names that the root needs to install its packages
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    if unshare --mount --pid --fork --kill-child sh "$top/tests/releases.sh" --inside "$root" \
        >>"$log" 2>&1; then
        how=passed
    else
        how=FAILED status=1
        tail -n 60 "$log"
    fi
    grep -E '^(ok|FAIL) |passed|conformance' "$log" || true
    summary="$summary$release: $how, $(grep '^all: ' "$log" || echo 'no count')
"
    [ -n "${KEEP:-}" ] || rm -rf "$root"
done
printf '\n%s' "$summary"
exit $status
