#!/usr/bin/env bats
# Checkpoints: a run that was interrupted, however, gives the records of one that was not.

load helper

setup_file()
{
    export DATA=$BATS_FILE_TMPDIR/data.nas CELLS=$BATS_FILE_TMPDIR/cells.nas
    nas-ingest -q synthetic --option n=120 --option size=8 --flip-horizontal --crop-padding 1 -o "$DATA"
    nas-derive -q --random 2 -o "$CELLS"
}

SEARCH=(nas-search -q --layers 2 --channels 2 --batch 8 --epochs 3 --weights)
TRAIN=(nas-train -q --layers 1 --channels 2 --batch 16 --epochs 2 --net small-cnn)

# records FILE: all of it as text, but for times and provenance.
records()
{
    lz4 -dc "$1" | protoc --decode=nas.v1.Stream -I "$NAS_ROOT/schemas" nas/v1/nas.proto |
        awk '/^  (header|trailer) \{/ { skip = 1 } !skip && !/^ *seconds: / { print } /^  \}/ { skip = 0 }'
}
equal() { cmp <(records "$1") <(records "$2"); }

@test "a search goes on from any step, with other threads, as if it had not stopped" {
    need lz4 protoc
    "${SEARCH[@]}" --warmup 1 "$DATA" -o whole.nas
    local every
    for every in 1 7 10 11 17; do
        "${SEARCH[@]}" --warmup 1 --checkpoint ck.nas --checkpoint-every $every "$DATA" -o out.nas
        equal whole.nas out.nas
        "${SEARCH[@]}" --warmup 1 --threads 1 --resume ck.nas <"$DATA" >out.nas
        equal whole.nas out.nas
    done
    # options that change no bit may differ
    "${SEARCH[@]}" --warmup 1 --recompute cell --profile --resume ck.nas "$DATA" -o out.nas
    nas-derive -q --print out.nas | cmp - <(nas-derive -q --print whole.nas)
    nas-derive -q --print ck.nas | grep -q '^Genotype' # a checkpoint is a stream
    nas-stats ck.nas | grep -q '^  search  nas-search   *2     17 '
}

@test "guards go on from any step, and a search that one has ended stays at its end" {
    need lz4 protoc
    local guarded=("${SEARCH[@]}" --epochs 5 --warmup 0 --alpha-lr 1e-9 --guard stable:2,eigenvalue,skips) every
    "${guarded[@]}" "$DATA" -o whole.nas
    [[ $(nas-stats --json whole.nas | grep -c '"what":"guard"') = 1 && $(nas-stats --json whole.nas | grep -c '"search_epoch"') = 4 ]]
    for every in 1 4 7 11; do
        "${guarded[@]}" --checkpoint ck.nas --checkpoint-every $every "$DATA" -o out.nas
        equal whole.nas out.nas
        "${guarded[@]}" --threads 1 --resume ck.nas "$DATA" -o out.nas
        equal whole.nas out.nas
    done
    killed out.nas "${guarded[@]}" "$DATA"
    equal whole.nas out.nas
}

@test "a training goes on at the right network, with every optimiser, augmentation, drop-path and warm-up" {
    need lz4 protoc
    local options every
    for options in "--drop-path 0.4 --warmup 0.7 --cutout 3 --nesterov" "--optimizer adam --limit 40" "--optimizer adamw" \
        "--schedule one-cycle --accumulate 3 --ema 0.9 --mixup 0.4 --label-smoothing 0.1 --auxiliary 0.4 --patience 1 \
        --rotate 20 --shift 1 --zoom 1.2 --jitter 0.1 --mask-rows 2 --mask-columns 2 --masks 2"; do
        # shellcheck disable=SC2086
        "${TRAIN[@]}" --data "$DATA" $options "$CELLS" -o whole.nas
        for every in 5 13 17; do
            # shellcheck disable=SC2086
            "${TRAIN[@]}" --data "$DATA" $options --checkpoint ck.nas --checkpoint-every $every "$CELLS" -o out.nas
            equal whole.nas out.nas
            # shellcheck disable=SC2086
            "${TRAIN[@]}" --data "$DATA" $options --resume ck.nas --threads 1 "$CELLS" -o out.nas
            equal whole.nas out.nas
        done
    done
    [[ $(nas-stats --json ck.nas | grep -c '"kind":"network"') = 3 ]] # the finished ones are in it
}

@test "a transfer goes on at the right pair, with weights carried over, too" {
    need lz4 protoc
    nas-ingest -q synthetic --option n=60 --option size=6 --option kind=linear --task regression -o other.nas
    "${TRAIN[@]}" --data "$DATA" "$CELLS" -o nets.nas
    local options every
    for options in "--seeds 2 -l 1 -c 2 $CELLS" "--weights --frozen --ema 0.8 --baseline none nets.nas" "--weights --profile nets.nas"; do
        # shellcheck disable=SC2086
        nas-transfer -q --data "$DATA" --data other.nas -b 16 -e 2 $options -o whole.nas
        for every in 7 19; do
            # shellcheck disable=SC2086
            nas-transfer -q --data "$DATA" --data other.nas -b 16 -e 2 --checkpoint ck.nas --checkpoint-every $every $options -o out.nas
            [[ $options == *--profile* ]] || equal whole.nas out.nas
            # shellcheck disable=SC2086
            nas-transfer -q --data "$DATA" --data other.nas -b 16 -e 2 --resume ck.nas --threads 1 $options -o out.nas
            [[ $options == *--profile* ]] || equal whole.nas out.nas
        done
    done
    [[ $(nas-stats --json out.nas | grep -c '"kind":"profile"') -gt 4 ]]
    run -1 --separate-stderr nas-transfer -q --data "$DATA" -b 16 -e 2 --resume ck.nas --weights nets.nas -o out.nas
    one_line "$stderr"
}

# killed OUT COMMAND…: runs it with a checkpoint at every step, kills it at random moments, and resumes, until it is done.
killed()
{
    local out=$1 tries=0 pid resume status
    shift
    rm -f ck.nas
    while true; do
        resume=()
        [[ ! -e ck.nas ]] || resume=(--resume ck.nas)
        "$@" --checkpoint ck.nas --checkpoint-every 1 "${resume[@]}" -o "$out" &
        pid=$!
        if (( ++tries <= 8 )); then
            sleep "0.$(printf '%03d' $((RANDOM % 250 + 20)))"
            kill -KILL $pid 2>/dev/null || true
        fi
        status=0
        wait $pid 2>/dev/null || status=$?
        [[ $status = 137 ]] || break
        [[ ! -e ck.nas ]] || nas-stats --check ck.nas
    done
    [[ $status = 0 ]] || { echo "status $status after $tries tries" >&2; return 1; }
}

@test "kill -9 at random moments, again and again, changes nothing" {
    need lz4 protoc
    "${SEARCH[@]}" --epochs 6 "$DATA" -o whole.nas
    killed out.nas "${SEARCH[@]}" --epochs 6 "$DATA"
    equal whole.nas out.nas
    "${TRAIN[@]}" --epochs 8 --data "$DATA" "$CELLS" -o whole.nas
    killed out.nas "${TRAIN[@]}" --epochs 8 --data "$DATA" "$CELLS"
    equal whole.nas out.nas
}

@test "kill -9 within a design, or within an epoch of a search of generators, changes nothing" {
    need lz4 protoc
    nas-ingest -q structural --option problems=mbb_beam_24x16_0.5,hoop_16x32_0.25,ramp_16x16_0.3 -o p.nas
    local designs=(nas-train -q --data p.nas --net oc --net mma --net pixels --net cnn --epochs 12)
    "${designs[@]}" -o whole.nas
    killed out.nas "${designs[@]}"
    equal whole.nas out.nas
    local search=(nas-search -q --epochs 3 --draws 2 --alpha-problems 1 --judge-problems 1 --design-steps 2
        --ops nearest,bilinear,conv_3x3,conv_1x1,width_0.5 p.nas)
    "${search[@]}" -o whole.nas
    killed out.nas "${search[@]}"
    equal whole.nas out.nas
    "${search[@]}" --threads 1 -o out.nas
    equal whole.nas out.nas
    run --separate-stderr "${search[@]}" --resume ck.nas --draws 3 -o other.nas
    [[ $status = 1 && ${#stderr_lines[@]} = 1 && $stderr = *--draws* && ! -e other.nas ]]
}

# stopped SIGNAL STATUS COMMAND…: a signal ends it with a valid stream and a checkpoint; resumed it gives whole.nas.
stopped()
{
    local signal=$1 status=0 want=$2
    shift 2
    rm -f ck.nas part.nas
    env --default-signal=INT,TERM "$@" --checkpoint ck.nas >part.nas &
    local pid=$!
    while [[ $(stat -c %s part.nas 2>/dev/null || echo 0) -lt 1200 ]]; do sleep 0.02; done
    kill -"$signal" $pid
    wait $pid || status=$?
    [[ $status = "$want" ]] || { echo "status $status" >&2; return 1; }
    nas-stats --json part.nas | grep -q '"what":"interrupted"'
    "$@" --resume ck.nas -o out.nas
    equal whole.nas out.nas
}

@test "SIGTERM and SIGINT finish the step, save, and end with 143 and 130" {
    need lz4 protoc
    "${SEARCH[@]}" --epochs 60 --limit 16 --valid-limit 2 "$DATA" -o whole.nas
    stopped TERM 143 "${SEARCH[@]}" --epochs 60 --limit 16 --valid-limit 2 "$DATA"
    "${TRAIN[@]}" --epochs 60 --data "$DATA" "$CELLS" -o whole.nas
    stopped INT 130 "${TRAIN[@]}" --epochs 60 --data "$DATA" "$CELLS"
}

@test "another run is refused in one line that names what differs; a damaged checkpoint with status 3" {
    "${SEARCH[@]}" --checkpoint ck.nas --checkpoint-every 5 "$DATA" -o out.nas
    "${TRAIN[@]}" --checkpoint train.nas --checkpoint-every 5 --data "$DATA" "$CELLS" -o out.nas
    nas-ingest -q synthetic --option n=120 --option size=8 --seed 2 -o other.nas
    nas-derive -q --random 2 --seed 2 -o cells.nas
    head -c 5000 ck.nas >cut.nas
    { head -c 5000 ck.nas; printf x; tail -c +5002 ck.nas; } >bad.nas
    rm out.nas
    local case status words command
    for case in "1|--seed is \"2\" here, \"1\" in the checkpoint|${SEARCH[*]} --seed 2 --resume ck.nas $DATA" \
        "1|--layers is \"3\" here, \"2\"|${SEARCH[*]} --layers 3 --resume ck.nas $DATA" \
        "1|dataset is \"synthetic-blobs |${SEARCH[*]} --resume ck.nas other.nas" \
        "1|a checkpoint of nas-train, not of nas-search|${SEARCH[*]} --resume train.nas $DATA" \
        "1|no checkpoint: its last record is not one|${SEARCH[*]} --resume $DATA $DATA" \
        "1|No such file|${SEARCH[*]} --resume none.nas $DATA" "3|cut|${SEARCH[*]} --resume cut.nas $DATA" \
        "3|bad.nas|${SEARCH[*]} --resume bad.nas $DATA" "1|network 1 is \"random-2-1|${TRAIN[*]} --data $DATA --resume train.nas cells.nas" \
        "1|--net is \"small-cnn, small-cnn\" here|${TRAIN[*]} --data $DATA --net small-cnn --resume train.nas $CELLS" \
        "1|--optimizer is|${TRAIN[*]} --data $DATA --optimizer adam --resume train.nas $CELLS" \
        "1|No such file|${SEARCH[*]} --checkpoint no/folder/ck.nas $DATA" \
        "1|no regular file|${SEARCH[*]} --checkpoint /dev/full $DATA"; do
        IFS='|' read -r status words command <<<"$case"
        # shellcheck disable=SC2086
        run "-$status" --separate-stderr $command -o out.nas
        one_line "$stderr"
        [[ $stderr == *"$words"* && ! -e out.nas ]] || { echo "$command: $stderr" >&2; return 1; }
    done
}

@test "a checkpoint that cannot be written is a warning, the old one stays, and the run goes on" {
    need lz4 protoc
    local search=(nas-search -q --layers 2 --channels 4 --batch 8 --epochs 2)
    "${search[@]}" "$DATA" -o whole.nas
    "${search[@]}" --checkpoint ck.nas --checkpoint-every 7 "$DATA" -o out.nas
    cp ck.nas old.nas
    # a limit on the size of files: the output fits, the state does not
    run -0 --separate-stderr bash -c "ulimit -f 40; trap '' XFSZ; exec \"\$@\"" - "${search[@]}" \
        --checkpoint ck.nas --checkpoint-every 10 "$DATA" -o out.nas
    one_line "$stderr"
    [[ $stderr == *"checkpoint not saved, the run goes on: ck.nas: File too large"* ]]
    equal whole.nas out.nas
    same ck.nas old.nas
    [[ -z $(compgen -G 'ck.nas.tmp*') ]]
    "${search[@]}" --resume ck.nas "$DATA" -o out.nas
    equal whole.nas out.nas
}
