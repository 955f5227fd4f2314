#!/usr/bin/env bats
# nas-ingest: raw files to a dataset stream; what it makes of good sources, and what it says about bad ones.

load helper
load readers

fashion=/usr/share/datasets/fashion-mnist

# size N: a 32-bit big-endian number, as hex.
size() { printf '%08x' "$1"; }

# make_images N [H W]: N ubyte images; the pixels go round 0…9.  make_labels N [K]: N labels that go round 0…K-1.
make_images()
{
    local n=$1 h=${2:-4} w=${3:-4}
    bytes 00000803 "$(size "$n")" "$(size "$h")" "$(size "$w")"
    awk -v n=$((n * h * w)) 'BEGIN { for (i = 0; i < n; i++) printf "%d", i % 10 }'
}
make_labels()
{
    local k=${2:-2}
    bytes 00000801 "$(size "$1")" "$(awk -v n="$1" -v k="$k" 'BEGIN { for (i = 0; i < n; i++) printf "%02x", i % k }')"
}

good_pair() { make_images 40 >images; make_labels 40 >labels; }

@test "Fashion-MNIST: all 70,000 images, within seconds" {
    [[ -d $fashion ]] || skip "no $fashion: install the Debian package dataset-fashion-mnist"
    SECONDS=0
    nas-ingest "$fashion" -o fashion.nas 2>note
    (( SECONDS <= 10 ))
    [[ $(<note) == "nas-ingest: fashion-mnist: train 27000, alpha 27000, validation 6000, test 10000; "* ]]
    [[ $(<note) == *"; 1x28x28 u8; 10 classes" ]]
    lz4 -tq fashion.nas
    (( $(lz4 -d <fashion.nas | wc -c) > 70000 * 784 ))
}

@test "a folder, its files one by one, and plain instead of gzip give the same samples" {
    mkdir set
    make_images 40 >set/train-images-idx3-ubyte
    make_labels 40 >set/train-labels-idx1-ubyte
    make_images 10 | gzip >set/t10k-images-idx3-ubyte.gz
    make_labels 10 | gzip >set/t10k-labels-idx1-ubyte.gz
    nas-ingest set --name x -o folder.nas 2>note
    [[ $(head -1 note) == "nas-ingest: x: train 18, alpha 18, validation 4, test 10; 1x4x4 u8; 2 classes" ]]
    gzip set/train-*
    gunzip set/t10k-*
    nas-ingest idx set --name x -o gzip.nas
    nas-ingest set/train-images-idx3-ubyte.gz set/train-labels-idx1-ubyte.gz set/t10k-images-idx3-ubyte \
        set/t10k-labels-idx1-ubyte --name x -o files.nas
    nas-ingest idx --option images=set/train-images-idx3-ubyte.gz --option labels=set/train-labels-idx1-ubyte.gz \
        --option test_images=set/t10k-images-idx3-ubyte --option test_labels=set/t10k-labels-idx1-ubyte \
        --name x -o options.nas
    local f want
    want=$(digest folder.nas)
    [[ -n $want ]]
    for f in gzip files options; do [[ $(digest $f.nas) == "$want" ]]; done
}

# digest FILE: what provenance says about the samples ("name digest").
digest() { lz4 -d <"$1" | grep -a -o 'x [0-9a-f]\{16\}' | head -1; }

@test "the same seed gives the same samples, another seed other splits" {
    good_pair
    for n in 1 2; do nas-ingest images labels --name x -o $n.nas --threads $n; done
    nas-ingest images labels --name x -o 3.nas --seed 2
    [[ -n $(digest 1.nas) && $(digest 1.nas) == "$(digest 2.nas)" && $(digest 1.nas) != "$(digest 3.nas)" ]]
}

@test "splits as asked: --test, --valid, --alpha, --subset" {
    good_pair
    run --separate-stderr -0 nas-ingest images labels -o a.nas --test 0.5 --valid 0.25 --alpha 0
    [[ $stderr == *"train 15, alpha 0, validation 5, test 20;"* ]]
    run --separate-stderr -0 nas-ingest images labels -o a.nas --subset 20 --test 0 --valid 0
    [[ $stderr == *"train 10, alpha 10, validation 0, test 0;"* ]]
    run --separate-stderr -0 nas-ingest images labels -o a.nas -q
    [[ -z $stderr ]]
}

# 40 samples in a cycle of 5 images: most have copies elsewhere.
@test "what splits share is counted, shown, refused, avoided" {
    good_pair
    run --separate-stderr -0 nas-ingest images labels -o a.nas
    [[ $stderr == *"nas-ingest: images: samples that an earlier split holds, too: duplicates "*"test 8)" ]]
    run -0 nas-stats a.nas
    [[ $output == *"shared by splits  duplicates "*"test 8)"* ]]
    refused 'nas-ingest: images: samples that an earlier split holds, too: duplicates *' images labels --forbid-leaks
    run --separate-stderr -0 nas-ingest images labels -o a.nas --group-copies --forbid-leaks --valid 0.3
    one_line "$stderr"
    run -0 nas-stats a.nas
    [[ $output == *"shared by splits  duplicates 0"* && $output == *"units=5 of 40 samples"* ]]
    run --separate-stderr -0 nas-ingest images labels -o a.nas --group-copies --forbid-leaks --valid 0.3 --flip-horizontal
    run -0 nas-stats a.nas
    [[ $output == *"shared by splits  duplicates 0, symmetric copies 0"* ]]
    local rule
    for rule in group file column; do
        refused "nas-ingest: images: --split-by $rule: the s*" images labels --split-by $rule
    done
    run --separate-stderr -2 nas-ingest images labels --split-by moon -o out.nas
    one_line "$stderr"
}

@test "every synthetic kind" {
    local kind
    for kind in blobs skip maxpool sep3 sep5 dil5; do
        nas-ingest synthetic --option kind=$kind --option n=100 2>note | lz4 -tq
        [[ $(<note) == "nas-ingest: synthetic-$kind: train 36, alpha 36, validation 8, test 20; 1x16x16 f32; "* ]]
    done
    nas-ingest synthetic --option kind=linear --option n=100 --option outputs=3 2>note | lz4 -tq
    [[ $(<note) == *"3x16x16 f32; 3 outputs" ]]
}

@test "float images and regression targets" {
    { bytes 00000d03 "$(size 10)" "$(size 1)" "$(size 2)"; for _ in {1..20}; do bytes 3f800000; done; } >images
    { bytes 00000d01 "$(size 10)"; for _ in {1..5}; do bytes 3f800000 40000000; done; } >labels
    run --separate-stderr -0 nas-ingest images labels --task regression -o a.nas
    [[ $stderr == *"1x1x2 f32; 1 outputs"$'\n'* ]]
}

@test "truncated files" {
    good_pair
    gzip -k images labels
    local n
    for n in 0 3 4 7 15 16 17 655; do
        head -c $n images >short
        refused 'nas-ingest: short: byte * cut short*' idx short labels
    done
    for n in 0 2 7 40; do
        head -c $n labels >short
        refused 'nas-ingest: short: byte * cut short*' images short
    done
    for n in 5 12 30 $(($(stat -c %s images.gz) - 1)) $(($(stat -c %s images.gz) - 8)); do
        head -c $n images.gz >cut.gz
        refused 'nas-ingest: cut.gz: *' idx cut.gz labels
    done
    head -c -4 images.gz >cut.gz
    refused 'nas-ingest: cut.gz: byte 656: cut short: the gzip data ends early' idx cut.gz labels
}

@test "damaged gzip data" {
    good_pair
    gzip images
    local end
    end=$(stat -c %s images.gz)
    { head -c $((end - 8)) images.gz; bytes deadbeef; tail -c 4 images.gz; } >damaged.gz # the checksum
    refused 'nas-ingest: damaged.gz: byte *: damaged gzip data' idx damaged.gz labels
}

@test "more bytes than announced" {
    good_pair
    echo >>labels
    refused 'nas-ingest: labels: byte 48: more bytes than the dimensions announce' images labels
    { make_images 40; echo; } | gzip >images.gz
    make_labels 40 >labels
    refused 'nas-ingest: images.gz: byte 656: more bytes than the dimensions announce' images.gz labels
}

@test "wrong magic, type, dimensions" {
    good_pair
    { bytes 01000803; tail -c +5 images; } >bad
    refused 'nas-ingest: bad: byte 0: not an IDX file: it begins with 01 00 08 03' idx bad labels
    { bytes 00000703; tail -c +5 images; } >bad
    refused 'nas-ingest: bad: byte 0: not an IDX file*' idx bad labels
    { bytes 00000805; tail -c +5 images; } >bad
    refused 'nas-ingest: bad: byte 3: 5 dimensions*' idx bad labels
    refused 'nas-ingest: labels: byte 3: 1 dimensions: *swapped*' labels images
    echo 'hello, world' >text
    refused 'nas-ingest: text: the format is not known; formats: idx, *' text labels
}

@test "absurd dimensions, also where little memory would hold them" {
    make_labels 40 >labels
    bytes 00000803 "$(size 40)" 7fffffff 7fffffff >bad
    refused 'nas-ingest: bad: byte *' idx bad labels
    bytes 00000804 7fffffff 7fffffff 7fffffff 7fffffff >bad
    refused 'nas-ingest: bad: byte 20: dimensions are absurd*' idx bad labels
    bytes 00000803 ffffffff "$(size 4)" "$(size 4)" >bad
    refused 'nas-ingest: bad: byte 4: dimension 1 is 4294967295: absurd' idx bad labels
    bytes 00000803 "$(size 1)" "$(size 100000)" "$(size 1)" >bad
    head -c 100000 /dev/zero >>bad
    refused 'nas-ingest: bad: byte 8: shape (1, 100000, 1): *' idx bad labels
    bytes 00000803 "$(size 1000000)" "$(size 100)" "$(size 100)" | gzip >bad.gz
    refused 'nas-ingest: bad.gz: byte 4: dimensions announce * more than * compressed bytes can hold' idx bad.gz labels
    bytes 00000803 "$(size 4)" "$(size 0)" "$(size 4)" >bad
    refused 'nas-ingest: bad: byte 16: a dimension is 0' idx bad labels
}

@test "image and label counts differ" {
    good_pair
    make_labels 39 >labels
    refused 'nas-ingest: labels: byte 4: 39 labels, but images has 40 images' images labels
}

@test "zero samples" {
    make_images 0 >images
    make_labels 0 >labels
    refused 'nas-ingest: images: byte 16: zero samples' images labels
}

@test "one class" {
    good_pair
    make_labels 40 1 >labels
    refused 'nas-ingest: images: only one class: all 40 training samples have label 0' images labels
}

@test "labels out of range" {
    good_pair
    make_labels 40 5 >labels
    refused 'nas-ingest: labels: byte 11: label 3: a whole number from 0 to 2 expected' images labels --option classes=3
    make_images 10 >test_images
    make_labels 10 7 >test_labels
    refused 'nas-ingest: test_labels: byte 13: label 5: a whole number from 0 to 4 expected' \
        images labels test_images test_labels
}

@test "test set of another shape or type" {
    good_pair
    make_images 10 4 5 >test_images
    make_labels 10 >test_labels
    refused 'nas-ingest: test_images: byte 16: 1x4x5, but images: byte 16 is 1x4x4 (--reshape can make them alike)' \
        images labels test_images test_labels
    run --separate-stderr -0 nas-ingest images labels test_images test_labels --resize 4x4 -o a.nas
    [[ $stderr == *"test 10; 1x4x4 u8; 2 classes"* ]]
}

@test "NaN and infinity in float data" {
    local bad
    for bad in 7fc00000 7f800000 ff800000; do
        { bytes 00000d03 "$(size 2)" "$(size 1)" "$(size 2)" 3f800000 3f800000 $bad 3f800000; } >images
        make_labels 2 >labels
        refused 'nas-ingest: images: byte 24: a value that is not finite' images labels
    done
    make_images 2 >images
    bytes 00000d01 "$(size 2)" 3f800000 7fc00000 >labels
    refused 'nas-ingest: labels: byte 12: a value that is not finite' images labels --task regression
    bytes 00000d01 "$(size 2)" 3f800000 3f000000 >labels
    refused 'nas-ingest: labels: byte 12: label 0.5: a whole number*' images labels
    bytes 00000e01 "$(size 2)" 7fe0000000000000 3ff0000000000000 >labels # finite as double, not as float
    refused 'nas-ingest: labels: byte 8: a value that is not finite' images labels --task regression
}

@test "constant targets" {
    make_images 4 >images
    bytes 00000d01 "$(size 4)" 3f800000 3f800000 3f800000 3f800000 >labels
    refused 'nas-ingest: images: only one target value*' images labels --task regression
}

@test "missing and unreadable sources" {
    good_pair
    refused 'nas-ingest: nothing: No such file or directory; formats: idx, *' nothing
    refused 'nas-ingest: nothing: No such file or directory' images nothing
    refused 'nas-ingest: images: no labels: give a folder, or IMAGES LABELS *' images
    refused 'nas-ingest: text: more than four files' images labels images labels text
    refused 'nas-ingest: images: no test_labels: *' images labels images
    mkdir empty part
    refused 'nas-ingest: empty: a folder without data of a known format; formats: idx, *' empty
    refused 'nas-ingest: empty: no train-images-idx3-ubyte or train-images-idx3-ubyte.gz in this folder' idx empty
    cp images part/train-images-idx3-ubyte
    refused 'nas-ingest: part: no train-labels-idx1-ubyte or *' part
    cp labels part/train-labels-idx1-ubyte
    cp images part/t10k-images-idx3-ubyte
    refused 'nas-ingest: part: no t10k-labels-idx1-ubyte or *' part
    refused 'nas-ingest: empty: Is a directory' images empty
}

@test "options of the formats" {
    good_pair
    refused 'nas-ingest: synthetic: option n=-5: a whole number from 2 to *' synthetic --option n=-5
    refused 'nas-ingest: synthetic: option n=99999999999999999999: a whole number *' \
        synthetic --option n=99999999999999999999
    refused 'nas-ingest: synthetic: option noise=nan: a number *' synthetic --option noise=nan
    refused 'nas-ingest: synthetic: kind "x" is not known' synthetic --option kind=x
    refused 'nas-ingest: synthetic: it is generated: no source "images" expected' synthetic images
    refused 'nas-ingest: synthetic: kind blobs is a classification set, not regression' synthetic --task regression
    refused 'nas-ingest: option n: idx knows *' images labels --option n=5
    refused 'nas-ingest: option names: 3 names for 2 outputs' images labels --option names=a,b,c
    refused 'nas-ingest: images: a subset of 41 was asked for, but there are 40 training samples' \
        images labels --subset 41
    refused 'nas-ingest: images: 0.01 of 32 samples leaves the validation split empty' images labels --valid 0.01
}

@test "wrong usage exits 2" {
    good_pair
    run --separate-stderr -2 nas-ingest images labels --valid 1.5
    one_line "$stderr"
    run --separate-stderr -2 nas-ingest images labels --subset -1
    one_line "$stderr"
    run --separate-stderr -2 nas-ingest images labels --subset 99999999999999999999
    one_line "$stderr"
    run --separate-stderr -2 nas-ingest images labels --task divination
    one_line "$stderr"
    run --separate-stderr -2 nas-ingest -o out.nas </dev/null
    one_line "$stderr"
    [[ ! -e out.nas ]]
}

@test "outputs that fail: full disk, no such folder, closed pipe" {
    good_pair
    run --separate-stderr -1 pipe 'nas-ingest images labels >/dev/full'
    one_line "$stderr"
    [[ $stderr == *"No space left on device"* ]]
    run --separate-stderr -1 nas-ingest images labels -o no/such/out.nas
    one_line "$stderr"
    [[ $stderr == *"no/such/out.nas: No such file or directory" ]]
    touch file
    run --separate-stderr -1 nas-ingest images labels -o file/out.nas
    one_line "$stderr"
    run --separate-stderr -141 with_signals bash -o pipefail -c \
        'nas-ingest synthetic --option size=32 -q | head -c 10 >/dev/null'
    [[ -z $stderr ]]
    [[ -z $(find . -name '*.nas*') ]]
}

@test "an old file stays when a new one cannot be made" {
    good_pair
    echo old >out.nas
    make_labels 39 >labels
    run -1 nas-ingest images labels -o out.nas
    [[ $(<out.nas) == old ]]
}
