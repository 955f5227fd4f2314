#!/usr/bin/env bats
# nas-stats over the streams tests/golden/stats-*.nas, which `test_report --fixtures tests/golden` makes.

load helper

G=$NAS_ROOT/tests/golden

@test "summary of a whole pipeline" {
    nas-stats "$G/stats-story.nas" | golden stats_summary.txt
}

@test "summary from standard input is the same" {
    nas-stats <"$G/stats-story.nas" >stdin.txt
    same stdin.txt "$NAS_ROOT/tests/golden/stats_summary.txt"
}

@test "files that share their beginning are told once" {
    nas-stats "$G/stats-part.nas" "$G/stats-story.nas" >both.txt
    head -1 both.txt | grep -q '^2 files, 58 records: .* space 1, search_epoch 11, .*; 8 in several files, shown once$'
    grep -q 'epoch *10 of 10' both.txt
}

@test "concatenated streams are one stream" {
    cat "$G/stats-part.nas" "$G/stats-empty.nas" "$G/stats-story.nas" >all.nas
    run -0 nas-stats --check all.nas
    [[ $output = "ok: 58 records" ]]
}

@test "an empty stream, no epoch, one epoch" {
    run -0 nas-stats "$G/stats-empty.nas"
    [[ ${lines[0]} = "1 file, 0 records" ]]
    nas-stats "$G/stats-brief.nas" >brief.txt
    grep -q 'none yet' brief.txt
    grep -q 'last, best  *1/10' brief.txt
}

@test "hostile names: the summary holds no control characters and runs nothing" {
    nas-stats "$G/stats-hostile.nas" "$G/stats-brief.nas" >out.txt
    run -1 grep -P '[\x00-\x08\x0b-\x1f\x7f]' out.txt
    iconv -f UTF-8 -t UTF-8 out.txt >/dev/null
    [[ ! -e owned ]]
}

@test "--json: every line is an object, with the fields of the format" {
    need python3
    nas-stats --json "$G/stats-story.nas" "$G/stats-hostile.nas" "$G/stats-brief.nas" >out.json
    python3 - <<'PY'
import json
rows = [json.loads(line, parse_constant=lambda c: 1 / 0) for line in open("out.json", encoding="utf-8")]
kinds = {r["kind"] for r in rows}
assert kinds == set("dataset samples space search_epoch genotype train_epoch network tensor checkpoint evaluation "
                    "predictions transfer study event profile provenance".split()), kinds
e = [r for r in rows if r["kind"] == "search_epoch"]
assert len(e) == 12 and len(e[0]["tables"][1]["weight"]) == 14 and len(e[0]["tables"][1]["weight"][0]) == 8
assert e[0]["metrics"][0] == {"name": "loss", "split": "train", "value": None}
hostile = [r for r in rows if r["kind"] == "event"][-1]
assert hostile["what"].startswith("<b onclick=\"x\">&amp;'\"\\\n`touch owned` $(touch owned) \x1b[31mred\t%s")
assert rows[-1]["kind"] == "provenance" and rows[-1]["command"] == "nas-ingest idx 'a b.gz'"
assert not any("data" in r or "values" in r for r in rows)
PY
}

@test "--tsv: documented columns, the same number in every row" {
    local kind
    for kind in search-epoch train-epoch evaluation transfer genotype; do
        nas-stats --tsv $kind "$G/stats-story.nas" "$G/stats-hostile.nas" >$kind.tsv
        awk -F'\t' 'NR == 1 { n = NF } NF != n { exit 1 } END { exit NR < 2 }' $kind.tsv
    done
    (cd "$G" && nas-stats --tsv evaluation stats-story.nas) | golden stats_evaluation.tsv
    [[ $(awk -F'\t' '$4 == 10 && $10 == "validation" && $11 == "accuracy" { print $3 }' train-epoch.tsv) = $'search\nrandom-1' ]]
}

@test "--tsv of a kind without a table, and of no kind" {
    run -2 --separate-stderr nas-stats --tsv tensor "$G/stats-story.nas"
    one_line "$stderr"
    run -2 --separate-stderr nas-stats --tsv nonsense "$G/stats-story.nas"
    [[ $stderr = "nas-stats: nonsense: no kind of record; there are: dataset "* ]]
}

@test "--records and --kind" {
    nas-stats --records "$G/stats-story.nas" >all.txt
    [[ $(wc -l <all.txt) = 50 ]]
    nas-stats --records --kind genotype,event "$G/stats-story.nas" >some.txt
    [[ $(awk '{ print $1, $2 }' some.txt) = $'15 genotype\n16 genotype\n50 event' ]]
    run -2 --separate-stderr nas-stats --kind genotype, "$G/stats-story.nas"
    one_line "$stderr"
}

@test "--follow prints each record as it arrives" {
    mkfifo pipe
    nas-stats --follow <pipe >followed 3>&- &
    local reader=$! i
    exec 9>pipe
    cat "$G/stats-part.nas" >&9
    for ((i = 0; i < 100; i++)); do # the pipe is still open: the reader cannot have seen the end
        [[ $(wc -l <followed) -lt 8 ]] || break
        sleep 0.05
    done
    [[ $(wc -l <followed) = 8 ]]
    exec 9>&-
    wait $reader
    run -2 --separate-stderr nas-stats --follow --html "$G/stats-part.nas"
    one_line "$stderr"
}

@test "--select writes a stream of some records" {
    nas-stats --select genotype,event -o some.nas "$G/stats-story.nas"
    lz4 -t some.nas 2>/dev/null
    run -0 nas-stats --check some.nas
    [[ $output = "ok: 3 records" ]]
    nas-stats --json some.nas | grep -q '"program":"nas-stats"'
    nas-stats --select genotype "$G/stats-story.nas" "$G/stats-brief.nas" | nas-stats --check >count
    [[ $(<count) = "ok: 3 records" ]]
    nas-stats --json --kind genotype "$G/stats-story.nas" | sed 's/^{[^{]*"kind"/{"kind"/' >before
    nas-stats --json --kind genotype some.nas | sed 's/^{[^{]*"kind"/{"kind"/' >after
    same before after
}

@test "a damaged stream: exit 3, one line, no output file, whatever the form" {
    head -c 9000 "$G/stats-story.nas" >cut.nas
    local form
    for form in "" --json --records --check --html --dot "--tsv genotype" "--plot curves" "--select genotype"; do
        # shellcheck disable=SC2086
        run -3 --separate-stderr nas-stats $form cut.nas
        one_line "$stderr"
        [[ $form = "--plot curves" ]] && continue # a plot's file needs a name of its own
        # shellcheck disable=SC2086
        run -3 nas-stats $form -o out.file cut.nas
        run -1 compgen -G 'out.file*'
    done
    run -3 --separate-stderr nas-stats </dev/null
    one_line "$stderr"
    run -3 --separate-stderr nas-stats "$G/stats_summary.txt"
    one_line "$stderr"
}

@test "a missing file, an unwritable place, a full device" {
    run -1 --separate-stderr nas-stats none.nas
    [[ $stderr = "nas-stats: none.nas: "* ]]
    run -1 --separate-stderr nas-stats -o no/folder/x "$G/stats-story.nas"
    one_line "$stderr"
    run -1 --separate-stderr nas-stats -o /dev/full "$G/stats-story.nas"
    one_line "$stderr"
    [[ -c /dev/full ]]
    run -1 --separate-stderr pipe "nas-stats '$G/stats-story.nas' >/dev/full"
    one_line "$stderr"
    run -1 --separate-stderr nas-stats --select genotype -o /dev/full "$G/stats-story.nas"
    one_line "$stderr"
    run -141 pipe "for i in {1..200}; do cat '$G/stats-story.nas'; done | nas-stats --json | head -c 1 >/dev/null"
}

@test "only one form at a time" {
    run -2 --separate-stderr nas-stats --json --html "$G/stats-story.nas"
    one_line "$stderr"
    run -2 --separate-stderr nas-stats --png a.png -o b.png "$G/stats-story.nas"
    one_line "$stderr"
    run -2 --separate-stderr nas-stats --plot curves -o x.pdf "$G/stats-story.nas"
    one_line "$stderr"
}

@test "--dot: both cells of each genotype, or one kind; Graphviz reads it" {
    nas-stats --dot "$G/stats-story.nas" >both.dot
    [[ $(grep -c subgraph both.dot) = 4 ]]
    nas-stats --dot --cell reduce "$G/stats-story.nas" >one.dot
    [[ $(grep -c subgraph one.dot) = 2 ]]
    nas-stats --dot "$G/stats-part.nas" | grep -q penwidth # a search without a Genotype record
    run -1 --separate-stderr nas-stats --dot "$G/stats-empty.nas"
    [[ $stderr = "nas-stats: there is no genotype to draw"* ]]
    run -1 --separate-stderr nas-stats --dot "$G/stats-hostile.nas"
    one_line "$stderr"
    need dot
    nas-stats --dot "$G/stats-brief.nas" | dot -Tsvg >hostile.svg 2>err
    [[ ! -s err ]]
    grep -q '&lt;b onclick=' hostile.svg
    [[ ! -e owned ]]
}

@test "--svg and --png are drawn by Graphviz" {
    need dot
    nas-stats --svg -o cells.svg "$G/stats-story.nas"
    [[ $(tail -1 cells.svg) = "</svg>" ]]
    [[ $(grep -c '<!-- s._.&#45;&gt;o[0-9]' cells.svg) = 32 ]] # a line into each operation
    nas-stats --png cells.png "$G/stats-story.nas"
    [[ $(head -c 4 cells.png | od -An -c | tr -d ' ') = 211PNG ]]
}

@test "without Graphviz and gnuplot: a clear line, and the page has the cells as text" {
    local stats
    stats=$(command -v nas-stats)
    run -1 --separate-stderr env PATH=/nonexistent "$stats" --svg -o x.svg "$G/stats-story.nas"
    [[ $stderr = "nas-stats: dot: not found: install the package graphviz" ]]
    run -1 --separate-stderr env PATH=/nonexistent "$stats" --plot curves -o x.svg "$G/stats-story.nas"
    [[ $stderr = "nas-stats: gnuplot: not found: install the package gnuplot-nox" ]]
    run -1 compgen -G 'x.svg*'
    env PATH=/nonexistent "$stats" --html -o page.html "$G/stats-story.nas"
    grep -q '^  c\[k-2\] ── sep_conv_3x3' page.html
}

@test "--plot: curves and alphas as SVG, PNG and characters" {
    need gnuplot
    nas-stats --plot curves -o c.svg "$G/stats-story.nas"
    [[ $(<c.svg) = *"</svg>" ]]
    nas-stats --plot alphas -o a.png "$G/stats-story.nas"
    [[ $(head -c 4 a.png | od -An -c | tr -d ' ') = 211PNG ]]
    nas-stats --plot curves "$G/stats-brief.nas" "$G/stats-hostile.nas" >text
    grep -q 'Training: accuracy' text
    nas-stats --plot curves -o h.svg "$G/stats-brief.nas" "$G/stats-hostile.nas"
    [[ $(<h.svg) = *"</svg>" && ! -e owned ]]
    run -1 --separate-stderr nas-stats --plot alphas "$G/stats-hostile.nas"
    one_line "$stderr"
    run -1 --separate-stderr nas-stats --plot curves -o x.svg "$G/stats-empty.nas"
    one_line "$stderr"
    [[ ! -e x.svg ]]
}

@test "--html: one file that needs nothing else, its elements closed, names escaped" {
    need python3
    local name
    for name in story hostile brief empty part; do
        nas-stats --html -o "$name.html" "$G/stats-$name.nas"
    done
    python3 - <<'PY'
import html.parser, sys
class Check(html.parser.HTMLParser):
    void = {"meta", "line", "polyline", "circle", "path", "polygon", "ellipse"}
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()
    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "href", "xlink:href", "id"), (tag, name)
        if tag not in self.void: self.open.append(tag)
        if tag == "svg": assert dict(attrs)["role"] == "img" and dict(attrs)["aria-label"]
    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)
    def handle_endtag(self, tag):
        if tag in self.void: return
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
for name in "story hostile brief empty part".split():
    c = Check()
    c.feed(open(name + ".html", encoding="utf-8").read())
    c.close()
    assert not c.open, (name, c.open)
    assert {"h1", "title", "style", "main"} <= c.seen, name
    assert not {"script", "img", "link", "iframe", "b onclick"} & c.seen, name
PY
    grep -q '<h1>search: 90.31 % accuracy on 10,000 test samples</h1>' story.html
    grep -q '<h1>darts1: searched for 4 of 10 epochs, nothing trained yet</h1>' part.html
    grep -q '+0.41 points (one run each' story.html
}

@test "--cells: tables, the same numbers as TSV and JSON, whatever the order of draws" {
    nas-stats --cells "$G/stats-story.nas" | golden stats_cells.txt
    nas-stats --tsv cells --random-cells 100 "$G/stats-story.nas" >cells.tsv
    [[ $(head -1 cells.tsv) = $'part\tsubject\tother\tcell\tmeasure\tepoch\tcells\tvalue\texpected\tsd\tp' ]]
    awk -F'\t' 'NF != 11 { exit 1 }' cells.tsv
    # by hand: FOUND is DARTS_V2, of depth 3 and width 3.5
    [[ $(awk -F'\t' '$2 == "search" && $4 == "normal" && ($5 == "depth" || $5 == "width") { print $5, $8 }' cells.tsv) = \
        $'depth 3\nwidth 3.5' ]]
    nas-stats --cells --json --random-cells 100 "$G/stats-story.nas" >cells.json
    [[ $(wc -l <cells.json) = $(($(wc -l <cells.tsv) - 1)) ]]
    nas-stats --tsv cells --random-cells 100 --seed 2 "$G/stats-story.nas" >other.tsv
    run -1 cmp -s cells.tsv other.tsv
    run -1 --separate-stderr nas-stats --cells "$G/stats-empty.nas"
    [[ $stderr = "nas-stats: there is no genotype and no search epoch to measure"* ]]
    nas-stats --cells --random-cells 10 "$G/stats-hostile.nas" "$G/stats-brief.nas" >hostile.txt
    run -1 grep -P '[\x00-\x08\x0b-\x1f\x7f]' hostile.txt
    run -2 --separate-stderr nas-stats --cells --tsv genotype "$G/stats-story.nas"
    one_line "$stderr"
    run -2 --separate-stderr nas-stats --cells --random-cells 1 "$G/stats-story.nas"
    one_line "$stderr"
}

@test "--advise: what shows a sign, what was looked at, what is not there" {
    nas-stats --advise "$G/stats-story.nas" | golden stats_advice.txt
    nas-stats --advise "$G/stats-empty.nas" | grep -q '^Nothing to advise'
    nas-stats --advise "$G/stats-hostile.nas" >hostile.txt
    run -1 grep -P '[\x00-\x08\x0b-\x1f\x7f]' hostile.txt
    need jq
    [[ $(nas-stats --advise --json "$G/stats-story.nas" | jq -r 'select(.fired) | .rule') = $'discretisation\ncontrol' ]]
}

@test "--diff: nothing, fields, records that one alone has" {
    run -0 nas-stats --diff "$G/stats-story.nas" <(cat "$G/stats-story.nas")
    [[ ${lines[-1]} = "no difference" ]]
    run -1 nas-stats --diff "$G/stats-part.nas" "$G/stats-story.nas"
    [[ ${lines[-1]} = "42 differences" ]]
    [[ $(grep -c 'not there  there' <<<"$output") = 42 ]]
    nas-stats --select genotype -o one.nas "$G/stats-story.nas"
    nas-stats --select genotype -o other.nas "$G/stats-brief.nas"
    run -1 nas-stats --diff --json --kind genotype one.nas other.nas
    [[ ${#lines[@]} = 3 && ${lines[0]} = '{"kind":"diff","change":"removed","record":"genotype","key":"search",'* ]]
    [[ $output = *'"change":"added"'* ]]
    need nas-train
    nas-ingest -q synthetic --option kind=sep3 --option n=60 --option size=12 -o data.nas
    for i in 1 2 3; do
        nas-train -q --data data.nas --net linear --epochs 1 --seed $((i / 3 + 1)) -o "run$i.nas"
    done
    run -1 nas-stats --diff run1.nas run2.nas # the same but for the name of the output
    [[ ${lines[-1]} = "1 difference" && $output = *"provenance  nas-train  command"* ]]
    run -1 nas-stats --diff run1.nas run3.nas
    grep -E '^  network +linear +seed +1 +2 +\+1$' <<<"$output"
    grep -E '^  tensor +linear best .* data ' <<<"$output"
    grep -E '^  train_epoch +linear 1 +metrics\[train loss\] +[0-9.]+ +[0-9.]+ +[-+][0-9.]' <<<"$output"
    run -2 --separate-stderr nas-stats --diff run1.nas
    one_line "$stderr"
    head -c 200 run1.nas >cut.nas
    run -3 --separate-stderr nas-stats --diff run1.nas cut.nas
    one_line "$stderr"
}

@test "--plot of weights, spread, fronts and transfer, as SVG and characters" {
    need gnuplot
    local what
    for what in weights spread fronts transfer; do
        nas-stats --plot $what -o $what.svg "$G/stats-story.nas"
        [[ $(<$what.svg) = *"</svg>" ]]
        nas-stats --plot $what "$G/stats-story.nas" >$what.txt
    done
    grep -q 'darts1: normal cell: mixing weights' weights.txt
    grep -q 'random cells (1)' spread.txt
    grep -q 'Pareto front' fronts.txt
    grep -qE 'search \(from fashion\) +97.00 % +50.00 %' transfer.txt
    nas-stats --plot fronts -o h.png "$G/stats-hostile.nas" "$G/stats-story.nas"
    [[ $(head -c 4 h.png | od -An -c | tr -d ' ') = 211PNG && ! -e owned ]]
    nas-stats --plot transfer -o t.svg "$G/stats-hostile.nas" "$G/stats-story.nas"
    for what in weights spread fronts depth transfer; do
        run -1 --separate-stderr nas-stats --plot $what "$G/stats-empty.nas"
        [[ $stderr = "nas-stats: there is nothing to plot: "* ]]
        one_line "$stderr"
    done
}
