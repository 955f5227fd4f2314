#!/usr/bin/env bats
# Datasets that do not fit into memory: the same results, from a file beside it.

load helper
load readers

# images N SIDE: IDX files img and lab of N zeros of SIDE×SIDE and two classes.
images()
{
    { bytes "00000803$(printf '%08x%08x%08x' "$1" "$2" "$2")"; head -c $(($1 * $2 * $2)) /dev/zero; } >img
    { bytes "00000801$(printf '%08x' "$1")"; yes $'\x01' | tr '\n' '\0' | head -c "$1"; } >lab
}

# What a training stream says, without times.
said() { nas-stats --tsv train-epoch "$1" | cut -f 3-6,8-; }

train() { nas-train --net small-cnn --channels 4 --batch 16 --epochs 2 --limit 160 --valid-limit 64 --progress never "$@"; }

@test "NAS_SPILL: search, training and evaluation from a file give what memory gives; never refuses" {
    nas-ingest synthetic --option n=200 -q -o data.nas
    NAS_SPILL=always train --data data.nas -o file.nas 2>note
    grep -q '^nas-train: data.nas: 0.2 MiB of samples are read from a file in /' note
    train --data data.nas -o memory.nas 2>note
    [[ $(<note) != *"from a file"* ]]
    [[ -n $(said file.nas) && $(said file.nas) == "$(said memory.nas)" ]]
    for how in always never; do
        NAS_SPILL=$how nas-eval -q --data data.nas file.nas -o $how.nas
        nas-stats --tsv evaluation $how.nas | cut -f 3-10,12- >$how.tsv
    done
    same always.tsv never.tsv
    search() { nas-search -q --layers 1 --reduce-at none --channels 2 --epochs 1 --batch 16 "$@" | nas-stats --tsv search-epoch - | cut -f 3-5,7-; }
    [[ $(NAS_SPILL=always search <data.nas) == "$(search data.nas)" ]]
    run --separate-stderr -1 env NAS_SPILL=always TMPDIR=/no/such nas-train --data data.nas --net small-cnn -o no.nas
    one_line "$stderr"
    [[ $stderr == *"/no/such: No such file or directory" && ! -e no.nas ]]
}

# in_memory MIB COMMAND…: COMMAND in a control group with so much memory; skips the test where that cannot be had.
in_memory()
{
    [[ $(nas-train --version) != *sanitize* ]] || skip "sanitizers need more memory than the test gives"
    local root=/sys/fs/cgroup/memory limit=memory.limit_in_bytes group status=0
    group=$root$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
    [[ -d $group && -e $group/$limit ]] || { group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup); limit=memory.max; }
    mkdir "$group/nas-test-$$" 2>/dev/null || skip "no memory control group can be made here"
    group=$group/nas-test-$$
    echo $(($1 << 20)) 2>/dev/null >"$group/$limit" || { rmdir "$group"; skip "no memory limit can be set here"; }
    (echo $BASHPID >"$group/cgroup.procs" && "${@:2}") || status=$?
    rmdir "$group"
    return $status
}

@test "a dataset larger than the memory of the control group trains all the same" {
    images 9000 100
    nas-ingest img lab -q -o data.nas
    train --data data.nas -o memory.nas -q
    in_memory 64 train --data data.nas -o file.nas 2>note || { cat note; false; }
    grep -q 'MiB of samples are read from a file in .*: in memory it needs .* MiB of memory, .* MiB are free' note
    [[ -n $(said file.nas) && $(said file.nas) == "$(said memory.nas)" ]]
}

# digest FILE: of the samples, as the stream tells it.
digest() { nas-stats --json "$1" | jq -r 'first(.. | .digest? // empty)'; }

@test "a dataset larger than the memory of the control group is made all the same, whether its size is known before or not" {
    images 9000 100
    awk 'BEGIN { for (r = 0; r < 9000; r++) { s = r % 2 ? "a" : "b"; $0 = ""; for (c = 0; c < 20; c++) s = s ",1,2,3,4,5,6,7,8,9," (r * c % 10)
        t = s; for (k = 0; k < 9; k++) t = t substr(s, 2); print t } }' >table.csv
    nas-ingest img lab -q -o a.nas
    in_memory 48 nas-ingest img lab -o b.nas 2>note || { cat note; false; }
    grep -q 'samples are put together in a file in .*: in memory it needs .* MiB of memory, .* MiB are free' note
    [[ -n $(digest a.nas) && $(digest a.nas) == "$(digest b.nas)" ]]
    nas-ingest csv table.csv --targets 1 -q -o a.nas
    in_memory 48 nas-ingest csv table.csv --targets 1 -o b.nas 2>note || { cat note; false; }
    grep -q 'samples are put together in a file in ' note
    [[ -n $(digest a.nas) && $(digest a.nas) == "$(digest b.nas)" ]]
}

@test "NAS_SPILL: what is put together in a file is what memory gives, for every way into a dataset" {
    images 200 12
    yes $'a,1,2,3\nb,2,3,4' | awk '{ print $0 "," NR }' | head -n 300 >table.csv
    for from in 'img lab' 'img lab --normalize sample --balance repeat' 'table.csv --targets 1' 'synthetic --option n=200'; do
        # shellcheck disable=SC2086
        NAS_SPILL=always nas-ingest $from -q -o file.nas
        # shellcheck disable=SC2086
        NAS_SPILL=never nas-ingest $from -q -o memory.nas
        [[ -n $(digest file.nas) && $(digest file.nas) == "$(digest memory.nas)" ]]
    done
    run --separate-stderr -1 env NAS_SPILL=always TMPDIR=/no/such nas-ingest img lab -o no.nas
    one_line "$stderr"
    [[ $stderr == *"/no/such: No such file or directory" && ! -e no.nas ]]
}
