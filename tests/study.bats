#!/usr/bin/env bats
# pipelines/study: from datasets to a verdict, at a budget; started again it goes on.

load helper

@test "a study whose time is over says what it cut; with more time it does that, killed in the middle and started again" {
    need parallel jq
    nas-ingest -q synthetic --option kind=sep3 --option n=200 --option size=8 -o sep3.nas
    nas-ingest -q synthetic --option n=200 --option size=8 -o blobs.nas
    local study=("$NAS_ROOT/pipelines/study" --strategies darts1 --search "--channels 2" --train "--channels 4" sep3.nas blobs.nas out)
    "${study[@]}" --budget 2s --dry-run 2>said
    grep -q 'searches  *2 datasets × darts1 × 2 seeds: --layers 3 .*--epochs [0-9]' said
    cp out/plan plan
    [[ $(ls out) = plan ]]
    # what it cannot do without is done in any case: a search, its cell, random ones and a net for each dataset
    echo 100 >out/spent
    "${study[@]}" --budget 2s >verdict 2>said || { cat said >&2; return 1; }
    grep -qE '^ *synthetic-sep3 +test +search by darts1 +1 ' verdict
    grep -qE '^ *synthetic-blobs +test +random cells +2 ' verdict
    grep -qE '^The 2s of this study were over .* Cut: 2 searches, 4 trainings, 6 depths, transfer to sep3, transfer to blobs\.' verdict
    grep -q 'Cut: 2 searches, 4 trainings' out/report.html
    [[ $(<out/spent) -ge 100 ]]
    cp -r out/searches/results before
    # a longer budget, of the same plan
    study+=(--budget 1h --nets small-cnn)
    "${study[@]}" >first 2>said &
    local tries
    for ((tries = 0; tries < 600 && $(find out -path '*trainings/results/*.nas' | wc -l) < 7; tries++)); do sleep 0.05; done
    kill -TERM $!
    wait $! || true
    "${study[@]}" >verdict 2>said || { cat said >&2; return 1; }
    run ! grep -q 'no picture' said
    cmp plan out/plan
    local file
    for file in before/*; do cmp "$file" "out/searches/results/${file##*/}"; done
    # every comparison that the mission asks for is there
    run ! grep -q 'Cut: ' verdict
    grep -qE '^ *synthetic-sep3 +test +search by darts1 +2 ' verdict
    grep -qE '^ *synthetic-sep3 +test +random cells +4 ' verdict
    grep -qE '^ *synthetic-blobs +test +small-cnn +2 ' verdict
    grep -q '^On the test split of synthetic-blobs, ' verdict
    nas-stats --tsv transfer out/study.nas | cut -f 4,5 | sort -u >pairs
    grep -q 'synthetic-sep3.synthetic-blobs' pairs
    grep -q 'synthetic-blobs.synthetic-sep3' pairs
    [[ $(nas-stats --json --kind network out/depths/all.nas | jq -s '[.[].layers] | unique | length') = 3 ]]
    [[ -s out/report.html && -s out/depths.html && -s out/cells.txt && -s out/advice.txt ]]
    # nothing was done twice
    [[ $(cat out/*/log/* | grep -c '^== nas-search .*--checkpoint search.ck') -ge 4 ]]
    "${study[@]}" >again 2>said
    run ! grep -q '^done ' said
    cmp verdict again
}

@test "a wrong option is one line and status 2" {
    local words
    for words in "--budget 3d" "--budget 0s" "" "none.nas" "--no-such"; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr "$NAS_ROOT/pipelines/study" $words
        one_line "$stderr"
        [[ $stderr == study:* ]]
    done
}
