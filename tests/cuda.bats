#!/usr/bin/env bats
# The programs on a CUDA device: the plugin's own objects, on the simulator (tests/cudasim), reached through a driver that
# answers, as a GPU is reached. Skipped where the build found no nvcc.

load helper

# Small enough for a simulator, one thing of each kind.
NET=(--layers 2 --channels 2 --batch 16 --nodes 1 --inputs 1)

setup_file()
{
    export SIM=${NAS_UNIT:-$NAS_ROOT/$(make -s -C "$NAS_ROOT" print-obj)/tests}/../cudasim
    [[ -e $SIM/libcuda.so.1 ]] || return 0
    export NAS_CUDA_PLUGIN=$SIM/libnas-cudasim.so NAS_CUDA_SEPARATE=1 LD_LIBRARY_PATH=$SIM
    export DATA=$BATS_FILE_TMPDIR/data.nas
    nas-ingest -q synthetic --option n=48 --option size=8 -o "$DATA"
}

setup()
{
    cd "$BATS_TEST_TMPDIR" || exit
    [[ -e $SIM/libcuda.so.1 ]] || skip 'built without nvcc or with sanitizers: no CUDA code was run'
}

# numbers FILE KIND: every number of the stream's records of a kind, one a line, but for times and places.
numbers()
{
    nas-stats --json "$1" | grep "\"kind\":\"$2\"" |
        sed -E 's/"(file|device|host|seconds|samples_per_second|memory_bytes)":("[^"]*"|[^,}]*)//g' |
        grep -oE '(^|[:,[])-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?' | tr -d ':,['
}

# near FILE FILE: as many numbers, each within 1e-3 of the other, relatively or absolutely.
near()
{
    paste "$1" "$2" | awk -F'\t' '
        { d = $1 - $2; if (d < 0) d = -d; m = $1 < 0 ? -$1 : $1
          if ($1 == "" || $2 == "" || d > 1e-3 * (1 + m)) { print "line", NR ": " $1 " and " $2; bad++ } }
        END { exit bad || NR < 5 }'
}

@test "search, derive, train, eval with --device cuda say what --device cpu says" {
    local device
    for device in cpu cuda; do
        nas-search -q --device $device "${NET[@]}" --epochs 2 "$DATA" -o $device.search
        nas-derive -q $device.search -o $device.cells
        nas-train -q --device $device --layers 2 --channels 2 --batch 16 --epochs 1 --data "$DATA" $device.cells \
            -o $device.net
        nas-eval -q --device $device --data "$DATA" $device.net -o $device.result
        numbers $device.search search_epoch >$device.1
        numbers $device.net train_epoch >$device.2
        numbers $device.result evaluation >$device.3
    done
    near cpu.1 cuda.1
    near cpu.2 cuda.2
    near cpu.3 cuda.3
}

# What these tests are about is not what the kernels compute.
TINY=(--layers 1 --channels 1 --batch 16 --nodes 1 --inputs 1 --epochs 1)

@test "four devices: each can be named, a fifth is refused" {
    export NAS_CUDASIM_DEVICES=4 NAS_CUDASIM=unchecked
    local n
    for n in 0 3; do
        run --separate-stderr -0 nas-search --device cuda:$n "${TINY[@]}" "$DATA" -o $n.nas
        [[ $stderr == *"cuda:$n: device $n simulated on the CPU"* ]]
    done
    for n in 4 999; do
        run --separate-stderr -1 nas-search --device cuda:$n "${TINY[@]}" "$DATA" -o no.nas
        one_line "$stderr"
        [[ $stderr == "nas-search: "*"device cuda:$n: there are 4"* && ! -e no.nas ]]
    done
}

@test "CUDA_VISIBLE_DEVICES says which devices there are, and in which order" {
    export NAS_CUDASIM_DEVICES=4 NAS_CUDASIM=unchecked
    CUDA_VISIBLE_DEVICES=2 run --separate-stderr -0 nas-search --device cuda "${TINY[@]}" "$DATA" -o a.nas
    [[ $stderr == *"device 2 simulated"* ]]
    CUDA_VISIBLE_DEVICES=3,1 run --separate-stderr -0 nas-search --device cuda:1 "${TINY[@]}" "$DATA" -o b.nas
    [[ $stderr == *"device 1 simulated"* ]]
    CUDA_VISIBLE_DEVICES=2 run --separate-stderr -1 nas-search --device cuda:1 "${TINY[@]}" "$DATA" -o c.nas
    [[ $stderr == *"device cuda:1: there is 1"* ]]
    CUDA_VISIBLE_DEVICES= run --separate-stderr -1 nas-search --device cuda "${TINY[@]}" "$DATA" -o d.nas
    [[ $stderr == *"device cuda: the CUDA driver has no device for us"* ]]
}

@test "one process per device: four side by side, the same bits from each" {
    export NAS_CUDASIM_DEVICES=4 NAS_CUDASIM=unchecked
    local n
    for n in 0 1 2 3; do
        CUDA_VISIBLE_DEVICES=$n nas-search --device cuda "${TINY[@]}" "$DATA" -o $n.nas 2>$n.log &
    done
    wait
    for n in 0 1 2 3; do
        grep -q "device $n simulated" $n.log
        numbers $n.nas search_epoch >$n.txt
        same 0.txt $n.txt
    done
    [[ $(wc -l <0.txt) -gt 5 ]]
}

@test "gpu-check refuses without a device, in one line" {
    local obj=${SIM%/tests/../cudasim}
    LD_LIBRARY_PATH='' run --separate-stderr -1 "$NAS_ROOT/tests/gpu-check" "$obj" "$NAS_BIN" quick
    one_line "$stderr"
    [[ $stderr == 'gpu-check: device cuda: '* && $stderr != *simulated* && -z $output ]]
}
