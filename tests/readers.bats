#!/usr/bin/env bats
# Readers of tables, series, NumPy arrays and CIFAR; and what all formats share.

load helper
load readers

# The same 60 samples of 2×3 bytes and two classes in every format: value j of sample i is (37 i + 11 j) mod 256.
n=60
pixels() { LC_ALL=C awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) for (j = 0; j < 6; j++) printf "%02x", (37 * i + 11 * j) % 256 }' | xxd_r; }
labels() { awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) printf "%02x", i % 2 }' | xxd_r; }
xxd_r() { local hex; read -r hex || true; bytes "$hex"; }

# npy TYPE SHAPE: standard input as a .npy file.
npy()
{
    local head="{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
    bytes 93; printf 'NUMPY'; bytes 0100; le16 ${#head}; printf '%s' "$head"; cat
}

# npz FILE…: an archive of these files, deflated by gzip, whose trailer has the checksum and the size.
npz()
{
    local file body size start at=0 central='' count=0
    : >central
    for file; do
        gzip -nc "$file" >packed
        size=$(stat -c %s packed)
        { bytes 14000000 0800 00000000; tail -c 8 packed | head -c 4; le32 $((size - 18)); tail -c 4 packed
          le16 ${#file}; le16 0; } >head # what the local and the central header share
        start=$at
        { printf 'PK\3\4'; cat head; printf '%s' "$file"; head -c $((size - 8)) packed | tail -c +11; } >member
        cat member
        at=$((at + $(stat -c %s member)))
        { printf 'PK\1\2'; bytes 1400; cat head; bytes 0000 0000 0000 00000000; le32 "$start"; printf '%s' "$file"; } >>central
        count=$((count + 1))
    done
    cat central
    printf 'PK\5\6'; bytes 00000000; le16 $count; le16 $count; le32 "$(stat -c %s central)"; le32 $at; le16 0
}

# digest FILE: what provenance says about the samples of dataset x.
digest() { lz4 -d <"$1" | grep -a -o 'x [0-9a-f]\{16\}' | head -1; }

idx_pair()
{
    { bytes 00000803; be32 $n; be32 2; be32 3; pixels; } >img
    { bytes 00000801; be32 $n; labels; } >lab
}

@test "the same samples as IDX, NumPy, zip of NumPy, CSV: the same stream" {
    idx_pair
    pixels | npy '|u1' "($n, 2, 3)" >images.npy
    labels | npy '|u1' "($n,)" >labels.npy
    mv images.npy x_train.npy && mv labels.npy y_train.npy
    npz x_train.npy y_train.npy >a.npz
    { echo 'a,b,c,d,e,"the ""f""",label'
      awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) { for (j = 0; j < 6; j++) printf "%d,", (37 * i + 11 * j) % 256; print i % 2 } }'
    } >t.csv
    tr , '\t' <t.csv | gzip >t.tsv.gz
    nas-ingest img lab --name x -o idx.nas
    nas-ingest x_train.npy y_train.npy --name x -o npy.nas
    nas-ingest . --name x -o folder.nas
    nas-ingest a.npz --name x -o npz.nas
    nas-ingest t.csv --option type=u8 --option shape=2x3 --name x -o csv.nas
    nas-ingest t.tsv.gz --targets 7 --option type=u8 --option shape=1x2x3 --option 'features=a-e,the "f"' --name x -o tsv.nas
    nas-ingest csv - --targets label --option type=u8 --option shape=2x3 --name x <t.csv >stdin.nas
    local want f
    want=$(digest idx.nas)
    [[ -n $want ]]
    for f in npy folder npz csv tsv stdin; do [[ $(digest $f.nas) == "$want" ]] || { echo "$f differs"; return 1; }; done
}

@test "every format is found by its content, and listed" {
    nas-ingest --list-formats >list
    local f
    for f in idx cifar npy csv ucr images audio netcdf hdf5 lightcurves kirigami synthetic; do grep -q "^$f " list; done
    [[ $(nas-ingest --list-formats </dev/null | wc -l) = $(wc -l <list) ]]
    printf '1,2,3\n4,5,6\n' >table # no ending
    refused 'nas-ingest: table: line 1: which of the 3 columns is the target?*' table
    printf '1,2\n4,5,6\n' >nothing
    refused 'nas-ingest: nothing: the format is not known; formats: idx, *' nothing
}

@test "shapes: --crop, --resize and --pad in this order, --reshape in any" {
    idx_pair
    nas-ingest img lab --pad 4 --name x -o a.nas 2>note
    [[ $(<note) == *"; 1x4x4 u8; 2 classes"* ]]
    nas-ingest img lab --reshape pad:4 --name x -o b.nas
    [[ $(digest a.nas) == "$(digest b.nas)" ]]
    nas-ingest img lab --crop 2 --resize 6x4 --pad 6 --name x -o a.nas 2>note
    [[ $(<note) == *"; 1x6x6 u8; 2 classes"* ]]
    nas-ingest img lab --reshape crop:2,resize:6x4,pad:6 --name x -o b.nas
    [[ $(digest a.nas) == "$(digest b.nas)" ]]
    refused 'nas-ingest: img: byte 16: 2x3 pixels: too small to be cropped to 3x3' img lab --crop 3
    run --separate-stderr -2 nas-ingest img lab --crop 2 --reshape pad:4
    one_line "$stderr"
    run --separate-stderr -2 nas-ingest img lab --resize 0x4
    one_line "$stderr"
    run --separate-stderr -2 nas-ingest synthetic --pad 40 -o c.nas
    [[ $stderr == "nas-ingest: format synthetic: "* && ! -e c.nas ]]
}

@test "--normalize: by channel, over all, by sample, none" {
    awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print i % 2 "," i % 8 "," i % 4 + 100 }' >t.csv
    say() { nas-ingest t.csv --targets 1 --option shape=2x1x1 "$@" -o a.nas -q && nas-stats a.nas | sed -n 's/  normalisation *//p'; }
    [[ $(say --normalize none) == "mean 0, 0; sd 1, 1" ]]
    [[ $(say --normalize sample) == "mean 0, 0; sd 1, 1" ]]
    say --normalize global | tee global
    [[ $(<global) =~ ^mean\ ([0-9.]+),\ ([0-9.]+)\;\ sd\ ([0-9.]+),\ ([0-9.]+)$ ]]
    [[ ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" && ${BASH_REMATCH[3]} = "${BASH_REMATCH[4]}" ]]
    [[ $(say) =~ mean\ [0-9]\.[0-9]+,\ 10[0-9] ]]
    idx_pair
    nas-ingest img lab --normalize none -o b.nas -q
    [[ $(nas-stats b.nas | sed -n 's/  normalisation *//p') == "mean 0; sd 255" ]]
}

@test "--balance cuts or repeats the train split, and only that" {
    awk 'BEGIN { for (i = 0; i < 100; i++) print (i % 5 ? "a" : "b") "," i }' >t.csv
    run --separate-stderr -0 nas-ingest t.csv --targets 1 --valid 0 --alpha 0 --test 0.5 -o a.nas --balance cut
    [[ $stderr == *"train 20, alpha 0, validation 0, test 50;"* ]]
    run --separate-stderr -0 nas-ingest t.csv --targets 1 --valid 0 --alpha 0 --test 0.5 -o a.nas --balance repeat
    [[ $stderr == *"train 80, alpha 0, validation 0, test 50;"* ]]
    awk 'BEGIN { for (i = 0; i < 100; i++) print i / 7 "," i }' >u.csv
    refused 'nas-ingest: u.csv: --balance: task regression has no classes' u.csv --targets 1 --task regression --balance cut
}

@test "--skip-bad leaves bad samples out, counts and names them" {
    { echo 'x,y,label'; for i in {1..40}; do echo "$i,$((i % 7)),$((i % 2))"; done; } >t.csv
    sed -i '5s/.*/nonsense,1,0/; 9s/.*/1,2/; 12s/.*/3,,1/' t.csv
    refused 'nas-ingest: t.csv: line 5: column x is "nonsense": a number expected *' t.csv
    run --separate-stderr -0 nas-ingest t.csv --skip-bad -o a.nas
    [[ $stderr == *"left out: t.csv: line 5: "*"left out: t.csv: line 9: 2 fields, 3 expected"*"left out: t.csv: line 12: "* ]]
    [[ $(nas-stats a.nas) == *"skipped=3 bad samples; the first: t.csv: line 5: "* ]]
    run --separate-stderr -0 nas-ingest t.csv --skip-bad --option missing=mean -o a.nas
    [[ $stderr != *"line 12"* && $(nas-stats a.nas) == *"missing=1 values"* ]]
    { bytes 00000d03; be32 40; be32 1; be32 1; bytes 7fc00000; for _ in {1..39}; do bytes 3f800000; done; } >img
    { bytes 00000801; be32 40; for _ in {1..19}; do bytes 0001; done; bytes 0100; } >lab
    refused 'nas-ingest: img: byte 16: a value that is not finite' img lab
    run --separate-stderr -0 nas-ingest img lab --skip-bad -o a.nas
    [[ $stderr == *"left out: img: byte 16: a value that is not finite"* ]]
    for i in {1..30}; do echo "x,$i"; done >t.csv
    refused 'nas-ingest: t.csv: all 30 samples are bad; the first: t.csv: line 1: *' csv t.csv --targets 2 --skip-bad
}

@test "CSV: what is wrong with a file" {
    : >empty.csv
    refused 'nas-ingest: empty.csv: *' csv empty.csv
    echo 'a,label' >head.csv
    refused 'nas-ingest: head.csv: *no row below the heading' csv head.csv
    printf 'a,label\n1,"x\n' >quote.csv
    refused 'nas-ingest: quote.csv: line 2: a quote is not closed' quote.csv
    printf 'a,label\n1,x\n1e99,y\n' >huge.csv
    refused 'nas-ingest: huge.csv: line 3: column a is "1e99": a number expected *' huge.csv
    printf 'a,label\n1,0\n2,0.5\n' >half.csv
    refused 'nas-ingest: half.csv: line 3: target column label is 0.5 after whole numbers: *' half.csv
    printf 'a,label\n1,0\n2\n' | gzip >cut.csv.gz
    head -c -4 cut.csv.gz >short.csv.gz
    refused 'nas-ingest: short.csv.gz: line *' short.csv.gz
    refused 'nas-ingest: no.csv: No such file or directory' csv no.csv
}

@test "NumPy: truncated, of another byte order, absurd, damaged, empty" {
    labels | npy '|u1' "($n,)" >y.npy
    pixels | npy '|u1' "($n, 6)" >x.npy
    local size
    size=$(stat -c %s x.npy)
    for k in 0 5 9 11 40 $((size - 1)); do
        head -c "$k" x.npy >short.npy
        refused 'nas-ingest: short.npy: byte *' npy short.npy y.npy
    done
    { cat x.npy; echo; } >long.npy
    refused "nas-ingest: long.npy: byte $size: more bytes than its shape announces" long.npy y.npy
    pixels | npy '|u1' '(9000000000000000000, 6)' >absurd.npy
    refused 'nas-ingest: absurd.npy: byte *' absurd.npy y.npy
    pixels | npy '|O' "($n, 6)" >object.npy
    refused 'nas-ingest: object.npy: byte 0: values of type *' object.npy y.npy
    pixels | npy '<f4' '(15, 6)' >f4.npy
    refused 'nas-ingest: y.npy: shape (60,) does not fit the 15 samples of f4.npy' f4.npy y.npy
    # big-endian floats are what they are
    for i in {1..60}; do bytes 3f800000; done >ones
    npy '>f4' "($n, 1)" <ones >be.npy
    nas-ingest be.npy y.npy -q -o be.nas
    [[ $(nas-stats be.nas) == *"normalisation  "*"mean 1; sd 1"* ]]
    npz x.npy y.npy >a.npz
    for k in 3 30 100 $(($(stat -c %s a.npz) - 1)); do
        head -c "$k" a.npz >cut.npz
        refused 'nas-ingest: cut.npz: *' npy cut.npz
    done
    # a byte of the data of a deflated member
    { head -c 60 a.npz; bytes ff; tail -c +62 a.npz; } >bit.npz
    refused 'nas-ingest: bit.npz: *' npy bit.npz
    mv x.npy z.npy
    npz y.npy >b.npz
    refused 'nas-ingest: b.npz: which arrays? options images= and labels= name them; it has y' b.npz
    npz z.npy y.npy >c.npz
    nas-ingest c.npz --option images=z --targets y -q -o c.nas
    refused 'nas-ingest: c.npz: no array w; it has y, z' c.npz --option images=w
}

@test "CIFAR-10 and 100: folder, names, truncated, labels" {
    mkdir ten hundred
    batch() { for i in {0..9}; do bytes "0$i"; head -c 3072 /dev/zero | tr '\0' "\\$((100 + i))"; done; }
    for b in 1 2; do batch >ten/data_batch_$b.bin; done
    batch >ten/test_batch.bin
    printf 'airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n' >ten/batches.meta.txt
    nas-ingest ten -o a.nas 2>note --valid 0.5 --alpha 0
    [[ $(<note) == "nas-ingest: cifar10: train 10, alpha 0, validation 10, test 10; 3x32x32 u8; 10 classes"* ]]
    [[ $(nas-stats a.nas) == *"airplane, automobile, bird"* ]]
    head -c 5000 ten/data_batch_1.bin >ten/data_batch_2.bin
    refused 'nas-ingest: ten/data_batch_2.bin: byte 5000: cut short: 1146 bytes more expected' ten
    { bytes 0a; head -c 3072 /dev/zero; } >ten/data_batch_2.bin
    refused 'nas-ingest: ten/data_batch_2.bin: byte 0: label 10: below 10 expected' ten
    run --separate-stderr -0 nas-ingest ten --skip-bad --valid 0 --alpha 0 -o a.nas
    [[ $stderr == *"train 10, "*"left out: ten/data_batch_2.bin: byte 0: label 10"* ]]
    : >ten/data_batch_1.bin
    refused 'nas-ingest: ten/data_batch_1.bin: byte 0: cut short: *' ten
    for i in {0..19}; do bytes "$(printf '%02x%02x' $i $((i * 5)))"; head -c 3072 /dev/zero; done >hundred/train.bin
    cp hundred/train.bin hundred/test.bin
    nas-ingest hundred -o a.nas --valid 0 --alpha 0 2>note
    [[ $(<note) == *"cifar100: train 20, alpha 0, validation 0, test 20; 3x32x32 u8; 100 classes"* ]]
    nas-ingest hundred --option labels=coarse -o a.nas --valid 0 --alpha 0 2>note
    [[ $(<note) == *"20 classes"* ]]
    mkdir nowhere
    refused 'nas-ingest: nowhere: no data_batch_1.bin or train.bin in this folder' cifar nowhere
}

@test "UCR: what is wrong with a file" {
    for i in {1..20}; do printf '%d\t%d\t%d\t%d\n' $((i % 2)) "$i" 2 3; done >S_TRAIN.tsv
    nas-ingest S_TRAIN.tsv -o a.nas 2>note
    [[ $(<note) == "nas-ingest: S: train 7, alpha 7, validation 2, test 4; 1x1x3 f32; 2 classes" ]]
    { cat S_TRAIN.tsv; printf '1\t2\t3\n'; } >T_TRAIN.tsv
    refused 'nas-ingest: T_TRAIN.tsv: line 21: 2 values, 3 expected (option length= pads and cuts)' T_TRAIN.tsv
    nas-ingest T_TRAIN.tsv --option length=5 -o a.nas 2>note
    [[ $(<note) == *"1x1x5 f32"* ]]
    : >E_TRAIN.ts
    refused 'nas-ingest: E_TRAIN.ts: the file is empty' ucr E_TRAIN.ts
    printf '@problemName x\n@classLabel true a b\n@data\n1,2:3,inf:a\n' >I_TRAIN.ts
    refused 'nas-ingest: I_TRAIN.ts: line 4: "inf": a number expected' I_TRAIN.ts
    mkdir several
    cp S_TRAIN.tsv T_TRAIN.tsv several
    refused 'nas-ingest: several: several sets, *: name the files' ucr several
    refused 'nas-ingest: option length=0: a whole number from 1 to *, or longest' ucr S_TRAIN.tsv --option length=0
}
