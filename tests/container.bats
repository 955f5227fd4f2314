#!/usr/bin/env bats
# The container of the Dockerfile, built by buildah on a Debian base of debootstrap: minutes, so with NAS_TEST_LONG=1 alone.

load helper

@test "the Dockerfile copies nothing that .dockerignore leaves out, and ends without privileges" {
    local name
    for name in $(sed -n 's/^COPY \([a-z.\/]*\) .*/\1/p' "$NAS_ROOT/Dockerfile"); do
        [[ -e $NAS_ROOT/$name ]]
        ! grep -qxF "/$name" "$NAS_ROOT/.dockerignore"
    done
    [[ $(grep -c '^FROM' "$NAS_ROOT/Dockerfile") = 2 && $(grep '^USER' "$NAS_ROOT/Dockerfile" | tail -1) = 'USER nas' ]]
    [[ $(grep -nE '^(USER|RUN)' "$NAS_ROOT/Dockerfile" | tail -1) = *USER* ]] # nothing is done as root after it
    # lists of packages leave no trace in a layer
    [[ $(grep -c 'apt-get update' "$NAS_ROOT/Dockerfile") = $(grep -c 'rm -rf /var/lib/apt/lists' "$NAS_ROOT/Dockerfile") ]]
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
    inside sh -c 'nas-ingest -q synthetic --option kind=blobs --option n=60 --option size=8 -o b.nas && nas-stats --check b.nas'
}
