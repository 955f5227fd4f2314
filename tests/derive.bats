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
