#!/bin/sh
# Writes C source that holds files octet by octet: the table that page_files.h declares. Needs no more
# than sh, od and awk.
#
#   embed.sh FILE... >page_files.c
set -eu
export LC_ALL=C

# array N FILE
array() {
    printf 'static const char file_%s[] = {\n' "$1"
    od -An -v -b "$2" | awk '{
        line = "   "
        for (i = 1; i <= NF; i++) line = line " '\''\\" $i "'\'',"
        print line
    } END { print "    '\''\\0'\''};" }'
}

echo "/* Made by embed.sh of the files in page/. */"
echo '#include "milter/settings/page_files.h"'
n=0
for file; do
    array $n "$file"
    n=$((n + 1))
done
echo "const struct page_source page_files[] = {"
n=0
for file; do
    printf '    {"%s", file_%s, sizeof file_%s - 1},\n' "${file##*/}" $n $n
    n=$((n + 1))
done
echo "    {0, 0, 0}};"
