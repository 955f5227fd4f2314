#!/usr/bin/env bats
# nas-ingest on pictures, sound and arrays, and nas-stats --samples.  The pictures and HDF5 files are made by
# `test_media --fixtures`, the NetCDF files by ncgen from their text form, the sound by the shell.

load helper
load readers

setup_file()
{
    mkdir "$BATS_FILE_TMPDIR/made"
    "$NAS_UNIT/test_media" --fixtures "$BATS_FILE_TMPDIR/made"
}

setup() { cd "$BATS_TEST_TMPDIR" && ln -s "$BATS_FILE_TMPDIR/made" made; }

# says PATTERN ARGUMENT…: nas-ingest writes out.nas, and its note is like the pattern.
says()
{
    local pattern=$1
    shift
    nas-ingest "$@" -o out.nas 2>stderr </dev/null || { echo "failed: $(<stderr)" >&2; return 1; }
    # shellcheck disable=SC2053
    [[ $(<stderr) == $pattern ]] || { echo "said '$(<stderr)', not '$pattern'" >&2; return 1; }
}

shown() { nas-stats out.nas; }

# ---- pictures ----

@test "images: a folder for each class" {
    says 'nas-ingest: classes: train 14, alpha 15, validation 3, test 8; 1x5x6 u8; 2 classes' made/classes
    grep -q 'classes  *dark, light' <(shown)
    cp out.nas first.nas
    nas-ingest -q made/classes/*/*.png --name classes -o out.nas # one by one, in folders
    [[ $(nas-stats out.nas | grep digest) = "$(nas-stats first.nas | grep digest)" ]]
    nas-ingest images made/classes --threads 2 -q -o out.nas
    [[ $(nas-stats out.nas | grep digest) = "$(nas-stats first.nas | grep digest)" ]]
}

@test "images: train, val and test folders; mixed sizes and colours are made alike, or the odd one is named" {
    refused 'nas-ingest: made/split/test/a/34.jpg: in colour, but made/split/test/a/32.jpg is grey (option channels= *' \
        made/split
    refused 'nas-ingest: made/split/test/a/34.jpg: 3x8x9, but made/split/test/a/32.jpg is 3x8x10 (--reshape *' \
        made/split --option channels=3
    says 'nas-ingest: split: train 12, alpha 12, validation 8, test 8; 3x8x8 u8; 2 classes*' \
        made/split --option channels=3 --reshape crop:8
    says 'nas-ingest: split: train 12, alpha 12, validation 8, test 8; 1x6x9 u8; 2 classes*' \
        made/split --option channels=1 --reshape resize:4x6,pad:6x9
    refused 'nas-ingest: made/split/test/a/32.jpg: 8x10 pixels: too small to be cropped to 9x9' \
        made/split --option channels=1 --reshape crop:9
}

@test "images: labels in a table, numbers and classes, by name with and without ending" {
    for i in {0..39}; do echo "p$i,$((i * 3 % 7)).5,$i,$((i % 3)),person$((i % 8))"; done >rows
    { echo 'id,size,age,kind,who'; cat rows; } >t.csv
    says 'nas-ingest: flat: train 14, alpha 15, validation 3, test 8; 1x4x4 f32; 2 outputs' \
        made/flat --option labels=t.csv --option targets=size,age
    grep -q 'outputs  *size, age' <(shown)
    says '*; 1x4x4 u8; 3 classes*' made/flat --option labels=t.csv --option label=kind --option depth=8
    says '*train 10, alpha 15, validation 5, test 10; 1x4x4 f32; 3 classes' \
        made/flat --option labels=t.csv --option label=kind --option group=who
    grep -q 'groups 0' <(shown)
    sed 's/^p\([0-9]*\)/p\1.png/' t.csv >ending.csv
    says '*; 2 outputs' made/flat --option labels=ending.csv --option targets=size,age
    refused 'nas-ingest: t.csv: line 1: no column "weight" (option targets)' \
        made/flat --option labels=t.csv --option targets=weight
    refused 'nas-ingest: made/flat/p0.png: its target "person0" is not a number in column who' \
        made/flat --option labels=t.csv
    echo 'p7,1,1,1,x' >>t.csv
    refused 'nas-ingest: t.csv: line 42: "p7" is a file that had a row before' made/flat --option labels=t.csv
    { echo 'id,kind'; echo 'p1,1'; echo 'p99,0'; } >t.csv
    refused 'nas-ingest: t.csv: line 3: no file "p99"' made/flat --option labels=t.csv
    { echo 'id,kind'; for i in {0..38}; do echo "p$i,$((i % 2))"; done; } >t.csv
    refused 'nas-ingest: made/flat/p39.png: no row in t.csv' made/flat --option labels=t.csv
    says '*left out: made/flat/p39.png: no row in t.csv' \
        made/flat --option labels=t.csv --skip-bad
}

@test "images: several labels an image" {
    local label=(nothing 'mass|node' node mass)
    for i in {0..39}; do echo "p$i.png,${label[i % 4]},$((i / 2))"; done >rows
    { echo 'Image Index,Finding Labels,Patient ID'; cat rows; } >t.csv
    says 'nas-ingest: flat: train 14, alpha 14, validation 4, test 8; 1x4x4 f32; 2 outputs' images made/flat \
        --task multi-label --option labels=t.csv --option 'label=Finding Labels' --option none=nothing \
        --option 'group=Patient ID'
    grep -q 'outputs  *mass, node' <(shown)
    grep -q 'units=20 of 40 samples' <(shown)
}

@test "images: the label as a part of the name" {
    says '*; 1x4x4 f32; 40 classes' made/flat --option 'pattern=p{label}.png' --valid 0 --alpha 0 --test 0
    refused 'nas-ingest: made/flat/p0.png: its name does not fit the pattern q{label}' \
        made/flat --option 'pattern=q{label}'
    refused 'nas-ingest: option pattern=p{n}.png: {label} expected in it' made/flat --option 'pattern=p{n}.png'
    refused 'nas-ingest: option pattern=p: from 1 to 16 {names} expected' made/flat --option pattern=p
    refused 'nas-ingest: option pattern={a}{b}: *' made/flat --option 'pattern={a}{b}'
}

@test "images: every kind of bad file ends the program with its name, or is skipped and counted" {
    local bad file
    cp -r made/classes set
    head -c 60 made/classes/dark/00.png >cut.png
    head -c 200 made/bad/whole.jpg >cut.jpg
    : >empty.png
    echo hello >text.png
    for bad in cut.png:'damaged PNG: *' cut.jpg:'damaged JPEG: *' empty.png:'byte 0: the file is empty' \
        text.png:'byte 0: neither PNG nor JPEG' made/bad/cmyk.jpg:'*CMYK*' made/bad/deep.png:'16 bits a value*' \
        made/bad/colour.png:'in colour, but *' made/bad/large.png:'1x5x7, but set/dark/00.png is 1x5x6*'; do
        file=set/dark/99.$(basename "${bad%%:*}")
        cp "${bad%%:*}" "$file"
        refused "nas-ingest: $file: ${bad#*:}" set
        says "*; 1x5x6 u8; 2 classes"$'\n'"nas-ingest: left out: $file: ${bad#*:}" set --skip-bad
        rm "$file"
    done
    mkdir none && cp text.png none
    refused 'nas-ingest: none/text.png: not in the folder of a class: option labels= or pattern= *' images none
    refused 'nas-ingest: none: all 1 samples are bad; the first: none/text.png: *' none --skip-bad \
        --option 'pattern={label}.png'
    refused 'nas-ingest: option chanels: images knows *' made/classes --option chanels=3
    refused 'nas-ingest: option channels=2: *' made/classes --option channels=2
    run --separate-stderr -2 nas-ingest synthetic --reshape crop:3 -o out.nas
    one_line "$stderr"
}

# ---- sound ----

@test "audio: folders of classes become log-mel spectrograms, or waves" {
    mkdir -p set/a set/b
    for i in {1..10}; do wav 8000 $((900 + i)) $i >set/a/$i.wav; wav 8000 950 $((20 + i)) >set/b/$i.wav; done
    says 'nas-ingest: set: train 7, alpha 7, validation 2, test 4; 1x16x6 f32; 2 classes' set --option mels=16
    grep -q 'seconds=0.11875, spectrogram=log-mel (slaney), 16 filters 0-4000 Hz, window 256, hop 128' <(shown)
    says '*; 1x1x800 f32; 2 classes' set --option spectrogram=none --option seconds=0.1
    says '*; 1x8x24 f32; 2 classes' set --option rate=4000 --option window=64 --option hop=16 --option mels=8 \
        --option seconds=0.11 --option scale=htk --option fmax=1900 --option fmin=100
    wav 4000 400 >set/b/99.wav
    refused 'nas-ingest: set/b/99.wav: 4000 Hz, but set/a/1.wav has 8000 Hz (option rate= *' set --option mels=16
    says '*; 1x16x6 f32; 2 classes' set --option mels=16 --option rate=8000
    refused 'nas-ingest: audio: 200 mel filters are too many *' set --option mels=200 --option rate=8000
    refused 'nas-ingest: option cut: it goes with seconds=*' set --option cut=1
}

@test "audio: AU in big-endian, the same wave as WAV" {
    mkdir -p one/a one/b two/a two/b
    for i in {1..5}; do
        for c in a b; do
            wav 8000 60 $((i + ${#c})) >one/$c/$i.wav
            { printf .snd; be32 24; be32 120; be32 3; be32 8000; be32 1 # 16-bit linear
              wav 8000 60 $((i + ${#c})) | tail -c 60 | od -An -v -tu1 -w1 |
                  while read -r v; do printf -v v '%02x' $(((v - 128) & 255)); printf "\\x$v\\x00"; done; } >two/$c/$i.au
        done
    done
    nas-ingest -q one --name x --option spectrogram=none -o one.nas
    nas-ingest -q two --name x --option spectrogram=none -o two.nas
    [[ $(nas-stats one.nas | grep digest) = "$(nas-stats two.nas | grep digest)" ]]
}

@test "audio: pieces of a clip stay on one side" {
    mkdir set
    for i in {1..20}; do wav 8000 2000 $i >set/$((i % 2))_$i.wav; done
    says 'nas-ingest: set: train 28, alpha 28, validation 8, test 16; 1x1x1000 f32; 2 classes' set \
        --option 'pattern={label}_{n}.wav' --option seconds=0.125 --option cut=0.04 --option spectrogram=none
    grep -q 'units=20 of 80 samples' <(shown)
    grep -q 'groups 0' <(shown)
}

@test "audio: every kind of bad clip" {
    local bad
    mkdir -p set/a set/b
    for i in {1..10}; do wav 8000 900 $i >set/a/$i.wav; wav 8000 900 $((20 + i)) >set/b/$i.wav; done
    wav 8000 900 | head -c 500 >short
    wav 8000 900 | head -c 30 >header
    : >empty
    echo hello >text
    wav 8000 0 >silent
    { printf RIFF; le32 44; printf 'WAVEfmt '; le32 16; printf '\3\0\1\0'; le32 8000; le32 32000
      printf '\4\0\40\0data'; le32 8; printf '\0\0\300\177\0\0\0\0'; } >nan
    for bad in 'short:byte 500: cut short: it should have 944 bytes' 'header:byte 30: cut short*' \
        'empty:byte 0: the file is empty' 'text:*' 'silent:no sound in it' 'nan:frame 0: a value that is not finite'; do
        cp "${bad%%:*}" set/b/99.wav
        refused "nas-ingest: set/b/99.wav: ${bad#*:}" set --option mels=16
        says "*left out: set/b/99.wav: *" set --option mels=16 --skip-bad
    done
    rm set/b/99.wav
    printf '.snd\0\0\0\030\0\0\3\350\0\0\0\3\0\0\037\100\0\0\0\1xx' >set/b/99.au
    refused 'nas-ingest: set/b/99.au: byte 26: cut short: it should have 1024 bytes' set --option mels=16
}

@test "spoken digits: spectrograms by speaker" {
    data fsdd/recordings
    says 'nas-ingest: recordings: train 200, alpha 200, validation 100, test 100; 1x64x61 f32; 10 classes' audio "$DATA" \
        --option 'pattern={label}_{speaker}_{n}.wav' --option group=speaker --option seconds=1
    grep -q 'units=6 of 600 samples' <(shown)
}

@test "galaxies: JPEG in colour, cropped and scaled" {
    data galaxy-zoo-400
    says 'nas-ingest: galaxy-zoo-400: train 144, alpha 144, validation 32, test 80; 3x56x56 u8; 2 classes' "$DATA" \
        --reshape crop:224,resize:56
    nas-stats --samples sheet.png out.nas 2>legend
    [[ $(<legend) == "nas-stats: galaxy-zoo-400: a class each row: non_spirals, spirals" ]]
    [[ $(head -c 4 sheet.png | tail -c 3) == PNG ]]
}

# ---- arrays ----

# cdl NAME [KIND]: the text form on standard input as NAME.
cdl() { ncgen -k "${2:-classic}" -o "$1" -; }

# numbers N FROM STEP: comma-separated.
numbers() { awk -v n="$1" -v a="${2:-0}" -v s="${3:-1}" 'BEGIN { for (i = 0; i < n; i++) printf "%s%g", i ? "," : "", a + i * s }'; }

kirigami()
{
    echo 'netcdf g { dimensions: sample = 20; y = 3; x = 4; y_c = 1; x_c = 2; variables:'
    echo 'float coarse_image(sample, y_c, x_c); float fine_image(sample, y, x); float strain(sample); float stress(sample);'
    echo "$1 data: coarse_image = $(numbers 40); fine_image = ${2:-$(numbers 240)}; strain = $(numbers 20 0.5 0.25);"
    echo "stress = $(numbers 20); }"
}

@test "netcdf: kirigami sheets, classic and NetCDF-4, give the same samples" {
    need ncgen
    local kind
    for kind in classic 64-bit-offset 64-bit-data nc4; do
        kirigami | cdl "g.$kind.nc" "$kind"
        says 'nas-ingest: g: train 7, alpha 7, validation 2, test 4; 1x3x4 f32; 1 outputs' "g.$kind.nc"
        nas-stats out.nas | grep digest >>digests
    done
    [[ $(sort -u digests | wc -l) = 1 ]]
    grep -q 'outputs  *strain' <(shown)
    says '*; 1x1x2 f32; 2 outputs' g.nc4.nc --option images=coarse_image --option targets=strain,stress
    says '*; 1x3x4 f32; 1 outputs' netcdf g.classic.nc --reshape pad:3x4 --option layout=sample,y,x
}

@test "netcdf: train and test arrays of bytes, channels last, several outputs" {
    need ncgen
    { echo 'netcdf z { dimensions: sample = 10; t = 4; x = 3; y = 2; channel = 3; feature = 5; variables:'
      echo 'ubyte image_train(sample, x, y, channel); ubyte image_test(t, x, y, channel);'
      echo 'double label_train(sample, feature); double label_test(t, feature); data:'
      echo "image_train = $(numbers 180); image_test = $(numbers 72); label_train = $(numbers 50); label_test = $(numbers 20); }"
    } | cdl z.nc nc4
    says 'nas-ingest: z: train 4, alpha 5, validation 1, test 4; 3x2x3 u8; 5 outputs*' z.nc
    says 'nas-ingest: z: train 4, alpha 5, validation 1, test 4; 3x3x2 u8; 5 outputs*' z.nc \
        --option layout=sample,y,x,channel
    says '*; 2x2x3 u8; 5 outputs*' z.nc --option slice=channel:1:3
    says '*; 1x2x3 u8; 5 outputs*' z.nc --option slice=channel:1
    says '*train 2, alpha 2, validation 0, test 4; 3x2x3 u8; 5 outputs*' z.nc --option slice=sample:0:4 --valid 0
    refused 'nas-ingest: z.nc: image_test(t=4, *: option slice: sample has 4' z.nc --option slice=sample:4:8
    refused 'nas-ingest: z.nc: option slice: channel has 3' z.nc --option slice=channel:2:4
    refused 'nas-ingest: option slice=channel:3:2: *' z.nc --option slice=channel:3:2
    refused 'nas-ingest: option layout=sample,sample: *' z.nc --option layout=sample,sample
}

@test "netcdf: labels count from 1, several files, a test file" {
    need ncgen
    local f
    for f in 1 2 3; do
        { echo 'netcdf c { dimensions: n = 12; y = 2; x = 2; variables: short image(n, y, x); int label(n); data:'
          echo "image = $(numbers 48 $f); label = 1,2,3,1,2,3,1,2,3,1,2,3; }"; } | cdl $f.nc
    done
    says '*nas-ingest: 1: train 3, alpha 4, validation 1, test 4; 1x2x2 f32; 3 classes' 1.nc --test 0.3
    grep -q 'classes  *1, 2, 3' <(shown)
    says '*train 10, alpha 11, validation 3, test 12; 1x2x2 f32; 3 classes' 1.nc 2.nc --option test=3.nc --valid 0.12
    says '*train 12, alpha 12, validation 0, test 12; 1x2x2 f32; 3 classes' 1.nc 2.nc 3.nc --split-by file \
        --test 0.34 --valid 0
}

@test "netcdf: fill values, missing values and NaN are bad samples; scale and offset are applied" {
    need ncgen
    kirigami 'fine_image:_FillValue = -1.f;' "_, $(numbers 239)" | cdl fill.nc
    refused 'nas-ingest: fill.nc: fine_image: sample 0: a missing value' fill.nc
    says '*left out: fill.nc: fine_image: sample 0: a missing value' fill.nc --skip-bad
    kirigami 'fine_image:missing_value = 17.f;' | cdl missing.nc nc4
    refused 'nas-ingest: missing.nc: fine_image: sample 1: a missing value' missing.nc
    kirigami 'fine_image:valid_range = 0.f, 200.f;' | cdl range.nc
    refused 'nas-ingest: range.nc: fine_image: sample 16: a missing value' range.nc
    kirigami '' "$(numbers 100),NaNf,$(numbers 139)" | cdl nan.nc
    refused 'nas-ingest: nan.nc: fine_image: sample 8: a value that is not finite' nan.nc
    kirigami 'strain:_FillValue = 1.f;' | cdl target.nc
    refused 'nas-ingest: target.nc: fine_image: sample 2: a target that is not finite' target.nc
    kirigami 'fine_image:scale_factor = 0.5; fine_image:add_offset = 10.;' | cdl scaled.nc
    nas-ingest -q scaled.nc --test 0 --valid 0 --alpha 0 -o out.nas
    grep -q 'mean 69.75;' <(shown) # 10 + 0.5 × 119.5
}

@test "arrays: truncated, damaged, empty, shapes that do not fit" {
    need ncgen
    local f n
    kirigami | cdl g.nc
    kirigami | cdl g4.nc nc4
    cp made/good.h5 .
    for f in g.nc g4.nc good.h5; do
        for n in 4 8 60 300 700; do
            head -c $n $f >cut.nc
            refused 'nas-ingest: cut.nc: *' netcdf cut.nc --option images=data/images --option labels=data/labels
        done
    done
    head -c 900 g.nc >cut.nc
    refused 'nas-ingest: cut.nc: *: cut short or damaged: it ends early' cut.nc
    : >empty.nc
    refused 'nas-ingest: empty.nc: byte 0: the file is empty' netcdf empty.nc
    echo text >text.nc
    refused 'nas-ingest: text.nc: byte 0: neither NetCDF nor HDF5' hdf5 text.nc
    refused 'nas-ingest: none.nc: No such file or directory' hdf5 none.nc
    refused 'nas-ingest: .: Is a directory' hdf5 .
    mkfifo fifo
    refused 'nas-ingest: fifo: not a plain file: *' hdf5 fifo
    refused 'nas-ingest: g.nc: no array strength; it has coarse_image(sample=20, y_c=1, x_c=2), fine_image(*' g.nc \
        --option targets=strength
    refused 'nas-ingest: g.nc: coarse_image(*) does not fit the 20 samples of fine_image(*' g.nc \
        --option targets=coarse_image
    refused 'nas-ingest: g.nc: strain(sample=20): which dimension is what? *' g.nc --option images=strain \
        --option targets=stress
    refused 'nas-ingest: good.h5: which arrays? options images= and labels= or targets= name them; it has data/*' good.h5
    says 'nas-ingest: good: *; 1x3x4 u8; 3 classes' good.h5 --option images=data/images --option labels=data/labels \
        --valid 0 --test 0
    says 'nas-ingest: float: *; 1x3x4 f32; 3 classes' made/float.h5 --option images=data/images \
        --option labels=data/labels --valid 0 --test 0
    { echo 'netcdf a { dimensions: n = UNLIMITED; y = 2; x = 2; variables: float image(n, y, x); int label(n); }'; } |
        cdl zero.nc nc4
    refused 'nas-ingest: zero.nc: image(n=0, y=2, x=2): zero samples *' zero.nc
    { echo 'netcdf a { dimensions: n = 30; y = 100000; x = 100000; variables: float image(n, y, x); int label(n);'
      echo 'image:_Storage = "chunked"; image:_ChunkSizes = 1, 100, 100; }'; } | cdl absurd.nc nc4
    refused 'nas-ingest: absurd.nc: image(*): shape (1, 100000, 100000): *' absurd.nc
    { echo 'netcdf a { dimensions: n = 2000000000; y = 2000; x = 2000; variables: ubyte image(n, y, x); byte label(n);'
      echo 'image:_Storage = "chunked"; image:_ChunkSizes = 1, 100, 100; label:_ChunkSizes = 1000; }'; } | cdl absurd.nc nc4
    refused 'nas-ingest: absurd.nc: *: needs * of memory, * are free; * has room for *' absurd.nc
}

# ---- a look at the samples ----

@test "nas-stats --samples: a picture of images and of series" {
    nas-ingest -q synthetic --option n=60 -o a.nas
    nas-stats --samples a.png a.nas 2>legend
    [[ $(<legend) == 'nas-stats: synthetic-blobs: a class each row: 0, 1, 2, 3' ]]
    # 4 rows, 10 columns of 16×16 magnified to 48, 4 between
    [[ $(head -c 24 a.png | tail -c 8 | od -An -v -tu1 | tr -s ' ') == " 0 0 2 12 0 0 0 212" ]]
    nas-stats --samples - a.nas 2>/dev/null | cmp - a.png
    nas-ingest -q synthetic --option kind=linear --option n=60 | nas-stats --samples b.png 2>legend
    [[ -s b.png && $(<legend) == *": samples in their order" ]]
    run --separate-stderr -1 nas-stats --samples c.png "$NAS_ROOT/tests/golden/stats-brief.nas"
    one_line "$stderr"
    [[ ! -e c.png ]]
    run --separate-stderr -2 nas-stats --samples c.png --json a.nas
    one_line "$stderr"
}
