#!/usr/bin/env bats
# The container of the Dockerfile, built by buildah on a Debian base of debootstrap: minutes, so with NAS_TEST_LONG=1 alone.

load helper

@test "the Dockerfile copies nothing that .dockerignore leaves out, and ends without privileges" {
    local name
    for name in $(sed -n 's/^COPY \([a-z.\/]*\) .*/\1/p' "$NAS_ROOT/Dockerfile"); do
        [[ -e $NAS_ROOT/$name ]]
        ! grep -qxF "/$name" "$NAS_ROOT/.dockerignore" || false
    done
    [[ $(grep -c '^FROM' "$NAS_ROOT/Dockerfile") = 2 && $(grep '^USER' "$NAS_ROOT/Dockerfile" | tail -1) = 'USER nas' ]]
    [[ $(grep -nE '^(USER|RUN)' "$NAS_ROOT/Dockerfile" | tail -1) = *USER* ]] # nothing is done as root after it
    # lists of packages leave no trace in a layer
    [[ $(grep -c 'apt-get update' "$NAS_ROOT/Dockerfile") = $(grep -c 'rm -rf /var/lib/apt/lists' "$NAS_ROOT/Dockerfile") ]]
}

@test "the build arguments for CUDA make a plugin where they are given, and reach every stage that needs them" {
    # BASE and BUILD_BASE stand before the first stage, CUDA within that which builds; none is used that is not declared
    local first name
    first=$(grep -n '^FROM' "$NAS_ROOT/Dockerfile" | head -1 | cut -d : -f 1)
    head -n "$first" "$NAS_ROOT/Dockerfile" | grep -q '^ARG BASE='
    head -n "$first" "$NAS_ROOT/Dockerfile" | grep -q '^ARG BUILD_BASE='
    sed -n '/^FROM .* AS build/,/^FROM .{BASE}/p' "$NAS_ROOT/Dockerfile" | grep -q '^ARG CUDA='
    for name in $(grep -o -- '--build-arg [A-Z_]*=' "$NAS_ROOT/README.md" "$NAS_ROOT/Dockerfile" | sed 's/.* //; s/=//' | sort -u); do
        grep -q "^ARG $name=" "$NAS_ROOT/Dockerfile" || { echo "no ARG $name" >&2; return 1; }
    done
    # the commands of the layers, as a shell reads them
    sed -e :a -e '/\\$/N; s/\\\n//; ta' "$NAS_ROOT/Dockerfile" | sed -n 's/^RUN //p' >commands
    [[ $(wc -l <commands) -ge 3 ]]
    sh -n commands
    grep -q 'CUDA=1 cuda' commands
    make -s -n -C "$NAS_ROOT" CUDA=1 cuda >/dev/null 3>&-
}

@test "the container is built on a bootstrapped Debian, and starts any program as a user without privileges" {
    [[ ${NAS_TEST_LONG:-0} = 1 ]] || skip "minutes: NAS_TEST_LONG=1 runs it"
    need buildah debootstrap
    (( EUID == 0 )) || skip "debootstrap needs root"
    export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
    local buildah=(buildah --root "$PWD/store" --runroot "$PWD/run") box
    debootstrap --variant=minbase bookworm base ${NAS_DEBIAN:+"$NAS_DEBIAN"} >log 2>&1 || skip "debootstrap: $(tail -1 log)"
    box=$("${buildah[@]}" from scratch)
    "${buildah[@]}" add -q "$box" base / >/dev/null
    "${buildah[@]}" commit -q "$box" nas-base >/dev/null
    "${buildah[@]}" bud --network host --pull-never --build-arg BASE=localhost/nas-base -t nas-tools "$NAS_ROOT" >log 2>&1 ||
        { tail -20 log >&2; return 1; }
    box=$("${buildah[@]}" from --pull-never localhost/nas-tools)
    inside() { "${buildah[@]}" run "$box" -- "$@"; }
    [[ $(inside id -u) = 1001 ]]
    local name
    for name in $(programs); do inside "$name" --version; done
    # a pipeline, from data to a verdict
    inside sh -c 'nas-ingest -q synthetic --option kind=blobs --option n=200 --option size=8 -o b.nas &&
        nas-search -q --layers 1 --channels 2 --batch 16 --epochs 1 b.nas | nas-derive -q --random 2 - |
        nas-train -q --layers 1 --channels 2 --batch 16 --epochs 1 --data b.nas | nas-eval -q --data b.nas -o result.nas &&
        nas-stats --check result.nas && nas-stats --verdict result.nas' >said
    cat said
    grep -q '^ok: ' said
    grep -q 'search by steady .* random cells: ' said
    inside sh -c 'nas-sweep --help' | grep -q 'sweep \[OPTION'
}
