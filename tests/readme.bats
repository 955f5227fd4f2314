#!/usr/bin/env bats
# The README: its tour is run, what it shows is compared, and what it names is there.

load helper

# The tour of README.md becomes tour.sh, a script that gathers the output of block N in out.N; what the README shows of it
# goes to want.N.
extract()
{
    awk '/^<!-- tour -->$/ { on = 1; next }  /^<!-- \/tour -->$/ { on = 0 }
         !on { next }
         /^```sh$/ { kind = "sh"; n++; print "exec >\"$OUT/out." n "\" 2>&1; echo " n " >\"$OUT/block\"" >"tour.sh"; next }
         /^```text$/ { kind = "text"; next }
         /^```$/ { kind = ""; next }
         kind == "sh" { print >"tour.sh" }
         kind == "text" { print >("want." n) }' "$NAS_ROOT/README.md"
}

# shown WANT OUT: every line of WANT is in OUT, in this order. Blanks count as one, … at the end of a line stands for whatever
# follows, and a number in front of a % may be 3 off, because another processor rounds otherwise.
shown()
{
    awk -v wanted="$1" '
        function alike(want, is,    open, w, i, n, m, k) {
            open = sub(/…$/, "", want)
            n = split(want, w, " ")
            m = split(is, i, " ")
            if (m < n || (m > n && !open)) return 0
            for (k = 1; k <= n; k++) {
                if (w[k] == i[k] || (k == n && open && index(i[k], w[k]) == 1)) continue
                if (w[k + 1] != "%" || i[k + 1] != "%" || i[k] !~ /^[0-9.]+$/ || w[k] !~ /^[0-9.]+$/) return 0
                if (w[k] - i[k] > 3 || i[k] - w[k] > 3) return 0
            }
            return 1
        }
        BEGIN { while ((getline line <wanted) > 0) want[++count] = line; at = 1 }
        at <= count && alike(want[at], $0) { at++ }
        END { if (at <= count || !count) { print "not shown: " want[at]; exit 1 } }' "$2"
}

@test "every command of the README's tour works and prints what the README shows" {
    need lz4 protoc dot
    extract
    mkdir root work out
    ln -s "$NAS_BIN" root/bin
    ln -s "$NAS_ROOT/schemas" root/schemas
    local status=0 want compared=0
    (cd root && OUT=$BATS_TEST_TMPDIR/out TMPDIR=$BATS_TEST_TMPDIR/work bash -eo pipefail ../tour.sh) </dev/null || status=$?
    [[ $status = 0 ]] || { echo "block $(<out/block) ends with status $status:"; tail -5 "out/out.$(<out/block)"; return 1; } >&2
    for want in want.*; do
        shown "$want" "out/out.${want#want.}" ||
            { echo "block ${want#want.} printed:" && cat "out/out.${want#want.}" && return 1; } >&2
        compared=$((compared + 1))
    done
    (( compared >= 8 && $(<out/block) >= 12 )) || { echo "only $(<out/block) blocks, $compared compared" >&2; return 1; }
    ls work/*/{report.html,cells.svg,predictions.csv} # what the tour says that it makes
}

@test "the comparison with the README notices what is not shown" {
    printf 'a  1\nb 50.00 %%  x\nc\n' >out
    printf 'a 1\nb 51.50 %% …\n' >same
    shown same out
    local wrong
    for wrong in 'a 2' 'a' 'b 40.00 % …' 'c\na 1' 'd' 'c x' 'b 50.00 %' 'b x %…'; do
        printf "${wrong//%/%%}\n" >want
        run -1 shown want out
    done
}

@test "every file, folder and make target that the README names is there" {
    local name count=0
    for name in $(grep -o '`[a-zA-Z0-9_./-]*`' "$NAS_ROOT/README.md" | tr -d '`' | grep -E '^(src|kernels|tests|schemas|datasets|pipelines)/') \
        $(grep -oE '\]\([^)]*\)' "$NAS_ROOT/README.md" | tr -d '])('); do
        [[ -e $NAS_ROOT/$name ]] || { echo "README.md names $name" >&2; return 1; }
        count=$((count + 1))
    done
    (( count > 40 ))
    for name in $(grep -oE '`make [a-z-]+`' "$NAS_ROOT/README.md" | tr -d '`' | cut -d ' ' -f 2); do
        grep -qE "^$name:" "$NAS_ROOT/Makefile" || { echo "README.md names make $name" >&2; return 1; }
    done
    # and every layer is in the source map
    for name in "$NAS_ROOT"/src/*/ "$NAS_ROOT"/kernels/*/; do
        name=${name#"$NAS_ROOT/"}
        [[ $(find "$NAS_ROOT/$name" -name '*.[ch]' | wc -l) = 0 ]] || grep -q "^| .*\`$name" "$NAS_ROOT/README.md" ||
            { echo "README.md's source map lacks $name" >&2; return 1; }
    done
}

@test "every package that the scripts install is in the README, and every program" {
    source "$NAS_ROOT/pipelines/lib.sh"
    local entry
    for entry in "${NAS_BUILD_PACKAGES[@]}" "${NAS_TEST_PACKAGES[@]}" $(programs); do
        grep -qE "^\|.*\`${entry%%:*}\`" "$NAS_ROOT/README.md" || { echo "README.md lacks ${entry%%:*}" >&2; return 1; }
    done
}
