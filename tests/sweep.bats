#!/usr/bin/env bats
# pipelines/sweep: every job once, whatever fails or is killed, here and on other machines.

load helper

SWEEP=$NAS_ROOT/pipelines/sweep
OPTIONS=(--search "--layers 1 --channels 2 --batch 16 --epochs 1" --train "--layers 1 --channels 2 --batch 16 --epochs 1")

setup_file()
{
    command -v parallel >/dev/null || skip "parallel is not there"
    cd "$BATS_FILE_TMPDIR" || exit 1
    nas-ingest -q synthetic --option n=120 --option size=8 -o a.nas
    nas-ingest -q synthetic --option n=120 --option size=8 --seed 2 -o b.nas
}

setup()
{
    cd "$BATS_TEST_TMPDIR" || exit
    export NAS_SWEEPS=$PWD/sweeps
    cp "$BATS_FILE_TMPDIR"/*.nas .
}

teardown()
{
    local pid
    for pid in $(cat ./*.pid 2>/dev/null); do kill_tree "$pid"; done
}

# kill_tree PID: kill -9 for it and all that it started.
kill_tree()
{
    local child
    kill -STOP "$1" 2>/dev/null
    for child in $(ps -o pid= --ppid "$1"); do kill_tree "$child"; done
    kill -KILL "$1" 2>/dev/null || true
}

# grid LINE…: grid.tsv, columns separated by blanks.
grid() { printf '%s\n' "$@" | tr ' ' '\t' >grid.tsv; }

# until_there FILE
until_there()
{
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        compgen -G "$1" >/dev/null && return
        sleep 0.05
    done
    echo "no $1" >&2
    return 1
}

# equal FOLDER FOLDER: the same results, but for times and provenance.
equal()
{
    local file count=0
    for file in "$1"/results/*.nas; do
        cmp <(bare "$file") <(bare "$2/results/${file##*/}") || return 1
        count=$((count + 1))
    done
    [[ $count = $(find "$2/results" -type f | wc -l) && $count -gt 0 ]]
}

@test "jobs run whatever login shell there is" {
    grid "data cell" "a.nas net:linear"
    SHELL=/bin/false "$SWEEP" "${OPTIONS[@]}" grid.tsv one
    env -u SHELL "$SWEEP" "${OPTIONS[@]}" grid.tsv two
    equal one two
}

@test "a grid's rows are jobs; failing ones are named, and alone tried again" {
    grid "data cell strategy seed" "a.nas - darts1 1" "# a comment" "b.nas - gdas 2" "a.nas random:2 - 3" "b.nas net:linear" \
        "a.nas - none-such 1" "a.nas - darts1 1" "a.nas named:DARTS_V2"
    run -1 "$SWEEP" "${OPTIONS[@]}" grid.tsv out
    [[ $output == *"is in the grid more than once"*"failed a_none-such_1-"*", status 2: nas-search: --strategy none-such: "* ]]
    [[ $output == *"sweep: 5 of 6 jobs done: $PWD/out/all.nas"* ]]
    [[ $(find out/results -type f | wc -l) = 5 ]]
    nas-stats --check out/all.nas
    [[ $(nas-stats --tsv evaluation out/all.nas | awk -F '\t' '$12 == "accuracy" { print $3 }' | tr '\n' ' ') = \
        "search-darts1-1 search-gdas-2 random-3-1 random-3-2 linear DARTS_V2 " ]]
    # what is refused is not tried three times; the work of what is done is gone
    [[ $(cat out/log/a_none-such* | grep -c '^== ') = 1 && $(ls out/work) == a_none-such* ]]
    stat -c '%n %i' out/results/* >before
    run -1 "$SWEEP" "${OPTIONS[@]}" --resume grid.tsv out
    [[ $(cat out/log/a_none-such* | grep -c '^== ') = 1 ]]
    run -1 "$SWEEP" "${OPTIONS[@]}" grid.tsv out
    [[ $(cat out/log/a_none-such* | grep -c '^== ') = 2 && $(cat out/log/* | grep -c '== nas-search') = 4 ]]
    stat -c '%n %i' out/results/* | cmp - before
    # the cause is gone: the grid without it is done, in no time
    sed -i '/none-such/d' grid.tsv
    "$SWEEP" "${OPTIONS[@]}" grid.tsv out
    # other data under the same name is another job
    cp b.nas a.nas
    [[ $("$SWEEP" "${OPTIONS[@]}" --dry-run grid.tsv out | grep -c '^# ') = 3 ]]
}

@test "--cross: all combinations; --dry-run: commands that a shell can run" {
    grid "data strategy seed train.channels" "a.nas darts1 1 2" "b.nas gdas 2" "  3"
    "$SWEEP" --cross "${OPTIONS[@]}" --derive '--rule perturbation' --dry-run grid.tsv >all
    [[ $(grep -c '^# ' all) = 12 && $(grep '^# ' all | sort -u | wc -l) = 12 && $(wc -l <all) = 60 ]]
    grep -q "nas-derive --rule perturbation --seed 3 --data $PWD/b.nas search.nas" all
    "$SWEEP" --cross "${OPTIONS[@]}" --until derive --dry-run grid.tsv | tail -2 >commands
    THREADS=1 bash -e commands 2>/dev/null
    nas-derive -q --print cells.nas | grep -q '^Genotype'
}

@test "a wrong grid or option is one line and status 2, and nothing is run" {
    local case
    for case in "data seed|none.nas 1|no such file" "seed|1|no column data" "data|a.nas 1|2 fields, 1 columns" \
        "data cell|a.nas what|cell what" "data Bad!|a.nas 1|no name of a column" "data||no job"; do
        IFS='|' read -r head row words <<<"$case"
        grid "$head" "$row"
        run -2 --separate-stderr "$SWEEP" grid.tsv out
        one_line "$stderr"
        [[ $stderr == sweep:*"$words"* && ! -e out ]] || { echo "$case: $stderr" >&2; return 1; }
    done
    for case in "--no-such x" "--jobs x grid.tsv" "--sync x grid.tsv" "--until x grid.tsv" "" "nothing.tsv" "grid.tsv out more" "--train"; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr "$SWEEP" $case
        one_line "$stderr"
    done
}

@test "kill -9 in the middle: what was done stays, what was not goes on from its checkpoint" {
    need lz4 protoc
    grid "data cell seed" "a.nas random:1 1" "a.nas - 1" "b.nas - 2"
    local options=(--search "--layers 1 --channels 2 --batch 8 --epochs 60 --checkpoint-every 20" "${OPTIONS[@]:2}")
    "$SWEEP" "${options[@]}" --jobs 3 grid.tsv whole
    "$SWEEP" "${options[@]}" --jobs 3 grid.tsv out &
    until_there "out/results/a_random*"
    until_there "out/work/b*/search.ck"
    until_there "out/work/a_1*/search.ck"
    kill_tree $!
    [[ $(ls out/results | wc -l) -lt 3 ]]
    "$SWEEP" "${options[@]}" --jobs 3 grid.tsv out
    grep -q 'nas-search .*--resume search.ck' out/log/*
    [[ $(cat out/log/a_random* | grep -c '^== nas-train') = 1 ]]
    equal whole out
    # SIGTERM: the programs save themselves
    rm -r out
    env --default-signal=TERM "$SWEEP" "${options[@]}" --jobs 3 grid.tsv out &
    until_there "out/work/b*/search.nas.tmp*"
    kill -TERM $!
    run wait $!
    "$SWEEP" "${options[@]}" --jobs 3 grid.tsv out
    equal whole out
}

@test "a job on a GPU has one of its own; processors are divided among jobs" {
    mkdir stub
    printf '#!/bin/sh\nprintf "0\\n1\\n"\n' >stub/nvidia-smi
    # what the job sees, and how many are in the same place at once
    cat >stub/nas-train <<-'END'
	#!/bin/bash
	set -o noclobber
	echo "$CUDA_VISIBLE_DEVICES $*" >"$SEEN/held.$CUDA_VISIBLE_DEVICES" || exit 9
	cat "$SEEN/held.$CUDA_VISIBLE_DEVICES" >>"$SEEN/seen"
	sleep 0.2
	rm "$SEEN/held.$CUDA_VISIBLE_DEVICES"
	exec "$REAL/nas-train" "$@"
	END
    chmod +x stub/*
    ln -s "$NAS_BIN"/* stub/ 2>/dev/null || true
    grid "data cell seed" "a.nas net:linear 1" "a.nas net:linear 2" "a.nas net:linear 3" "a.nas net:linear 4"
    env -u CUDA_VISIBLE_DEVICES PATH="$PWD/stub:$PATH" NAS_BIN="$PWD/stub" REAL="$NAS_BIN" SEEN="$PWD" \
        "$SWEEP" "${OPTIONS[@]}" --jobs 3 grid.tsv out
    [[ $(cut -d ' ' -f 1 seen | sort | uniq -c | tr -s ' \n' ' ') =~ ^\ [1-3]\ 0\ [1-3]\ 1\ $ ]]
    grep -q -- "--threads $(($(nproc) / 3 > 0 ? $(nproc) / 3 : 1)) " seen
}

# machine N: a machine of its own port and home on loopback, as $machine; or skips, aloud.
machine()
{
    local sshd tries port home=$PWD/home$1
    sshd=$(command -v sshd || echo /usr/sbin/sshd)
    [[ -x $sshd ]] || skip "sshd is not there"
    (( EUID )) || mkdir -p /run/sshd
    mkdir -p "$home"
    [[ -e key ]] || ssh-keygen -q -t ed25519 -N '' -f key
    for ((tries = 0; tries < 5; tries++)); do
        port=$((20000 + RANDOM % 12000))
        printf '%s\n' "Port $port" "ListenAddress 127.0.0.1" "HostKey $PWD/key" "AuthorizedKeysFile $PWD/key.pub" \
            "StrictModes no" "UsePAM no" "PidFile none" \
            "ForceCommand export HOME=$home; cd; exec sh -c \"\$SSH_ORIGINAL_COMMAND\"" >"sshd$1.conf"
        "$sshd" -f "sshd$1.conf" -D -e 2>"sshd$1.log" 3>&- &
        echo $! >"sshd$1.pid"
        machine="ssh -i $PWD/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p $port 127.0.0.1"
        until_there "sshd$1.log"
        for _ in {1..40}; do
            ! grep -q listening "sshd$1.log" || break
            sleep 0.1
        done
        [[ $($machine echo yes 2>/dev/null) = yes ]] && return
    done
    skip "sshd does not run here: $(tail -1 "sshd$1.log")"
}

@test "two machines by ssh, one of them killed in the middle: data sent once, checkpoints carried over, nothing lost" {
    need lz4 protoc ssh
    [[ $(nas-train --version) != *sanitize* ]] || skip "sanitizers' settings do not go through ssh"
    unset NAS_SWEEPS
    local machine one two
    machine 1
    one=$machine
    machine 2
    two=$machine
    grid "data seed" "a.nas 1" "b.nas 2"
    local options=(--search "--layers 1 --channels 2 --batch 8 --epochs 40 --checkpoint-every 20" --until derive)
    "$SWEEP" "${options[@]}" grid.tsv whole
    "$SWEEP" "${options[@]}" --sync 0 -S "1/$one" -S "1/$two" -S "1/false nowhere" grid.tsv out 2>said &
    until_there "out/work/a_1*/search.ck"
    until_there "out/work/b_2*/search.ck"
    kill_tree "$(<sshd1.pid)"
    rm sshd1.pid
    wait $! || { cat said out/log/* >&2; return 1; }
    grep -q 'nowhere: left out' said
    [[ $(grep -l 'the connection was lost' out/log/* | wc -l) = 1 ]]
    grep -q 'nas-search .*--resume search.ck .*' "$(grep -l 'the connection was lost' out/log/*)"
    equal whole out
    [[ -z $(ls out/work) && -z $(ls home2/.cache/nas-sweep/work) ]]
    # on the machine that is left: another job with the same data, which is there
    grid "data seed" "a.nas 1" "b.nas 2" "b.nas 3"
    cp out/sent sent
    "$SWEEP" "${options[@]}" -S "2/$two" grid.tsv out
    cmp sent out/sent
    # what arrives must be what was sent
    local file
    for file in home2/.cache/nas-sweep/data/*.nas; do echo garbage >"$file"; done
    grid "data seed" "b.nas 4"
    "$SWEEP" "${options[@]}" -S "2/$two" grid.tsv out
    [[ $(wc -l <out/sent) = $(($(wc -l <sent) + 1)) ]]
}

@test "--slurm writes an array script that shellcheck takes and whose tasks run" {
    need shellcheck
    grid "data cell seed" "a.nas net:linear 1" "a.nas net:linear 2"
    "$SWEEP" "${OPTIONS[@]}" --slurm grid.tsv out
    shellcheck out/sweep.sbatch
    grep -q '^#SBATCH --array=1-2$' out/sweep.sbatch
    local task
    for task in 2 1 2; do SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task bash out/sweep.sbatch; done
    run -0 "$SWEEP" "${OPTIONS[@]}" grid.tsv out
    [[ $output == "sweep: 2 of 2 jobs done"* ]]
    [[ $(cat out/log/* | grep -c '^== nas-train') = 2 ]]
    # the signal of Slurm before a job's time is over
    grid "data seed" "a.nas 1"
    local options=(--search "--layers 1 --channels 2 --batch 8 --epochs 60 --checkpoint-every 20" --until derive)
    "$SWEEP" "${options[@]}" grid.tsv whole
    "$SWEEP" "${options[@]}" --slurm grid.tsv half
    SLURM_ARRAY_TASK_ID=1 env --default-signal=TERM bash half/sweep.sbatch &
    until_there "half/work/*/search.ck"
    kill -TERM $!
    local status=0
    wait $! || status=$?
    [[ $status = 143 && -e $(echo half/work/*/search.ck) && ! -e $(echo half/work/*/search.nas) ]]
    SLURM_ARRAY_TASK_ID=1 bash half/sweep.sbatch
    grep -q 'nas-search .*--resume search.ck' half/log/*
    equal whole half
}
