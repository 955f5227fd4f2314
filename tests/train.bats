#!/usr/bin/env bats
# nas-train, nas-eval, nas-transfer: what they write, what they refuse, how they end.

load helper

SMALL=(--layers 2 --channels 4 --batch 8 --epochs 2)

setup_file()
{
    export DATA=$BATS_FILE_TMPDIR/data.nas OTHER=$BATS_FILE_TMPDIR/other.nas NETS=$BATS_FILE_TMPDIR/nets.nas
    nas-ingest -q synthetic --option n=120 --option size=8 -o "$DATA"
    nas-ingest -q synthetic --option n=60 --option size=6 --option kind=linear --task regression -o "$OTHER"
    nas-derive -q --random 2 -o "$BATS_FILE_TMPDIR/cells.nas"
    export CELLS=$BATS_FILE_TMPDIR/cells.nas
    nas-train -q --data "$DATA" "${SMALL[@]}" --net small-cnn "$CELLS" -o "$NETS"
}

json() { nas-stats --json "$1" | grep "\"kind\":\"$2\""; }
untimed() { nas-stats --json "$1" | grep -v '"kind":"provenance"' | sed -E 's/"(file|seconds)":("[^"]*"|[^,}]*)//g'; }

@test "training passes the genotypes on and adds networks, epochs, weights" {
    [[ $(json "$NETS" genotype | wc -l) = 2 && $(json "$NETS" network | wc -l) = 3 ]]
    [[ $(json "$NETS" train_epoch | wc -l) = 6 && $(json "$NETS" dataset | wc -l) = 1 ]]
    local run set
    for run in random-1-1 random-1-2 small-cnn; do
        for set in best last; do
            json "$NETS" tensor | grep -q "\"run\":\"$run\",\"set\":\"$set\""
        done
        json "$NETS" train_epoch | grep "\"run\":\"$run\"" | grep -q '"best":true'
    done
    json "$NETS" tensor | grep -q '"name":"stem.1.running_var"'
    [[ $(json "$NETS" train_epoch | grep -c '"split":"validation"') = 6 ]]
    [[ $(json "$NETS" train_epoch | grep -c '"name":"eval_mode_loss"') = 6 ]]
}

@test "training is on the train and alpha splits together, or on train alone" {
    nas-train -q --data "$DATA" "${SMALL[@]}" --genotype DARTS_V2 -o t.nas # no stream: nothing is read
    json t.nas network | grep -q '{"key":"samples","value":"86"}'
    json t.nas train_epoch | tail -1 | grep -q '"steps":22,'
    json t.nas genotype | grep -q '"name":"DARTS_V2"'
    nas-train -q --data "$DATA" "${SMALL[@]}" --no-alpha --net small-cnn -o t.nas
    json t.nas network | grep -q '{"key":"samples","value":"43"}'
}

@test "every optimiser and option of training runs" {
    local options
    for options in "--optimizer adam" "--optimizer adamw --weight-decay 0.05" "--nesterov --clip 0" "--schedule constant" \
        "--drop-path 0.5" "--cutout 3 --crop 1 --flip" "--no-augment --warmup 1" "--limit 8 --valid-limit 3" \
        "--schedule step --lr-drop-at 0.5,1.5 --lr-drop 0.2" "--schedule one-cycle --warmup 0.5" "--accumulate 3 --ema 0.9" \
        "--label-smoothing 0.1 --auxiliary 0.4" "--mixup 0.4" "--rotate 30 --shift 1.5 --zoom 1.2 --jitter 0.1" \
        "--mask-rows 2 --mask-columns 3 --masks 2" "--patience 1" "--batch 0" "--reduce-at none" "--no-weights"; do
        # shellcheck disable=SC2086
        nas-train -q --data "$DATA" "${SMALL[@]}" $options "$CELLS" -o t.nas || { echo "$options" >&2; return 1; }
    done
    ! json t.nas tensor >/dev/null || false
}

@test "a mean of the weights: measured every epoch, written as a set of its own, evaluated" {
    nas-train -q --data "$DATA" "${SMALL[@]}" --ema 0.5 --net small-cnn -o t.nas
    [[ $(json t.nas train_epoch | grep -c '"name":"mean_accuracy","split":"validation"') = 2 ]]
    nas-eval -q --data "$DATA" --set mean --split validation t.nas -o e.nas
    json e.nas evaluation | grep -q '"set":"mean"'
    nas-stats --tsv evaluation e.nas | awk -F'\t' '$12 == "loss" { print $13 }' >evaluated
    nas-stats --tsv train_epoch t.nas | awk -F'\t' '$4 == 2 && $11 == "mean_loss" { print $12 }' >trained
    same evaluated trained
    run -0 --separate-stderr nas-eval -q --data "$DATA" --set mean "$NETS" -o e.nas
    [[ $stderr == *'no weights "mean" in the stream: "best" are taken'* ]]
}

@test "an auxiliary tower serves training alone: it counts for nothing, and evaluation is without it" {
    local text='Genotype(normal=[("sep_conv_3x3", 0), ("skip_connect", 1)], normal_concat=[2], reduce=[("max_pool_3x3", 0), ("skip_connect", 1)], reduce_concat=[2])'
    nas-train -q --data "$DATA" "${SMALL[@]}" --auxiliary 0.4 --genotype "$text" -o with.nas
    nas-train -q --data "$DATA" "${SMALL[@]}" --genotype "$text" -o without.nas
    numbers() { json "$1" network | grep -o '"parameters":[0-9]*,"macs":[0-9]*'; }
    same <(numbers with.nas) <(numbers without.nas)
    json with.nas tensor | grep -q '"name":"auxiliary_head.features.5.weight"'
    nas-eval -q --data "$DATA" --split validation with.nas -o e.nas
    nas-stats --tsv evaluation e.nas | awk -F'\t' '$12 == "loss" { print $13 }' >evaluated
    nas-stats --tsv train_epoch with.nas | awk -F'\t' '$9 == 1 && $11 == "loss" && $10 == "validation" { print $12 }' >trained
    grep -qxFf evaluated trained
}

@test "gradients of several batches add up to that of their samples" {
    local options=("${SMALL[@]}" --no-augment --schedule constant --net linear)
    nas-train -q --data "$DATA" "${options[@]}" --batch 32 -o one.nas
    nas-train -q --data "$DATA" "${options[@]}" --batch 8 --accumulate 4 -o four.nas
    nas-train -q --data "$DATA" "${options[@]}" --batch 8 -o other.nas
    on() { nas-stats --tsv train_epoch "$1" | awk -F'\t' '$10 == "validation" && $11 == "loss" && $4 == 2 { printf "%.4f\n", $12 }'; }
    same <(on one.nas) <(on four.nas)
    ! cmp -s <(on one.nas) <(on other.nas) || false
}

@test "early stopping ends a run that gets no better, and says so" {
    nas-train -q --data "$DATA" "${SMALL[@]}" --epochs 50 --lr 1e-9 --patience 2 --net small-cnn -o t.nas
    json t.nas event | grep -q '"what":"early-stop"'
    (( $(json t.nas train_epoch | wc -l) < 10 ))
}

@test "augmentation touches no sample of validation or test" {
    local all=(--rotate 40 --shift 2 --zoom 1.5 --jitter 1 --mask-rows 4 --mask-columns 4 --flip --crop 2 --cutout 4 --mixup 1)
    nas-train -q --data "$DATA" "${SMALL[@]}" --lr 1e-30 --momentum 0 --weight-decay 0 --net linear -o plain.nas
    nas-train -q --data "$DATA" "${SMALL[@]}" --lr 1e-30 --momentum 0 --weight-decay 0 "${all[@]}" --net linear -o rough.nas
    on() { nas-stats --tsv train_epoch "$1" | awk -F'\t' -v of="$2" '$10 == of && $11 == "loss" { print $12 }'; }
    same <(on plain.nas validation) <(on rough.nas validation)
    ! cmp -s <(on plain.nas train) <(on rough.nas train) || false
}

@test "what is recomputed changes no byte of a training but the memory told" {
    local way train=(nas-train -q --data "$DATA" --layers 3 --channels 4 --batch 8 --epochs 2 --drop-path 0.3 --net resnet-tiny)
    "${train[@]}" --recompute none --threads 1 "$CELLS" -o none.nas
    bare none.nas >want
    for way in 'cell 1' 'cell 2' 'node 2'; do
        "${train[@]}" --recompute "${way% *}" --threads "${way#* }" "$CELLS" -o other.nas
        bare other.nas | cmp - want
    done
    nas-transfer -q --data "$OTHER" "${SMALL[@]}" --recompute none "$CELLS" -o none.nas
    nas-transfer -q --data "$OTHER" "${SMALL[@]}" --recompute cell "$CELLS" -o other.nas
    bare other.nas | cmp - <(bare none.nas)
}

@test "a net learns what is there to learn, and says so on the test split" {
    nas-ingest -q synthetic --option n=600 --option size=8 --option noise=0.02 -o easy.nas
    nas-train -q --data easy.nas --net small-cnn --channels 8 --batch 16 --epochs 10 -o t.nas
    nas-eval -q --data easy.nas t.nas -o e.nas
    nas-stats --tsv evaluation e.nas |
        awk -F'\t' '$12 == "accuracy" { seen = 1; if ($13 < $14 + 0.3) { print; exit 1 } } END { exit !seen }'
}

@test "same seed, same records with 1, 2 and 7 threads" {
    local threads
    for threads in 1 2 7; do
        nas-train -q --threads $threads --data "$DATA" "${SMALL[@]}" --drop-path 0.3 --cutout 3 --mixup 0.3 --rotate 9 \
            --label-smoothing 0.1 --ema 0.9 --accumulate 2 --auxiliary 0.4 --jitter 0.1 --mask-rows 2 "$CELLS" |
            nas-eval -q --threads $threads --data "$DATA" --predictions --keep-weights -o $threads.nas
        untimed $threads.nas >$threads.txt
    done
    same 1.txt 2.txt
    same 1.txt 7.txt
}

@test "a training that diverges: an event, no weights, the others are trained, status 1" {
    run -1 --separate-stderr nas-train -q --data "$DATA" "${SMALL[@]}" --epochs 20 --lr 1000 --weight-decay 100 --clip 0 "$CELLS" -o t.nas
    [[ $stderr == *"random-1-1: the loss is "*"random-1-2: the loss is "* ]]
    [[ $(json t.nas event | grep -c '"what":"diverged"') = 2 ]]
    ! json t.nas tensor >/dev/null || false
}

@test "SIGTERM ends a training with its weights, a valid stream and status 143" {
    local status=0
    env --default-signal=INT,TERM nas-train -q --data "$DATA" --layers 1 --channels 1 --batch 8 --epochs 1000000 "$CELLS" >t.nas &
    local pid=$!
    while [[ $(stat -c %s t.nas 2>/dev/null || echo 0) -lt 4000 ]]; do sleep 0.05; done
    kill -TERM $pid
    wait $pid || status=$?
    [[ $status = 143 ]]
    json t.nas event | grep -q '"what":"interrupted"'
    [[ $(json t.nas network | wc -l) = 1 ]] # the second is not begun
    nas-eval -q --data "$DATA" t.nas -o e.nas
    [[ $(json e.nas evaluation | wc -l) = 1 ]]
}

@test "--dry-run prints a forecast for every network and stops" {
    run -0 --separate-stderr nas-train --dry-run --data "$DATA" --net resnet-18 "$CELLS" -o never.nas
    [[ ${#lines[@]} = 3 && ${lines[2]} == "resnet-18: "*" parameters"* && ! -e never.nas ]]
}

@test "evaluation: whole split, trivial predictor, confusion matrix, health" {
    nas-eval -q --data "$DATA" "$NETS" -o e.nas
    [[ $(json e.nas evaluation | wc -l) = 3 ]]
    ! json e.nas tensor >/dev/null || false
    json e.nas evaluation | head -1 >first
    grep -q '"set":"best".*"split":"test","genotype":"Genotype(.*"count":24,' first
    grep -q '"baseline":\[{"name":"loss","split":"test"' first
    ! grep -qE '"(train|eval)_mode_loss":null' first || false
    # the confusion matrix holds every sample
    [[ $(grep -o '"confusion":\[\[[^"]*\]\]' first | tr -c '0-9.\n' '\n' | awk '{ n += $1 } END { print n }') = 24 ]]
    nas-eval -q --data "$DATA" --split validation --set last --limit 5 "$NETS" --keep-weights -o e.nas
    json e.nas evaluation | head -1 | grep -q '"set":"last".*"split":"validation".*"count":5,'
    json e.nas tensor | grep -q '"set":"best"'
}

@test "evaluation gives what training had measured on the same split with the same weights" {
    nas-eval -q --data "$DATA" --split validation --set last "$NETS" -o e.nas
    nas-stats --tsv evaluation e.nas | awk -F'\t' '$12 == "loss" { print $3, $13 }' | sort >evaluated
    nas-stats --tsv train_epoch "$NETS" | awk -F'\t' '$4 == 2 && $10 == "validation" && $11 == "loss" { print $3, $12 }' |
        sort >trained
    [[ $(wc -l <trained) = 3 ]]
    same evaluated trained
}

@test "predictions as records and as CSV: every sample with its position in the source" {
    nas-eval -q --data "$DATA" --predictions --csv p.csv "$NETS" -o e.nas
    [[ $(json e.nas predictions | wc -l) = 3 ]]
    [[ $(head -1 p.csv) = run,id,target,predicted,p_* && $(wc -l <p.csv) = 73 ]]
    awk -F, 'NR > 1 { s = 0; for (i = 5; i <= NF; i++) s += $i; if (s < 0.9999 || s > 1.0001) exit 1 }' p.csv
    # as many right ones as the accuracy says
    awk -F, '$1 == "small-cnn" { n++; right += $3 == $4 } END { print right / n }' p.csv >right
    nas-stats --tsv evaluation e.nas | awk -F'\t' '$3 == "small-cnn" && $12 == "accuracy" { print $13 + 0 }' >accuracy
    same right accuracy
}

@test "weights that are missing: the other set aloud, a note, or a refusal" {
    nas-train -q --data "$DATA" "${SMALL[@]}" --no-weights "$CELLS" -o bare.nas
    run -1 --separate-stderr nas-eval -q --data "$DATA" bare.nas -o e.nas
    one_line "$stderr"
    [[ $stderr == *"no network in it has weights"* && ! -e e.nas ]]
    cat bare.nas "$NETS" >both.nas
    nas-eval -q --data "$DATA" both.nas -o e.nas
    [[ $(json e.nas evaluation | wc -l) = 3 ]]
}

@test "targets that are numbers or labels can be mixed and smoothed, too, and are still learnt" {
    local value
    metric() { nas-stats --json "$1" | jq -r --arg m "$2" '[select(.kind == "train_epoch") | .metrics[] | select(.split == "validation" and .name == $m) | .value] | last // empty' | tail -n 1; }
    nas-ingest -q synthetic --option kind=linear --option n=400 -o numbers.nas
    nas-train -q --data numbers.nas --net small-cnn -c 4 -e 6 -b 16 --mixup 0.2 -o n.nas
    value=$(metric n.nas r2)
    awk -v v="$value" 'BEGIN { exit !(v > 0.8) }' || { echo "r2 $value"; false; }
    nas-ingest -q synthetic --option kind=labels --option n=400 -o labels.nas
    nas-train -q --data labels.nas --net small-cnn -c 4 -e 6 -b 16 --mixup 0.2 --label-smoothing 0.1 -o l.nas
    value=$(metric l.nas auroc)
    awk -v v="$value" 'BEGIN { exit !(v > 0.9) }' || { echo "auroc $value"; false; }
}

@test "what does not fit is refused in one line, and leaves no file" {
    nas-ingest -q synthetic --option n=60 --option size=8 --test 0 -o no-test.nas
    nas-ingest -q synthetic --option n=60 --option size=8 --name another -o another.nas
    nas-ingest -q synthetic --option n=60 --option size=9 -o larger.nas
    nas-ingest -q synthetic --option n=60 --option size=8 --option classes=3 -o fewer.nas
    nas-ingest -q synthetic --option n=60 --option size=8 --valid 0 -o no-valid.nas
    for i in {1..16}; do printf '%d\t%d\t%d\t%d\t%d\n' $((i % 2)) "$i" 3 $((i % 2)) 5; done >S_TRAIN.tsv
    nas-ingest -q ucr S_TRAIN.tsv --test 0.25 -o series.nas
    head -c 5000 "$NETS" >cut.nas
    local case i
    for case in "1|it is for classification|nas-eval --data $OTHER $NETS" "1|data are another|nas-eval --data another.nas $NETS" \
        "1|data are 1x9x9|nas-eval --data larger.nas $NETS" "1|it has 4 outputs|nas-eval --data fewer.nas $NETS" \
        "1|test split is empty|nas-eval --data no-test.nas $NETS" "1|no network|nas-eval --data $DATA $CELLS" \
        "3|cut|nas-eval --data $DATA cut.nas" "3|cut|nas-train --data $DATA cut.nas" "2|--data FILE|nas-train $CELLS" \
        "2|DARTS_V2|nas-train --data $DATA --genotype DARTS_V3" "1|unknown net|nas-train --data $DATA --net resnet" \
        "1|no genotype|nas-train --data $DATA $DATA" "2|--nesterov|nas-train --data $DATA --nesterov --optimizer adam $CELLS" \
        "2|--lr-drop-at|nas-train --data $DATA --lr-drop-at 99 --schedule step $CELLS" \
        "2|--schedule step|nas-train --data $DATA --lr-drop-at 2 $CELLS" "2|how wide|nas-train --data $DATA --masks 2 $CELLS" \
        "2|excludes|nas-train --data $DATA --no-augment --mixup 0.2 $CELLS" "2|--zoom|nas-train --data $DATA --zoom 0.5 $CELLS" \
        "1|no classes or labels|nas-train --data $OTHER --label-smoothing 0.1 $CELLS" \
        "1|validation split|nas-train --data no-valid.nas --patience 2 $CELLS" "1|are series|nas-train --data series.nas --rotate 9 --net resnet-1d" \
        "1|of one row|nas-train --data series.nas --mask-rows 2 --net resnet-1d" \
        "2|standard input|nas-train --data - -" "1|needs |nas-train --data $DATA --memory 1 -c 64 $CELLS" \
        "1|test split is empty|nas-transfer --data no-test.nas $CELLS" \
        "1|searched on|nas-transfer --data $DATA --baseline own $CELLS" "1|unknown net|nas-transfer --data $DATA --baseline x $CELLS" \
        "1|No such file|nas-eval --data $DATA --csv no/such/folder.csv $NETS" \
        "1|No space left|nas-eval --data $DATA $NETS -o /dev/full"; do
        IFS='|' read -r status words command <<<"$case"
        # shellcheck disable=SC2086
        run "-$status" --separate-stderr ${command%% *} -q -o out.nas ${command#* }
        one_line "$stderr"
        [[ $stderr == *"$words"* && ! -e out.nas ]] || { echo "$command: $stderr" >&2; return 1; }
    done
    [[ $(find . -name '*.tmp*') = "" ]]
}

@test "a network is judged with the normalisation that it was trained with" {
    # The same samples in other splits: other mean and sd of the train split.
    nas-ingest -q synthetic --option n=120 --option size=8 --test 0.5 -o moved.nas
    nas-eval -q --data moved.nas --csv moved.csv "$NETS" -o e.nas
    nas-eval -q --data "$DATA" --csv here.csv "$NETS" -o e.nas
    # A sample that is in both test splits gets the same prediction.
    awk -F, 'NR > 1 { key = $1 "," $2 } FNR == NR { said[key] = $0; next } key in said { n++; if (said[key] != $0) exit 1 }
             END { exit n < 3 }' here.csv moved.csv
}

@test "regression: training, evaluation, transfer" {
    nas-train -q --data "$OTHER" "${SMALL[@]}" "$CELLS" | nas-eval -q --data "$OTHER" --csv p.csv -o e.nas
    json e.nas evaluation | head -1 | grep -q '"name":"r2","split":"test"'
    json e.nas evaluation | head -1 | grep -q '"confusion":\[\]'
    [[ $(head -1 p.csv) = run,id,target_*,predicted_* ]]
}

@test "transfer: a row for every genotype and baseline, beside the trivial predictor" {
    nas-transfer -q --data "$OTHER" "${SMALL[@]}" --baseline small-cnn --baseline resnet-tiny "$CELLS" -o r.nas
    [[ $(json r.nas transfer | grep -c '"key":"role","value":"transfer"') = 2 ]]
    [[ $(json r.nas transfer | grep -c '"key":"role","value":"baseline"') = 2 ]]
    [[ $(json r.nas transfer | grep -c '"to":"synthetic-linear"') = 4 ]]
    [[ $(json r.nas transfer | grep -c '"baseline":\[{"name":"loss","split":"test"') = 4 ]]
    ! json r.nas tensor >/dev/null || false
    nas-search -q --layers 1 --channels 2 --batch 16 --epochs 1 "$OTHER" | nas-derive -q |
        nas-transfer -q --data "$OTHER" "${SMALL[@]}" --baseline own -o r.nas
    json r.nas transfer | grep -q '"key":"role","value":"own"'
}

@test "transfer: all pairs of cells and datasets, with seeds, from one command; the table and the picture" {
    nas-search -q --layers 1 --channels 2 --batch 16 --epochs 1 "$OTHER" | nas-derive -q -o own.nas
    cat own.nas "$CELLS" >all.nas
    nas-transfer -q --data "$DATA" --data "$OTHER" --seeds 2 -l 2 -c 4 -b 8 -e 1 all.nas -o r.nas
    [[ $(json r.nas transfer | wc -l) = 16 && $(json r.nas dataset | wc -l) = 2 ]] # 3 cells, 1 net; 2 sets; 2 seeds
    [[ $(json r.nas transfer | grep -c '"role","value":"own"') = 2 && $(json r.nas transfer | grep -c '"seed":2,') = 8 ]]
    [[ $(json r.nas network | grep -o '"run":"[^"]*"' | sort -u | wc -l) = 16 ]]
    # the same as one at a time
    nas-transfer -q --data "$OTHER" --seed 2 -l 2 -c 4 -b 8 -e 1 all.nas -o one.nas
    metrics() { json "$1" transfer | grep '"seed":2,' | grep '"to":"synthetic-linear"' | grep -o '"metrics":.*"settings"'; }
    same <(metrics one.nas) <(metrics r.nas)
    nas-stats --html -o r.html r.nas
    grep -q 'Transfer of cells between datasets' r.html
    if command -v gnuplot >/dev/null; then nas-stats --plot transfer -o r.png r.nas && [[ -s r.png ]]; fi
}

@test "transfer: depth and width, with their parameter counts before anything is trained" {
    run -0 --separate-stderr nas-transfer --dry-run --data "$DATA" --layers 2,3 --channels 4,6 --baseline linear "$CELLS" -o never.nas
    [[ ${#lines[@]} = 10 && ! -e never.nas ]] # 2 cells of 4 sizes; the net in 2 widths
    [[ ${lines[0]} == "random-1-1 on synthetic-blobs, 2 layers, 4 channels: "*" parameters"* ]]
    nas-transfer -q --data "$DATA" --layers 2,3 --channels 4,6 -e 1 -b 16 --baseline none "$CELLS" -o r.nas
    json r.nas transfer | sed -E 's/.*"layers":([0-9]+),"channels":([0-9]+),"parameters":([0-9]+).*/\1 \2 \3/' | sort -u | wc -l >sizes
    [[ $(<sizes) = 8 ]]
    nas-stats --html -o r.html r.nas
    grep -q 'random-1-1, 3 layers, 6 channels' r.html
}

@test "transfer: weights carried over to other shapes and tasks, frozen or not" {
    nas-ingest -q synthetic --option n=80 --option size=8 --option classes=3 --name three -o three.nas
    run -0 --separate-stderr nas-transfer --dry-run --data "$OTHER" --weights --baseline none "$NETS"
    [[ ${lines[1]} == "random-1-1 fine-tuned on "*" weights carried over, 216 adapted, 130 fresh: stem.0.weight, classifier.weight, classifier.bias" ]]
    nas-transfer -q --data three.nas --data "$OTHER" --weights --frozen -b 8 -e 2 --baseline none "$NETS" -o frozen.nas
    [[ $(json frozen.nas transfer | grep -c '"key":"weights","value":"frozen"') = 6 ]]
    [[ $(json frozen.nas transfer | grep -c '"from":"synthetic-blobs"') = 6 ]]
    # with a rate of nothing, what was carried over to the same data gives what it gave there
    nas-transfer -q --data "$DATA" --weights --lr 1e-30 --momentum 0 --weight-decay 0 --no-augment -b 8 -e 1 --baseline none "$NETS" -o same.nas
    [[ $(json same.nas transfer | grep -c '"fresh","value":"0"') = 3 ]]
    local case
    nas-train -q --data "$DATA" "${SMALL[@]}" --no-weights --net small-cnn -o bare.nas
    for i in {1..16}; do printf '%d\t%d\t%d\t%d\t%d\n' $((i % 2)) "$i" 3 $((i % 2)) 5; done >S_TRAIN.tsv
    nas-ingest -q ucr S_TRAIN.tsv --test 0.25 -o series.nas 2>/dev/null
    for case in "2|needs --weights|--data $DATA --frozen $NETS" "2|excludes --layers|--data $DATA --weights --layers 3 $NETS" \
        "1|no network in it|--data $DATA --weights $CELLS" "1|has none in the stream|--data $DATA --weights bare.nas" \
        "1|its weights do not fit: |--data series.nas --weights --baseline none $NETS" \
        "2|no list of whole numbers|--data $DATA --layers 2,x $CELLS" "2|there twice|--data $DATA --channels 2,2 $CELLS" \
        "2|standard input|--data - $CELLS" "1|No such file|--data $DATA --data none.nas $CELLS"; do
        IFS='|' read -r status words command <<<"$case"
        # shellcheck disable=SC2086
        run "-$status" --separate-stderr nas-transfer -q -o out.nas $command
        one_line "$stderr"
        [[ $stderr == *"$words"* && ! -e out.nas ]] || { echo "$command: $stderr" >&2; return 1; }
    done
}
