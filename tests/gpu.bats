#!/usr/bin/env bats
# Programs on a GPU that is simulated (tests/cudasim): how it is found and chosen, its memory, its failure.

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

@test "--device auto takes the GPU of a driver that answers, and says so; the CPU where there is none, and says why" {
    nas-train --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cuda: device 0 simulated on the CPU, sm_75 (auto: a CUDA driver and its device answered)' err
    CUDA_VISIBLE_DEVICES='' nas-train --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cpu .*(the CUDA driver has no device for us (error 100; CUDA_VISIBLE_DEVICES is ""))' err
    NAS_CUDA_PLUGIN=/no/such.so nas-train --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cpu .*(/no/such.so: ' err
}

@test "--device cuda:N: one of those that are visible, else one line" {
    NAS_CUDASIM_DEVICES=4 nas-train --device cuda:3 --data data.nas "${NET[@]}" -o t.nas 2>err
    grep -q 'cuda:3: device 3 simulated' err
    NAS_CUDASIM_DEVICES=4 run -1 --separate-stderr nas-train -q --device cuda:4 --data data.nas "${NET[@]}" -o u.nas
    one_line "$stderr"
    [[ $stderr == *"device cuda:4: there are 4, counted from 0" && ! -e u.nas ]]
    NAS_CUDASIM_DEVICES=4 CUDA_VISIBLE_DEVICES=2,3 run -1 --separate-stderr nas-search -q --device cuda:2 "${SEARCH[@]}" data.nas -o u.nas
    one_line "$stderr"
    [[ $stderr == *'device cuda:2: there are 2, counted from 0 (CUDA_VISIBLE_DEVICES is "2,3")' && ! -e u.nas ]]
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
