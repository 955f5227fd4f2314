#!/usr/bin/env bats
# pipelines/study: from datasets to a verdict, at a budget; started again it goes on.

load helper

@test "a study of two datasets in a few seconds, killed in the middle and started again" {
    need parallel jq
    nas-ingest -q synthetic --option kind=sep3 --option n=200 --option size=8 -o sep3.nas
    nas-ingest -q synthetic --option n=200 --option size=8 -o blobs.nas
    local study=("$NAS_ROOT/pipelines/study" --budget 2s --strategies darts1 --search "--channels 2" --train "--channels 4"
        sep3.nas blobs.nas out)
    "${study[@]}" --dry-run 2>said
    grep -q 'searches  *2 datasets × darts1 × 2 seeds: --layers 3 .*--epochs [0-9]' said
    cp out/plan plan
    [[ $(ls out) = plan ]]
    "${study[@]}" >first 2>said &
    local tries
    for ((tries = 0; tries < 600 && $(find out -path '*trainings/results/*.nas' | wc -l) < 2; tries++)); do sleep 0.05; done
    kill -TERM $!
    wait $! || true
    "${study[@]}" >verdict 2>said || { cat said >&2; return 1; }
    cmp plan out/plan
    # every comparison that the mission asks for is there
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
    ! grep -q '^done ' said
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
