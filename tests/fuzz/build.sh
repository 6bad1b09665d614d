#!/bin/sh
# Builds the fuzz targets with clang's libFuzzer, AddressSanitizer and UBSan:
# tests/fuzz/build.sh BUILD_DIR
set -eu
build=${1:?usage: build.sh BUILD_DIR}
source=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$build"
flags="-std=c11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -Wall -Wextra -Werror -pthread
    -fsanitize=address,undefined -fno-sanitize-recover=undefined
    -I$source/include -I$source/tests/fuzz -I$source"

# object [FLAG...] FILE: the paths of all objects are left in $objects
object() {
    for file; do :; done
    name=$(basename "$file" .c)
    # shellcheck disable=SC2086 # a list of words
    "${CC:-clang}" $flags "$@" -c -o "$build/$name.o"
    objects="$objects $build/$name.o"
}

# target NAME "MILTER_SOURCE..." "HELPER..." FLAG...: the fuzzer is led by what the milter's
# sources do, not by the helpers
target() {
    target=$1
    objects=
    for file in $2; do
        object -fsanitize=fuzzer-no-link "$source/milter/$file.c"
    done
    for file in $3; do
        object "$source/$file.c"
    done
    object "$source/tests/fuzz/$target.c"
    shift 3
    # shellcheck disable=SC2086 # lists of words
    "${CC:-clang}" $flags -fsanitize=fuzzer $objects "$@" -o "$build/$target"
}
target fuzz_spf_record "spf/record spf/macro core/netblock" "milter/core/textbuf milter/core/why"
target fuzz_log_line "ctl/explain/log_line ctl/replay/past ctl/replay/verdict_line" \
    "milter/core/netblock milter/base/line milter/ctl/memory milter/core/textbuf
    milter/core/vocabulary milter/core/why" -ljansson
target fuzz_mail_talk "ctl/doors/mail_talk ctl/doors/stream ctl/doors/our_text" \
    "milter/ctl/doors/tls milter/ctl/memory milter/base/clock milter/base/host_port
    milter/core/netblock milter/core/reply milter/core/textbuf milter/core/vocabulary
    milter/core/why" -ljansson -lssl -lcrypto
target fuzz_dns_packet "dns/packet dns/question" "" -lresolv
target fuzz_spf "spf/spf spf/libspf2 spf/terms spf/record spf/macro spf/shares spf/survey" \
    "milter/core/netblock milter/core/textbuf milter/core/why milter/base/clock milter/core/vocabulary
    milter/dns/packet milter/dns/question tests/fuzz/fake_dns" -Wl,--wrap=spf_fetch,--wrap=spf_term_matches -lspf2 -lresolv
# libspf2 tells the fuzzer nothing of its insides: it is led by the name server and chance
target fuzz_libspf2_plain "dns/packet dns/question ../tests/fuzz/fake_dns" "milter/core/netblock milter/core/why" -lspf2 -lresolv
target fuzz_door "filter/doors/answer filter/doors/dovecot filter/doors/allow filter/doors/nginx_mail
    filter/doors/password base/http/http_request" \
    "milter/base/http/http_service milter/base/http/http_peers milter/base/workers milter/base/waiting
    milter/base/clock milter/base/host_port milter/core/netblock milter/core/textbuf
    milter/core/vocabulary milter/core/why" \
    -Wl,--wrap=http_response_begin,--wrap=http_response_field -lmicrohttpd -ljansson
target fuzz_settings "settings/patch settings/precondition settings/caller settings/token_line
    base/http/http_request" "milter/core/netblock milter/core/textbuf milter/core/why" -ljansson
