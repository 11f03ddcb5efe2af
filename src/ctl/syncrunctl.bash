# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for syncrunctl

# The first words of a listing, from the machine that -H names.
__syncrunctl_names() {
        local -a host=()
        [[ ${COMP_LINE} =~ (-H|--host)[=\ ]*([^ ]+) ]] && host=(--host="${BASH_REMATCH[2]}")
        syncrunctl "${host[@]}" --no-legend --no-pager "$@" 2>/dev/null | while read -r name _; do echo "$name"; done
}

# Options by verb; those of __common any verb takes.
declare -gA __syncrunctl_options=(
        [__common]="--help --version --json= --no-pager --no-legend --quiet"
        [list]="--host= --provider= --user= --active --attention"
        [status]="--host= --lines="
        [start]="--host= --full --wait --reason= --accounts="
        [cancel]="--host="
        [runs]="--host= --provider= --user= --source= --outcome= --active --since= --until= --lines= --page="
        [show]="--host="
        [log]="--host= --lines= --follow"
        [watch]="--host= --provider= --user= --lines="
        [enable]="--host="
        [disable]="--host="
        [connections]="--host= --provider= --user="
        [reconnect]="--host= --done --expires= --wait"
        [deliveries]="--host= --lines="
        [redeliver]="--host="
        [withdraw]="--host= --delete-items"
        [items]="--host= --lines="
        [key add]="--host= --scope= --user="
        [key list]="--host= --user="
        [key revoke]="--host="
        [webhook add]="--host= --description= --types= --user= --disable"
        [webhook list]="--host="
        [webhook show]="--host="
        [webhook update]="--host= --url= --description= --types= --user= --enable --disable"
        [webhook remove]="--host="
        [webhook secret]="--host="
        [webhook rotate]="--host= --at-once"
        [webhook test]="--host="
        [webhook messages]="--host= --lines= --page="
        [webhook attempts]="--host= --lines= --page="
        [webhook resend]="--host="
        [webhook recover]="--host= --since="
        [users]="--host= --lines= --page="
        [verify]=""
        [doctor]=""
        [calendar]="--base-time= --iterations="
        [reload]="--host="
)

__syncrunctl_option_words() {
        case $1 in
        --json) echo short pretty off ;;
        --outcome) echo succeeded partial failed cancelled skipped ;;
        --source) echo pull webhook sdk backfill xml_import linked_account ;;
        --since | --until | --base-time | --expires) echo now today yesterday tomorrow ;;
        --types)
                echo sync.started sync.completed sync.failed sync.cancelled sync.needs_attention sync.recovered ;;
        --scope) echo sync:read sync:write sync:admin ;;
        --user) __syncrunctl_names users ;;
        --host | -H) compgen -A hostname ;;
        esac
}

_syncrunctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= i
        local verbs="list status start cancel runs show log watch enable disable connections reconnect withdraw
                     deliveries redeliver items key webhook users verify doctor calendar reload"

        # bash splits --option=value into three words.
        if [[ $cur == "=" ]]; then
                cur=
        elif [[ $prev == "=" ]]; then
                prev=${COMP_WORDS[COMP_CWORD - 2]}
        elif [[ $prev != -H && $prev != -n ]]; then
                prev=
        fi
        if [[ $prev == -* ]]; then
                COMPREPLY=($(compgen -W "$(__syncrunctl_option_words "$prev")" -- "$cur"))
                return
        fi
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                -H | -n) ((i++)) ;;
                =) ((i++)) ;;
                -*) ;;
                key | webhook) verb=${COMP_WORDS[i]} ;;
                *) verb+=${verb:+ }${COMP_WORDS[i]} && break ;;
                esac
        done
        if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W "${__syncrunctl_options[__common]} ${__syncrunctl_options[${verb:-list}]}" -- "$cur"))
                [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
                return
        fi
        case $verb in
        '') COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
        start | enable | disable | runs | watch | items | deliveries | redeliver)
                COMPREPLY=($(compgen -W "$(__syncrunctl_names list)" -- "$cur")) ;;
        cancel)
                COMPREPLY=($(compgen -W "$(__syncrunctl_names list --active) $(__syncrunctl_names runs --active)" -- "$cur")) ;;
        status | log)
                COMPREPLY=($(compgen -W "$(__syncrunctl_names list) $(__syncrunctl_names runs)" -- "$cur")) ;;
        show) COMPREPLY=($(compgen -W "$(__syncrunctl_names runs)" -- "$cur")) ;;
        connections | reconnect | withdraw) COMPREPLY=($(compgen -W "$(__syncrunctl_names connections)" -- "$cur")) ;;
        key) COMPREPLY=($(compgen -W "add list revoke" -- "$cur")) ;;
        webhook)
                COMPREPLY=($(compgen -W "add list show update remove secret rotate test messages attempts resend
                        recover" -- "$cur")) ;;
        # For others the names are behind a password, and a Tab is not to ask for one.
        "key revoke") ((EUID == 0)) && COMPREPLY=($(compgen -W "$(__syncrunctl_names key list)" -- "$cur")) ;;
        "webhook "[!al]* | "webhook attempts")
                ((EUID == 0)) && COMPREPLY=($(compgen -W "$(__syncrunctl_names webhook list)" -- "$cur")) ;;
        verify) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
        esac
}

complete -F _syncrunctl syncrunctl
