#!/usr/bin/env bats
# Light curves and sheets with cuts: what nas-ingest makes of the real ones, and what it says about bad ones.

load helper
load readers

good() { objects 40 >objects.csv; observations 40 >observations.csv; }

@test "PLAsTiCC: the real curves, found by their columns, whichever file comes first" {
    data plasticc-small
    nas-ingest "$DATA/plasticc_90_metadata.csv" "$DATA/plasticc_90_lightcurves.csv" --name x -o a.nas 2>note
    [[ $(<note) == "nas-ingest: x: train 32, alpha 33, validation 7, test 18; 12x1x128 f32; 3 classes" ]]
    nas-ingest lightcurves "$DATA/plasticc_90_lightcurves.csv" "$DATA/plasticc_90_metadata.csv" --name x -o b.nas
    diff <(nas-stats a.nas | grep digest) <(nas-stats b.nas | grep digest)
    gzip -c "$DATA/plasticc_90_lightcurves.csv" >curves.csv.gz
    nas-ingest lightcurves curves.csv.gz "$DATA/plasticc_train_metadata.csv" --name x -o c.nas # all 7,848 objects
    diff <(nas-stats a.nas | grep digest) <(nas-stats c.nas | grep digest)
    run -0 nas-stats c.nas
    [[ $output == *"42 SNII, 62 SNIbc, 90 SNIa"* && $output == *"objects without observations=7758"* ]]
    # that challenge's weights, in the loss and in the metric
    nas-ingest -q "$DATA"/plasticc_90_{metadata,lightcurves}.csv --class-weights plasticc --metric-weights plasticc >w.nas
    [[ $(nas-stats w.nas) == *weighted_log_loss* ]]
    nas-ingest "$DATA"/kaggle_training_set_head10{,_metadata}.csv --option features=hostgal_photoz,distmod 2>note >d.nas
    [[ $(<note) == *"; 15x1x128 f32; 5 classes" ]]
}

@test "a search on light curves takes the operations for series" {
    data plasticc-small
    nas-ingest -q "$DATA"/plasticc_90_{metadata,lightcurves}.csv --option bins=32 -o p.nas
    nas-search -q --nodes 1 --layers 2 --channels 4 --epochs 1 --batch 16 p.nas -o s.nas
    run -0 nas-stats s.nas
    [[ $output == *"sep_conv_1x39"* && $output == *"dil_conv_1x19"* ]]
    nas-derive -q --random 1 --nodes 1 s.nas -o cells.nas
    run -0 nas-stats --tsv genotype cells.nas
    [[ $output == *random-1-1* && $output != *_3x3* ]] # the random cell has the operations of the search
    nas-train -q --data p.nas --layers 2 --channels 4 --epochs 1 --batch 16 --net resnet-tiny cells.nas |
        nas-eval -q --data p.nas -o e.nas
    (( $(nas-stats --tsv evaluation e.nas | grep -c accuracy) == 6 )) # and balanced accuracy, of three networks
}

@test "MoS2: the real sheets; a random split shares nearly all of them, and need not" {
    data mos2-kirigami
    local files=("$DATA/n_4_training_data_structure_info.txt" "$DATA/n_4_structure_MD_strain_stress_info.txt")
    nas-ingest "${files[@]}" -o a.nas 2>note
    [[ $(head -1 note) == *": train 10282, alpha 10282, validation 2285, test 5712; 1x40x40 u8; 1 outputs" ]]
    [[ $(tail -1 note) == *"duplicates 0, symmetric copies 17482 (alpha 9507, validation 2275, test 5700)" ]]
    refused 'nas-ingest: *: samples that an earlier split holds, too: *test 5700)' "${files[@]}" --forbid-leaks
    nas-ingest "${files[@]}" --option target=strain,stress --group-copies --forbid-leaks -o b.nas 2>note
    one_line "$(<note)"
}

@test "graphene: found by its first row" {
    sheets 100 >15grid.dat
    nas-ingest 15grid.dat -o a.nas 2>note
    [[ $(<note) == "nas-ingest: graphene-kirigami: train 36, alpha 36, validation 8, test 20; 1x30x80 u8; 1 outputs"* ]]
    gzip -k 15grid.dat
    nas-ingest kirigami 15grid.dat.gz --option pad=1 2>note >b.nas
    [[ $(<note) == *"1x32x80 u8"* ]]
    { echo '# a comment with "a quote'; cat 15grid.dat; } >said.dat
    digest() { nas-stats --json "$1" | jq -r 'first(.. | .digest? // empty)'; }
    nas-ingest -q kirigami said.dat -o said.nas
    [[ -n $(digest a.nas) && $(digest said.nas) == "$(digest a.nas)" ]]
}

@test "sheets: cut short, mixed, absurd, NaN, empty" {
    sheets 20 >good
    head -c -20 good >bad
    refused 'nas-ingest: bad: line 20: 1? numbers: 18 expected*' kirigami bad
    { sheets 5; echo '1 2 three'; } >bad
    refused 'nas-ingest: bad: line 6: 3 numbers: 18 expected*' bad
    local value
    for value in nan inf 1e999 x 0x; do
        { sheets 5; sheets 1 | sed "s/[^ ]*$/$value/"; } >bad
        refused "nas-ingest: bad: line 6: stress is \"$value\": a number expected" bad
    done
    { sheets 5; sheets 1 | sed 's/^./2/'; } >bad
    refused 'nas-ingest: bad: line 6: cell 1 is 2: 0 or 1 expected' bad
    { sheets 5; sheets 1 | sed 's/[^ ]*$/1e35/'; } >bad
    refused 'nas-ingest: bad: line 6: *absurd' bad
    : >bad
    refused 'nas-ingest: bad: no designs in it' kirigami bad
    refused 'nas-ingest: bad: the format is not known; formats: *' bad
    head -c 100000 /dev/zero >bad
    refused 'nas-ingest: bad: line 1: a byte 0: not a text' kirigami bad
    gzip -c good | head -c 100 >bad
    refused 'nas-ingest: bad: line *cut short*' kirigami bad
    refused 'nas-ingest: option target=moon: one or more of strain, toughness, stress expected' good --option target=moon
    refused 'nas-ingest: option raster=x: fine or coarse expected' good --option raster=x
    refused 'nas-ingest: good: kirigami is a regression set, not classification' good --task classification
    refused 'nas-ingest: kirigami: *expected' kirigami
    refused 'nas-ingest: nothing: No such file or directory' kirigami nothing
    refused 'nas-ingest: .: Is a directory' kirigami .
}

@test "MoS2 sheets whose two files disagree" {
    printf '## structure_ID\n1, ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (25.3, 60.0))\n2, ((0, 0), (0, 0), (0, 0), (25, 100))\n' >designs
    printf '## pattern_ID\n1\t200\t230\t13\n2\t200\t220\t6\n' >results
    head -2 results >bad
    refused 'nas-ingest: bad: line 2: ends before designs does' designs bad
    sed 's/^2/3/' results >bad
    refused 'nas-ingest: bad: line 3: id 3, but line 3 of designs has 2' designs bad
    sed 's/25, 100/25, 300/' designs >bad
    refused 'nas-ingest: bad: line 3: a cut from 25 of length 300: 0 to 200 expected' bad results
    sed 's/25, 100/25/' designs >bad
    refused 'nas-ingest: bad: line 3: 8 numbers: 9 expected*' bad results
    sed 's/^2\t200/2\tnan/' results >bad
    refused 'nas-ingest: bad: line 3: initial length is "nan": a number expected' designs bad
    sed 's/^2\t200/2\t0/' results >bad
    refused 'nas-ingest: bad: line 3: *absurd' designs bad
    refused 'nas-ingest: results: line 2: 1 numbers: 9 expected*' kirigami results designs
}

@test "light curves: cut short, mixed, absurd, NaN, empty" {
    good
    nas-ingest -q objects.csv observations.csv -o good.nas
    head -c -12 observations.csv >bad
    refused 'nas-ingest: bad: line 161: * fields, but * is number *: cut short?' objects.csv bad
    head -c -4 objects.csv >bad
    refused 'nas-ingest: bad: line 41: * fields, but target is number 3: cut short?' bad observations.csv
    gzip -c observations.csv | head -c 300 >bad
    refused 'nas-ingest: bad: line *: cut short: the gzip data ends early' lightcurves objects.csv bad
    local value
    for value in nan inf -nan 1e999 x ''; do
        sed "9s/[^,]*,1.5/$value,1.5/" observations.csv >bad
        refused "nas-ingest: bad: line 9: flux is \"$value\": a number expected" objects.csv bad
    done
    sed '9s/,1.5,/,0,/' observations.csv >bad
    refused 'nas-ingest: bad: line 9: flux_err is 0: above 0 expected' objects.csv bad
    sed '9s/,59[0-9]*,/,1e20,/' observations.csv >bad
    refused 'nas-ingest: bad: line 9: *absurd' objects.csv bad
    sed '9s/,3,/,9,/' observations.csv >bad
    refused 'nas-ingest: bad: line 9: passband is "9": not one of the bands' objects.csv bad
    sed '9s/^2/77/' observations.csv >bad
    refused 'nas-ingest: bad: line 9: object 77 is not among the objects*' objects.csv bad
    nas-ingest -q objects.csv bad --option unmatched=skip -o good.nas
    sed '$s/.*/7,0.5,90/' objects.csv >bad
    refused 'nas-ingest: bad: line 41: object 7 for the second time' bad observations.csv
    sed '10s/,[0-9]*$/,1.5/' objects.csv >bad
    refused 'nas-ingest: bad: line 10: target 1.5: a class number expected' bad observations.csv
    : >bad
    refused 'nas-ingest: bad: empty: a line of names expected' lightcurves objects.csv bad
    refused 'nas-ingest: bad: empty: a line of names expected' lightcurves bad observations.csv
    head -1 observations.csv >bad
    refused 'nas-ingest: bad: no observations in it' objects.csv bad
    head -1 objects.csv >bad
    refused 'nas-ingest: bad: line 1: no objects in it' bad observations.csv
    sed 's/,90$/,42/' objects.csv >bad
    refused 'nas-ingest: bad: only one class: *' bad observations.csv
}

@test "light curves: files and options that do not fit" {
    good
    refused 'nas-ingest: lightcurves: a table of objects and *' objects.csv
    refused 'nas-ingest: observations.csv: all sources have a column flux: *' observations.csv observations.csv
    refused 'nas-ingest: objects.csv: no column flux, and objects.csv has none either' objects.csv objects.csv
    refused 'nas-ingest: objects.csv: line 1: no column colour (*' objects.csv observations.csv --option features=colour
    refused 'nas-ingest: observations.csv: line 1: no column jd (*' objects.csv observations.csv --option time=jd
    refused 'nas-ingest: objects.csv: line 2: z is "0.5": train, *' objects.csv observations.csv --option split=z
    refused 'nas-ingest: option scale=log: one of asinh object none expected' \
        objects.csv observations.csv --option scale=log
    refused 'nas-ingest: option bins=0: a whole number from 1 *' objects.csv observations.csv --option bins=0
    refused 'nas-ingest: option span=nan: a number *' objects.csv observations.csv --option span=nan
    refused 'nas-ingest: option bands=0,,1: 1 to 16 names expected' objects.csv observations.csv --option bands=0,,1
    refused 'nas-ingest: option colour: lightcurves knows *' objects.csv observations.csv --option colour=red
    refused 'nas-ingest: objects.csv: lightcurves is a classification set, not regression' \
        objects.csv observations.csv --task regression
    refused 'nas-ingest: nothing: No such file or directory' objects.csv nothing
}

@test "light curves: groups and splits from columns of the objects" {
    awk 'BEGIN { print "object_id,host,part,target"
        for (i = 1; i <= 40; i++) print i "," int(i / 4) "," (i % 4 ? "train" : "test") "," (i % 2 ? 90 : 42 + 20 * (i % 4 > 0)) }' >objects.csv
    observations 40 >observations.csv
    nas-ingest objects.csv observations.csv --option group=host --forbid-leaks -o a.nas 2>note
    nas-ingest objects.csv observations.csv --option group=host --split-by fraction -o a.nas 2>note
    [[ $(<note) == *"samples that an earlier split holds, too: duplicates 0, groups "* ]]
    nas-ingest objects.csv observations.csv --option split=part -o a.nas 2>note
    [[ $(<note) == *"test 10; "* ]]
    run -0 nas-stats a.nas
    [[ $output == *"by the source's column"*"test=named"* ]]
}
