# shellcheck shell=bash
# helper.bash: what the .bats files share.  `load helper` at the top; then the programs are on PATH, and each test starts
# in an empty folder of its own.

bats_require_minimum_version 1.8.0

NAS_ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
NAS_BIN=${NAS_BIN:-$NAS_ROOT/bin}
# NAS_UNIT, the folder of the unit tests, is set by tests/run.
PATH=$NAS_BIN:$PATH
export NAS_ROOT NAS_BIN PATH LC_ALL=C

setup() { cd "$BATS_TEST_TMPDIR" || exit; }

# The programs that were built, one name a line.
programs() { (cd "$NAS_BIN" && ls -d nas-*); }

# pipe 'a | b': a shell pipeline whose status is that of its last failure: run -3 pipe 'nas-stats x | cat'
pipe() { bash -o pipefail -c "$1"; }

# need PROGRAM…: skips the test, aloud, where one of the names is not a command.
need()
{
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || skip "$name is not there"
    done
}

# data PATH: sets $DATA to a file or folder of the optional collection of real data, or skips.
data()
{
    DATA=${NAS_DATA:-$NAS_ROOT/../shared/data}/$1
    [[ -e $DATA ]] || skip "no $1 among the real data (NAS_DATA=folder names another place)"
}

# golden FILE: standard input must equal tests/golden/FILE, which NAS_UPDATE_GOLDEN=1 writes anew.
golden()
{
    local file=$NAS_ROOT/tests/golden/$1
    if [[ ${NAS_UPDATE_GOLDEN:-0} = 1 ]]; then
        mkdir -p "$(dirname "$file")" && cat > "$file"
    else
        diff -u "$file" - || return 1
    fi
}

# bare FILE: all of a stream as text, samples and weights too, but for what says where, when and by what it was made.
bare()
{
    lz4 -dcq "$1" | protoc --decode=nas.v1.Stream -I "$NAS_ROOT/schemas" nas/v1/nas.proto |
        grep -vE '^ *(command|unix_time|seconds|memory_bytes|checksum): '
}

# one_line TEXT: TEXT is one line that is not empty.
one_line() { [[ -n $1 && $1 != *$'\n'* ]] || { echo "not one line: $1" >&2; return 1; }; }

# same FILE FILE: equal byte for byte.
same() { cmp "$1" "$2"; }

# with_signals COMMAND…: runs it with SIGINT not ignored, as it is for what a script starts with &.
with_signals() { env --default-signal=INT,TERM,PIPE "$@"; }
