#!/usr/bin/env bats
# Networks and weights to and from other programs: ONNX models, NumPy archives; the supernet as a network of its own.

load helper
load readers

# onnx_python: sets $PYTHON to an interpreter with ONNX Runtime: NAS_ONNX_PYTHON, python3, or that of a virtual environment
# in the user's cache, made if need be; skips where it cannot be had.
onnx_python()
{
    local folder=${XDG_CACHE_HOME:-$HOME/.cache}/nas-tools/onnx
    for PYTHON in "${NAS_ONNX_PYTHON:-}" python3 "$folder/bin/python"; do
        [[ -n $PYTHON ]] && "$PYTHON" -c 'import numpy, onnx, onnxruntime' 2>/dev/null && return
    done
    need python3
    { python3 -m venv "$folder" && "$PYTHON" -m pip install --quiet --only-binary=:all: numpy onnx onnxruntime; } >log 2>&1 ||
        skip "ONNX Runtime cannot be installed: $(tail -1 log)"
    "$PYTHON" -c 'import numpy, onnx, onnxruntime' 2>log || skip "ONNX Runtime cannot be used: $(tail -1 log)"
}

# A cell with every operation of images but noise, on edges of stride 1 and 2.
every="Genotype(normal=[('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 0), ('sep_conv_5x5', 2), \
('dil_conv_3x3', 1), ('dil_conv_5x5', 3), ('sep_conv_7x7', 0), ('conv_7x1_1x7', 4)], normal_concat=range(2, 6), \
reduce=[('max_pool_2x2', 0), ('avg_pool_2x2', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('conv_7x1_1x7', 1), \
('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('dil_conv_5x5', 0)], reduce_concat=range(2, 6))"

# The same of series.
series="Genotype(normal=[('sep_conv_1x9', 0), ('dil_conv_1x19', 1), ('max_pool_1x3', 0), ('skip_connect', 2)], \
normal_concat=range(2, 4), reduce=[('avg_pool_1x5', 0), ('skip_connect', 1), ('sep_conv_1x39', 1), ('skip_connect', 2)], \
reduce_concat=range(2, 4))"

# The synthetic set that most tests here use.
small_data() { nas-ingest -q synthetic --option kind=blobs --option n=120 --option size=8 -o data.nas; }

# small_search [OPTION…]: a search on it, with weights.
small_search()
{
    nas-search -q --weights --nodes 2 --layers 3 --channels 4 --batch 32 --epochs 1 --warmup 0 "$@" data.nas -o search.nas
}

# model FILE: the model as text.
model() { protoc --decode=onnx.ModelProto -I /usr/include/onnx onnx.proto <"$1"; }

# compare SAMPLES DATA: evaluates net.nas as models and compares these in ONNX Runtime.
compare()
{
    local models=()
    rm -f ./*.onnx
    nas-eval -q --data "$2" --onnx '{run}.onnx' --npy said.npy net.nas -o result.nas
    while read -r name; do models+=("$name.onnx"); done < <(nas-stats --tsv evaluation result.nas | tail -n +2 | cut -f 3 | uniq)
    "$PYTHON" "$NAS_ROOT/tests/oracle/onnx_check.py" "$1" said.npy "${models[@]}"
}

@test "models say in ONNX Runtime what nas-eval says: every net, every operation, supernets, series, every task" {
    onnx_python
    "$PYTHON" - <<'PY'
import numpy as np

r = np.random.default_rng(1)


def put(name, samples, shape, targets):
    np.save(f"{name}.npy", samples(shape))
    np.save(f"{name}_y.npy", targets(shape[0]))


def bytes_of(shape):
    return r.integers(0, 256, shape).astype(np.uint8)


def labels(n):
    return np.arange(n) % 3


def reals(n):
    return r.normal(5, 3, (n, 2)).astype(np.float32)


def flags(n):
    return r.integers(0, 2, (n, 3)).astype(np.uint8)


def tree(n):  # a, b; then c, d, of a
    a, c = r.random((2, n))
    return np.stack([a, 1 - a, a * c, a * (1 - c)], 1)


def waves(shape):
    return r.normal(1, 2, shape).astype(np.float32)


for name, samples, shape, targets in [
    ("image", bytes_of, (3, 13, 14), labels),
    ("numbers", bytes_of, (1, 8, 9), reals),
    ("marks", bytes_of, (1, 8, 9), flags),
    ("tree", bytes_of, (1, 8, 9), tree),
    ("wave", waves, (2, 37), labels),
]:
    put(name, samples, (40, *shape), targets)
    put(name + "_test", samples, (9, *shape), targets)
PY
    ingest() { nas-ingest -q npy "$1.npy" "$1_y.npy" "$1_test.npy" "$1_test_y.npy" "${@:2}" -o "$1.nas"; }
    ingest image
    ingest wave --option layout=ncl
    ingest numbers --task regression
    ingest marks --task multi-label
    ingest tree --task tree --tree <(printf 'question A: a b\nquestion B after a: c d\n')
    train() { nas-train -q --data "$1.nas" --epochs 1 --batch 8 --limit 8 --valid-limit 1 "${@:2}" </dev/null >net.nas; }
    local nets=() n
    for n in linear mlp small-cnn resnet-tiny resnet-18 resnet-20 resnet-56 wrn-16-4 vgg-11 vgg-16 googlenet densenet-bc-40 \
        densenet-bc-100; do nets+=(--net $n); done
    train image "${nets[@]}" --genotype "$every" --layers 3 --channels 4
    compare image_test.npy image.nas
    train wave --net inception-time --net resnet-1d --genotype "$series" --layers 3 --channels 4
    compare wave_test.npy wave.nas
    for n in numbers marks tree; do
        train $n --net resnet-tiny
        compare ${n}_test.npy $n.nas
    done
    search() { nas-search -q --weights --nodes 2 --layers 3 --channels 4 --batch 16 --epochs 1 --warmup 0 "$@"; }
    for n in darts1 pc-darts darts- gdas random; do
        search --strategy $n image.nas -o net.nas
        compare image_test.npy image.nas
    done
    search wave.nas -o net.nas
    compare wave_test.npy wave.nas
}

@test "a model has standard operators, a free batch axis, PyTorch's names; one of several networks has its own file" {
    small_data
    nas-train -q --data data.nas --epochs 1 --net small-cnn --net resnet-tiny -o net.nas
    nas-eval -q --data data.nas --onnx '{run}.onnx' net.nas -o result.nas
    model small-cnn.onnx >text
    grep -q '^ir_version: 7$' text
    [[ $(sed -n '/^opset_import/,/^}/p' text) = *'version: 13'* ]]
    grep -q 'dim_param: "batch"' text
    for name in conv1.weight fc.weight; do grep -q "name: \"$name\"" text; done
    [[ $(grep -c 'op_type: "Conv"' text) = 4 ]]
    run ! grep -q 'op_type: "Sub"' <(nas-eval -q --data data.nas --onnx '{run}.onnx' --onnx-normalised net.nas >/dev/null && model small-cnn.onnx)
    [[ -s resnet-tiny.onnx ]]
    rm ./*.onnx
    run -1 --separate-stderr nas-eval -q --data data.nas --onnx one.onnx net.nas -o again.nas
    one_line "$stderr"
    [[ $stderr = *'one.onnx: a file for one network, and there are more: put {run} into its name'* && ! -e again.nas ]]
    run -1 --separate-stderr nas-eval -q --data data.nas --onnx no/where.onnx net.nas -o again.nas
    one_line "$stderr"
    [[ $stderr = *'no/where.onnx: No such file or directory' && ! -e again.nas ]]
    [[ -z $(ls ./*.tmp* 2>/dev/null) ]]
}

@test "noise has no place in a model, and that is said" {
    small_data
    small_search --ops noise,skip_connect
    run -1 --separate-stderr nas-eval -q --data data.nas --onnx x.onnx search.nas -o result.nas
    one_line "$stderr"
    [[ $stderr = *'network supernet: cells.0._ops.0._ops.0: an operation that makes noise'* && ! -e x.onnx && ! -e result.nas ]]
}

# refused TEXT OPTION…: nas-train says TEXT (a pattern) in one line, with status 1, and leaves nothing.
refused()
{
    run -1 --separate-stderr nas-train -q --data data.nas -o refused.nas "${@:2}" </dev/null
    one_line "$stderr"
    [[ $stderr = $1 && ! -e refused.nas ]] || { echo "said: $stderr"; return 1; }
}

@test "weights go to a NumPy archive and back; untrained, the network is what it was" {
    small_data
    nas-train -q --data data.nas --epochs 1 --net small-cnn --genotype DARTS_V2 --layers 2 --channels 4 -o net.nas
    nas-eval -q --data data.nas --weights-npz '{run}.npz' --csv first.csv net.nas -o result.nas
    nas-train -q --data data.nas --net small-cnn --channels 4 --init small-cnn.npz --untrained -o again.nas
    nas-eval -q --set last --data data.nas --weights-npz again.npz --csv second.csv again.nas -o result.nas
    same small-cnn.npz again.npz
    cmp <(grep '^small-cnn,' first.csv) <(grep '^small-cnn,' second.csv)
    nas-train -q --data data.nas --genotype DARTS_V2 --layers 2 --channels 4 --init DARTS_V2.npz --epochs 1 -o tuned.nas
    nas-train -q --data data.nas --genotype DARTS_V2 --layers 2 --channels 4 --epochs 1 -o scratch.nas
    run ! cmp <(bare tuned.nas) <(bare scratch.nas) # it did start from them
}

@test "a network of PyTorch says the same here with its weights (tests/oracle/make_weights.py)" {
    local golden=$NAS_ROOT/tests/golden/torch_
    nas-ingest -q npy "$golden"{samples,labels,samples,labels}.npy --normalize none -o torch.nas
    nas-train -q --data torch.nas --genotype DARTS_V2 --layers 3 --channels 2 --init "${golden}weights.npz" --untrained -o net.nas
    nas-eval -q --set last --data torch.nas --csv said.csv net.nas -o result.nas
    paste -d, <(tail -n +2 said.csv | cut -d, -f 5-7) "${golden}said.csv" | awk -F, '
        { for (i = 1; i <= 3; i++) { d = $i - $(i + 3); if (d < -1e-5 || d > 1e-5) { print; exit 1 } } }
        END { exit !(NR == 24 && NF == 6) }'
}

@test "weights that do not fit are refused: missing, superfluous, of another shape, no numbers, no archive" {
    small_data
    nas-train -q --data data.nas --net small-cnn --net linear --untrained -o net.nas
    nas-eval -q --data data.nas --weights-npz '{run}.npz' net.nas -o result.nas
    refused 'nas-train: small-cnn.npz: tensor conv1.weight: the network has none of this name' --net linear --init small-cnn.npz
    refused 'nas-train: small-cnn.npz: tensor conv1.weight: its shape or type is not that of the network: 16x1x3x3, there 8x1x3x3' \
        --net small-cnn --channels 8 --init small-cnn.npz
    refused 'nas-train: --init: weights of one network, there are 2' --net linear --net mlp --init linear.npz
    refused 'nas-train: none.npz: No such file*' --net linear --init none.npz
    head -c 200 linear.npz >cut.npz
    refused 'nas-train: cut.npz: *' --net linear --init cut.npz
    cp data.nas x.npz
    refused 'nas-train: x.npz: Not a zip archive' --net linear --init x.npz
    LC_ALL=C sed 's/\x93NUMPY/\x93NUMPX/' linear.npz >magic.npz
    refused 'nas-train: magic.npz: *' --net linear --init magic.npz
}

@test "a supernet is evaluated, trained on, pruned; rows of the verdict stand beside its cell" {
    small_data
    small_search --strategy darts1
    nas-train -q --data data.nas --supernet --untrained search.nas -o whole.nas
    nas-eval -q --data data.nas --csv a.csv search.nas -o as-searched.nas
    nas-eval -q --data data.nas --csv b.csv whole.nas -o result.nas 2>/dev/null
    same a.csv b.csv
    parameters() { nas-stats --json "$1" | jq -r 'select(.kind == "evaluation") | .parameters'; }
    nas-train -q --data data.nas --supernet --untrained --prune-top 1 search.nas | nas-eval -q --data data.nas -o pruned.nas 2>/dev/null
    nas-train -q --data data.nas --supernet --prune-top 1 --epochs 1 search.nas | nas-eval -q --data data.nas -o tuned.nas
    nas-train -q --data data.nas --supernet --prune-below 0.1 --epochs 1 search.nas | nas-eval -q --data data.nas -o most.nas
    (($(parameters pruned.nas) == $(parameters tuned.nas) && $(parameters tuned.nas) < $(parameters as-searched.nas)))
    nas-derive -q search.nas | nas-train -q --data data.nas --layers 3 --channels 4 --epochs 1 | nas-eval -q --data data.nas -o cell.nas
    nas-stats --verdict cell.nas as-searched.nas pruned.nas tuned.nas >verdict
    local n
    for n in 'search by darts1' supernet supernet-top1 supernet-top1-tuned; do
        grep -E "^ *synthetic-blobs +test +$n +1 +accuracy" verdict
    done
    grep -q 'search by darts1 .* supernet-top1-tuned: ' verdict
    grep -q 'there is no search with a control beside it' verdict # the supernet is none
}

@test "a supernet of partial channels, of an auxiliary skip, of one path and of chance is read as it was written" {
    small_data
    local s
    for s in pc-darts darts- gdas random-ws random; do
        small_search --strategy $s --limit 32
        nas-eval -q --data data.nas --csv a.csv search.nas -o result.nas 2>/dev/null
        nas-train -q --data data.nas --supernet --untrained search.nas -o whole.nas
        nas-eval -q --data data.nas --csv b.csv whole.nas -o result.nas 2>/dev/null
        same a.csv b.csv
    done
}

@test "a pruned supernet's training goes on as if it had not stopped, and from no other weights" {
    small_data
    small_search
    local train=(nas-train -q --data data.nas --supernet --prune-top 2 --epochs 2 --batch 16)
    "${train[@]}" search.nas -o whole.nas
    "${train[@]}" --checkpoint ck.nas --checkpoint-every 7 search.nas -o out.nas
    cmp <(bare whole.nas) <(bare out.nas)
    "${train[@]}" --resume ck.nas --threads 1 search.nas -o out.nas
    cmp <(bare whole.nas) <(bare out.nas)
    small_search --seed 2
    run -1 --separate-stderr "${train[@]}" --resume ck.nas search.nas -o other.nas
    one_line "$stderr"
    [[ $stderr = *'initial weights'* && ! -e other.nas ]]
}

@test "what is no supernet, or cannot be pruned so, is refused" {
    small_data
    small_search --limit 32
    nas-search -q --nodes 1 --layers 2 --channels 4 --epochs 1 --limit 32 data.nas -o bare.nas
    refused 'nas-train: bare.nas: no supernet in it: nas-search --weights writes one' --supernet bare.nas
    refused 'nas-train: search.nas: node 0 of the normal cell would have no operation left' --supernet --prune-below 0.9 search.nas
    cat search.nas search.nas >two.nas
    refused 'nas-train: two.nas: two supernets in it, supernet and supernet' --supernet two.nas
    nas-ingest -q synthetic --option kind=blobs --option n=60 --option size=9 -o data.nas
    refused 'nas-train: search.nas: it takes 1x8x8, the data are 1x9x9' --supernet search.nas
    run -2 --separate-stderr nas-train -q --data data.nas --supernet --net linear search.nas
    one_line "$stderr"
    run -2 --separate-stderr nas-train -q --data data.nas --prune-top 2 --net linear
    [[ $stderr = *'--prune-top and --prune-below prune a --supernet' ]]
}

@test "networks of another task are no members of an ensemble" {
    small_data
    nas-train -q --data data.nas --net linear --untrained -o a.nas
    nas-ingest -q synthetic --option kind=tree --option n=120 --option size=8 --tree galaxy-zoo -o tree.nas
    nas-train -q --data tree.nas --net linear --untrained -o b.nas
    run -1 --separate-stderr nas-eval -q --ensemble --set last --data data.nas <(cat a.nas b.nas) -o e.nas
    one_line "$stderr"
    [[ $stderr = *'network linear: it is for tree, the data for classification' && ! -e e.nas ]]
}
