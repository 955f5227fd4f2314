#!/usr/bin/env bats
# Manners: what every program must do the same way, whatever it is for.

load helper

# each COMMAND…: runs it for every program, with the name as its last argument; stops at the first that fails.
each()
{
    local program count=0
    for program in $(programs); do
        "$@" "$program" || { echo "$program: fails" >&2; return 1; }
        count=$((count + 1))
    done
    (( count > 0 ))
}

# fails STATUS PATTERN COMMAND…: the status, one line on standard error like the pattern, and on standard output nothing,
# or after status 1 a stream that nobody takes for a whole one: a program may have begun to write before it failed.
fails()
{
    local status=0 want=$1 pattern=$2
    shift 2
    "$@" >out 2>err </dev/null || status=$?
    [[ $status = "$want" ]] || { echo "$*: status $status, not $want: $(<err)" >&2; return 1; }
    if [[ -s out ]]; then
        [[ $want = 1 ]] && ! lz4 -t out 2>/dev/null || { echo "$*: printed on standard output" >&2; return 1; }
    fi
    [[ $(wc -l <err) = 1 ]] || { echo "$*: not one line: $(<err)" >&2; return 1; }
    # shellcheck disable=SC2053
    [[ $(<err) == $pattern ]] || { echo "$*: said '$(<err)', not '$pattern'" >&2; return 1; }
}

option_names() { "$1" --completion bash | grep -o -- "compgen -W ' --[^']*'" | grep -o -- '--[a-z0-9-]*'; }

@test "there are programs to test" {
    [[ $(programs | wc -l) -ge 1 ]]
}

help_works()
{
    "$1" --help >out 2>err && [[ ! -s err ]] || return 1
    [[ $(head -1 out) == "usage: $1 "* ]] || return 1
    local option count=0
    for option in $(option_names "$1"); do
        grep -q -- "$option\b" out || { echo "$1 --help lacks $option" >&2; return 1; }
        count=$((count + 1))
    done
    (( count >= 6 )) || { echo "$1: only $count options" >&2; return 1; }
    for option in --help --version --man --output --progress --quiet --verbose; do
        grep -q -- "$option\b" out || { echo "$1 --help lacks $option" >&2; return 1; }
    done
    [[ $(awk 'length > 80' out) = "" ]] || { echo "$1 --help is wider than 80" >&2; awk 'length > 80' out >&2; return 1; }
    "$1" -h | cmp - out
}
@test "--help exits 0, names every option, fits 80 columns" {
    each help_works
}

version_works()
{
    "$1" --version >out 2>err && [[ ! -s err ]] && [[ $(head -1 out) =~ ^"$1 "[0-9]+\.[0-9]+\.[0-9]+$ ]] || return 1
    grep -q '^compiler: .*[0-9]' out && grep -q '^flags: ' out && grep -q '^backends: cpu' out
}
@test "--version tells version, compiler, flags, backends" {
    each version_works
}

man_works()
{
    "$1" --man >page.1 && MANWIDTH=78 man --warnings -E UTF-8 -l page.1 >text 2>warnings || return 1
    [[ ! -s warnings ]] || { cat warnings >&2; return 1; }
    local section
    for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS'; do
        grep -q "^$section" text || { echo "$1: no $section" >&2; return 1; }
    done
}
@test "--man is a manual page without warnings" {
    need man
    each man_works
}

completion_works()
{
    # A fresh shell takes the completion and completes the first letters of an option.
    "$1" --completion bash >completion &&
        bash -c 'source ./completion; COMP_WORDS=('"$1"' --ver); COMP_CWORD=1; _'"${1//-/_}"'
                 [[ " ${COMPREPLY[*]} " == *" --version "* && " ${COMPREPLY[*]} " != *" --help "* ]]'
}
@test "--completion bash is a completion that bash takes" {
    each completion_works
}

zsh_works() { "$1" --completion zsh >"_$1" && zsh -n "_$1"; }

# in_zsh LINE: what zsh makes of the line and the tab key. It completes in a terminal alone, and gets one.
in_zsh()
{
    LINE=$1 zsh -f -c 'zmodload zsh/zpty
        zpty -b z zsh -f -i
        zpty -w z "PROMPT=; fpath=($PWD \$fpath); autoload -U compinit; compinit -u -D; echo re\"\"ady"
        zpty -r -m z said "*ready*"
        zpty -w -n z "$LINE"$'"'\\t\\t'"'
        for i in {1..100}; do zpty -r -t z said && all+=$said && [[ $all = *$WANT* ]] && break; sleep 0.1; done
        zpty -d z; print -r -- "$all"'
}
@test "--completion zsh is a completion that zsh takes" {
    need zsh
    each zsh_works
    WANT=--version in_zsh "nas-search --ver" >said
    grep -q -- --version said
    WANT=alphas in_zsh "nas-stats --plot alph" >said
    grep -q 'alphas' said
    # words of a choice, and what an option is for
    nas-search --completion zsh | grep -qF "'--device=[Where to compute; ref: the slow definition of every operation, in double precision]:word:(auto cpu ref cuda cuda:)'"
    nas-search --completion zsh | grep -qF "'(-o --output)'{-o+,--output=}'["
}

fish_works() { "$1" --completion fish >completion.fish && fish -n completion.fish && [[ $(fish -c "source completion.fish; complete -C '$1 --ver'") == *--version* ]]; }
@test "--completion fish is a completion that fish takes" {
    need fish
    each fish_works
}

unknown_option()
{
    fails 2 "$1: unknown option '--no-such-option' *" "$1" --no-such-option
}
@test "an unknown option exits 2 with one line" {
    each unknown_option
}

bad_value()
{
    fails 2 "$1: --progress: expected auto|always|never, not 'sometimes'" "$1" --progress sometimes &&
        fails 2 "$1: --output: FILE is missing" "$1" --output &&
        fails 2 "$1: --quiet: takes no value" "$1" --quiet=yes
}
@test "a bad value, a missing value and a needless value exit 2" {
    each bad_value
}

# Every option with a number, found by what it says to a value that is none.
bad_numbers()
{
    local option bad found=0
    for option in $(option_names "$1"); do
        "$1" "$option=nonsense" </dev/null >out 2>err && continue
        grep -q 'expected a .*number' err || continue
        found=$((found + 1))
        for bad in "" 1x x1 "1 " " 1" -99999999999999999999 99999999999999999999 1e999 nan inf 0x1 --; do
            fails 2 "$1: $option: expected a *number*, not '$bad'" "$1" "$option=$bad" || return 1
        done
    done
    if "$1" --help | grep -q -- --seed; then
        (( found >= 2 )) || { echo "$1: no numbers found" >&2; return 1; }
        for bad in -1 9007199254740993; do
            fails 2 "$1: --seed: expected a whole number from 0 to 9007199254740992, not '$bad'" "$1" --seed "$bad" || return 1
        done
    fi
    if "$1" --help | grep -q -- --threads; then
        for bad in -1 0 257 1.5; do
            fails 2 "$1: --threads: expected a whole number from 1 to 256, not '$bad'" "$1" --threads "$bad" || return 1
        done
    fi
}
@test "bad numbers exit 2: empty, negative, too large, with a tail" {
    each bad_numbers
}

# arguments PROGRAM FILE: sets $words to what the program is to be given to open FILE as its input.
arguments()
{
    words=("$2")
    if [[ $1 = nas-ingest ]]; then words=(idx "$2" "$2"); fi
    if [[ " $(option_names "$1" | tr '\n' ' ')" == *" --data "* ]]; then words=(--data "$2" "$2"); fi
}

missing_file()
{
    local words
    arguments "$1" ./no-such-file.nas
    fails 1 "$1: *no-such-file*: No such file or directory*" "$1" "${words[@]}"
}
@test "a missing file exits 1 with one line that names it" {
    each missing_file
}

unwritable_folder()
{
    local status=0 words
    arguments "$1" /dev/null
    "$1" "${words[@]}" -o ./no-such-folder/out.nas >out 2>err </dev/null || status=$?
    [[ $status = [123] && ! -s out && $(wc -l <err) = 1 ]] || { echo "$1: $status: $(<err)" >&2; return 1; }
    [[ ! -e no-such-folder ]]
}
@test "an output that cannot be made: one line, no file" {
    each unwritable_folder
}

full_disk()
{
    local status=0 what
    for what in --help --version --man; do
        status=0
        "$1" $what >/dev/full 2>err || status=$?
        [[ $status = 1 && $(<err) == "$1: standard output: No space left on device" ]] || { cat err >&2; return 1; }
    done
}
@test "a full disk exits 1 and says so" {
    each full_disk
}

closed_pipe()
{
    local status=0
    # The reader is gone before the program starts.
    { bash -c 'trap "" PIPE; exec 3>&1; sleep 0.05; exec "$0" --help' "$1" 2>err; echo $? >status; } | true
    status=$(<status)
    [[ $status = 141 && ! -s err ]] || { echo "$1: status $status: $(<err)" >&2; return 1; }
}
@test "a closed pipe ends a program by SIGPIPE, silently, even where the parent ignores it" {
    each closed_pipe
}

empty_input()
{
    # Nothing at all on standard input is a broken stream, not an empty one.
    case $1 in
    nas-ingest) return 0 ;;
    nas-train | nas-eval | nas-transfer | nas-derive) set -- "$1" - ;;
    esac
    local status=0
    "$@" </dev/null >out 2>err || status=$?
    [[ ($status = 3 || $status = 1 || $status = 2) && $(wc -l <err) = 1 ]] || { echo "$*: $status: $(<err)" >&2; return 1; }
}
@test "empty input is an error of one line" {
    each empty_input
}

bare_terminal()
{
    # script(1) gives the program a terminal on all three descriptors.
    local status=0
    timeout 20 script -qec "$1" /dev/null </dev/null >out 2>&1 || status=$?
    [[ $status = 2 && $(<out) == *"usage: $1 "* ]] || { echo "$1: status $status: $(<out)" >&2; return 1; }
}
@test "on a bare terminal: usage and exit 2" {
    need script
    each bare_terminal
}
