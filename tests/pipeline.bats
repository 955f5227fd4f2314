#!/usr/bin/env bats
# The whole: from data to a report, in one pipe, within seconds.

load helper

@test "ingest, search, derive, train, eval, stats: one pipe, whose end tells the whole story" {
    nas-ingest -q synthetic --option n=160 --option size=8 -o data.nas
    pipe 'nas-search -q --layers 3 --channels 4 --batch 16 --epochs 2 data.nas | nas-derive -q |
          nas-train -q --data data.nas --layers 3 --channels 4 --batch 16 --epochs 2 |
          nas-eval -q --data data.nas -o story.nas'
    [[ $(nas-stats --json story.nas | grep -o '"kind":"[a-z_]*"' | grep -v event | sort | uniq -c | tr -s ' \n' ' ') = \
        ' 1 "kind":"dataset" 1 "kind":"evaluation" 1 "kind":"genotype" 1 "kind":"network" 5 "kind":"provenance" 3 "kind":"search_epoch" 1 "kind":"space" 2 "kind":"train_epoch" ' ]]
    nas-stats story.nas >report
    local word
    for word in synthetic-blobs steady 'Genotype(normal=' Training Evaluation nas-search nas-derive nas-train; do
        grep -qF "$word" report || { echo "no $word in the report" >&2; return 1; }
    done
    lz4 -t story.nas
}

@test "a program that fails in the middle fails the pipe, and nothing gets the final name" {
    nas-ingest -q synthetic --option n=160 --option size=8 -o data.nas
    run -3 --separate-stderr pipe 'nas-search -q -l 1 -c 1 -b 16 -e 1 data.nas | head -c 3000 | nas-derive -q |
          nas-train -q --data data.nas -l 1 -c 1 -e 1 -o net.nas'
    [[ ! -e net.nas ]]
}

@test "streams of several searches are trained one after the other" {
    nas-ingest -q synthetic --option n=80 --option size=8 -o data.nas
    local seed
    for seed in 1 2; do
        nas-search -q --seed $seed -l 1 -c 2 -b 16 -e 1 data.nas | nas-derive -q -o $seed.nas
    done
    cat 1.nas 2.nas | nas-train -q --data data.nas -l 1 -c 2 -b 16 -e 1 | nas-eval -q --data data.nas -o all.nas
    [[ $(nas-stats --json all.nas | grep -c '"kind":"evaluation"') = 2 ]]
}
