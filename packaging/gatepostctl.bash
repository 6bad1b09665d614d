# shellcheck shell=bash
# Completion of gatepostctl(8) for bash. It asks gatepostctl itself for accounts and networks, with
# the configuration that stands on the line; where that may not be read there is none of these.

# Words of the store that begin with what is typed: _gatepostctl_ask COMMAND...
_gatepostctl_ask() {
    timeout 2 gatepostctl "${conf[@]}" "$@" 2>/dev/null
}

# The titles of the listener sections of the configuration.
_gatepostctl_listeners() {
    local file=${conf[1]:-}
    [[ -n $file ]] || file=$(gatepostctl -h | sed -n 's/.*the configuration (\(.*\))$/\1/p')
    sed -n 's/^[[:space:]]*listener[[:space:]]*"\([^"]*\)".*/\1/p' "$file" 2>/dev/null
}

_gatepostctl() {
    local line=${COMP_LINE:0:COMP_POINT} cur='' word head sub candidates='' kept i
    local -a words=() conf=() args=()
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
            --listener | --log)
            i=$((i + 1))
            ;;
        -*) ;;
        *) args+=("$word") ;;
        esac
    done
    COMPREPLY=()
    if [[ ${words[-1]} == -c ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    fi
    case ${words[-1]} in
    --from | --login)
        candidates=$(_gatepostctl_ask account list "$cur*" | grep -v '^[@*]')
        ;;
    --listener) candidates=$(_gatepostctl_listeners) ;;
    --until | --since | --actor | --field | --last | --ip | --helo | --log) return ;;
    esac
    head=${args[0]:-} sub=${args[1]:-}

    if [[ ${words[-1]} == --from || ${words[-1]} == --login || ${words[-1]} == --listener ]]; then
        :
    elif [[ $cur == -* ]]; then
        candidates='--json'
        case "$head $sub" in
        'account delete' | protocol\ * | source\ * | 'ip remove' | 'spf set' | 'spf unset' | \
            tls\ * | mode\ * | 'network add' | 'network remove')
            candidates+=' --dry-run --force --actor'
            ;;
        'ip add') candidates+=' --dry-run --force --actor --until' ;;
        import\ *) candidates+=' --dry-run --force --actor --replace' ;;
        lint\ *) candidates+=' --since' ;;
        history\ *) candidates+=' --since --actor --field --last' ;;
        explain\ *) candidates+=' --ip --helo --from --login --tls --listener --log' ;;
        status\ *) candidates+=' --watch' ;;
        ' ') candidates+=' -c -V -h' ;;
        esac
    else
        case "${#args[@]} $head $sub" in
        '0  ')
            candidates='account protocol source ip spf tls mode network lint export import history
                explain status reload'
            ;;
        '1 account ') candidates='show list delete' ;;
        '1 protocol ') candidates='on off unset' ;;
        '1 source ') candidates='any authorized unset' ;;
        '1 ip ' | '1 network ') candidates='add remove list' ;;
        '1 spf ') candidates='set unset' ;;
        '1 tls ') candidates='required optional unset' ;;
        '1 mode ') candidates='enforce monitor unset' ;;
        '1 import ') mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        '1 history ' | '2 account show' | '2 account delete' | 2\ protocol\ * | 2\ source\ * | \
            2\ ip\ * | '2 spf set' | '2 spf unset' | 2\ tls\ * | 2\ mode\ *)
            candidates=$(_gatepostctl_ask account list "$cur*")
            ;;
        2\ network\ *) candidates=$(_gatepostctl_ask network list) ;;
        [3-9]*\ protocol\ *)
            # sections of the configuration, and services that none of them binds
            candidates=$(_gatepostctl_ask account show '*' |
                sed -n '/^protocols$/,/^$/s/^  \([^ ]*\).*/\1/p')
            [[ -n $candidates ]] || candidates="smtp submission submissions imap pop3 sieve
                caldav carddav webdav activesync jmap webmail"
            ;;
        '3 ip remove')
            candidates=$(_gatepostctl_ask ip list "${args[2]}" | cut -d ' ' -f 1)
            ;;
        '3 network remove')
            candidates=$(_gatepostctl_ask network list "${args[2]}" | cut -d ' ' -f 1)
            ;;
        '3 spf set' | '3 spf unset')
            candidates='none neutral pass softfail fail temperror permerror'
            ;;
        '4 spf set') candidates='accept mark defer reject' ;;
        esac
    fi
    # what stands before the last word break is on the line already
    kept=${cur%"${cur##*[@:=]}"}
    while read -r word; do
        [[ -n $word && $word == "$cur"* ]] && COMPREPLY+=("${word#"$kept"}")
    done < <(tr -s ' \t' '\n' <<<"$candidates")
}

complete -F _gatepostctl gatepostctl
