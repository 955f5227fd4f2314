#!/usr/bin/env bats
# Every task from data to report: search, derive, train, evaluate, look; what is planted in the data is found, so the network
# beats the predictor that says the same of every sample. And what is said to data that do not fit their task.

load helper

# whole NAME: $NAME.nas goes through all programs; the end is $NAME-end.nas, the predictions $NAME.csv.
whole()
{
    nas-search -q -l 2 -c 4 -b 16 -e 1 --nodes 1 --reduce-at none "$1.nas" | nas-derive -q -o "$1-cells.nas"
    nas-train -q --data "$1.nas" -l 1 -c 8 -b 16 -e 6 --reduce-at none "$1-cells.nas" |
        nas-eval -q --data "$1.nas" --predictions --csv "$1.csv" -o "$1-end.nas"
}

# value FILE METRIC [COLUMN]: of the evaluation; column 13 is the network's, 14 the trivial predictor's.
value() { nas-stats --tsv evaluation "$1" | awk -F '\t' -v m="$2" -v c="${3:-13}" '$12 == m { print $c }'; }

# holds EXPRESSION: awk finds it true.
holds() { awk "BEGIN { exit !($1) }" || { echo "not true: $1" >&2; return 1; }; }

# beats FILE METRIC MARGIN: the network is above (margin > 0) or below (< 0) the trivial predictor by so much.
beats()
{
    local net trivial
    net=$(value "$1" "$2") trivial=$(value "$1" "$2" 14)
    if [[ $3 = -* ]]; then holds "$net - $trivial < $3"; else holds "$net - $trivial > $3"; fi
}

@test "classification with class weights and the weighted log loss, end to end" {
    nas-ingest -q synthetic --option kind=skip --option classes=3 --option noise=0.3 --option n=300 --option size=8 \
        --class-weights balanced --metric-weights 1,2,2 -o data.nas
    whole data
    beats data-end.nas weighted_log_loss -0.2
    beats data-end.nas accuracy 0.2
    beats data-end.nas auroc 0.1
    nas-stats data-end.nas >report
    grep -q 'weighted_log_loss  1, 2, 2' report
    grep -qE 'precision +recall +f1 +auroc +average_precision +samples$' report
    grep -q '^Confusion' report
    [[ $(nas-stats --json data-end.nas | jq -r 'select(.kind == "network") | .class_weight | length') = 3 ]]
    nas-stats --html -o page.html data-end.nas
    grep -q weighted_log_loss page.html
}

@test "regression with twelve outputs, end to end: none of their numbers is lost" {
    nas-ingest -q synthetic --option kind=linear --option outputs=12 --option n=300 --option size=8 -o data.nas
    whole data
    beats data-end.nas r2 0.3
    beats data-end.nas rmse -0.1
    local k
    for k in {0..11}; do
        holds "$(value data-end.nas "r2[$k]") < 1"
        holds "$(value data-end.nas "rmse[$k]") < $(value data-end.nas "rmse[$k]" 14)"
    done
    [[ $(head -1 data.csv) = run,id,target_0,*,target_11,predicted_0,*,predicted_11 ]]
    [[ $(wc -l <data.csv) = 61 ]]
}

@test "multi-label, end to end" {
    nas-ingest -q synthetic --option kind=labels --option outputs=3 --option n=300 --option size=8 \
        --class-weights 1,2,1.5 -o data.nas
    whole data
    beats data-end.nas auroc 0.3
    beats data-end.nas average_precision 0.2
    beats data-end.nas log_loss -0.1
    [[ $(head -1 data.csv) = run,id,target_0,target_1,target_2,p_0,p_1,p_2 ]]
    nas-stats data-end.nas | grep -qE 'label +2 '
    nas-stats --json data-end.nas | jq -se 'any(.kind == "predictions" and .columns == 3)' >/dev/null
}

@test "a tree of questions, end to end: fractions obey the tree" {
    nas-ingest -q synthetic --option kind=tree --option n=300 --option size=8 -o data.nas
    whole data
    beats data-end.nas rmse -0.05
    beats data-end.nas r2 0.2
    [[ $(head -1 data.csv) = run,id,target_smooth,*,predicted_smooth,predicted_disk,predicted_star,predicted_edge-on,* ]]
    tail -n +2 data.csv | awk -F , '{ a = $10 + $11 + $12 - 1; b = $13 + $14 - $11; if (a * a + b * b > 1e-10) exit 1 }'
    nas-stats data-end.nas | grep -qE 'question +Bar '
    nas-stats --json data-end.nas | jq -se 'any(.kind == "predictions" and .output_names[6] == "no-bar")' >/dev/null
    nas-transfer -q --data data.nas -l 1 -c 4 -b 16 -e 1 --reduce-at none --baseline small-cnn data-cells.nas |
        nas-stats --tsv transfer | grep -q "rmse"
}

@test "Galaxy Zoo's 37 outputs, with softmax and with ReLU and division" {
    nas-ingest -q synthetic --option kind=tree --option n=120 --option size=8 --tree galaxy-zoo -o soft.nas
    nas-ingest -q synthetic --option kind=tree --option n=120 --option size=8 --tree galaxy-zoo --tree-normalise relu \
        --tree-tolerance 1 -o relu.nas
    local kind
    for kind in soft relu; do
        nas-train -q --data $kind.nas --net small-cnn -c 8 -b 16 -e 3 -o $kind-net.nas
        nas-eval -q --data $kind.nas --csv $kind.csv -o $kind-end.nas $kind-net.nas
        [[ $(head -1 $kind.csv | tr , '\n' | grep -c '^predicted_Class') = 37 ]]
        holds "$(value $kind-end.nas rmse) < 0.5"
    done
    # a network of one tree is not evaluated by another
    run -1 --separate-stderr nas-eval -q --data soft.nas -o x.nas relu-net.nas
    [[ $stderr = *'its tree of questions is not that of the data' ]]
}

@test "the same seed gives the same bits, whatever the threads: labels and tree" {
    local kind
    for kind in labels tree; do
        nas-ingest -q synthetic --option kind=$kind --option n=100 --option size=8 -o data.nas
        nas-train -q --threads 1 --data data.nas --net small-cnn -c 4 -b 16 -e 2 | nas-eval -q --data data.nas --csv 1.csv >/dev/null
        nas-train -q --threads 2 --data data.nas --net small-cnn -c 4 -b 16 -e 2 |
            nas-eval -q --threads 2 --data data.nas --csv 2.csv >/dev/null
        same 1.csv 2.csv
    done
}

@test "the metric that selects can be named" {
    nas-ingest -q synthetic --option n=100 --option size=8 --metric macro_f1 -o data.nas
    nas-train -q --data data.nas --net small-cnn -c 4 -b 16 -e 1 | nas-eval --data data.nas 2>note | nas-stats >report
    [[ $(<note) = *': macro_f1 '*' without a network' ]]
    grep -qE 'test +20 +macro_f1' report
}

# idx FILE TYPE DIMENSION… <<< numbers: an IDX file of bytes (8) or floats (13) of one byte each dimension
idx()
{
    local file=$1 type=$2 n
    shift 2
    { printf '\0\0'; printf "\\x$(printf %x "$type")\\x$(printf %x $#)"
      for n; do printf "\\0\\0\\0\\x$(printf %x "$n")"; done
      while read -r n; do printf "\\x$(printf %x "$n")"; done; } >"$file"
}

refused()
{
    local expected=$1
    shift
    run -1 --separate-stderr nas-ingest -q "$@" -o no.nas
    one_line "$stderr"
    # shellcheck disable=SC2053
    [[ $stderr == $expected ]] || { echo "said: $stderr" >&2; return 1; }
    [[ ! -e no.nas ]]
}

@test "targets that do not fit their task are refused in one line" {
    seq 1 80 | idx x.idx 8 20 2 2
    for i in {1..20}; do echo $((i % 2)); echo 1; done | idx two.idx 8 20 2
    refused '*sample 0 does not obey the tree: the answers of question A add up to 2, expected 1 (10 of 20 samples)*' \
        idx x.idx two.idx --tree <(echo 'question A: yes no')
    nas-ingest -q idx x.idx two.idx --task multi-label --test 0 -o labels.nas
    for i in {1..20}; do echo $((i % 3)); echo 1; done | idx three.idx 8 20 2
    refused '*sample 1 has 2 for label 0: 0 or 1 expected (7 of 20 samples)' idx x.idx three.idx --task multi-label
    refused '*--class-weights 1,-1: weight 1 is -1: a number above 0 expected' synthetic --option n=80 --option classes=2 \
        --class-weights 1,-1
    refused '*--class-weights 1,2,3: 3 weights for 4 outputs' synthetic --option n=80 --class-weights 1,2,3
    refused '*plasticc: class 0 is none of PLAsTiCC*' synthetic --option n=80 --class-weights plasticc
    refused '*--class-weights: not for regression' synthetic --option kind=linear --option n=80 --class-weights balanced
    refused '*metric r2: not one of classification: accuracy, *' synthetic --option n=80 --metric r2
    run -2 --separate-stderr nas-ingest idx x.idx two.idx --task tree -o no.nas
    [[ $stderr = *'the tree of questions is missing: --tree NAME or FILE' ]]
    run -2 --separate-stderr nas-ingest idx x.idx two.idx --task trees -o no.nas
    [[ $stderr = *'not a task; classification, regression, multi-label, tree, simulation' ]]
}

@test "trees that are none are refused in one line" {
    seq 1 80 | idx x.idx 8 20 2 2
    for i in {1..20}; do echo $((i % 2)); echo 1; done | idx two.idx 8 20 2
    refused '*line 2: question B: it leads to itself*' idx x.idx two.idx --tree <(printf 'question A: a b\nquestion B after c: c d\n')
    refused '*question B: two parents, a and b*' idx x.idx two.idx --tree <(printf 'question A: a b\nquestion B after a b: c d\n')
    refused '*question B: after x: no question has this answer' idx x.idx two.idx \
        --tree <(printf 'question A: a b\nquestion B after x: c d\n')
    refused '*the tree of questions has 37 answers, there are 2 outputs' idx x.idx two.idx --tree galaxy-zoo
    refused '*--tree no-such: No such file or directory, and none of the trees that are built in: galaxy-zoo' \
        idx x.idx two.idx --tree no-such
}

@test "a class that a split lacks is said, and its numbers are not defined" {
    seq 1 80 | idx x.idx 8 20 2 2
    for i in {1..20}; do echo $((i % 3)); done | idx y.idx 8 20
    seq 1 16 | idx test-x.idx 8 4 2 2
    for i in {1..4}; do echo $((i % 2)); done | idx test-y.idx 8 4
    nas-ingest idx x.idx y.idx test-x.idx test-y.idx --valid 0 --alpha 0 -o data.nas 2>note
    grep -q '^nas-ingest: class 2: none in test$' note
    nas-train -q --data data.nas --net small-cnn -c 4 -b 16 -e 1 |
        nas-eval -q --data data.nas -o end.nas
    [[ $(value end.nas 'auroc[2]') = nan ]]
    nas-stats end.nas | grep -E 'class +2 ' | grep -q 'not defined'
    nas-stats --json end.nas | grep -q 'null'
}

@test "nas-eval: ensemble, views of a sample, bootstrap, NumPy" {
    nas-ingest -q synthetic --option kind=tree --option n=200 --option size=8 --flip-horizontal -o data.nas
    local seed
    for seed in 1 2; do
        nas-train -q --seed $seed --data data.nas --net small-cnn -c 4 -b 16 -e 3 -o $seed.nas
    done
    cat 1.nas 2.nas | nas-eval -q --data data.nas --ensemble --bootstrap 100 --csv p.csv --npy p.npy -o end.nas
    [[ $(nas-stats --json end.nas | jq -r 'select(.kind == "evaluation") | .run' | tr '\n' ' ') = 'small-cnn small-cnn ensemble ' ]]
    # the third block of the CSV is the mean of the first two
    awk -F , 'NR > 1 { n = NR - 2; k = n % 40; if (n < 80) sum[k] += $10; else if ((sum[k] / 2 - $10) ^ 2 > 1e-12) exit 1 }
              END { if (NR != 121) exit 1 }' p.csv
    [[ $(head -c 6 p.npy | tail -c 5) = NUMPY && $(head -c 128 p.npy | tail -c 118) = *"'shape': (3, 40, 7)"* ]]
    [[ $(stat -c %s p.npy) = $((128 + 3 * 40 * 7 * 4)) ]]
    [[ $(tail -c +129 p.npy | od -An -f -w28 -v | head -1 | awk '{ print $1 }') = $(sed -n 2p p.csv | cut -d , -f 10 | cut -c 1-6)* ]]
    local low high value
    nas-stats --tsv evaluation end.nas | awk -F '\t' '$3 == "ensemble" && $12 ~ /^rmse/ && $12 !~ /\[/ { print $13 }' >three
    { read -r value; read -r low; read -r high; } <three
    holds "$low < $value && $value < $high"
    nas-stats end.nas | grep -q '95 % of resamples'

    nas-eval -q --data data.nas --tta 2 --csv tta.csv 1.nas -o tta.nas
    nas-eval -q --data data.nas --tta 2 --csv again.csv --threads 1 1.nas >/dev/null
    nas-eval -q --data data.nas --csv plain.csv 1.nas >/dev/null
    same tta.csv again.csv
    ! cmp -s tta.csv plain.csv || false
    nas-stats --json tta.nas | jq -se 'any(.kind == "evaluation" and .settings[0].key == "tta")' >/dev/null

    run -1 --separate-stderr nas-eval -q --data data.nas --ensemble 1.nas -o x.nas
    one_line "$stderr"
    [[ $stderr = *'--ensemble: two networks or more are needed, one is there' && ! -e x.nas ]]
    run -1 --separate-stderr nas-eval -q --data data.nas --npy no/such/p.npy 1.nas -o x.nas
    [[ $stderr = *'no/such/p.npy: No such file or directory' && ! -e x.nas ]]
    nas-ingest -q synthetic --option kind=tree --option n=200 --option size=8 -o still.nas
    run -1 --separate-stderr nas-eval -q --data still.nas --tta 2 --csv kept.csv 1.nas -o x.nas
    [[ $stderr = *'still.nas declares no augmentation: '* && ! -e kept.csv ]]
}
