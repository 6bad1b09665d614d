#!/bin/sh
# The Debian package on each release, with a real systemd: built twice (the same bytes), installed on
# a fresh Debian, started, asked by Postfix, reloaded, upgraded, purged. As root:
#   sh tests/packages.sh [RELEASE...]     bookworm and trixie when none is named
# systemd is PID 1 of namespaces made by unshare(1): no container manager is needed. The roots lie
# below build/packages and are removed in the end; KEEP=1 keeps them.
set -eu

cd "$(dirname "$0")/.."
top=$(pwd)
folder=$top/build/packages
mirror=${MIRROR:-http://deb.debian.org/debian}

# root_of ROOT COMMAND: runs it in that root, with the host's network, to build and to download
root_of() {
    # shellcheck disable=SC2016 # expanded by the shell inside
    unshare --mount --pid --fork --kill-child sh -c '
        mount --make-rprivate /
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive sh -ec "$2"' sh "$1" "$2" </dev/null
}

# boot ROOT: becomes systemd there, without network
if [ "${1:-}" = --boot ]; then
    root=$2
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/tmp"
    ip link set lo up
    ip address add 192.0.2.1/32 dev lo # a client that is not loopback, which is trusted
    hostname package-test
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    exec env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
fi

# What is checked inside; each line that begins with "ok" or "FAIL" counts.
cat_checks() {
    cat <<'END'
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
check() { # check WHAT COMMAND...
    what=$1
    shift
    if "$@" >/tmp/check 2>&1; then echo "ok    $what"; else
        echo "FAIL  $what"
        cat /tmp/check
    fi
}
within() { # within SECONDS COMMAND: until it holds
    for _ in $(seq "$(($1 * 10))"); do
        sh -c "$2" && return 0
        sleep 0.1
    done
    return 1
}
install() { apt-get install -y -q --no-download --no-install-recommends "$@"; }
pid() { systemctl show -p MainPID --value gatepost; }
smtp() { # one MAIL FROM by alice; prints what Postfix says
    bash -c 'exec 3<>/dev/tcp/192.0.2.1/25; read -r -t 20 line <&3
        for say in "EHLO client.example" "MAIL FROM:<alice@example.com>" QUIT; do
            printf "%s\r\n" "$say" >&3
            while read -r -t 20 line <&3; do
                echo "$line"
                case $line in [0-9][0-9][0-9]" "*) break ;; esac
            done
        done'
}
settings() { # settings METHOD TYPE BODY: alice's settings, through the proxy; prints the answer
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/9480; printf "%s\r\n" "$1 /v1/accounts/me HTTP/1.1" \
        "Host: gatepost" "Connection: close" "X-Gatepost-Token: 0123456789abcdef0123456789abcdef" \
        "X-Remote-User: alice@example.com" "X-Real-IP: 192.0.2.7" "Content-Type: $2" \
        "Content-Length: ${#3}" "" >&3; printf "%s" "$3" >&3; cat <&3' bash "$@"
}
begin=$(date +%s)
echo "postfix postfix/main_mailer_type select Local only" | debconf-set-selections
check "apt-get install gatepost postfix redis-server" install gatepost postfix redis-server redis-tools
check "the service runs" within 10 "systemctl is-active -q gatepost"
check "its user is gatepost" test "$(ps -o user= -p "$(pid)")" = gatepost
check "it has no capability" sh -c "! grep -E '^Cap(Inh|Prm|Eff|Amb):.*[1-9a-f]' /proc/$(pid)/status"
check "and gains none" grep -q '^NoNewPrivs:.*1' "/proc/$(pid)/status"
check "the socket is the MTA's" test "$(stat -c %U:%G:%a /run/gatepost/gatepost.sock)" = gatepost:postfix:660
check "the journal has the start once" test "$(journalctl -u gatepost | grep -c event=start)" = 1
check "gatepost -t" gatepost -t
postconf -e smtpd_milters=unix:/run/gatepost/gatepost.sock milter_default_action=tempfail \
    inet_interfaces=all
postconf -F '*/*/chroot=n'
systemctl restart postfix
check "Postfix serves" within 20 "bash -c '</dev/tcp/127.0.0.1/25' 2>/dev/null"
check "gatepostctl switches alice's smtp off" gatepostctl protocol off alice@example.com smtp
smtp >/tmp/said
check "the next message is refused" sh -c 'cat /tmp/said; grep -q "^550 5.7.1 smtp is switched off for alice@example.com" /tmp/said'
echo "      $(($(date +%s) - begin)) s from nothing to the first judged message"
before=$(pid)
check "systemctl reload" systemctl reload gatepost
check "the configuration is loaded again" within 10 "journalctl -u gatepost | grep -q 'event=reload generation=2'"
check "by the same process" test "$(pid)" = "$before"
check "gatepost-settings is there, and off" sh -c "! systemctl is-enabled -q gatepost-settings && ! systemctl is-active -q gatepost-settings"
check "starting it without tokens is no failure" sh -c "systemctl start gatepost-settings && ! systemctl is-failed -q gatepost-settings"
(umask 077 && echo "0123456789abcdef0123456789abcdef proxy" >/etc/gatepost/tokens)
chgrp gatepost-settings /etc/gatepost/tokens
chmod 0640 /etc/gatepost/tokens
echo 'settings { origin = "https://mail.example.com" }' >>/etc/gatepost/gatepost.conf
check "gatepost-settings -t" gatepost-settings -t
check "the filter heeds what users set" systemctl reload gatepost
check "gatepost-settings runs" systemctl enable --now gatepost-settings
own=$(systemctl show -p MainPID --value gatepost-settings)
check "its user is gatepost-settings" test "$(ps -o user:32= -p "$own")" = gatepost-settings
check "it has no capability" sh -c "! grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):.*[1-9a-f]' /proc/$own/status"
check "its socket is its own" test "$(stat -c %U:%G:%a /run/gatepost/settings.sock)" = gatepost-settings:gatepost-settings:660
check "it cannot replace the filter's" sh -c "! setpriv --reuid gatepost-settings --regid gatepost-settings --clear-groups rm -f /run/gatepost/gatepost.sock"
check "restart of the filter" systemctl restart gatepost
check "both sockets are there" test -S /run/gatepost/settings.sock -a -S /run/gatepost/gatepost.sock
sed -i 's/^settings {/& listen = "127.0.0.1:9480" /' /etc/gatepost/gatepost.conf
check "restart of gatepost-settings" systemctl restart gatepost-settings
settings PATCH application/merge-patch+json '{"protocols":{"submission":"off"}}' >/tmp/said
check "alice closes a protocol" sh -c 'cat /tmp/said; grep -q "^HTTP/1.1 200" /tmp/said'
check "which the store has" sh -c "redis-cli HGET gatepost-self:alice@example.com protocol:submission | grep -q off"
check "and its journal" sh -c "journalctl -u gatepost-settings | grep -q 'event=change who=self:alice@example.com'"
check "systemctl reload gatepost-settings" systemctl reload gatepost-settings
for unit in gatepost gatepost-settings; do
    check "the exposure of $unit is at most 2.0" systemd-analyze security --threshold=20 $unit
done
check "no failure of a unit" sh -c "! systemctl --failed --no-legend | grep gatepost"
systemctl kill -s KILL gatepost
check "it comes back after it was killed" within 20 "systemctl is-active -q gatepost && test \$(systemctl show -p MainPID --value gatepost) != $before"
sed -i 's/^#on_store_error .*/on_store_error = accept/' /etc/gatepost/gatepost.conf
before=$(pid)
own=$(systemctl show -p MainPID --value gatepost-settings)
check "upgrade" dpkg -i /root/packages/next/gatepost.deb
check "the new version runs" within 10 "systemctl is-active -q gatepost && test \$(systemctl show -p MainPID --value gatepost) != $before"
check "so does that of gatepost-settings" within 10 "systemctl is-active -q gatepost-settings && test \$(systemctl show -p MainPID --value gatepost-settings) != $own"
check "the configuration is kept" sh -c "gatepost -n | grep -q on_store_error"
dpkg -L gatepost >/tmp/files
check "purge" apt-get purge -y -q gatepost
check "no service is left" sh -c "! systemctl cat gatepost && ! systemctl cat gatepost-settings"
check "no file is left" sh -c 'while read -r file; do [ -d "$file" ] || ! [ -e "$file" ] || { echo "$file"; false; } || exit 1; done </tmp/files'
check "no configuration is left, but the tokens" test "$(ls /etc/gatepost)" = tokens
check "no process is left" sh -c "! pgrep -x gatepost && ! pgrep -x gatepost-settin" # of 15 letters
END
}

[ "$(id -u)" = 0 ] || {
    echo "tests/packages.sh: namespaces and chroot need root" >&2
    exit 1
}
[ $# -gt 0 ] || set -- bookworm trixie
pid=
stop() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true # and with it all that runs inside
    [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
    pid=
}
trap stop EXIT
trap 'exit 130' HUP INT TERM

commit=$(git -C "$top" rev-parse HEAD)
passed=0
failed=0
for release; do
    build=$folder/$release-build
    root=$folder/$release
    log=$folder/$release.log
    mkdir -p "$folder"
    printf '\n== %s: %s\n' "$release" "$log"
    : >"$log"
    [ -e "$build/etc/debian_version" ] ||
        debootstrap --variant=minbase "$release" "$build" "$mirror" >>"$log" 2>&1
    rm -rf "$root"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,procps \
        "$release" "$root" "$mirror" >>"$log" 2>&1
    for one in "$build" "$root"; do
        cp /etc/resolv.conf /etc/hosts "$one/etc/"
    done

    # twice, in folders of different names
    for number in 1 2; do
        rm -rf "$build/build$number" "$build/out$number"
        mkdir -p "$build/build$number/tree$number" "$build/out$number"
        git -C "$top" archive "$commit" | tar -x -C "$build/build$number/tree$number"
        root_of "$build" "OUT=/out$number sh /build$number/tree$number/packaging/build-deb.sh" \
            >>"$log" 2>&1
    done
    if (cd "$build/out1" && sha256sum ./*.deb ./*.tar.xz ./*.dsc) >"$build/sums" &&
        (cd "$build/out2" && sha256sum -c "$build/sums") >>"$log" 2>&1; then
        echo "ok    two builds, the same bytes"
        passed=$((passed + 1))
    else
        echo "FAIL  two builds differ"
        failed=$((failed + 1))
    fi

    # a repository of its own, and all that is to be installed downloaded
    packages=$root/root/packages
    mkdir -p "$packages/next" "$folder/next"
    cp "$build"/out1/gatepost_*.deb "$packages/"
    root_of "$build" "cd /out1 && dpkg-scanpackages . 2>/dev/null" >"$packages/Packages"
    echo 'deb [trusted=yes] copy:/root/packages ./' >"$root/etc/apt/sources.list.d/gatepost.list"
    root_of "$root" "apt-get -q update && apt-get install -y -q --download-only \
        --no-install-recommends gatepost postfix redis-server redis-tools" >>"$log" 2>&1
    root_of "$build" "rm -rf /next && dpkg-deb -R /out1/gatepost_[0-9]*.deb /next &&
        sed -i 's/^Version: .*/&+next/' /next/DEBIAN/control && dpkg-deb -b /next /next.deb" >>"$log" 2>&1
    cp "$build/next.deb" "$packages/next/gatepost.deb"

    cat_checks >"$root/root/checks.sh"
    unshare --mount --pid --cgroup --net --uts --ipc --fork --kill-child \
        sh "$top/tests/packages.sh" --boot "$root" >>"$log" 2>&1 </dev/null &
    pid=$!
    init=
    for _ in $(seq 300); do
        init=$(pgrep -P "$pid" 2>/dev/null || true)
        [ -z "$init" ] || ! nsenter -t "$init" -a systemctl is-system-running 2>/dev/null |
            grep -qE 'running|degraded' || break
        sleep 0.1
    done
    nsenter -t "$init" -a sh /root/checks.sh >"$folder/$release.checks" 2>>"$log" </dev/null || true
    cat "$folder/$release.checks"
    stop
    passed=$((passed + $(grep -c '^ok ' "$folder/$release.checks" || true)))
    failed=$((failed + $(grep -c '^FAIL ' "$folder/$release.checks" || true)))
    [ -n "${KEEP:-}" ] || rm -rf "$root" "$build"
done
printf '\nall: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
