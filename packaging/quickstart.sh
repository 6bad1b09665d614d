#!/bin/sh
# The quick start: from a bare Debian to a running Gatepost in one command. Owns the installation of
# packages, the build in build-quickstart/ and the cleanup; quickstart.py owns the demonstration,
# quickstart_page.py what --page shows instead: the page for users, until Ctrl-C.
# It leaves the packages and the build, and nothing else: no service is started or configured, and
# no process or temporary folder remains.

PACKAGES="gcc make autoconf automake libtool pkg-config libc6-dev libmilter-dev libspf2-dev
    libhiredis-dev libssl-dev libconfuse-dev libidn2-dev libunistring-dev libsystemd-dev
    libmicrohttpd-dev libjansson-dev uthash-dev postfix dovecot-core
    dovecot-imapd dovecot-pop3d dovecot-managesieved dovecot-submissiond dovecot-auth-lua lua-socket
    python3 python3-dnspython openssl"
PAGE_PACKAGES="nginx redis-server curl"
POLICY_RC_D=/usr/sbin/policy-rc.d
TAIL_LINES=25

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8
unset CDPATH MAKEFLAGS MAKELEVEL
umask 022
exec </dev/null
set -u

page=             # yes with --page
child=            # leads a process group of its own
scratch=          # a temporary folder
made_policy_rc_d= # yes while a policy-rc.d of ours is in place

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

step() {
    printf '%s%s%s\n' "$bold" "$1" "$plain"
}

fail() {
    printf 'quickstart: %s\n' "$1" >&2
    exit 1
}

# fail_with_log MESSAGE LOG
fail_with_log() {
    printf '%s\n' "--- the last lines of $2 ---" >&2
    tail -n "$TAIL_LINES" "$2" >&2
    fail "$1; see $2"
}

deny_no_more() {
    [ -z "$made_policy_rc_d" ] || rm -f "$POLICY_RC_D"
    made_policy_rc_d=
}

clean_up() {
    status=$?
    trap '' HUP INT PIPE TERM
    if [ -n "$child" ]; then
        kill -s TERM -- "-$child" 2>/dev/null || kill -s TERM "$child" 2>/dev/null
        wait "$child"
    fi
    deny_no_more
    [ -z "$scratch" ] || rm -rf "$scratch"
    exit "$status"
}

# Runs a command so that an interruption ends it with all its children, or it ends with us.
run() {
    setpriv --pdeathsig TERM setsid "$@" &
    child=$!
    wait "$child"
    status=$?
    child=
    return "$status"
}

# Prints those of PACKAGES that are not installed.
missing_packages() {
    for package in $PACKAGES; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

# In the foreground and in our process group: apt knows best when an interruption is safe.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    case " $missing" in
    *" postfix "*)
        echo "postfix postfix/main_mailer_type select No configuration" |
            debconf-set-selections || return 1
        ;;
    esac
    if ! [ -e "$POLICY_RC_D" ]; then
        made_policy_rc_d=yes
        printf '#!/bin/sh\nexit 101\n' >"$POLICY_RC_D" && chmod 755 "$POLICY_RC_D" || return 1
    fi
    # an index that cannot be fetched is no failure yet: the old one may do
    apt-get -o DPkg::Lock::Timeout=400 update
    # shellcheck disable=SC2086 # one word per package
    apt-get -o DPkg::Lock::Timeout=400 -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
        --no-remove $missing
}

provide_packages() {
    missing=$(missing_packages)
    if [ -z "$missing" ]; then
        step "Packages: all installed"
        return
    fi
    # shellcheck disable=SC2086 # counts the words
    set -- $missing
    step "Packages: installing $# from Debian, and their dependencies"
    log=$build/quickstart-apt.log
    if ! install_packages >"$log" 2>&1; then
        fail_with_log "the packages cannot be installed" "$log"
    fi
    deny_no_more
}

# True when configure has yet to be made, or is older than what it is made from.
configure_is_stale() {
    [ -x "$top/configure" ] && [ -e "$top/Makefile.in" ] || return 0
    [ -n "$(find "$top/configure.ac" "$top/Makefile.am" -newer "$top/Makefile.in")" ]
}

build_programs() {
    if configure_is_stale; then
        run autoreconf -fi "$top" || return 1
    fi
    cd "$build" || return 1
    if ! [ -e Makefile ]; then
        run ../configure --sysconfdir=/etc || return 1
    fi
    run make -j "$(nproc)"
}

provide_programs() {
    log=$build/quickstart-build.log
    step "Building in $build"
    if ! build_programs >"$log" 2>&1; then
        fail_with_log "the build failed" "$log"
    fi
    echo "  built milter/gatepost, milter/gatepostctl and milter/gatepost-settings there"
}

show() {
    # not below TMPDIR: user postfix must get there, and the path of a socket is short
    scratch=$(mktemp -d /tmp/gp-quickstart.XXXXXX) || fail "cannot create a folder in /tmp"
    chmod 755 "$scratch"
    run env TMPDIR="$scratch" PYTHONPATH="$top/tests/e2e" PYTHONDONTWRITEBYTECODE=1 \
        GATEPOST="$build/milter/gatepost" /usr/bin/python3 "$top/packaging/$1"
}

how_to_go_on() {
    echo
    step "Next steps"
    cat <<END
  Install    make -C $build install
             then read README.md, man gatepost, man gatepost.conf and man gatepostctl
  Redis      Set  store = "redis://127.0.0.1:6379/0"  in /etc/gatepost/gatepost.conf. Then
             redis-cli HSET gatepost:account:alice@example.com protocol:submission off
             switches Alice's submission off for the next message. HDEL undoes it
  Postfix    Set  smtpd_milters = unix:/run/gatepost/gatepost.sock  in main.cf,
             then run "postfix reload"
END
    at_the_next_boot
}

# What has been installed for the show alone, and how it does not stay.
at_the_next_boot() {
    for installed in "Dovecot dovecot-core dovecot" "nginx nginx nginx" \
        "Redis redis-server redis-server"; do
        # shellcheck disable=SC2086 # name, package and unit
        set -- $installed
        case " $missing" in
        *" $2 "*)
            printf '  %-10s was installed for what is shown above. Debian will start it at the next\n' "$1"
            printf '             boot. To prevent that, run  systemctl disable %s\n' "$3"
            printf '             or  apt-get purge %s\n' "$2"
            ;;
        esac
    done
}

case "$*" in
'') ;;
--page) page=yes PACKAGES="$PACKAGES $PAGE_PACKAGES" ;;
*) fail "usage: sh packaging/quickstart.sh [--page]" ;;
esac
if ! [ -e /etc/debian_version ] || ! command -v apt-get >/dev/null; then
    fail "this script needs Debian or a derivative; on other systems build by hand, see README.md"
fi
if [ "$(id -u)" != 0 ]; then
    fail "this script starts a private Postfix and needs root: sudo sh $0"
fi
top=$(cd "$(dirname "$0")/.." && pwd -P) || exit 1
build=$top/build-quickstart
[ ! -e "$top/config.status" ] || build=$top # configured in place, so build there
mkdir -p "$build" || exit 1

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

provide_packages
provide_programs
if [ -n "$page" ]; then
    echo
    at_the_next_boot
    show quickstart_page.py
    exit
fi
show quickstart.py || exit 1
how_to_go_on
