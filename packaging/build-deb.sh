#!/bin/sh
# Debian packages of what is committed: sh packaging/build-deb.sh
# Installs what the build needs (as root), builds in a temporary folder, runs the unit tests and
# leaves gatepost_VERSION_ARCH.deb, the source package and the build's record beside the source
# tree. The same commit on the same Debian gives the same bytes.
set -eu

cd "$(dirname "$0")/.."
top=$(pwd)
out=${OUT:-$(dirname "$top")}
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
upstream=${version%-*}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' HUP INT TERM
source=$scratch/gatepost-$upstream
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

say() {
    printf '\n== %s\n' "$*"
}

mkdir "$source"
if [ -e .git ]; then
    # whoever owns it: who runs this script trusts the tree anyway
    git -c safe.directory="$top" -C "$top" archive HEAD | tar -x -C "$source"
else # a tarball: what a build has left is not part of it
    tar -c --exclude=./build --exclude=./build-quickstart . | tar -x -C "$source"
fi

cp -r "$source/packaging/debian" "$source/debian"
cd "$source"
if ! command -v dpkg-buildpackage >/dev/null || ! command -v dh >/dev/null ||
    ! command -v xz >/dev/null || ! dpkg-checkbuilddeps 2>/dev/null; then
    [ "$(id -u)" = 0 ] || {
        echo "packaging/build-deb.sh: packages for the build are missing; run it as root once" >&2
        dpkg-checkbuilddeps || true
        exit 1
    }
    say "installing what the build needs"
    apt-get -o DPkg::Lock::Timeout=400 -q update
    apt-get -o DPkg::Lock::Timeout=400 -q install -y --no-install-recommends dpkg-dev debhelper \
        xz-utils
    apt-get -o DPkg::Lock::Timeout=400 -q build-dep -y --no-install-recommends ./
fi

# the date of everything in it is that of the changelog's first entry
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
export SOURCE_DATE_EPOCH
tar -c -C "$scratch" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
    --numeric-owner --mode=u+rw,go+r,go-w --format=gnu --exclude="gatepost-$upstream/debian" \
    "gatepost-$upstream" | xz -T1 >"$scratch/gatepost_$upstream.orig.tar.xz"

say "building gatepost $version"
dpkg-buildpackage -us -uc
cd "$scratch"
if command -v lintian >/dev/null; then
    say "lintian"
    lintian --pedantic --info ./*.changes
fi
mv gatepost*_* "$out" # the debug symbols too, if they were wanted
say "done"
ls -l "$out"/gatepost_"$version"_*.deb
