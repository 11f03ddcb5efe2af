# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for syncrunctl

__syncrunctl_connectors() {
        syncrunctl list --no-legend --no-pager 2>/dev/null | while read -r name _; do echo "$name"; done
}

__syncrunctl_runs() {
        syncrunctl runs --no-legend --no-pager 2>/dev/null | while read -r id _; do echo "$id"; done
}

__syncrunctl_connections() {
        syncrunctl connections --no-legend --no-pager 2>/dev/null | while read -r name _; do echo "$name"; done
}

_syncrunctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word verb=
        local verbs="list status start cancel runs show log watch enable disable connections reconnect items users
                     verify calendar reload"
        local options="--help --version --host --json= --no-pager --no-legend --quiet --full --wait --reason= --accounts=
                       --provider= --user= --outcome= --active --since= --until= --lines= --page= --base-time= --iterations="

        case $prev in
        --json) COMPREPLY=($(compgen -W "short pretty off" -- "$cur")); return ;;
        --outcome) COMPREPLY=($(compgen -W "succeeded partial failed cancelled skipped" -- "$cur")); return ;;
        --host | -H) COMPREPLY=($(compgen -A hostname -- "$cur")); return ;;
        esac
        if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W "$options" -- "$cur"))
                [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
                return
        fi
        for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                [[ $word != -* ]] && { verb=$word; break; }
        done
        case $verb in
        '') COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
        start | enable | disable | runs | watch | items) COMPREPLY=($(compgen -W "$(__syncrunctl_connectors)" -- "$cur")) ;;
        status | cancel) COMPREPLY=($(compgen -W "$(__syncrunctl_connectors) $(__syncrunctl_runs)" -- "$cur")) ;;
        show | log) COMPREPLY=($(compgen -W "$(__syncrunctl_runs)" -- "$cur")) ;;
        reconnect) COMPREPLY=($(compgen -W "$(__syncrunctl_connections)" -- "$cur")) ;;
        verify) COMPREPLY=($(compgen -f -X '!*.connector' -- "$cur")) ;;
        esac
}

complete -F _syncrunctl syncrunctl
