# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for syncrunctl

# Asks the machine that -H names.
__syncrunctl_ask() {
        local -a host=()
        [[ ${COMP_LINE} =~ (-H|--host)[=\ ]*([^ ]+) ]] && host=(--host="${BASH_REMATCH[2]}")
        syncrunctl "${host[@]}" --no-legend --no-pager "$@" 2>/dev/null
}

# The first words of its lines: whatever that machine sends, names only come through.
__syncrunctl_only_names() {
        local name
        while read -r name _; do
                [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._@-]*$ ]] && echo "$name"
        done
}

__syncrunctl_names() {
        __syncrunctl_ask "$@" | __syncrunctl_only_names
}

__syncrunctl_providers() {
        __syncrunctl_ask list --json=short | grep -o '"provider":"[^"]*' | cut -d '"' -f 4 | sort -u |
                __syncrunctl_only_names
}

# Those of the words in $2 that begin with $1, as they stand: 'compgen -W' would expand and run what is in them.
__syncrunctl_offer() {
        local -a words
        local word
        read -rd '' -a words <<<"$2"
        for word in "${words[@]}"; do
                [[ $word == "$1"* ]] && COMPREPLY+=("$word")
        done
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

__syncrunctl_takes_value() {
        [[ $1 == -[Hn] || " ${__syncrunctl_options[*]} " == *" $1= "* ]]
}

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
        --provider) __syncrunctl_providers ;;
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
        elif ! __syncrunctl_takes_value "$prev"; then
                prev=
        fi
        COMPREPLY=()
        if [[ $prev == -* ]]; then
                __syncrunctl_offer "$cur" "$(__syncrunctl_option_words "$prev")"
                return
        fi
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                =) ((i++)) ;;
                -*) __syncrunctl_takes_value "${COMP_WORDS[i]}" && [[ ${COMP_WORDS[i + 1]} != "=" ]] && ((i++)) ;;
                key | webhook) verb=${COMP_WORDS[i]} ;;
                *) verb+=${verb:+ }${COMP_WORDS[i]} && break ;;
                esac
        done
        if [[ $cur == -* ]]; then
                __syncrunctl_offer "$cur" "${__syncrunctl_options[__common]} ${__syncrunctl_options[${verb:-list}]}"
                [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
                return
        fi
        case $verb in
        '') __syncrunctl_offer "$cur" "$verbs" ;;
        list | start | enable | disable | runs | watch | items | deliveries | redeliver)
                __syncrunctl_offer "$cur" "$(__syncrunctl_names list)" ;;
        cancel)
                __syncrunctl_offer "$cur" "$(__syncrunctl_names list --active) $(__syncrunctl_names runs --active)" ;;
        status | log)
                __syncrunctl_offer "$cur" "$(__syncrunctl_names list) $(__syncrunctl_names runs)" ;;
        show) __syncrunctl_offer "$cur" "$(__syncrunctl_names runs)" ;;
        connections | reconnect | withdraw) __syncrunctl_offer "$cur" "$(__syncrunctl_names connections)" ;;
        key) __syncrunctl_offer "$cur" "add list revoke" ;;
        webhook)
                __syncrunctl_offer "$cur" "add list show update remove secret rotate test messages attempts resend
                        recover" ;;
        # For others the names are behind a password, and a Tab is not to ask for one.
        "key revoke") ((EUID == 0)) && __syncrunctl_offer "$cur" "$(__syncrunctl_names key list)" ;;
        "webhook "[!al]* | "webhook attempts")
                ((EUID == 0)) && __syncrunctl_offer "$cur" "$(__syncrunctl_names webhook list)" ;;
        verify) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        esac
}

complete -F _syncrunctl syncrunctl
