#!/usr/bin/env bats
# Structural problems as a dataset, and samples made of random ones.

load helper

setup() { cd "$BATS_TEST_TMPDIR"; }

@test "the 116 problems, their splits by seed, families spread" {
    nas-ingest structural -o a.nas 2>err
    [[ $(<err) = 'nas-ingest: structural: train 42, alpha 42, validation 9, test 23; problems of up to 384x512 elements' ]]
    [[ $(nas-stats --tsv problem a.nas | tail -n +2 | cut -f 3 | sort -u | wc -l) = 116 ]]
    [[ $(nas-stats --tsv problem a.nas | tail -n +2 | cut -f 4 | sort -u | wc -l) = 28 ]]
    nas-stats --json a.nas >a.json
    # a family of four or more is in two splits at least
    jq -es '[.[] | select(.kind == "problem")] | group_by(.family) | map(select(length >= 4)) |
            length > 5 and all(map(.split) | unique | length >= 2)' a.json
    jq -es '[.[] | select(.kind == "problem" and .name == "mbb_beam_96x32_0.5")][0] |
            .reference == 206.454 and (.fixed | length) == 34 and .load_dof == [1] and .load == [-1]' a.json
    nas-ingest -q structural --seed 2 -o b.nas
    nas-ingest -q structural --seed 2 -o c.nas
    problems() { nas-stats --json "$1" | jq -c 'select(.kind == "problem") | del(.file)'; }
    cmp <(problems b.nas) <(problems c.nas)
    run ! cmp <(nas-stats --tsv problem a.nas | cut -f 3) <(nas-stats --tsv problem b.nas | cut -f 3)
    nas-ingest -q structural --split-by group -o g.nas
    nas-stats --json g.nas | jq -es '[.[] | select(.kind == "problem")] | group_by(.family) | all(map(.split) | unique | length == 1)'
}

@test "names, patterns and sizes choose problems" {
    nas-ingest -q structural --option 'problems=mbb*,hoop*,mbb_beam_24x16_0.5' --option max-size=96x64 -o p.nas
    [[ $(nas-stats --tsv problem p.nas | tail -n +2 | cut -f 3 | sort | tr '\n' ' ') = \
        'hoop_32x64_0.25 mbb_beam_24x16_0.5 mbb_beam_96x32_0.5 ' ]]
    # sizes of one's own: each once, and none larger than asked for
    nas-ingest -q structural --option 'problems=mbb_beam_24x16_0.5,mbb_beam_24x16_0.5,mbb_beam_100x30_0.31' \
        --option max-size=96x64 -o p.nas
    [[ $(nas-stats --tsv problem p.nas | tail -n +2 | cut -f 3) = mbb_beam_24x16_0.5 ]]
    # an L that is longer than it is high: the whole of its support is held
    nas-ingest -q structural --option problems=l_shape_0.2_128x64_0.4 -o p.nas
    nas-stats --json p.nas | jq -es 'map(select(.kind == "problem"))[0] | .fixed | length == 52'
    nas-ingest -q structural --option problems=mbb_beam_24x16_0.50001 -o p.nas
    [[ $(nas-stats --tsv problem p.nas | tail -n 1 | cut -f 3) = mbb_beam_24x16_0.50001 ]]
}

@test "what cannot be a problem is one line" {
    refused() { run --separate-stderr nas-ingest structural --option "$1" -o x.nas; [[ $status = 1 && ${#stderr_lines[@]} = 1 && $stderr = *$2* && ! -e x.nas ]]; }
    refused problems=hoop_1x1_0.5 'a grid of one element'
    refused problems=hoop_32x64_1.5 'density 1.5: a number between 0 and 1'
    refused problems=hoop_32x32_0.2 'a load is outside the grid'
    refused problems=nothing 'of no known family'
    refused 'problems=x*' 'no problem has such a name'
    refused max-size=4x4 'nothing is left'
    refused max-size=4 'WxH expected'
    refused samples=0 'a whole number'
    refused problem=mbb 'structural knows problems max-size'
    run ! nas-ingest structural somewhere
    run ! nas-ingest structural --flip-horizontal
}

@test "programs that learn from samples refuse problems in one line" {
    nas-ingest -q structural --option 'problems=hoop*' -o p.nas
    nas-derive -q --random 1 -o c.nas
    for command in 'nas-train --genotype DARTS_V2 --data p.nas -o x.nas' 'nas-train --net small-cnn --data p.nas -o x.nas' \
        'nas-train --net oc --no-weights --data p.nas -o x.nas' 'nas-train --net oc --batch 4 --data p.nas -o x.nas' \
        'nas-train --data p.nas c.nas -o x.nas' 'nas-search --strategy darts1 p.nas -o x.nas' \
        'nas-search --batch 4 p.nas -o x.nas' 'nas-search --ops darts p.nas -o x.nas' \
        'nas-eval --tta 2 --data p.nas c.nas -o x.nas' 'nas-transfer --no-alpha --data p.nas c.nas -o x.nas'; do
        run --separate-stderr $command
        [[ $status = 1 && ${#stderr_lines[@]} = 1 && $stderr = *'a dataset of structural problems'* && ! -e x.nas ]]
    done
}

@test "what is of designs alone is refused elsewhere, in one line" {
    refused() { run --separate-stderr "${@:3}"; [[ $status = "$1" && ${#stderr_lines[@]} = 1 && $stderr = *"$2"* && ! -e x.nas ]]; }
    nas-ingest -q synthetic --option n=60 --option size=8 -o d.nas
    nas-ingest -q structural --option problems=mbb_beam_24x16_0.5,hoop_16x32_0.25,ramp_16x18_0.3 -o p.nas
    nas-derive -q --random 1 -o c.nas
    nas-derive -q --random 1 --ops generator -o g.nas
    refused 1 '--draws is for those' nas-search --draws 4 d.nas -o x.nas
    refused 1 '--ops is for those' nas-search --ops generator d.nas -o x.nas
    refused 1 '--steps is for those' nas-eval --steps 4 --data d.nas c.nas -o x.nas
    refused 1 'Genotype(' nas-train --data d.nas g.nas -o x.nas
    refused 1 'sides are multiples of 8' nas-search p.nas -o x.nas
    refused 1 'no design of the test split' nas-eval --data p.nas g.nas -o x.nas
    refused 2 'nothing to choose' nas-derive --random 1 --ops conv_3x3 -o x.nas
    refused 2 'column 12' nas-derive --text 'Generator([' -o x.nas
    refused 2 'column 12' nas-train --data p.nas --genotype 'Generator([' -o x.nas
}

@test "a generator is searched, derived, designed with, evaluated: the whole story in one stream" {
    nas-ingest -q structural --test 0.4 --valid 0 --option \
        problems=mbb_beam_24x16_0.5,hoop_16x32_0.25,ramp_16x16_0.3,roof_16x16_0.2,hoop_8x16_0.25,dam_16x16_0.2 -o p.nas
    options=(--epochs 2 --draws 3 --alpha-problems 1 --judge-problems 1 --design-steps 3)
    [[ $(nas-search --dry-run "${options[@]}" p.nas) = '17 decisions; at most 10 designs of 3 steps each' ]]
    nas-search -q "${options[@]}" p.nas | nas-derive -q --epoch best --random 1 - |
        nas-train -q --data p.nas --design test --epochs 4 --net cnn --net oc - |
        nas-eval -q --data p.nas --keep-weights -o e.nas
    nas-stats --json e.nas >e.json
    # alphas: a table a decision, weights of which sum to 1
    jq -es 'map(select(.kind == "search_epoch")) | length == 3 and all(.tables | length == 17 and
            all((.weight[0] | add) as $s | $s > 0.999999 and $s < 1.000001))' e.json
    jq -es 'map(select(.kind == "search_epoch"))[2].metrics[0] | .name == "relative_compliance" and .split == "train" and
            .value > 0' e.json
    # errors are those of the curves: least compliance over the least of the stream
    jq -es '(map(select(.kind == "train_epoch")) | group_by(.run) |
                map({key: .[0].run, value: map(.metrics[0].value) | min}) | from_entries) as $C |
            [.[] | select(.kind == "evaluation")] as $e | ($e | length) == 4 and ($e | all(. as $one | .tables[0] as $t |
                ($t.rows | length) == 2 and all(range(2); . as $i | $t.rows[$i] as $p |
                    ($C | to_entries | map(select(.key | startswith($p + " "))) | map(.value) | min) as $known |
                    ($t.value[$i][2] - ($C[$p + " " + $one.run] / $known - 1) | fabs) < 1e-9) and
                ($one.metrics[0].value - ($t.value[0][2] + $t.value[1][2]) / 2 | fabs) < 1e-12))' e.json
    nas-stats --verdict e.nas | grep -q 'search by ranks .* random generators'
    nas-stats e.nas >e.txt
    grep -q 'Designs: mean relative error by family' e.txt
    grep -q "Generator(\[" e.txt
    run ! grep -q 'cannot be drawn' e.txt
    # a sheet of 4 designs of 2 problems, if it can be drawn
    if command -v gnuplot >/dev/null; then
        nas-stats --plot designs -o d.png e.nas
        [[ $(od -An -tu1 -j16 -N8 d.png | xargs) = '0 0 3 152 0 0 1 74' ]] # 920 x 330
    fi
    run --separate-stderr nas-stats --plot designs e.nas
    [[ $status = 1 && $stderr = *'-o FILE.png'* ]]
    nas-stats --html -o e.html e.nas
    for form in --cells --advise; do nas-stats $form e.nas >form.txt || [[ $form = --cells ]]; done
    # at fewer steps the errors are no smaller
    nas-eval -q --steps 2 --data p.nas --keep-weights e.nas -o f.nas
    nas-stats --json f.nas | jq -es 'map(select(.kind == "evaluation")) | group_by(.run) |
        all(.[0].metrics[0].value <= .[1].metrics[0].value)'
}

@test "the published generator, by its name and by its text, designs the same" {
    nas-ingest -q structural --option problems=mbb_beam_24x16_0.5 -o p.nas
    nas-train -q --data p.nas --epochs 5 --net cnn --genotype cnn --genotype "$(nas-derive --print --named cnn)" -o d.nas
    nas-stats --json d.nas | jq -es '[.[] | select(.kind == "train_epoch")] | group_by(.run) |
        length == 3 and (map(map(.metrics[0].value)) | unique | length) == 1'
}

@test "densities that are not what the curve says are refused" {
    need lz4 protoc
    nas-ingest -q structural --test 0.5 --valid 0 --option problems=mbb_beam_24x16_0.5,hoop_16x32_0.25 -o p.nas
    nas-train -q --data p.nas --epochs 3 --net oc -o d.nas
    nas-train -q --data p.nas --epochs 4 --net oc -o longer.nas
    nas-stats --select network,train-epoch -o curve.nas d.nas
    nas-stats --select tensor -o density.nas longer.nas
    cat curve.nas density.nas >mixed.nas
    run --separate-stderr nas-eval --data p.nas mixed.nas -o x.nas
    [[ $status = 1 && ${#stderr_lines[@]} = 1 && $stderr = *'its curve says'* && ! -e x.nas ]]
}

@test "random problems, solved: the same samples with one thread and with two" {
    options=(-q structural --option samples=12 --option size=9x7 --option steps=5 --option design=3x2)
    nas-ingest "${options[@]}" --threads 1 -o a.nas
    nas-ingest "${options[@]}" --threads 2 -o b.nas
    [[ $(nas-stats --diff a.nas b.nas | tail -1) = '1 difference' ]] # the command
    nas-stats --json a.nas | jq -es 'map(select(.kind == "dataset"))[0] | [.task, .channels, .height, .width, .outputs] ==
        ["regression", 5, 8, 10, 7] and .output_names[0] == "log_compliance"'
    nas-ingest "${options[@]}" --seed 2 -o c.nas
    [[ $(nas-stats --json a.nas c.nas | jq -s 'map(select(.kind == "dataset").digest) | unique | length') = 2 ]]
}

@test "nas-train designs problems: the same with one thread and two, and from a checkpoint" {
    nas-ingest -q structural --option 'problems=mbb_beam_24x16_0.5,hoop_16x32_0.25' -o p.nas
    nas-train -q --net oc --net cnn --data p.nas --epochs 5 --threads 1 --checkpoint c.nas --checkpoint-every 1 -o a.nas
    nas-train -q --net oc --net cnn --data p.nas --epochs 5 --threads 2 -o b.nas
    nas-train -q --net oc --net cnn --data p.nas --epochs 5 --threads 2 --resume c.nas -o r.nas
    [[ $(nas-stats --diff a.nas b.nas | tail -1) = '1 difference' ]] # the command
    [[ $(nas-stats --diff a.nas r.nas | tail -1) = '1 difference' ]]
    [[ $(nas-stats --json a.nas | jq -s 'map(select(.kind == "train_epoch")) | length') = 24 ]]
}
