#!/usr/bin/env bats
# The array job of pipelines/sweep --slurm on a true Slurm: a cluster of this machine alone, which the test starts and ends
# (Debian packages slurmctld, slurmd, slurm-client). It trusts whoever asks, on the loopback, as long as the test runs.

load helper

SWEEP=$NAS_ROOT/pipelines/sweep

# cluster: starts it, or skips, aloud.
cluster()
{
    local tries port=$((33000 + RANDOM % 10000)) me
    PATH=$PATH:/usr/sbin:/sbin
    need parallel slurmctld slurmd sbatch
    me=$(id -un)
    cluster=$PWD/cluster
    mkdir -p "$cluster/state" "$cluster/spool"
    export SLURM_CONF=$cluster/slurm.conf
    printf '%s\n' ClusterName=nas "SlurmctldHost=$(uname -n)(127.0.0.1)" "SlurmctldPort=$port" "SlurmdPort=$((port + 1))" \
        "SlurmUser=$me" "SlurmdUser=$me" AuthType=auth/none CredType=cred/none \
        "StateSaveLocation=$cluster/state" "SlurmdSpoolDir=$cluster/spool" "SlurmctldPidFile=$cluster/ctld.id" \
        "SlurmdPidFile=$cluster/slurmd.id" ProctrackType=proctrack/pgid TaskPlugin=task/none MpiDefault=none \
        JobAcctGatherType=jobacct_gather/none SelectType=select/cons_tres SelectTypeParameters=CR_Core KillWait=5 \
        "NodeName=$(uname -n) NodeAddr=127.0.0.1 CPUs=$(nproc)" 'PartitionName=all Nodes=ALL Default=YES State=UP' >"$SLURM_CONF"
    slurmctld -D -c >ctld.log 2>&1 3>&- &
    echo $! >ctld.pid
    slurmd -D >slurmd.log 2>&1 3>&- &
    echo $! >slurmd.pid
    for ((tries = 0; tries < 100; tries++)); do
        [[ $(sinfo -h -o %t 2>/dev/null) != idle ]] || return 0
        sleep 0.1
    done
    skip "no cluster starts here: $(tail -qn 1 slurmd.log ctld.log)"
}

teardown()
{
    local pid
    [[ ! -e slurmd.pid ]] || scancel --user="$(id -un)" 2>/dev/null || true
    for pid in $(cat slurmd.pid ctld.pid 2>/dev/null); do
        kill "$pid" 2>/dev/null || continue
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    done
}

# finished: until no job is left.
finished()
{
    local tries
    for ((tries = 0; tries < 3000; tries++)); do
        [[ -n $(squeue -h) ]] || return 0
        sleep 0.2
    done
    squeue >&2
    return 1
}

# submitted [OPTION…]: the array, by sbatch with these options; until its end.
# shellcheck disable=SC2120
submitted() { sbatch "$@" out/sweep.sbatch && finished; }

@test "Slurm runs the array; the sweep then joins the results" {
    cluster
    nas-ingest -q synthetic --option n=120 --option size=8 -o a.nas
    printf '%b\n' 'data\tcell\tseed' 'a.nas\tnet:linear\t1' 'a.nas\tnet:linear\t2' 'a.nas\tnamed:NONE\t3' >grid.tsv
    local options=(--train "--layers 1 --channels 2 --batch 16 --epochs 1")
    "$SWEEP" "${options[@]}" --slurm grid.tsv out
    submitted
    [[ $(find out/results -type f | wc -l) = 2 ]]
    grep -q '^done a_net_linear_1' out/log/slurm-1
    grep -q '^failed a_named_NONE_3.*no such cell' out/log/slurm-3 || { cat out/log/slurm-3 >&2; return 1; }
    # of the processors of a node a job takes those that it was given
    grep -qE ", $(($(nproc) < 4 ? $(nproc) : 4)) threads? " out/log/a_net_linear_1*
    sed -i '/NONE/d' grid.tsv
    run -0 "$SWEEP" "${options[@]}" grid.tsv out
    [[ $output == "sweep: 2 of 2 jobs done"* ]]
    [[ $(cat out/log/a_net* | grep -c '^== nas-train') = 2 ]]
}

# ended_early COMMAND…: jobs that COMMAND ends half-way leave a checkpoint, from which the array goes on when it is submitted
# again, to the same results.
ended_early()
{
    need lz4 protoc
    cluster
    nas-ingest -q synthetic --option n=120 --option size=8 -o a.nas
    printf '%b\n' 'data\tseed' 'a.nas\t1' 'a.nas\t2' >grid.tsv
    local options=(--search "--layers 1 --channels 2 --batch 8 --epochs $epochs --checkpoint-every 20" --until derive) name
    "$SWEEP" "${options[@]}" grid.tsv whole
    "$SWEEP" "${options[@]}" --slurm grid.tsv out
    "$@"
    cat out/log/slurm-* >&2
    grep -qE '^failed .*, status 143: .* saved ' out/log/slurm-*
    [[ -n $(find out/work -name search.ck) ]]
    submitted
    cat out/log/* >&2
    grep -q '^== nas-search .*--resume search.ck' out/log/a_*
    for name in whole/results/*; do cmp <(bare "$name") <(bare "out/results/${name##*/}"); done
}

signalled()
{
    local tries
    sbatch out/sweep.sbatch
    for ((tries = 0; tries < 600; tries++)); do
        [[ -z $(find out/work -name search.ck 2>/dev/null) ]] || break
        sleep 0.05
    done
    squeue -h -t RUNNING -o %A | xargs scancel --batch --signal=TERM
    finished
}

@test "a job that gets the signal before its time is over saves itself, and goes on when the array is submitted again" {
    epochs=100 ended_early signalled
}

@test "the same by a time limit, of a minute" {
    [[ ${NAS_TEST_LONG:-0} = 1 ]] || skip "minutes: NAS_TEST_LONG=1 runs it"
    # Slurm looks every half a minute who is due for the signal, 50 seconds before the end
    epochs=2000 ended_early submitted --time=1 --signal=B:TERM@50
}
