#!/bin/bash
# meerkat-demo: a publisher to look at. Sends numbers to counter sessions, one after the other, awaits each completion, and compares
# the counter with its own sum. An input without an answer is sent again under its id, so it counts once, whatever happened to
# the nodes meanwhile. Who owns what is shown every now and then.
#
#   MEERKAT_DEMO_SESSIONS   how many sessions (6)
#   MEERKAT_DEMO_PAUSE      seconds between two inputs (0.4)
#   MEERKAT_DEMO_COUNT      ends after so many inputs, with 0 if every sum was right; 0: never ends (0)
sessions=${MEERKAT_DEMO_SESSIONS:-6} pause=${MEERKAT_DEMO_PAUSE:-0.4} count=${MEERKAT_DEMO_COUNT:-0}
name=demo-$(date +%H%M%S) # sessions of its own at each start: their sums begin with 0
declare -A sum
wrong=0
trap 'exit 0' TERM INT

say() {
    printf '%s  %s\n' "$(date +%H:%M:%S.%3N)" "$*"
}

# SESSION BODY ID: sends until there is an answer for good. The answer's last line is in $answer. 0: completed.
send() {
    local code
    while :; do
        answer=$(meerkat send "$1" "$2" --executor counter --id "$3" --wait --json --timeout 5s 2>/dev/null)
        code=$? answer=${answer##*$'\n'}
        case $code in
        3) say "$1: no answer to $3 in 5 s; sent again with the same id" ;;
        4)
            [[ $answer == *'"final":false'* ]] || return 1
            say "$1: $3 is refused for now; sent again with the same id"
            sleep 1
            ;;
        *) return "$code" ;;
        esac
    done
}

field() {
    [[ $answer =~ \"$1\":\"?([^,\"\}]*) ]] && printf '%s' "${BASH_REMATCH[1]}"
}

report() {
    local value began=${EPOCHREALTIME/./}
    if ! send "$1" "$2" "$3"; then
        say "$1: $3 was not completed: $answer"
        wrong=$((wrong + 1))
        return
    fi
    value=$(field value) sum[$1]=$((${sum[$1]:-0} + $2))
    local ms=$(((${EPOCHREALTIME/./} - began) / 1000)) took= verdict=
    if ((ms >= 500)); then # what stood still; the usual tenth of a second is this program's own, joining the bus
        took="  after $((ms / 1000)).$((ms % 1000 / 100)) s"
    fi
    if [ "$value" != "${sum[$1]}" ]; then
        verdict="  WRONG: the sum is ${sum[$1]}"
        wrong=$((wrong + 1)) sum[$1]=$value
    fi
    say "$1  +$2 = $value  by $(field node)$took$verdict"
}

say "numbers to $sessions sessions; each line is one completed input"
for ((n = 0; count == 0 || n < count; n++)); do
    if ((n % 25 == 0)); then
        meerkat nodes
    fi
    report "$name-$((n % sessions + 1))" $((n % 9 + 1)) "$name-$n"
    sleep "$pause"
done
say "$count inputs, $wrong wrong"
[ "$wrong" -eq 0 ]
