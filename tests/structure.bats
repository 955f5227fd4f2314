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
    for command in 'nas-search p.nas -o x.nas' 'nas-train --genotype DARTS_V2 --data p.nas -o x.nas' \
        'nas-train --net small-cnn --data p.nas -o x.nas' 'nas-train --net oc --no-weights --data p.nas -o x.nas' \
        'nas-transfer --no-alpha --data p.nas c.nas -o x.nas'; do
        run --separate-stderr $command
        [[ $status = 1 && ${#stderr_lines[@]} = 1 && $stderr = *'a dataset of structural problems'* && ! -e x.nas ]]
    done
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
