# shellcheck shell=bash
# readers.bash: small data in the layouts of the readers, made by the shell, and what nas-ingest says about bad ones.

# bytes HEX…: hexadecimal digits, spaces allowed, as bytes.
bytes()
{
    local hex=$*
    hex=${hex// /}
    # shellcheck disable=SC2001,SC2059
    printf "$(sed 's/../\\x&/g' <<<"$hex")"
}
be32() { bytes "$(printf '%08x' "$1")"; }
le16() { bytes "$(printf '%02x%02x' $(($1 & 255)) $(($1 >> 8)))"; }
le32() { le16 $(($1 & 65535)); le16 $(($1 >> 16)); }

# wav RATE SAMPLES [SEED]: 8-bit mono, a pattern that depends on SEED.
wav()
{
    printf RIFF; le32 $((36 + $2)); printf 'WAVEfmt '; le32 16; printf '\1\0\1\0'; le32 "$1"; le32 "$1"
    printf '\1\0\10\0data'; le32 "$2"
    awk -v n="$2" -v s="${3:-1}" 'BEGIN { for (i = 0; i < n; i++) printf "%c", 33 + (i * s * 7) % 90 }'
}

# sheets N: N rows of the graphene table.
sheets()
{
    awk -v n="$1" 'BEGIN { for (i = 1; i <= n; i++) {
        for (k = 0; k < 15; k++) printf "%d ", int(i * 7919 / 2 ^ k) % 2
        printf "%.4f %.2f %.2f\n", 0.2 + i / 100, i, 40 + i % 7 } }'
}

# objects N, observations N: N objects of two classes, a row each; 4 observations of each, a bin apart.
objects() { awk -v n="$1" 'BEGIN { print "object_id,z,target"; for (i = 1; i <= n; i++) print i ",0.5," (i % 2 ? 90 : 42) }'; }
observations()
{
    awk -v n="$1" 'BEGIN { print "object_id,mjd,passband,flux,flux_err,detected"
        for (i = 1; i <= n; i++) for (t = 0; t < 4; t++) print i "," 59000 + 10 * t "," t "," i * t - 5 ",1.5,1" }'
}

# refused PATTERN ARGUMENT…: nas-ingest exits 1 with one line like the pattern and leaves nothing behind.
refused()
{
    local status=0 pattern=$1
    shift
    nas-ingest "$@" -o bad.nas >stdout 2>stderr </dev/null || status=$?
    [[ $status = 1 ]] || { echo "status $status: $(<stderr)" >&2; return 1; }
    one_line "$(<stderr)" && [[ ! -s stdout ]] || return 1
    # shellcheck disable=SC2053
    [[ $(<stderr) == $pattern ]] || { echo "said '$(<stderr)', not '$pattern'" >&2; return 1; }
    [[ -z $(find . -name '*bad.nas*') ]] || { echo "left behind: $(ls)" >&2; return 1; }
}
