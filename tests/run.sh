#!/bin/sh
# Everything that must hold, in one command: installs what the tests need (Debian 13 or 12, root), then
# static checks, builds by gcc and clang, unit tests and end-to-end tests under the sanitizers.
# Ends with one line of counts. Needs no running server and touches none.
set -eu

cd "$(dirname "$0")/.."
top=$(pwd)
build=$top/build
passed=0
failed=0

# the same library under the name that each release has for it
libldap=libldap2
# the web servers and what they need: they are run from folders of the tests' own
web="nginx libnginx-mod-mail apache2-bin caddy haproxy lua-socket python3-radicale
 dovecot-imapd dovecot-pop3d curl"
valkey="valkey-server" # since Debian 13
if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
    libldap="libldap-2.5-0"
    valkey=
fi

# m4 to libwrap0: for a Sendmail that is unpacked beside Postfix, whose packages conflict
packages="gcc clang make autoconf automake libtool pkg-config libc6-dev xz-utils procps
 libmilter-dev libspf2-dev libhiredis-dev libconfuse-dev libidn2-dev
 libunistring-dev libssl-dev libsystemd-dev libmicrohttpd-dev libjansson-dev uthash-dev libcmocka-dev
 libclang-rt-dev
 clang-format cppcheck shellcheck mandoc
 m4 iproute2 libsasl2-modules $libldap libwrap0
 postfix dovecot-core dovecot-imapd dovecot-pop3d dovecot-managesieved dovecot-submissiond
 dovecot-auth-lua lua-socket redis-server redis-tools openssl python3 python3-pytest python3-pytest-xdist
 python3-dnspython python3-jsonschema python3-yaml python3-spf prometheus
 chromium chromium-driver fonts-dejavu-core $valkey $web"

say() {
    printf '\n== %s\n' "$*"
}

# step NAME COMMAND...: one check; its output is shown only when it fails
step() {
    name=$1
    shift
    log=$build/log/$(printf '%s' "$name" | tr -c 'A-Za-z0-9\n' '-').log
    start=$(date +%s)
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %s (%s s)\n' "$name" "$(($(date +%s) - start))"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s (%s s)\n' "$name" "$(($(date +%s) - start))"
        tail -n 200 "$log"
    fi
}

install_packages() {
    missing=
    for package in $packages; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "tests/run.sh: missing packages:$missing" >&2
        echo "install them, or run this as root on Debian 13 or 12" >&2
        exit 1
    fi
    say "installing$missing"
    # services of the packages stay off: the tests start their own
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
    else
        policy=
    fi
    export DEBIAN_FRONTEND=noninteractive
    echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    apt-get -o DPkg::Lock::Timeout=400 -q update
    # shellcheck disable=SC2086 # a list of words
    apt-get -o DPkg::Lock::Timeout=400 -q install -y --no-install-recommends $missing
    if [ -n "$policy" ]; then
        rm -f "$policy"
        trap - EXIT INT TERM
    fi
}

# configure_in DIR ARGUMENT...: a build folder of its own
configure_in() {
    mkdir -p "$build/$1"
    (cd "$build/$1" && shift && "$top/configure" "$@")
}

compile() {
    configure_in "$@" && make -C "$build/$1" -j2 all
}

compile_tests() {
    compile "$@" && make -C "$build/$1" -j2 check TESTS= && make -C "$build/$1" -j2 bench-programs
}

unit_tests() {
    timeout --foreground -k 10 900 make -C "$build/$1" -j2 check
}

man_pages() {
    for page in milter/*.8 conf/*.5; do
        mandoc -Tlint -W warning "$page" || return 1
    done
}

distcheck() {
    configure_in dist && timeout --foreground -k 10 900 make -C "$build/dist" -j2 distcheck
}

end_to_end() {
    GATEPOST=$build/$1/milter/gatepost
    MILTER_LOAD=$build/$1/tests/bench/milter_load
    GATEPOST_BUILD=$build/$1
    export GATEPOST MILTER_LOAD GATEPOST_BUILD
    shift
    if timeout --foreground -k 30 2400 /usr/bin/python3 -m pytest "$@" -q -p no:cacheprovider; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

install_packages
mkdir -p "$build/log"
export UBSAN_OPTIONS=print_stacktrace=1
export VERBOSE=1 # make check shows what a failed test printed
export PYTHONDONTWRITEBYTECODE=1

say "static checks"
# what these two say differs from version to version: the project keeps to those of Debian 12
if clang-format --version | grep -q ' 14\.'; then
    # shellcheck disable=SC2046 # a list of files
    step "clang-format" clang-format --dry-run -Werror $(find milter include tests -name '*.[ch]')
    step "cppcheck" cppcheck --quiet --std=c11 --enable=warning,performance,portability \
        --inline-suppr --error-exitcode=1 -Iinclude --suppress=missingIncludeSystem \
        milter tests/unit tests/bench
else
    echo "left out: clang-format and cppcheck, which are to be those of Debian 12"
fi
# shellcheck disable=SC2046
step "shellcheck" shellcheck $(find milter packaging tests -name '*.sh' -o -name '*.bash') .ci/run
step "man pages" man_pages

say "builds"
step "autoreconf" autoreconf -fi
step "clang, no warnings" compile_tests clang CC=clang --enable-werror
step "without libsystemd" compile nosystemd --without-libsystemd --enable-werror
step "the configuration without libsystemd" make -C "$build/nosystemd" -j2 check TESTS=tests/unit/config/test_config
step "the house" /usr/bin/python3 tests/house/check.py "$build/clang"
step "gcc, address and undefined behaviour sanitizers" \
    compile_tests asan CC=gcc --enable-werror --enable-sanitizers=address,undefined
step "gcc, thread sanitizer" \
    compile_tests tsan CC=gcc --enable-werror --enable-sanitizers=thread
step "make distcheck" distcheck

say "fuzzers, a short run on the saved corpus"
step "fuzzers, build" sh tests/fuzz/build.sh "$build/fuzz"
step "fuzzers, run" sh tests/fuzz/run.sh "$build/fuzz" 15

say "the check of the house finds what is planted"
end_to_end clang tests/house

say "memory that fails, on the plain build"
end_to_end clang tests/e2e/test_memory.py

say "unit tests"
for flavour in clang asan tsan; do
    step "unit tests, $flavour" unit_tests "$flavour"
done

say "end to end, address and undefined behaviour sanitizers"
# two modules at a time: the tests wait more than they compute
end_to_end asan tests/e2e -n 2 --dist loadfile

if [ -n "$valkey" ]; then
    say "end to end, the same with Valkey for Redis"
    REDIS_SERVER="valkey-server"
    export REDIS_SERVER
    # shellcheck disable=SC2046 # a list of files
    end_to_end asan $(ls tests/e2e/test_redis*.py) tests/e2e/test_policy_changes.py \
        tests/e2e/test_gatepostctl.py tests/e2e/test_gatepostctl_cluster.py tests/e2e/test_faults.py \
        -n 2 --dist loadfile
    unset REDIS_SERVER
fi

say "SPF conformance and hostile zones"
end_to_end asan tests/spf

say "end to end, thread sanitizer"
end_to_end tsan tests/e2e -m concurrent

printf '\nall: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
