#!/usr/bin/env bats
# The recipes: every script of datasets/ on a small file of exactly its layout, from raw data to the report.

load helper
load readers

setup_file()
{
    mkdir "$BATS_FILE_TMPDIR/made"
    "$NAS_UNIT/test_media" --fixtures "$BATS_FILE_TMPDIR/made" # pictures
}

setup() { cd "$BATS_TEST_TMPDIR" && MADE=$BATS_FILE_TMPDIR/made; }

# recipe NAME ARGUMENT…: runs a script on small data with small settings; it must end in a report.
recipe()
{
    export SEARCH='--layers 1 --reduce-at none --channels 2 --epochs 1 --batch 8 --nodes 2 --limit 0 --valid-limit 0 --gap-every 0'
    export TRAIN='--layers 1 --reduce-at none --channels 2 --epochs 1 --batch 8'
    export CELLS=1 NETS='--net linear --net mlp'
    rm -rf out
    "$NAS_ROOT/pipelines/$1" "${@:2}" out >log 2>&1 || { cat log; return 1; }
    [[ -s out/report.html && -s out/data.nas ]]
    nas-stats --check out/result.nas
    # the cell found, a random one, two networks
    [[ $(nas-stats --tsv evaluation out/result.nas | tail -n +2 | cut -f 2 | sort -u | wc -l) -ge 4 ]] || { cat log; return 1; }
}

@test "recipe: CIFAR-10" {
    mkdir ten
    for f in data_batch_1 test_batch; do
        for i in {0..39}; do bytes "0$((i % 10))"; head -c 3072 /dev/zero | tr '\0' "\\$((100 + i))"; done >ten/$f.bin
    done
    INGEST='--valid 0.25 --resize 8' recipe cifar10 ten
}

@test "recipes: MNIST and Fashion-MNIST" {
    mkdir set
    for f in train t10k; do
        { bytes 00000803; be32 40; be32 8; be32 8; awk 'BEGIN { for (i = 0; i < 2560; i++) printf "%d", i * i % 10 }'; } |
            gzip >set/$f-images-idx3-ubyte.gz
        { bytes 00000801; be32 40; for _ in {1..20}; do bytes 0001; done; } >set/$f-labels-idx1-ubyte
    done
    INGEST='--valid 0.25' recipe mnist set
    INGEST='--valid 0.25' recipe fashion-mnist set
    # the study of the searches: two seeds, two random cells, and what is there is not done again
    local i
    for i in 1 2; do
        INGEST='--valid 0.25' SEEDS=2 RANDOM_CELLS=2 "$NAS_ROOT/pipelines/fashion-study" set study >verdict 2>log || { cat log; return 1; }
        grep -q 'search by steady .* 2 runs and 2 runs' verdict
    done
    [[ $(grep -c 'is there$' log) = 8 && $(wc -l <log) = 8 ]]
}

@test "recipe: UCR" {
    mkdir Small
    for f in TRAIN TEST; do
        for i in {1..40}; do printf '%d\t%d\t%d\t3\t4\t5\t1\t0\n' $((i % 2)) "$i" $((i % 3)); done >Small/Small_$f.tsv
    done
    recipe ucr Small
}

@test "recipe: graphene kirigami" {
    sheets 60 >15grid_shuffled.dat
    INGEST='--option raster=coarse' recipe graphene-kirigami 15grid_shuffled.dat
}

@test "recipe: MoS2 kirigami" {
    mkdir sheets
    awk 'BEGIN { print "## structure_ID, 8_pattern_parameters, symmetric_structure_ID"
        for (i = 1; i <= 60; i++) printf "%d, ((0.0, 0.0), (%d, 10.0), (0.0, 0.0), (25.3, %d))\n", i, i, 20 + i }' \
        >sheets/n_4_training_data_structure_info.txt
    awk 'BEGIN { print "## pattern_ID, initial_length, broken_length, max_stress(GPa)"
        for (i = 1; i <= 60; i++) printf "%d\t202.3\t%.2f\t%.2f\n", i, 220 + i / 3, 13 - i / 20 }' \
        >sheets/n_4_structure_MD_strain_stress_info.txt
    recipe mos2-kirigami sheets
}

@test "recipe: PLAsTiCC" {
    mkdir curves
    objects 60 >curves/training_set_metadata.csv
    observations 60 >curves/training_set.csv
    INGEST='--option bins=16' recipe plasticc curves
    gzip curves/training_set.csv
    mv curves/training_set.csv.gz curves/plasticc_train_lightcurves.csv.gz
    mv curves/training_set_metadata.csv curves/plasticc_train_metadata.csv
    INGEST='--option bins=16' recipe plasticc curves
}

@test "recipe: galaxies, by votes and by folders" {
    mkdir images
    local i
    for i in {0..39}; do cp "$MADE/flat/p$i.png" images/$((100000 + i)).png; done
    awk 'BEGIN { printf "GalaxyID"; for (q = 1; q <= 37; q++) printf ",Class%d", q; print ""
        for (i = 0; i < 40; i++) { printf "%d", 100000 + i; for (q = 1; q <= 37; q++) printf ",%.3f", (i * q % 41) / 41; print "" } }' >votes.csv
    INGEST='--reshape resize:8' recipe galaxy-zoo images votes.csv
    nas-stats out/data.nas | grep -q '37 outputs'
    INGEST='--reshape resize:8' recipe galaxy-zoo "$MADE/classes" -
}

@test "recipe: music, spoken digits" {
    mkdir -p genres/blues genres/metal recordings
    local i
    for i in {1..20}; do
        wav 2000 6000 "$i" >genres/blues/blues.$i.wav
        wav 2000 6000 $((i + 30)) >genres/metal/metal.$i.wav
        wav 8000 800 "$i" >recordings/$((i % 2))_speaker$((i % 5))_$i.wav
    done
    INGEST='--option window=64 --option hop=512 --option mels=8' recipe gtzan genres
    INGEST='--option hop=64' recipe fsdd recordings
}

@test "recipe: chest X-rays" {
    INGEST='--reshape resize:8 --crop-padding 1' recipe chest-xray "$MADE/split"
}

@test "recipe: head CT" {
    mkdir head_ct
    local i name
    for i in {0..39}; do printf -v name '%03d' "$i"; cp "$MADE/flat/p$i.png" head_ct/$name.png; done
    awk 'BEGIN { print "id,hemorrhage"; for (i = 0; i < 40; i++) printf "%d, %d\n", i, i < 20 }' >labels.csv
    INGEST='--reshape resize:8 --crop-padding 1' recipe head-ct head_ct labels.csv
}

@test "recipes without their data say what to get and where to put it" {
    mkdir empty
    for name in cifar10 mnist fashion-mnist; do
        run --separate-stderr -1 "$NAS_ROOT/pipelines/$name" empty out
        one_line "$stderr"
        [[ $stderr == "$name: no "*" in empty: get it from "*" and put it there" && ! -e out ]]
    done
    for name in ucr graphene-kirigami mos2-kirigami plasticc galaxy-zoo gtzan chest-xray head-ct fsdd; do
        run --separate-stderr -1 "$NAS_ROOT/pipelines/$name"
        one_line "$stderr"
        [[ $stderr == "$name: "* && ! -e out ]]
    done
}
