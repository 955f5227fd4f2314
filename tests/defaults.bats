#!/usr/bin/env bats
# The defaults of nas-train on real data of every task and many sizes: nothing diverges, and the loss falls. What is not
# among the real data here is skipped, aloud.

load helper

# falls FORMAT-AND-ARGUMENTS…: the set, taken in, trains a tiny cell network and a hand-designed one by defaults.
falls()
{
    nas-ingest -q "$@" -o data.nas 2>/dev/null
    nas-derive -q --random 1 --ops auto data.nas -o cell.nas 2>/dev/null || nas-derive -q --random 1 -o cell.nas
    nas-train -q --data data.nas --layers 2 --channels 4 --epochs 3 --limit 256 --valid-limit 64 --net small-cnn cell.nas -o net.nas 2>warnings
    # the health check was made in every epoch of both
    [[ $(nas-stats --tsv train_epoch net.nas | grep -c 'eval_mode_loss') = 6 ]]
    nas-stats --tsv train_epoch net.nas |
        awk -F'\t' '$10 == "train" && $11 == "loss" { if (!($3 in first)) first[$3] = $12; last[$3] = $12 }
            END { for (run in first) { n++; if (!(last[run] < first[run])) { print run, first[run], last[run]; bad = 1 } }
                  exit bad || n != 2 }'
    ! nas-stats --json net.nas | grep -q '"what":"diverged"' || false
}

@test "defaults: MNIST's test digits" {
    data mnist-t10k
    falls idx "$DATA"/t10k-images-idx3-ubyte.gz "$DATA"/t10k-labels-idx1-ubyte.gz
}

@test "defaults: spoken digits by speaker" {
    data fsdd
    falls audio "$DATA"/recordings --option 'pattern={label}_{speaker}_{n}.wav' --option group=speaker --option seconds=1
}

@test "defaults: MoS2 sheets, strain and stress" {
    data mos2-kirigami
    falls "$DATA"/n_4_training_data_structure_info.txt "$DATA"/n_4_structure_MD_strain_stress_info.txt --option target=strain,stress \
        --option height=20 --option width=20
}

@test "defaults: pneumonia" {
    data pneumoniamnist-subset
    falls "$DATA"/pneumoniamnist.npz
}

@test "defaults: galaxies, a hundred images of each class" {
    data galaxy-zoo-400
    local kind
    for kind in spirals non_spirals; do
        mkdir -p some/$kind
        find "$DATA/$kind" -name '*.jpg' | sort | head -100 | while read -r file; do ln -s "$file" some/$kind/; done
    done
    falls images some --reshape crop:224,resize:28
}

@test "defaults: light curves" {
    data plasticc-small
    falls lightcurves "$DATA"/plasticc_90_metadata.csv "$DATA"/plasticc_90_lightcurves.csv
}
