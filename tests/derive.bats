#!/usr/bin/env bats
# nas-derive: genotypes from searches, and from everywhere else.

load helper

table=$NAS_ROOT/tests/golden/derive_cifar10.txt

# search KIND FILE: writes a small stream of a search (tests/unit/test_derive.c).
search()
{
    local unit=${NAS_UNIT:-$NAS_BIN/../tests}
    [[ -x $unit/test_derive ]] || unit=$NAS_ROOT/$(make -s -C "$NAS_ROOT" print-obj)/tests
    "$unit/test_derive" "$1" "$table" "$2"
}

# records FILE: the records of a stream as protobuf's text.
records()
{
    lz4 -dc "$1" | protoc --decode=nas.v1.Stream -I "$NAS_ROOT/schemas" nas/v1/nas.proto
}

# kinds FILE: the kinds of its records in order, on one line.
kinds() { records "$1" | sed -n 's/^  \([a-z_]*\) {$/\1/p' | paste -sd ' '; }

# names FILE: the names of its genotypes, on one line.
names() { records "$1" | grep -A1 '^  genotype {' | sed -n 's/^ *name: "\(.*\)"$/\1/p' | paste -sd ' '; }

# left_nothing: neither out.nas nor a temporary file of it is there.
left_nothing() { [[ -z $(compgen -G 'out.nas*') ]]; }

cell="Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0)], normal_concat=range(2, 3), reduce=[('max_pool_3x3', 0), ('noise', 1)], reduce_concat=range(2, 3))"

@test "the published example gives its genotype, order included, from a stream and from a table" {
    search good s.nas
    nas-derive --print s.nas 2>/dev/null | golden derive_cifar10.genotype
    nas-derive --print - <s.nas 2>/dev/null | golden derive_cifar10.genotype
    nas-derive --print <s.nas 2>/dev/null | golden derive_cifar10.genotype
    nas-derive --print --from-alphas "$table" | golden derive_cifar10.genotype
    nas-derive --print --from-alphas - <"$table" | golden derive_cifar10.genotype
}

@test "a stream is passed on but for samples and weights, and the genotype is added" {
    need lz4 protoc
    search good s.nas
    nas-derive -q s.nas -o out.nas
    [[ $(kinds out.nas) = "header dataset space search_epoch search_epoch search_epoch event genotype trailer" ]]
    [[ $(names out.nas) = search-darts1-3 ]]
    records out.nas >text
    grep -q 'epoch: 2$' text
    grep -q 'dataset: "toy"' text
    [[ $(sed -n '/^  genotype {/,/^  }/p' text | grep -c '^    margin: ') = 16 ]]
    grep -q 'none_mass: 0.33264755' text
    grep -q 'weight_kept: 0.1768978' text
    [[ $(grep -c 'program: "nas-derive"' text) = 1 && $(grep -c 'program: "test"' text) = 1 ]]
    nas-derive -q --keep-samples --keep-weights <s.nas >all.nas
    [[ $(kinds all.nas) = "header dataset samples space search_epoch search_epoch search_epoch tensor event genotype trailer" ]]
}

@test "the user is told when none is the strongest operation of most edges" {
    search good s.nas
    run --separate-stderr -0 nas-derive --print s.nas
    [[ $stderr = "nas-derive: s.nas: none is the strongest operation on 16 of 28 edges of search-darts1-3: "* ]]
    run --separate-stderr -0 nas-derive --quiet --print s.nas
    [[ -z $stderr ]]
}

@test "--epoch takes another epoch, --every all of them" {
    need lz4 protoc
    search good s.nas
    nas-derive --print --epoch 1 s.nas >one
    [[ $(grep -o dil_conv_5x5 one | wc -l) = 16 ]]
    [[ $(nas-derive --print --epoch 0 s.nas | grep -o max_pool_3x3 | wc -l) = 16 ]]
    nas-derive -q --print --epoch 2 s.nas | golden derive_cifar10.genotype
    nas-derive --print --every s.nas >every
    [[ $(wc -l <every) = 3 && $(sed -n 2p every) = "$(<one)" ]]
    nas-derive --every s.nas -o every.nas
    [[ $(names every.nas) = "search-darts1-3-epoch0 search-darts1-3-epoch1 search-darts1-3-epoch2" ]]
    run --separate-stderr -1 nas-derive --print --epoch 7 s.nas
    [[ $stderr = "nas-derive: s.nas: no epoch 7: the search has 0 to 2" && -z $output ]]
    run --separate-stderr -2 nas-derive --every --epoch 1 s.nas
    one_line "$stderr"
}

@test "joined searches give one genotype each, under different names" {
    need lz4 protoc
    search good s.nas
    cat s.nas s.nas s.nas | nas-derive -q >out.nas
    [[ $(names out.nas) = "search-darts1-3 search-darts1-3-2 search-darts1-3-3" ]]
    [[ $(nas-derive -q --print out.nas | wc -l) = 3 ]]
}

@test "streams without a usable search exit 1 with one line, and leave no file" {
    local kind
    for kind in no-epochs no-space misfit negative; do
        search "$kind" s.nas
        run --separate-stderr -1 nas-derive s.nas -o out.nas
        one_line "$stderr"
        [[ -z $output && $stderr = "nas-derive: s.nas: "* ]]
        left_nothing
    done
    nas-derive --named DARTS_V2 -o plain.nas
    run --separate-stderr -1 nas-derive plain.nas --print
    [[ $stderr = "nas-derive: plain.nas: no search in it: nothing to derive from" ]]
}

@test "a damaged stream exits 3 and leaves no file" {
    search good s.nas
    local bytes size
    size=$(stat -c %s s.nas)
    for bytes in 1 $((size / 2)) $((size - 1)); do
        head -c "$bytes" s.nas >cut.nas
        run --separate-stderr -3 nas-derive cut.nas -o out.nas
        one_line "$stderr"
        left_nothing
    done
    run -3 pipe "head -c $((size / 2)) s.nas | nas-derive --print"
}

@test "--list and --named give the published cells" {
    run --separate-stderr -0 nas-derive --list
    [[ ${#lines[@]} -ge 9 ]]
    nas-derive --print --named all >cells
    [[ $(wc -l <cells) = "${#lines[@]}" ]]
    [[ $(nas-derive --print --named darts_v2) = "$(sed -n 4p cells)" ]]
    [[ $(sed -n 4p cells) = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "* ]]
    [[ $(nas-derive --print -n PDARTS -n NASNet | wc -l) = 2 ]]
    run --separate-stderr -2 nas-derive --named DARTS_V3 -o out.nas
    [[ $stderr = "nas-derive: --named DARTS_V3: no such cell; near it: DARTS_V1"* && ! -e out.nas ]]
}

@test "--random gives cells of the space asked for, the same for the same seed" {
    need lz4 protoc
    nas-derive --print --random 20 --seed 5 >a
    [[ $(wc -l <a) = 20 && $(sort -u a | wc -l) = 20 ]]
    run ! grep none a
    nas-derive --print --random 10 --seed 5 --threads 2 | cmp - <(head a)
    nas-derive --print --random 20 --seed 6 >b
    run ! cmp -s a b
    nas-derive --print --random 9 --ops noise,none,sep_conv_3x3 --nodes 3 --concat 1 >c
    [[ $(grep -c 'normal_concat=range(4, 5)' c) = 9 ]]
    [[ $(grep -oE "[a-z]+_?[a-z0-9_]*'" c | sort -u | paste -sd ' ') = "noise' sep_conv_3x3'" ]]
    nas-derive --print --random 9 --inputs 1 | nas-derive --print --from-text - | cmp - <(nas-derive --print --random 9 --inputs 1)
    nas-derive --random 3 --seed 5 -o r.nas
    [[ $(names r.nas) = "random-5-1 random-5-2 random-5-3" ]]
    local bad
    for bad in '--ops sep_conv_3' '--ops none' '--concat 5' '--ops=' '--inputs 3' '--nodes 0'; do
        # shellcheck disable=SC2086
        run --separate-stderr -2 nas-derive --print --random 1 $bad
        one_line "$stderr"
    done
}

@test "--text and --from-text read what people copy around" {
    need lz4 protoc
    [[ $(nas-derive --print --text "$cell") = "$cell" ]]
    cat >log <<END
from collections import namedtuple
Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')
2019-10-14 13:05:50,607 genotype = $cell
MINE = Genotype(
    normal = [("sep_conv_3x3", 1), ("skip_connect", 0)], normal_concat = [2],
    reduce = [
      ('max_pool_3x3', 0), ('noise', 1)
    ], reduce_concat = [2],
)  # of last year
$cell
MINE = $cell
END
    nas-derive --print --from-text log >out
    [[ $(wc -l <out) = 4 && $(sort -u out) = "$cell" ]]
    nas-derive --from-text log -t "$cell" -o out.nas
    [[ $(names out.nas) = "text-1 text-2 MINE text-4 MINE-2" ]]
    nas-derive --print -T - <log | cmp - out
}

@test "bad text exits with one line that says where" {
    run --separate-stderr -2 nas-derive --text "Genotype(normal=[('sep_conv_9x9', 1)" -o out.nas
    [[ $stderr = "nas-derive: --text: column 20: unknown operation \"sep_conv_9x9\"; near it: sep_conv_1x9, sep_conv_3x3"* ]]
    printf 'nothing\n\n%s\n' "x = ${cell/\'noise\', 1/\'noise\', 2}" >log
    run --separate-stderr -1 nas-derive --from-text log -o out.nas
    [[ $stderr = "nas-derive: log: line 3: column 131: node 0 sees states 0 to 1 only" ]]
    printf 'nothing\n' >log
    run --separate-stderr -1 nas-derive --from-text log -o out.nas
    [[ $stderr = "nas-derive: log: no \"Genotype(\" in it" ]]
    run --separate-stderr -1 nas-derive --from-text no-such-file -o out.nas
    [[ $stderr = "nas-derive: no-such-file: No such file or directory" ]]
    left_nothing
}

@test "bad tables of alphas exit 1 with the line; unsoftmaxed ones are pointed out" {
    sed 5q "$table" >short
    run --separate-stderr -1 nas-derive --print --from-alphas short
    [[ $stderr = "nas-derive: short: 3 rows, expected 28: "* ]]
    run --separate-stderr -1 nas-derive --print --from-alphas "$table" --ops galaxy-zoo-9
    [[ $stderr = *": line 3: 8 numbers, expected 9, one an operation" ]]
    sed 's/0\.0/-0.0/' "$table" >negative
    run --separate-stderr -1 nas-derive --print --from-alphas negative
    [[ $stderr = "nas-derive: negative: line 3: -0.0"* ]]
    sed '3s/^[^ ]*/2.5/' "$table" >raw
    run --separate-stderr -0 nas-derive --print --from-alphas raw
    [[ $stderr = "nas-derive: raw: row 1 adds up to "*"before the softmax?" && $output = Genotype* ]]
}

@test "sources combine, the stream first; standard input is read when asked for" {
    need lz4 protoc
    search good s.nas
    nas-derive -q s.nas --random 1 --named PDARTS --text "$cell" -A "$table" -o out.nas
    [[ $(names out.nas) = "search-darts1-3 PDARTS text-1 derive_cifar10 random-1-1" ]]
    nas-derive --named PDARTS -o p.nas <s.nas
    [[ $(kinds p.nas) = "header genotype trailer" ]]
    nas-derive -q --named PDARTS - -o p.nas <s.nas
    [[ $(names p.nas) = "search-darts1-3 PDARTS" ]]
    nas-derive -q --random 1 p.nas | nas-derive -q --named NASNet - -o q.nas # what is there already is passed on
    [[ $(names q.nas) = "search-darts1-3 PDARTS search-darts1-3-2 random-1-1 search-darts1-3-3 NASNet" ]]
    run --separate-stderr -2 nas-derive --from-text - -
    one_line "$stderr"
    run --separate-stderr -2 nas-derive a.nas b.nas
    one_line "$stderr"
}

@test "--print with -o does both" {
    need lz4 protoc
    [[ $(nas-derive --print --named PDARTS -o p.nas) = Genotype* ]]
    [[ $(names p.nas) = PDARTS ]]
    run -1 pipe 'nas-derive --print --named all >/dev/full'
}

@test "alphas as NumPy and PyTorch write them, and definitions in Python" {
    need lz4 protoc
    local golden=$NAS_ROOT/tests/golden e # made by tests/oracle/make_alphas.py
    nas-derive --print -A "$golden/alphas_normal.npy" -A "$golden/alphas_reduce.npy" | golden derive_cifar10.genotype
    nas-derive --print -A "$golden/alphas_both_f8_fortran.npy" | golden derive_cifar10.genotype
    nas-derive --print -A - <"$golden/alphas_flat_big_endian.npy" | golden derive_cifar10.genotype
    grep -o 'Genotype(.*' "$golden/alphas_darts.log" >logged # what Python derived
    for e in 0 1 2; do nas-derive --print --epoch $e -A "$golden/alphas_darts.log"; done | cmp - logged
    nas-derive --print -A "$golden/alphas_darts.log" | cmp - <(tail -1 logged)
    nas-derive --print --from python -A "$golden/alphas_darts.log" | cmp - logged
    head -c 7000 "$golden/alphas_darts.log" >killed.log # in the third epoch
    nas-derive --print -A killed.log | cmp - <(sed -n 2p logged)
    nas-derive -A "$golden/alphas_darts.log" -A "$golden/alphas_normal.npy" -A "$golden/alphas_reduce.npy" -o out.nas
    [[ $(names out.nas) = "alphas_darts alphas_normal" ]]
    records out.nas | grep -q 'epoch: 2'
    nas-derive --list | awk -F'\t' '{ print $1 " = " $3 "  # " $2 }' >genotypes.py
    nas-derive -A genotypes.py -o out.nas
    [[ $(names out.nas) = "$(nas-derive --list | cut -f 1 | paste -sd ' ')" ]]
    rm out.nas
    local case status words arguments
    for case in "1|that of the reduction cells is to follow|-A $golden/alphas_normal.npy" \
        "1|an array of 14x8, expected 5x8|--nodes 2 -A $golden/alphas_normal.npy" \
        "1|a tensor of 14x8, expected 14x9|--ops galaxy-zoo-9 -A $golden/alphas_darts.log" \
        "1|no epoch 3: the log has 0 to 2|--epoch 3 -A $golden/alphas_darts.log" \
        "1|no .npy file|--from npy -A $golden/alphas_darts.log" "1|no pair of tensors|--from log -A $table" \
        "1|is no number|--from table -A $golden/alphas_darts.log" "2|best or last|--epoch first -A $table" \
        "2|expected auto|--from matlab -A $table"; do
        IFS='|' read -r status words arguments <<<"$case"
        # shellcheck disable=SC2086
        run "-$status" --separate-stderr nas-derive $arguments -o out.nas
        one_line "$stderr"
        [[ $stderr == *"$words"* ]] || { echo "$arguments: $stderr" >&2; return 1; }
        left_nothing
    done
}

@test "--epoch best is the epoch of the best metric on the validation split, the later of equals" {
    nas-ingest -q synthetic --option n=300 --option size=8 -o data.nas
    nas-search -q --layers 2 --channels 2 --batch 16 --epochs 6 --alpha-lr 0.1 data.nas -o s.nas
    local best
    best=$(nas-stats --tsv search_epoch s.nas | awk -F'\t' '$8 == "validation" && $9 == "accuracy" && $10 >= most { most = $10; epoch = $3 }
        END { print epoch }')
    nas-derive -q --print --epoch best s.nas | cmp - <(nas-derive -q --print --epoch "$best" s.nas)
    nas-ingest -q synthetic --option n=60 --option size=8 --valid 0 -o blind.nas
    nas-search -q --layers 1 --channels 1 --epochs 1 blind.nas -o s.nas
    run -1 --separate-stderr nas-derive --print --epoch best s.nas
    one_line "$stderr"
    [[ $stderr == *"which is best is unknown"* ]]
}

@test "the rule threshold leaves weak edges out; the network of such a cell can be trained" {
    nas-ingest -q synthetic --option n=80 --option size=8 -o data.nas
    nas-derive --rule threshold --threshold 0.16 -A "$table" -o t.nas
    nas-stats --json t.nas | grep -q "\"rule\":\"threshold\".*\"key\":\"threshold\",\"value\":\"0.16\""
    nas-stats --json t.nas | grep -q "('none', "
    nas-train -q --data data.nas --layers 3 --channels 2 --epochs 1 t.nas -o n.nas
    nas-derive --print --rule threshold --threshold 0.000001 -A "$table" | golden derive_cifar10.genotype
}

@test "bounds: the heaviest cell whose network is small enough, with its size; none fits: one line" {
    nas-ingest -q synthetic --option n=80 --option size=8 -o data.nas
    search good s.nas
    local limit size
    for limit in 20000 30000 60000; do
        nas-derive -q --max-params $limit --layers 4 --channels 4 --data data.nas s.nas -o b.nas
        size=$(nas-train --dry-run --data data.nas --layers 4 --channels 4 b.nas | grep -o '[0-9,]* parameters' | tr -dc 0-9)
        (( size <= limit ))
        nas-stats --json b.nas | grep -q "{\"key\":\"parameters\",\"value\":\"$size\"}.*{\"key\":\"exact\",\"value\":\"yes\"}"
    done
    nas-derive -q --print --max-params 100000000 --max-macs 1000000000 --data data.nas s.nas | golden derive_cifar10.genotype
    run -1 --separate-stderr nas-derive -q --max-params 1000 --data data.nas s.nas -o out.nas
    one_line "$stderr"
    [[ $stderr == *"no cell fits: a network has at least "*" parameters and "* ]]
    left_nothing
    run -1 --separate-stderr nas-derive -q --max-macs 1000 -A "$table" -o out.nas
    [[ $stderr == *"--data FILE names one" ]]
    run -2 --separate-stderr nas-derive -q --max-macs 1000 --rule threshold s.nas -o out.nas
    one_line "$stderr"
}

@test "the rule perturbation finds what the supernet needs, even where the alphas never moved" {
    nas-ingest -q synthetic --option kind=sep5 --option n=2000 --option size=12 -o sep5.nas
    # alphas that rest, so that DARTS' rule has nothing to go by
    nas-search -q --weights --nodes 1 --layers 1 --reduce-at none --channels 8 --batch 32 --epochs 8 --warmup 8 sep5.nas -o s.nas
    nas-derive -q --print s.nas >magnitude
    run -1 grep -q "normal=.*sep_conv_5x5.*reduce=" magnitude
    local seed
    for seed in 1 2; do # one edge with it is enough for all samples: the other may be anything
        nas-derive -q --seed $seed --print --rule perturbation --data sep5.nas s.nas >out
        grep -q "normal=\[('sep_conv_5x5', " out
    done
    nas-derive -q --print --rule perturbation --criterion loss --threads 1 --data sep5.nas s.nas -o one.nas >one
    nas-derive -q --print --rule perturbation --criterion loss --threads 3 --data sep5.nas s.nas >three
    same one three
    nas-stats --json one.nas | grep '"kind":"genotype"' >record
    grep -q '"rule":"perturbation".*"margin":\[.*"evaluations","value":"18"' record
    [[ $(nas-stats --json one.nas | grep -c '"kind":"tensor"') = 0 ]]
    nas-derive -q --print --rule perturbation --split alpha --valid-limit 64 --tune-epochs 1 --data sep5.nas s.nas | grep -q '^Genotype'

    nas-ingest -q synthetic --option n=80 --option size=8 -o other.nas
    nas-search -q --nodes 1 --layers 1 --channels 2 --epochs 1 sep5.nas -o bare.nas
    nas-ingest -q synthetic --option kind=sep5 --option n=100 --option size=12 --valid 0 -o blind.nas
    local case status words arguments
    for case in "1|no weights of a supernet|--data sep5.nas bare.nas" "1|the data are 1x8x8|--data other.nas s.nas" \
        "2|needs a stream|s.nas" "2|no --every|--every --data sep5.nas s.nas" "2|needs a stream|--data sep5.nas -A $table" \
        "1|the validation split is empty|--data blind.nas s.nas" "1|No such file|--data none.nas s.nas"; do
        IFS='|' read -r status words arguments <<<"$case"
        # shellcheck disable=SC2086
        run "-$status" --separate-stderr nas-derive -q --rule perturbation $arguments -o out.nas
        one_line "$stderr"
        [[ $stderr == *"$words"* ]] || { echo "$arguments: $stderr" >&2; return 1; }
        left_nothing
    done
}

@test "perturbation: of every kind of supernet, as it was in the search" {
    need jq
    nas-ingest -q synthetic --option n=60 --option size=8 -o tiny.nas
    local way loss
    for way in steady gaea fair-darts darts- pc-darts 'pc-darts --auxiliary-skip on' 'steady --warmup 2'; do # the last one: frozen
        # shellcheck disable=SC2086
        nas-search -q --strategy $way --nodes 2 --layers 2 --channels 4 --batch 8 --epochs 2 --weights tiny.nas -o s.nas
        nas-derive -q --rule perturbation --batch 8 --data tiny.nas s.nas -o d.nas
        loss=$(nas-stats --json s.nas | jq -r 'select(.kind == "search_epoch") | .metrics[] | select(.name == "supernet_loss") | .value' | tail -1)
        nas-stats --json d.nas | grep '"kind":"genotype"' | jq -e --argjson loss "$loss" '.settings |
            map({(.key): .value}) | add | (.loss_before | tonumber) / $loss - 1 | fabs < 1e-5'
    done
}
