#!/usr/bin/env bats
# Programs on a CUDA device: the plugin's own objects, on the simulator (tests/cudasim), reached through a driver that answers,
# as a GPU is reached. What they compute; how a device is found and chosen; its memory, its failure. Skipped where the build
# found no nvcc.

load helper

setup()
{
    cd "$BATS_TEST_TMPDIR" || exit
    SIM=$NAS_UNIT/../cudasim
    [[ -e $SIM/libnas-cudasim.so ]] || skip "built without nvcc or with sanitizers: no CUDA code was run"
    export LD_LIBRARY_PATH=$SIM NAS_CUDA_PLUGIN=$SIM/libnas-cudasim.so NAS_CUDASIM=unchecked NAS_CUDASIM_QUIET=1
    unset CUDA_VISIBLE_DEVICES
    nas-ingest synthetic --option n=60 --option size=8 -q -o data.nas
}

NET=(--net small-cnn --channels 2 --batch 8 --epochs 2 --limit 16 --valid-limit 8 --progress never)
SEARCH=(--layers 1 --reduce-at none --channels 2 --nodes 1 --epochs 2 --batch 8 --limit 16 --valid-limit 8 --progress never)

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
    local device NET=(--layers 2 --channels 2 --batch 16 --nodes 1 --inputs 1)
    unset NAS_CUDASIM # checks every access
    export NAS_CUDA_SEPARATE=1
    for device in cpu cuda; do
        nas-search -q --device $device "${NET[@]}" --epochs 2 data.nas -o $device.search
        nas-derive -q $device.search -o $device.cells
        nas-train -q --device $device --layers 2 --channels 2 --batch 16 --epochs 1 --data data.nas $device.cells \
            -o $device.net
        nas-eval -q --device $device --data data.nas $device.net -o $device.result
        numbers $device.search search_epoch >$device.1
        numbers $device.net train_epoch >$device.2
        numbers $device.result evaluation >$device.3
    done
    near cpu.1 cuda.1
    near cpu.2 cuda.2
    near cpu.3 cuda.3
}

@test "--device auto takes the GPU of a driver that answers, and says so; the CPU where there is none, and says why" {
    nas-train --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cuda: device 0 simulated on the CPU, sm_75 (auto: a CUDA driver and its device answered)' err
    CUDA_VISIBLE_DEVICES='' nas-train --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cpu .*(the CUDA driver has no device for us (error 100; CUDA_VISIBLE_DEVICES is ""))' err
    NAS_CUDA_PLUGIN=/no/such.so nas-train --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cpu .*(/no/such.so: ' err
}

# What these tests are about is not what the kernels compute.
TINY=(--layers 1 --channels 1 --batch 16 --nodes 1 --inputs 1 --epochs 1)

@test "four devices: each can be named, a fifth is refused" {
    export NAS_CUDASIM_DEVICES=4
    local n
    for n in 0 3; do
        run --separate-stderr -0 nas-search --device cuda:$n "${TINY[@]}" data.nas -o $n.nas
        [[ $stderr == *"cuda:$n: device $n simulated on the CPU"* ]]
    done
    for n in 4 999; do
        run --separate-stderr -1 nas-search --device cuda:$n "${TINY[@]}" data.nas -o no.nas
        one_line "$stderr"
        [[ $stderr == "nas-search: "*"device cuda:$n: there are 4"* && ! -e no.nas ]]
    done
}

@test "CUDA_VISIBLE_DEVICES says which devices there are, and in which order" {
    export NAS_CUDASIM_DEVICES=4
    CUDA_VISIBLE_DEVICES=2 run --separate-stderr -0 nas-search --device cuda "${TINY[@]}" data.nas -o a.nas
    [[ $stderr == *"device 2 simulated"* ]]
    CUDA_VISIBLE_DEVICES=3,1 run --separate-stderr -0 nas-search --device cuda:1 "${TINY[@]}" data.nas -o b.nas
    [[ $stderr == *"device 1 simulated"* ]]
    CUDA_VISIBLE_DEVICES=2 run --separate-stderr -1 nas-search --device cuda:1 "${TINY[@]}" data.nas -o c.nas
    [[ $stderr == *'device cuda:1: there is 1, counted from 0 (CUDA_VISIBLE_DEVICES is "2")' ]]
    CUDA_VISIBLE_DEVICES= run --separate-stderr -1 nas-search --device cuda "${TINY[@]}" data.nas -o d.nas
    [[ $stderr == *"device cuda: the CUDA driver has no device for us"* ]]
}

@test "one process per device: four side by side, the same bits from each" {
    export NAS_CUDASIM_DEVICES=4
    local n
    for n in 0 1 2 3; do
        CUDA_VISIBLE_DEVICES=$n nas-search --device cuda "${TINY[@]}" data.nas -o $n.nas 2>$n.log &
    done
    wait
    for n in 0 1 2 3; do
        grep -q "device $n simulated" $n.log
        numbers $n.nas search_epoch >$n.txt
        same 0.txt $n.txt
    done
    [[ $(wc -l <0.txt) -gt 5 ]]
}

@test "no program is linked with CUDA, and looking for a GPU in vain takes less than 10 ms" {
    need readelf
    local name
    for name in $(programs); do
        run ! grep -qiE 'NEEDED.*(cuda|cublas|stdc)' <(readelf -d "$NAS_BIN/$name")
    done
    unset LD_LIBRARY_PATH
    took() # of one run, in microseconds
    {
        local start=${EPOCHREALTIME/./}
        nas-train -n --data data.nas "${NET[@]}" --device "$1" >/dev/null
        echo $((${EPOCHREALTIME/./} - start))
    }
    local round cpu auto without=1000000 with=1000000 # the least of each counts: whatever else the machine does only adds
    for ((round = 0; round < 40; round++)); do
        cpu=$(took cpu) auto=$(took auto)
        (( cpu > without )) || without=$cpu
        (( auto > with )) || with=$auto
        (( round < 5 || with - without >= 10000 )) || return 0
    done
    echo "$with us with --device auto, $without with cpu"
    return 1
}

@test "a small device makes the batch smaller, or is refused with what it lacks" {
    train() { nas-train --device cuda --data data.nas "${NET[@]}" "$@"; }
    train -n | tee whole | grep -qE '; [0-9.]+ [KM]iB of the device.s, [0-9.]+ GiB are there'
    NAS_CUDASIM_MEMORY=50000 train -o t.nas 2>err
    grep -q 'batch 4 instead of 8: there is memory for no more' err
    run -1 --separate-stderr env NAS_CUDASIM_MEMORY=20000 nas-train -q --device cuda --data data.nas "${NET[@]}" -o u.nas
    one_line "$stderr"
    [[ $stderr == *"of the device's memory with a batch of 2, "*" are there" && ! -e u.nas ]]
}

# lost FILE COMMAND…: the command, which writes FILE, with a device that is lost at its first call, its third, … until there
# are not so many: each time one line, status 1, and a stream that tells of it or none. How many streams there were: $told.
lost()
{
    local file=$1 calls=1 status
    shift
    told=0
    while rm -f "$file"; do
        status=0
        NAS_CUDASIM_FAIL=$calls "$@" -o "$file" 2>err || status=$?
        (( status )) || break
        [[ $status = 1 && $(<err) == *"device cuda: "*"the device was lost"* ]]
        one_line "$(<err)"
        if [[ -e $file ]]; then
            nas-stats --json "$file" | grep -q '"what":"failed"'
            told=$((told + 1))
        fi
        calls=$((calls * 3))
    done
    (( calls > 100 )) && [[ -e $file ]]
}

@test "a GPU that is lost at any time: one line, status 1, a stream that is whole or none" {
    lost t.nas nas-train -q --device cuda --data data.nas "${NET[@]}"
    (( told > 1 ))
    lost s.nas nas-search -q --device cuda --weights "${SEARCH[@]}" data.nas
    (( told > 1 ))
    lost e.nas nas-eval -q --device cuda --data data.nas t.nas
    (( told == 0 ))
}

@test "what a lost GPU leaves: the last saved state, from which the run goes on as if nothing had been" {
    train() { nas-train -q --device cuda --data data.nas "${NET[@]}" "$@"; }
    result() { nas-stats --tsv train-epoch "$1" | cut -f 3-6,8-; }
    train -o whole.nas
    NAS_CUDA_GRAPH=0 NAS_CUDASIM_FAIL=600 run -1 train --checkpoint state --checkpoint-every 1 -o t.nas
    [[ -s state ]]
    train --resume state -o resumed.nas
    [[ -n $(result whole.nas) && $(result resumed.nas) == "$(result whole.nas)" ]]
}

@test "--precision bf16: half the device's memory, said in the stream, refused where it is not to be had" {
    train() { nas-train --device cuda --data data.nas "${NET[@]}" "$@"; }
    tensors()
    {
        nas-train -n --device cuda --data data.nas --net small-cnn --channels 64 --batch 32 "$@" |
            grep -oE 'tensors and gradients( in bf16)? [0-9.]+'
    }
    [[ $(tensors) != *bf16* ]]
    tensors --precision bf16 >half
    awk -v whole="$(tensors | awk '{print $NF}')" '{ exit !($NF > 0 && $NF < 0.6 * whole) }' half
    train --precision bf16 --profile --checkpoint state --checkpoint-every 1 -o b.nas 2>err
    grep -q ', bf16' err
    told() { nas-stats --json "$1" | grep -v '"kind":"provenance"' | grep -q '"precision"[^}]*"bf16"'; }
    told b.nas
    [[ $(nas-stats --json b.nas | grep -c '"kind":"profile"') -gt 3 ]]
    run -1 --separate-stderr train -q --resume state -o c.nas
    one_line "$stderr"
    [[ $stderr == *'--precision is "fp32" here, "bf16" in the checkpoint' && ! -e c.nas ]]
    train -q -o f.nas
    run ! told f.nas
    [[ $(numbers b.nas train_epoch) != "$(numbers f.nas train_epoch)" ]]
    local device
    for device in cpu ref; do
        run -1 --separate-stderr nas-train -q --device $device --precision bf16 --data data.nas "${NET[@]}" -o c.nas
        one_line "$stderr"
        [[ $stderr == *"device $device: bf16 is for GPUs alone" && ! -e c.nas ]]
    done
    CUDA_VISIBLE_DEVICES='' run -1 --separate-stderr nas-search -q --precision bf16 "${SEARCH[@]}" data.nas -o c.nas
    [[ $stderr == *'device cpu (the CUDA driver has no device for us'*': bf16 is for GPUs alone' ]]
    nas-search -q --device cuda --precision bf16 "${SEARCH[@]}" data.nas -o s.nas
    told s.nas
}

@test "gpu-check refuses without a device, in one line" {
    local obj=$NAS_UNIT/..
    LD_LIBRARY_PATH='' run --separate-stderr -1 "$NAS_ROOT/tests/gpu-check" "$obj" "$NAS_BIN" quick
    one_line "$stderr"
    [[ $stderr == 'gpu-check: device cuda: '* && $stderr != *simulated* && -z $output ]]
}

@test "gpu-check: the whole block, of a device that answers" {
    [[ -x $NAS_UNIT/../bench/bench_step ]] || skip 'without benchmarks'
    "$NAS_ROOT/tests/gpu-check" "$NAS_UNIT/.." "$NAS_BIN" quick >block
    grep -q '^device cuda: device 0 simulated on the CPU' block
    grep -q '^tests: status 0, engine: 3 cases passed, 0 failed' block
    (( $(grep -c 'part=ready .*simulated' block) == 2 && $(grep -c 'part=ready .*, bf16' block) == 1 ))
    (( $(grep -c 'part=step2 .*wall_ms=' block) == 2 ))
    [[ $(sed -n '1p;$p' block) = $'---- gpu-check: begin ----\n---- gpu-check: end ----' ]]
}
