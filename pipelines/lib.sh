# shellcheck shell=bash
# lib.sh: what the scripts share: the folder of the repository, package installation, the build.
# Sourced by pipelines/* and tests/run; needs bash and nothing else.

NAS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Installed, this is PREFIX/share/nas-tools/pipelines/lib.sh, and the programs are in PREFIX/bin.
[[ -e $NAS_ROOT/Makefile || ! -x $NAS_ROOT/../../bin/nas-search ]] || : "${NAS_BIN:=$(realpath -- "$NAS_ROOT/../../bin")}"
PATH=${NAS_BIN:-$NAS_ROOT/bin}:$PATH

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# Packages, each with its reason: "name: why". Read by the scripts that source this file.
# shellcheck disable=SC2034
NAS_BUILD_PACKAGES=(
    "gcc: compiles the programs"
    "libc6-dev: the C library's headers"
    "make: runs the build"
    "pkg-config: finds the libraries below"
    "protobuf-c-compiler: makes C code from the stream format, schemas/nas/v1/nas.proto"
    "libprotobuf-c-dev: encodes and decodes the records of a stream"
    "libonnx-dev: the schema of ONNX models, onnx.proto"
    "protobuf-compiler: decodes a stream by hand with protoc --decode"
    "liblz4-dev: compresses streams"
    "lz4: unpacks a stream by hand"
    "zlib1g-dev: reads gzip'd data files"
    "libzip-dev: reads the archives of NumPy arrays, .npz"
    "libpng-dev: reads PNG images, writes pictures of samples"
    "libjpeg-dev: reads JPEG images"
    "libnetcdf-dev: reads classic NetCDF files"
    "libhdf5-dev: reads HDF5 and NetCDF-4 files"
    "libsndfile1-dev: reads WAV, FLAC, AU and other sound files"
    "libsamplerate0-dev: brings clips of sound to one rate"
    "libfftw3-dev: Fourier transforms of sound"
    "libsuitesparse-dev: sparse Cholesky factorisation (CHOLMOD), for structures"
    "libnlopt-dev: the method of moving asymptotes, for structures"
)
# shellcheck disable=SC2034
NAS_TEST_PACKAGES=(
    "bats: runs the tests of the programs"
    "jq: checks JSON output"
    "netcdf-bin: makes NetCDF files to test with"
    "parallel: runs sweeps"
    "openssh-server: other machines for sweeps to be tested with"
    "clang: second compiler, fuzzing"
    "libclang-rt-14-dev: clang's sanitizers and libFuzzer"
    "clang-format: checks the source layout"
    "graphviz: draws cells"
    "gnuplot-nox: draws curves"
    "shellcheck: checks the scripts"
    "man-db: renders the manual pages"
    "dataset-fashion-mnist: real images to test and show with"
)

# need_packages "name: why" …: installs what is missing, saying which and why; touches nothing else.
need_packages()
{
    local entry missing=()
    command -v dpkg >/dev/null || { say "not a Debian system: the packages are taken as present"; return 0; }
    for entry in "$@"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "${entry%%:*}" 2>/dev/null) != installed ]]; then
            (( ${#missing[@]} )) || say "missing Debian packages:"
            say "  ${entry%%:*} -${entry#*:}"
            missing+=("${entry%%:*}")
        fi
    done
    (( ${#missing[@]} )) || return 0

    local as_root=()
    if (( EUID != 0 )); then
        command -v sudo >/dev/null || die "needs root or sudo to install them: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends
        "${missing[@]}")
    # The lists may be current: ask for new ones only if the packages are not found with what there is.
    say "installing: ${missing[*]}"
    "${install[@]}" >/dev/null 2>&1 && return 0
    "${as_root[@]}" apt-get update -q >/dev/null || die "apt-get update failed; by hand: apt-get install ${missing[*]}"
    "${install[@]}" >/dev/null || die "installation failed; by hand: apt-get install ${missing[*]}"
}

# build [ARGUMENT…]: make, silent but for one line and for what goes wrong.
build()
{
    say "building${*:+ ($*)}"
    make -s -C "$NAS_ROOT" -j "$(nproc)" "$@" || die "the build failed"
}

# step FILE COMMAND: runs the shell pipeline COMMAND, which writes FILE, unless FILE is there.
step()
{
    local began=$SECONDS
    if [[ -e $1 ]]; then
        say "== $1 is there"
        return
    fi
    say "== $2"
    bash -o pipefail -c "$2" || { rm -f -- "$1"; die "$1 was not made"; } # the end of a pipe may have been written
    say "   $((SECONDS - began)) s"
}

# ready: installs what the build and the report need, and builds; where NAS_BIN names a folder of programs, these are taken.
ready()
{
    [[ -z ${NAS_BIN-} ]] || return 0
    need_packages "${NAS_BUILD_PACKAGES[@]}" "graphviz: draws the cells of the report"
    build all
}

# found FOLDER FILE WHERE: the absolute path of FOLDER, if FILE (or FILE.gz) is in it; else says where it comes from.
found()
{
    [[ -e $1/$2 || -e $1/$2.gz ]] || die "no $2 in $1: get it from $3 and put it there"
    realpath -- "$1"
}

# one_of FILE…: the absolute path of the first that is there.
one_of()
{
    local file
    for file in "$@"; do
        [[ -e $file ]] && { realpath -- "$file"; return; }
    done
    die "$1: not there"
}

# enter FOLDER: makes it and works in it from here on.
enter() { mkdir -p "$1" && cd "$1" || exit 1; }

# contest SEARCH-OPTIONS TRAIN-OPTIONS INGEST-COMMAND: from raw data to a report, in the present folder: the data, a search
# on it, and then its cell, random cells of the same operations and hand-designed networks, trained alike and tested on the
# same test split; the summary ends in a verdict on the search. OPS names the operations (auto: those for the shape of the
# data), NETS the networks, CELLS is the number of random cells: with one there is no spread to compare with.
contest()
{
    local search=$1 train=$2 ingest=$3
    step data.nas "$ingest -o data.nas"
    step search.nas "nas-search --ops ${OPS:-auto} $search data.nas -o search.nas"
    step result.nas "nas-derive --random ${CELLS:-3} search.nas | nas-train --data data.nas $train \
${NETS---net small-cnn --net resnet-tiny} - |
        nas-eval --data data.nas -o result.nas"
    step report.html "nas-stats --html -o report.html result.nas"
    nas-stats result.nas
}

# gpus: the GPUs that may be used, by number or name. A machine can have none.
gpus()
{
    if [[ -n ${CUDA_VISIBLE_DEVICES+is set} ]]; then
        tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -v '^$'
    else
        nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null
    fi || true
}

# seconds_of TIME: 90s, 10m or 2h in seconds; 1 if it is none.
seconds_of()
{
    [[ $1 =~ ^([0-9]{1,6})([smh])$ ]] || return 1
    case ${BASH_REMATCH[2]} in
    s) echo $((10#${BASH_REMATCH[1]})) ;;
    m) echo $((10#${BASH_REMATCH[1]} * 60)) ;;
    h) echo $((10#${BASH_REMATCH[1]} * 3600)) ;;
    esac
}

# wait_for PID: its status; a signal that comes meanwhile is handled and waits on.
wait_for()
{
    local status
    wait "$1"
    status=$?
    while kill -0 "$1" 2>/dev/null; do
        wait "$1"
        status=$?
    done
    return $status
}
