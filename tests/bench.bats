#!/usr/bin/env bats
# The benchmark of the kernels: that it measures, says so in JSON, and refuses to time a kernel that is wrong.

load helper

bench() { "$NAS_UNIT/../bench/bench_kernels" "$@"; }

@test "bench_kernels: every kernel is verified and timed; JSON has machine and rows" {
    bench --quick --threads 2 --json out.json >out.txt
    [[ $(head -1 out.txt) = *'2 threads' && $(sed -n 2p out.txt) = peak:* ]]
    jq -e '.machine | (.gflops_one > 0) and (.gflops_all > 0) and .quick and .threads == 2 and (.cpu | length > 0) and
        ([.bandwidth[] | .level] == ["L2", "L3", "memory"]) and all(.bandwidth[]; .gbs_one > 0 and .gbs_all > 0) and
        (.lanes == 8 or .lanes == 16) and (.kernels | test("^(v[234]|base)$"))' out.json
    jq -e '(.rows | length > 150) and ([.rows[].kernel] | unique == ["conv", "flat", "head", "mix", "pool"]) and
        ([.rows[] | select(.kernel == "conv") | .pass] | unique == ["backward", "backward, no weights", "forward"])' out.json
    jq -e 'all(.rows[]; .ms > 0 and .ms_least <= .ms and .repetitions >= 1 and .flops > 0 and .bytes > 0 and .gflops > 0 and
        .gbs > 0 and .roofline > 0 and (.level | IN("L2", "L3", "memory")) and
        ((.ms * .gflops * 1e6 / .flops - 1) | fabs < 1e-4) and ((.roof_ms / .ms / .roofline - 1) | fabs < 0.05))' out.json
    # 2 flops a multiply-add: 2 samples of 16x32x32, 9 taps and 16 channels
    jq -e '.rows[] | select(.name == "sepconv 3x3" and .shape == "2x16x32x32->16" and .pass == "forward") |
        .flops == 2 * 2 * 1024 * 16 * (9 + 16)' out.json
    (( $(grep -c ' %$' out.txt) == $(jq '.rows | length' out.json) ))
}

@test "bench_kernels: NAS_ISA chooses the kernel set, a filter the rows" {
    local isa=base
    [[ $(uname -m) != x86_64 || -n ${NAS_EMULATED-} ]] || isa=v2
    NAS_ISA=$isa bench --quick --markdown --filter '^pool max .*8x8 back' >out.txt
    grep -q "kernels $isa/8" out.txt
    (( $(grep -c '^| pool max 3x3 | 2x64x8x8 | backward |' out.txt) == 1 && $(grep -c '^|' out.txt) == 3 ))
    NAS_ISA=v9 run -2 bench --quick
    one_line "$output"
    run -1 bench --quick --filter 'no such kernel'
    one_line "$output"
    run -2 bench --quick --filter '('
    one_line "$output"
    run -1 --separate-stderr bench --quick --filter dot --json nowhere/out.json
    one_line "$stderr"
}

@test "bench_kernels: a wrong kernel is found, and nothing is timed" {
    local wrong
    # a kernel, and rows that use it
    for wrong in 'conv_forward sepconv 3x3 .*8x8' 'conv_backward sepconv 3x3 .*8x8' 'pool_backward pool max 3x3 .*8x8' \
        'mix_forward mix of 2 .*8x8' 'mix_backward mix of 2 .*8x8' 'head_forward head' 'sgd sgd' 'adam adam' 'axpy axpy'; do
        NAS_BENCH_WRONG=${wrong%% *} run -1 --separate-stderr bench --quick --json out.json --filter "^${wrong#* }"
        [[ $output = '' && ${stderr_lines[-1]} = *'differs from ref'* && ! -e out.json ]]
    done
}
