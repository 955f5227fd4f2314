#!/usr/bin/env bats
# nas-stats --verdict: searches beside their controls, and the numbers behind the sentence.

load helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    nas-ingest -q synthetic --option kind=sep3 --option n=600 --option size=10 -o data.nas
    nas-search -q --nodes 1 --layers 1 --reduce-at none --channels 4 --epochs 1 data.nas -o search.nas
    nas-derive -q search.nas --random 3 --nodes 1 -o cells.nas
    for seed in 1 2 3; do
        nas-train -q --seed $seed --data data.nas --layers 1 --reduce-at none --channels 4 --epochs 1 --net linear cells.nas |
            nas-eval -q --data data.nas -o result$seed.nas
    done
    export DIR=$BATS_FILE_TMPDIR
}

setup() { cd "$BATS_TEST_TMPDIR" || exit 1; }

@test "the contenders are the search, the random cells and the net, each with its runs" {
    run -0 nas-stats --verdict "$DIR"/result?.nas
    grep -E 'synthetic-sep3 +test +search by steady +3 +accuracy' <<<"$output"
    grep -E 'random cells +9 +accuracy' <<<"$output"
    grep -E 'linear +3 +accuracy' <<<"$output"
    grep -E 'search by steady (beats|is worse than|cannot be told from) linear: [+-].*paired by seed, 3 runs and 3 runs' <<<"$output"
    grep -E 'search by steady .* random cells: .*Welch.s test, 3 runs and 9 runs' <<<"$output"
    grep -E '^9 random cells reach ' <<<"$output"
    grep -E '^On the test split of synthetic-sep3, ' <<<"$output"
}

@test "runs of one name in one file keep their own seeds" {
    cat "$DIR"/result?.nas >all.nas
    nas-stats --verdict all.nas | grep -E 'linear: [+-].*paired by seed, 3 runs and 3 runs'
}

@test "a cell that was drawn is a random one; sizes that differ are told, and the page is headed by the best" {
    nas-search -q --strategy random --nodes 1 --layers 1 --reduce-at none --channels 4 --epochs 1 "$DIR/data.nas" -o drawn.nas
    nas-derive -q drawn.nas | nas-train -q --data "$DIR/data.nas" --layers 1 --reduce-at none --channels 4 --epochs 1 |
        nas-eval -q --data "$DIR/data.nas" -o drawn-result.nas
    nas-stats --verdict "$DIR"/result?.nas drawn.nas drawn-result.nas >said
    grep -E 'random cells +10 +accuracy' said
    run ! grep -q 'search by random' said
    grep -E '^These are not of one size: parameters from .* \(.*\) to [0-9,]+ \(.*\)' said
    grep -E 'search by steady .* linear: .*, with [0-9.]+ times the parameters' said
    local best
    best=$(awk '/ accuracy / { for (i = 1; i <= NF; i++) if ($i == "accuracy") { v = $(i + 1) + 0
        name = ""; for (k = 3; k < i - 1; k++) name = name (k > 3 ? " " : "") $k } if (v > most) { most = v; best = name } } END { print best }' \
        <(sed '/^$/q' said))
    nas-stats --html --note 'a remark <of mine>' -o page.html "$DIR"/result?.nas drawn.nas drawn-result.nas
    grep -qF "<h1>$best: " page.html
    grep -qF ", $best has the best mean: " page.html
    grep -qF '<p>a remark &lt;of mine&gt;</p>' page.html
}

@test "its numbers are those of the evaluations" {
    nas-stats --verdict -o v.nas "$DIR"/result?.nas
    nas-stats --json v.nas | jq -r 'select(.kind == "study") | [.columns[] | {(.key): .value}] | add
        | select(.control == "linear") | [.search_mean, .control_mean, .difference] | join(" ")' >got
    nas-stats --tsv evaluation "$DIR"/result?.nas | awk -F'\t' '
        $12 == "accuracy" && $3 == "linear" { l += $13; k++ }
        $12 == "accuracy" && $1 ~ /^search/ { s += $13; n++ }
        END { printf "%.12f %.12f %.12f\n", s / n, l / k, s / n - l / k }' >want
    [ "$(wc -l <got)" = 1 ]
    paste -d ' ' got want | awk '{ for (i = 1; i <= 3; i++) { d = $i - $(i + 3); if (d < -1e-9 || d > 1e-9) exit 1 } }'
}

@test "one run on each side proves nothing" {
    run -0 nas-stats --verdict "$DIR"/result1.nas
    grep -E 'cannot be told from linear: .*one run each, so nothing is known of another seed; (within|beyond) the sampling error of 120 samples' <<<"$output"
}

@test "nothing to compare is one line and status 1" {
    run -1 --separate-stderr nas-stats --verdict "$DIR/search.nas"
    [[ $stderr == "nas-stats: nothing to compare: "* ]]
    run -1 --separate-stderr nas-stats --verdict -o v.nas "$DIR/search.nas"
    [[ $stderr == "nas-stats: no search with a control "* ]]
    [ ! -e v.nas ]
}

@test "the advice in the README is that of --advise, rule by rule" {
    nas-stats --advise --json "$DIR/search.nas" | jq -r .rule | sort -u >rules
    sed -n '/^## When is it worth it/,/^## /s/^| \*\*\([^*]*\)\*\*.*/\1/p' "$NAS_ROOT/README.md" | sort >told
    [[ $(wc -l <rules) -ge 14 ]]
    diff rules told
}
