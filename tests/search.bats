#!/usr/bin/env bats
# nas-search: what it writes, what it refuses, how it ends.

load helper

# Every test searches this way: seconds even under sanitizers.
SMALL=(--layers 3 --channels 4 --batch 8 --epochs 2)

setup_file()
{
    export DATA=$BATS_FILE_TMPDIR/data.nas
    nas-ingest -q synthetic --option n=120 --option size=8 -o "$DATA"
}

json() { nas-stats --json "$1" | grep "\"kind\":\"$2\""; }

# untimed FILE: the stream's records without what differs between runs: times and provenance.
untimed() { nas-stats --json "$1" | grep -v '"kind":"provenance"' | sed -E 's/"(file|seconds)":("[^"]*"|[^,}]*)//g'; }

@test "a search writes its space, the start and every epoch, the last one included" {
    nas-search -q "${SMALL[@]}" --warmup 0 "$DATA" -o s.nas
    [[ $(nas-stats --json s.nas | grep -o '"kind":"[a-z_]*"' | grep -v provenance | uniq -c | tr -s ' \n' ' ') = \
        ' 1 "kind":"dataset" 1 "kind":"space" 3 "kind":"search_epoch" ' ]]
    [[ $(json s.nas search_epoch | grep -o '"epoch":[0-9]*' | tr '\n' ' ') = '"epoch":0 "epoch":1 "epoch":2 ' ]]
    json s.nas space | grep -q '"strategy":"steady"'
    json s.nas space | grep -q '"parts","value":"softmax + first-order + l2:0.001 + adam"'
    local metric
    for metric in loss accuracy; do # of the whole splits, after every epoch
        for split in train alpha validation; do
            [[ $(json s.nas search_epoch | tail -2 | grep -c "{\"name\":\"$metric\",\"split\":\"$split\"") = 2 ]]
        done
    done
    [[ $(json s.nas search_epoch | grep -c '"name":"none_mass"') = 3 ]]
    [[ $(json s.nas search_epoch | grep -c '"genotype":"Genotype(') = 3 ]]
    lz4 -t s.nas
}

@test "the learning rate follows the published cosine, one rate an epoch" {
    nas-search -q --layers 1 --channels 1 --batch 64 --epochs 4 "$DATA" -o s.nas
    nas-stats --tsv search_epoch s.nas | awk -F'\t' 'NR > 1 { rate[$3] = $7 }
        END { for (e = 1; e <= 4; e++) {
                  want = 0.001 + 0.024 * (1 + cos(3.14159265358979 * (e - 1) / 4)) / 2
                  d = rate[e] - want
                  if (d < 0) d = -d
                  if (d > 1e-9) { print e, rate[e], want; exit 1 } } }'
}

@test "alphas move in the search, rest in the warm-up, and weights are learnt in both" {
    nas-search -q "${SMALL[@]}" --warmup 1 "$DATA" -o s.nas
    mapfile -t raw < <(json s.nas search_epoch | grep -o '"raw":[^"]*' | paste -d ' ' - -)
    [[ ${#raw[@]} = 3 && ${raw[0]} = "${raw[1]}" && ${raw[1]} != "${raw[2]}" ]]
    ! json s.nas search_epoch | sed -n 2p | grep -q '"split":"alpha"' || false
    json s.nas search_epoch | sed -n 3p | grep -q '"split":"alpha"'
}

@test "same seed, same records with 1, 2 and 7 threads and from run to run; another seed, others" {
    local threads
    for threads in 1 2 7; do
        nas-search -q "${SMALL[@]}" --weights --threads $threads "$DATA" -o $threads.nas
        untimed $threads.nas >$threads.txt
    done
    nas-search -q "${SMALL[@]}" --weights --threads 2 "$DATA" -o again.nas
    untimed again.nas >again.txt
    same 1.txt 2.txt
    same 1.txt 7.txt
    same 1.txt again.txt
    nas-search -q "${SMALL[@]}" --weights --seed 2 "$DATA" -o other.nas
    untimed other.nas >other.txt
    run -1 cmp -s 1.txt other.txt
}

# whole_profile FILE: the seconds of the profile's rows add up, waiting for data is among them, every row is of the same run.
whole_profile()
{
    nas-stats --json "$1" | jq -es '[.[] | select(.kind == "profile")] |
        (map(.share) | add - 1 | fabs < 1e-6) and (map(.run) | unique | length == 1) and
        ([.[] | select(.op == "data wait")] | length == 1 and .[0].share >= 0 and .[0].share < 1) and
        (.[-1].op == "rest") and ([.[] | select(.calls > 0)] | length > 8 and all(.[]; .seconds > 0 and .gbs > 0 and
            (.seconds - .forward_seconds - .backward_seconds | fabs < 1e-9))) and
        any(.[]; .op == "sepconv 5x5 C4" and .gflops > 0 and .forward_seconds > 0 and .backward_seconds > 0)'
}

@test "--profile tells where the time went, as a table and as records, and changes nothing else" {
    nas-search -q "${SMALL[@]}" --threads 2 "$DATA" -o plain.nas
    nas-search --profile "${SMALL[@]}" --threads 2 "$DATA" -o s.nas 2>err
    whole_profile s.nas
    grep -Eq '^search: .*, [0-9]+\.[0-9] % of it waiting for data$' err
    grep -Eq '^ +search +sepconv 5x5 C4 .* % ' err
    untimed plain.nas >plain.txt
    untimed s.nas | grep -v '"kind":"profile"' >s.txt
    same plain.txt s.txt
    nas-stats s.nas | grep -Eq '^ +search +data wait .* %$'
    [[ $(nas-stats --tsv profile s.nas | head -1) = \
        $'file\trecord\trun\top\tcalls\tforward_seconds\tbackward_seconds\tseconds\tshare\tgflops\tgbs' ]]
    nas-search -q --profile "${SMALL[@]}" "$DATA" -o quiet.nas 2>err
    [[ ! -s err && $(json quiet.nas profile | wc -l) = $(json s.nas profile | wc -l) ]]
    # and of a training, each network's own
    nas-train -q --profile --data "$DATA" --layers 2 --channels 4 --batch 8 --epochs 1 --genotype DARTS_V2 --net small-cnn -o t.nas
    [[ $(nas-stats --tsv profile t.nas | cut -f 3 | uniq | tr '\n' ' ') = 'run DARTS_V2 small-cnn ' ]]
    nas-stats --json t.nas | jq -es '[.[] | select(.kind == "profile" and .run == "DARTS_V2") | .share] | add - 1 | fabs < 1e-6'
}

# All strategies, from the program's own list.
strategies() { nas-search --list-strategies | sed -n '/^  /{/^   /!s/^  \([^ ]*\).*/\1/p};/^$/q'; }

@test "every strategy: the same records with 1 and 2 threads, a genotype at the end" {
    local strategy name
    [[ $(strategies | wc -l) -ge 11 ]]
    for strategy in $(strategies); do
        for threads in 1 2; do
            nas-search -q --strategy "$strategy" --warmup 0 "${SMALL[@]}" --limit 24 --weights --threads $threads "$DATA" \
                -o "$strategy.$threads.nas"
            untimed "$strategy.$threads.nas" >$threads.txt
        done
        same 1.txt 2.txt
        nas-derive -q --print "$strategy.1.nas" | grep -q '^Genotype('
        json "$strategy.1.nas" space | grep -q "\"strategy\":\"$strategy\""
    done
    for name in darts1 darts2 gaea gdas; do # and they are not one strategy under many names
        json $name.1.nas search_epoch | tail -1 | grep -o '"raw":[^"]*' >$name.raw
    done
    ! cmp -s darts1.raw darts2.raw || false
    ! cmp -s darts1.raw gdas.raw || false
    ! cmp -s darts1.raw gaea.raw || false
    # random is the cell that nas-derive draws; random-ws ends with one of weights 0 and 1
    [[ $(nas-derive -q --print random.1.nas | grep -o 'conv\|pool\|skip' | sort | uniq -c) = \
        $(nas-derive -q --print --random 1 | grep -o 'conv\|pool\|skip' | sort | uniq -c) ]]
    json random-ws.1.nas search_epoch | tail -1 | grep -q '"name":"weight_kept","split":"","value":1}'
    # edges with weights of their own are recorded beside the operations
    json pc-darts.1.nas search_epoch | tail -1 | grep -q '"name":"reduce edges","edges":14,"ops":1'
}

@test "--list-strategies prints every strategy as its parts, and every part" {
    run -0 --separate-stderr nas-search --list-strategies
    [[ $output == *"darts1 "*"softmax + first-order + l2:0.001 + adam; 0.0003"* ]]
    [[ $output == *"--regulariser: "*"beta-decay:50 "* && $stderr = "" ]]
}

@test "parts are options: they replace the strategy's own, and are recorded" {
    nas-search -q "${SMALL[@]}" -e 1 --channel-share 2 --edge-weights on --regulariser lp:0.01:0.5,l1 --alpha-update sgd \
        "$DATA" -o s.nas
    json s.nas space | grep -qF '"softmax + channel-share:2 + edge-weights + first-order + lp:0.01:0.5 + l1:0.001 + sgd"'
    nas-search -q "${SMALL[@]}" --strategy random-ws --choice rank:3 "$DATA" -o s.nas
    json s.nas space | grep -qF '"simplex + uniform + rank:3"'
}

@test "partial channels and single paths take a fraction of the memory, and the forecast says so" {
    local strategy
    bytes() { nas-search --strategy "$1" --costs --dry-run --layers 3 --channels 16 "$DATA" | grep -o 'gradients [0-9.]*' | cut -d ' ' -f 2; }
    for strategy in pc-darts gdas random-ws; do
        awk -v all="$(bytes darts1)" -v part="$(bytes $strategy)" 'BEGIN { exit !(part > 0 && part < 0.55 * all) }'
    done
}

# What Linux says of the process at its end is what was said before its start, within 5 % and 3 MiB.
@test "the forecast of every strategy holds" {
    [[ -r /proc/self/status ]] || skip "no /proc"
    [[ $(nas-search --version) != *fsanitize* ]] || skip "sanitizers take memory of their own"
    nas-ingest -q synthetic --option n=100 --option size=20 --test 0 --valid 0.36 -o m.nas
    local strategy epochs
    for strategy in $(strategies); do
        epochs=1
        [[ $strategy = gdas || $strategy = random-ws ]] && epochs=16 # until every operation was drawn somewhere
        nas-search -v --strategy "$strategy" --warmup 0 --channels 16 --layers 2 --batch 32 --epochs $epochs --limit 32 \
            --valid-limit 32 --threads 1 m.nas -o s.nas 2>err
        sed -nE "s/.*peak memory ([0-9.]+) MiB, forecast ([0-9.]+) MiB.*/$strategy \2 \1/p" err >>memory
    done
    [[ $(wc -l <memory) = "$(strategies | wc -l)" ]]
    awk '$3 < 0.95 * $2 || $3 > 1.05 * $2 + 3 { print $1 ": forecast " $2 " MiB, peak " $3 " MiB"; exit 1 }' memory
}

@test "--costs: parameters and multiply-accumulates of every operation on every stage" {
    run -0 --separate-stderr nas-search --costs --layers 3 --channels 4 --ops skip_connect,sep_conv_3x3 "$DATA"
    [[ ${#lines[@]} = 4 ]]
    # depthwise 3x3 and pointwise, twice: 2 (9 C + C²) weights, as many products a pixel; a skip costs where it halves
    [[ ${lines[3]} =~ ^sep_conv_3x3\ +104\ +6656\ +272\ +4352\ +272\ +4352\ +800\ +3200\ +800\ +3200$ ]]
    [[ ${lines[2]} =~ ^skip_connect\ +0\ +0\ +64\ +1024\ +0\ +0\ +256\ +1024\ +0\ +0$ ]]
}

@test "pipelines/strategies: the default finds what was planted; the operation alone is the best, too" {
    local table="$NAS_ROOT/pipelines/strategies"
    SEEDS=1 SAMPLES=1000 STRATEGIES=steady SETS='skip maxpool' "$table" out >table
    [[ $(sed -n 3p table) =~ ^"| steady | 1 of 1 | 1 of 1 | "[0-9]+" |"$ ]]
    SEEDS=1 SAMPLES=1000 SETS=skip "$table" --alone out >table # max, avg, skip; the others cannot be meant
    sed -n '3s/ ± [0-9.]*//gp' table | awk -F '|' '{ exit !(NF == 10 && $5 > 0 && $5 < $3 && $5 < $4) }'
}

@test "the default strategy finds the planted operation" {
    nas-ingest -q synthetic --option kind=sep5 --option n=1000 -o sep5.nas
    nas-search -q sep5.nas --layers 1 --nodes 1 --concat 1 --channels 8 --reduce-at none --epochs 10 --batch 32 -o s.nas
    nas-derive -q --print s.nas | grep -qF "normal=[('sep_conv_5x5', 0), ('sep_conv_5x5', 1)]"
}

# metric FILE NAME: that number of every epoch, a line each.
metric() { json "$1" search_epoch | jq -r --arg name "$2" '.metrics[] | select(.name == $name) | .value'; }

@test "a guard ends a search: an event, the last epoch after it, the rest as without" {
    nas-search -q "${SMALL[@]}" --epochs 6 --alpha-lr 1e-9 "$DATA" -o whole.nas
    nas-search "${SMALL[@]}" --epochs 6 --alpha-lr 1e-9 --guard stable:2,skips:8,eigenvalue --warmup 1 "$DATA" -o s.nas 2>err
    grep -qE '^nas-search: epoch 4: stable: .* for 2 epochs: the search ends$' err
    [[ $(json s.nas event) = *'"what":"guard","text":"stable: '*'"epoch":4}' ]]
    [[ $(json s.nas search_epoch | wc -l) = 5 ]] # from epoch 0
    [[ $(metric s.nas stable_epochs | tr '\n' ' ') = '0 1 2 ' ]] # none of the warm-up
    [[ $(metric s.nas eigenvalue | wc -l) = 3 && $(metric s.nas skips | wc -l) = 3 && -z $(metric whole.nas skips) ]]
    json s.nas space | grep -qF 'adam + warmup:1 + stable:2 + skips:8 + eigenvalue:1.3'
    nas-stats s.nas | grep -q '^ *4  guard *stable: '
    nas-stats --advise s.nas | grep -q 'a guard ended it in epoch 4'
    nas-stats --html -o s.html s.nas
    grep -q 'stable: the operations of every edge' s.html
    # guards look and change nothing: the epochs are those of a search without them, with any number of threads
    nas-search -q "${SMALL[@]}" --warmup 0 --alpha-lr 0.1 --threads 1 --weights "$DATA" -o plain.nas
    nas-search -q "${SMALL[@]}" --warmup 0 --alpha-lr 0.1 --threads 2 --weights --guard eigenvalue,skips:8 "$DATA" -o s.nas
    same <(untimed plain.nas | grep tensor) <(untimed s.nas | grep tensor)
    [[ $(metric s.nas eigenvalue) != "$(metric s.nas eigenvalue | head -1)" ]]
    for name in gap supernet_loss; do same <(metric plain.nas $name) <(metric s.nas $name); done
}

@test "the discretisation gap is recorded every so many epochs, and at the end" {
    nas-search -q "${SMALL[@]}" --epochs 5 "$DATA" -o s.nas
    [[ $(metric s.nas gap | wc -l) = 5 ]]
    nas-search -q "${SMALL[@]}" --epochs 5 --gap-every 2 "$DATA" -o s2.nas
    [[ $(metric s2.nas gap_loss) = "$(metric s.nas gap_loss | sed -n '2p;4p;5p')" ]]
    nas-search -q "${SMALL[@]}" --epochs 5 --gap-every 0 --weights "$DATA" -o s0.nas
    [[ -z $(metric s0.nas gap) ]]
    nas-search -q "${SMALL[@]}" --epochs 5 --gap-every 3 --weights "$DATA" -o s3.nas
    same <(untimed s0.nas | grep tensor) <(untimed s3.nas | grep tensor) # it is looked at and nothing else
    json s.nas search_epoch | tail -1 | jq -e '[.metrics[] | {(.name): .value}] | add |
        (.gap - .supernet_accuracy + .derived_accuracy | fabs) < 1e-12 and
        (.gap_loss - .derived_loss + .supernet_loss | fabs) < 1e-12'
    nas-stats s.nas | grep -q '^  architecture .*gap '
    nas-search -q "${SMALL[@]}" --strategy random "$DATA" -o s.nas # is its own derived network
    [[ -z $(metric s.nas gap) ]]
}

@test "samples and weights come on request only" {
    nas-search -q "${SMALL[@]}" "$DATA" -o plain.nas
    ! nas-stats --json plain.nas | grep -qE '"kind":"(samples|tensor|network)"' || false
    nas-search -q "${SMALL[@]}" --weights --keep-samples "$DATA" -o all.nas
    nas-stats --json all.nas | grep -q '"kind":"network".*"net":"supernet"'
    nas-stats --json all.nas | grep -q '"kind":"tensor".*"name":"alphas_reduce"'
    nas-search -q "${SMALL[@]}" all.nas -o again.nas # its samples are whole
}

@test "the space and the cell's shape are options" {
    nas-search -q --layers 2 --channels 2 --batch 16 --epochs 1 --nodes 2 --inputs 1 --concat 1 --reduce-at 1 \
        --ops none,skip_connect,sep_conv_3x3 "$DATA" -o s.nas
    json s.nas space | grep -q '"ops":\["none","skip_connect","sep_conv_3x3"\],"nodes":2,"inputs":1,"concat":1'
    json s.nas space | grep -q '"reduce_at":\[1\]'
    nas-derive --print s.nas | grep -q 'normal_concat=range(3, 4)'
}

@test "--limit and --valid-limit bound an epoch, and the count is recorded" {
    nas-search -q "${SMALL[@]}" --limit 16 --valid-limit 5 "$DATA" -o s.nas
    json s.nas search_epoch | tail -1 | grep -q '"steps":4,'
    json s.nas search_epoch | tail -1 | grep -q '{"name":"samples","split":"validation","value":5}'
}

@test "--dry-run prints the forecast and stops" {
    run -0 --separate-stderr nas-search --dry-run --layers 8 --channels 16 "$DATA" -o never.nas
    one_line "$output"
    [[ $output == *" parameters, "*" of memory"* && $stderr = "" && ! -e never.nas ]]
}

@test "too little memory: the batch is halved, aloud and in the stream; or a refusal of one line" {
    run -1 --separate-stderr nas-search -q --channels 32 --memory 1 "$DATA" -o never.nas
    one_line "$stderr"
    [[ $stderr == *"needs "*" of memory with a batch of 2, 1.0 MiB are there" && ! -e never.nas ]]
    local mib status # the least memory with which it starts, so that the batch is not the whole
    for ((mib = 2; mib < 4096; mib += mib / 4 + 1)); do
        status=0
        nas-search -q --layers 1 --channels 8 --batch 32 --epochs 1 --memory $mib "$DATA" -o s.nas 2>err || status=$?
        (( status == 1 )) || break
    done
    [[ $status = 0 ]]
    grep -q 'instead of 32: there is memory for no more' err
    nas-stats --json s.nas | grep -q '"kind":"event".*"what":"batch"'
}

@test "what is recomputed changes no byte but the memory told" {
    local way # recompute and threads
    nas-search -q "${SMALL[@]}" --epochs 1 --weights --recompute none --threads 1 "$DATA" -o none.nas
    bare none.nas >want
    [[ $(wc -l <want) -gt 10000 ]]
    for way in 'cell 1' 'cell 2' 'node 2' 'none 2'; do
        nas-search -q "${SMALL[@]}" --epochs 1 --weights --recompute "${way% *}" --threads "${way#* }" "$DATA" -o other.nas
        bare other.nas | cmp - want
    done
}

# mebibytes OPTION…: what a search forecasts, rounded (8.0 MiB may be a little less than that).
mebibytes() { nas-search --dry-run "$@" | sed -nE 's/.*: ([0-9]+)\.[0-9]+ MiB of memory.*/\1/p'; }

@test "where memory is short, tensors are recomputed before the batch is halved, aloud and in the stream" {
    local net=(--layers 2 --reduce-at none --channels 8 --batch 40 --epochs 1)
    nas-search -q "${net[@]}" "$DATA" -o whole.nas
    [[ $(json whole.nas event) = '' ]]
    nas-search -q "${net[@]}" --memory "$(mebibytes --recompute none "${net[@]}" "$DATA")" "$DATA" -o s.nas 2>err
    one_line "$(<err)"
    [[ $(<err) = *'search: recompute cell: there is memory for no more'* ]]
    json s.nas event | grep -q '"what":"recompute","text":"search: recompute cell:'
    bare whole.nas | sed -n '/search_epoch/,$p' >want # all after the event: but for its place
    bare s.nas | sed -n '/search_epoch/,$p' | grep -v 'records:' | cmp - <(grep -v 'records:' want)
    nas-search --dry-run "${net[@]}" --memory "$(mebibytes --recompute cell "${net[@]}" "$DATA")" "$DATA" | grep -q 'batch 40, recompute node:'
    nas-search -q "${net[@]}" --memory $(($(mebibytes --recompute node "${net[@]}" "$DATA") - 1)) "$DATA" -o s.nas 2>err
    grep -q 'batch 20 instead of 40: there is memory for no more' err
    # asked for by name, it is what is done, and nothing is told
    nas-search -q "${net[@]}" --recompute node "$DATA" -o s.nas 2>err
    [[ ! -s err && $(json s.nas event) = '' ]]
    run -2 --separate-stderr nas-search --recompute edge "$DATA"
    [[ $stderr == *'--recompute'*'auto|none|cell|node'* ]]
}

@test "a search that diverges ends with an event, a valid stream, status 1 and one line" {
    run -1 --separate-stderr nas-search -q "${SMALL[@]}" --epochs 20 --lr 1000 --lr-min 1000 --weight-decay 100 --clip 0 "$DATA" -o s.nas
    one_line "$stderr"
    [[ $stderr == *"the loss is "* ]]
    json s.nas event | grep -q '"what":"diverged"'
    json s.nas search_epoch >epochs
    ! grep -q '"value":null' epochs || false
}

# kill must reach the program itself: env becomes it, where a function in the background would be a shell around it.
interrupted()
{
    local signal=$1 status=0
    env --default-signal=INT,TERM nas-search -q --layers 1 --channels 1 --batch 8 --epochs 1000000 "$DATA" >s.nas &
    local pid=$!
    while [[ $(stat -c %s s.nas 2>/dev/null || echo 0) -lt 4000 ]]; do sleep 0.05; done
    kill -"$signal" $pid
    wait $pid || status=$?
    [[ $status = "$2" ]] || { echo "status $status" >&2; return 1; }
    json s.nas event | grep -q '"what":"interrupted"'
    nas-derive -q s.nas -o d.nas
}
@test "SIGINT ends with a valid stream and status 130" { interrupted INT 130; }
@test "SIGTERM ends with a valid stream and status 143" { interrupted TERM 143; }

@test "epochs are readable while the search runs" {
    env --default-signal=INT,TERM nas-search -q --layers 1 --channels 1 --batch 8 --epochs 1000000 "$DATA" -o - >s.nas &
    local pid=$!
    while [[ $(stat -c %s s.nas 2>/dev/null || echo 0) -lt 4000 ]]; do sleep 0.05; done
    run -3 nas-derive -q --print s.nas
    kill -TERM $pid
    wait $pid || true
    (nas-stats --json s.nas 2>/dev/null || true) | grep -q '"kind":"search_epoch"'
}

@test "tiny data: one sample a class, a batch larger than any split, no validation" {
    nas-ingest -q synthetic --option n=20 --option classes=2 --option size=8 --test 0.5 --valid 0 --alpha 0.8 -o tiny.nas
    nas-search -q --layers 2 --channels 2 --batch 64 --epochs 2 tiny.nas -o s.nas
    ! json s.nas search_epoch | grep -q '"split":"validation"' || false
}

@test "what cannot be searched is refused in one line, and leaves no file" {
    nas-ingest -q synthetic --option n=40 --option size=8 --alpha 0 -o no-alpha.nas
    nas-ingest -q synthetic --option n=40 --option size=8 --valid 0 -o no-valid.nas
    nas-derive --named DARTS_V2 -o genotype.nas
    head -c 2000 "$DATA" >cut.nas
    local case
    # the status, words of the message, and the command
    for case in "1|alpha split is empty|no-alpha.nas" "1|no dataset|genotype.nas" "3|cut|cut.nas" \
        "2|not a strategy|--strategy darts9 $DATA" "2|sep_conv_9x9|--ops none,sep_conv_9x9 $DATA" \
        "2|more than none|--ops none $DATA" "2|an empty name|--ops= $DATA" \
        "2|must divide the 16|--channel-share 3 $DATA" "2|near it: l2|--regulariser l22 $DATA" \
        "2|--guard skips: the alphas do not learn|--strategy random --guard skips $DATA" \
        "2|from 1 to 1e+06 expected|--guard stable:0 $DATA" \
        "2|does not go with --relaxation softmax|--alpha-update exponentiated $DATA" \
        "2|not with alphas that learn|--choice random $DATA" "1|validation split is empty|--strategy random-ws no-valid.nas" "2|no cell 8|--reduce-at 8 $DATA" "2|more than the 50 epochs|--warmup 51 $DATA" \
        "2|1 to 4 of them|--concat 5 $DATA" "2|one FILE|$DATA $DATA" "1|No space left|-e 1 -l 1 -c 1 $DATA -o /dev/full"; do
        IFS='|' read -r status words command <<<"$case"
        # shellcheck disable=SC2086
        run "-$status" --separate-stderr nas-search -q -o out.nas $command
        one_line "$stderr"
        [[ $stderr == *"$words"* && ! -e out.nas ]] || { echo "$command: $stderr" >&2; return 1; }
    done
}
