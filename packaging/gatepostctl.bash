# shellcheck shell=bash
# Completion of gatepostctl(8) for bash. It asks gatepostctl itself: its summary for the commands and
# the names of their arguments, and the store for accounts and networks, with the configuration that
# stands on the line; where that may not be read there is none of these.
#
# The functions below share the variables of _gatepostctl. A new command needs something here only if
# it has an argument of a new name, or is one more that does not write.

# What the store has: _gatepostctl_ask COMMAND...
_gatepostctl_ask() {
    timeout 2 gatepostctl "${conf[@]}" "$@" 2>/dev/null
}

# The titles of the listener sections of the configuration.
_gatepostctl_listeners() {
    local file=${conf[1]:-}
    [[ -n $file ]] || file=$(gatepostctl -h | sed -n 's/.*the configuration (\(.*\))$/\1/p')
    sed -n 's/^[[:space:]]*listener[[:space:]]*"\([^"]*\)".*/\1/p' "$file" 2>/dev/null
}

# Finds the command: `named` words of the line are its name, `usage` is what follows in the summary.
_gatepostctl_find() {
    local text
    local -a parts
    for text in "${summary[@]}"; do
        read -ra parts <<<"$text"
        [[ ${parts[0]} == "$head" ]] || continue
        named=1
        [[ ${parts[1]:-} != [[:lower:]]* ]] || named=2
        [[ $named == 1 || ${parts[1]} == "$sub" ]] || continue
        usage=("${parts[@]:named}")
        return
    done
    named=0
}

# The summary's name of the argument that comes next; nothing when none does.
_gatepostctl_next() {
    local at=$((${#args[@]} - named)) name
    local -a wanted=()
    for name in "${usage[@]}"; do
        [[ $name != '[--'* ]] || break
        wanted+=("$name")
    done
    [[ $named != 0 && ${#wanted[@]} != 0 ]] || return
    name=${wanted[at]:-}
    [[ -n $name || ${wanted[-1]} != *... ]] || name=${wanted[-1]}
    name=${name#[}
    echo "${name%]}"
}

# The words of names that commands have there.
_gatepostctl_names() {
    local text
    local -a parts
    for text in "${summary[@]}"; do
        read -ra parts <<<"$text"
        if [[ ${#args[@]} == 0 ]]; then
            echo "${parts[0]}"
        elif [[ ${#args[@]} == 1 && ${parts[0]} == "$head" && ${parts[1]:-} == [[:lower:]]* ]]; then
            echo "${parts[1]}"
        fi
    done
}

# Of lines "ENTRY SUBJECT ..." the entries of one subject, which alone can be removed there.
_gatepostctl_own() {
    local entry subject
    while read -r entry subject _; do
        [[ $subject != "$1" && $subject != "$1"@* ]] || echo "$entry"
    done
}

# What may stand for an argument of that name.
_gatepostctl_values() {
    local known
    case "$head $sub $1" in
    *' ACCOUNT' | *' SUBJECT') _gatepostctl_ask account list "$cur*" ;;
    network\ *' NAME') _gatepostctl_ask network list ;;
    protocol\ *' NAME...')
        # sections of the configuration, and services that none of them binds
        known=$(_gatepostctl_ask account show '*' --all |
            sed -n '/^protocols$/,/^$/s/^  \([^ ]*\).*/\1/p')
        echo "${known:-smtp submission submissions imap pop3 sieve caldav carddav webdav activesync \
            jmap webmail}"
        ;;
    'ip remove CIDR'* | 'as remove ADDRESS')
        _gatepostctl_ask "$head" list "${args[2]}" |
            _gatepostctl_own "account:${args[2]#account:}"
        ;;
    'network remove CIDR')
        _gatepostctl_ask network list "${args[2]}" | _gatepostctl_own store
        ;;
    *' RESULT') echo none neutral pass softfail fail temperror permerror ;;
    *' ACTION') echo accept mark defer reject ;;
    esac
}

# The options of the command.
_gatepostctl_options() {
    echo --json
    case "$head $sub" in
    ' ') echo -c -V -h ;;
    'account ' | 'account show' | 'ip ' | 'as ' | 'network ' | *' list' | 'spf ' | 'spf check' | lint\ * | \
        export\ * | history\ * | use\ * | unused\ * | suggest\ * | replay\ * | doors\ * | explain\ * | status\ * | reload\ *) ;;
    *) echo --dry-run --force --actor ;;
    esac
    grep -o -e '--[a-z-]*' <<<"${usage[*]}"
}

_gatepostctl() {
    local line=${COMP_LINE:0:COMP_POINT} cur='' word head sub candidates='' kept i named=0
    local -a words=() conf=() args=() summary=() usage=()
    # readline breaks words at "@" and ":", which accounts and addresses have
    read -ra words <<<"$line"
    if [[ $line != *[[:space:]] && ${#words[@]} -gt 1 ]]; then
        cur=${words[-1]}
        unset 'words[-1]'
    fi
    for ((i = 1; i < ${#words[@]}; i++)); do
        word=${words[i]}
        case $word in
        -c)
            i=$((i + 1))
            conf=(-c "${words[i]:-}")
            ;;
        --until | --since | --actor | --field | --last | --ip | --helo | --from | --login | \
            --listener | --log | --door | --service | --for | --canary | --password-file | --port | \
            --path | --address | --timeout | --with | --policy | --format)
            i=$((i + 1))
            ;;
        -*) ;;
        *) args+=("$word") ;;
        esac
    done
    head=${args[0]:-} sub=${args[1]:-}
    mapfile -t summary < <(gatepostctl -h 2>/dev/null | sed -n 's/^  \([a-z]\)/\1/p')
    _gatepostctl_find
    COMPREPLY=()

    case ${words[-1]} in
    -c)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --password-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --from | --login | --canary)
        candidates=$(_gatepostctl_ask account list "$cur*" | grep -v '^[@*]')
        ;;
    --listener) candidates=$(_gatepostctl_listeners) ;;
    --policy)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --door) candidates='mta dovecot http' ;;
    --format) candidates='text logfmt' ;;
    --service)
        candidates='smtp submission submissions imap pop3 sieve caldav carddav webdav activesync jmap
            webmail'
        ;;
    --until | --since | --actor | --field | --last | --ip | --helo | --log | --for | --port | \
        --path | --address | --timeout | --with) return ;;
    *)
        if [[ $cur == -* ]]; then
            candidates=$(_gatepostctl_options)
        else
            word=$(_gatepostctl_next)
            [[ $word != FILE* && $head != replay ]] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            candidates=$(_gatepostctl_names; _gatepostctl_values "$word")
        fi
        ;;
    esac
    # what stands before the last word break is on the line already
    kept=${cur%"${cur##*[@:=]}"}
    while read -r word; do
        [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("${word#"$kept"}")
    done < <(tr -s ' \t' '\n' <<<"$candidates" | uniq)
}

complete -F _gatepostctl gatepostctl
