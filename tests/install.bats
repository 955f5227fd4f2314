#!/usr/bin/env bats
# What make install puts where, and the Debian package of it.

load helper

# make_installed TARGET VARIABLE=VALUE…: with the programs that are tested, as they are.
make_installed() { make -s -C "$NAS_ROOT" -o programs NAS_BIN="$NAS_BIN" "$@" 3>&-; }

# works PREFIX: the programs and scripts there do what they are for, and nothing from elsewhere.
works()
{
    local prefix=$1 name
    for name in $(programs); do
        "$prefix/bin/$name" --version >/dev/null
        bash -n "$prefix/share/bash-completion/completions/$name"
        [[ $(head -qn 1 "$prefix"/share/zsh/*/"_$name") = "#compdef $name" ]]
        grep -q "^complete -c $name -l help" "$prefix/share/fish/vendor_completions.d/$name.fish"
    done
    (
        unset NAS_BIN
        PATH=$prefix/bin:/usr/bin:/bin
        [[ $(command -v nas-search) = "$prefix/bin/nas-search" ]]
        nas-ingest -q synthetic --option kind=blobs --option n=60 --option size=8 -o x.nas
        nas-search -q --nodes 1 --layers 1 --reduce-at none --channels 4 --batch 8 --epochs 1 x.nas | nas-derive -q --print
        nas-study --help | grep -q 'study \[OPTION'
        printf 'data\tseed\nx.nas\t1\n' >grid.tsv
        nas-sweep --dry-run grid.tsv out | grep -q nas-search
    )
}

@test "make install puts programs, manual pages, completion and scripts below DESTDIR and PREFIX, make uninstall takes them away" {
    make_installed install DESTDIR="$PWD/root" PREFIX=/opt/nas >/dev/null
    [[ $(ls root) = opt && $(ls root/opt/nas) = $'bin\nshare' || -e root/opt/nas/lib/nas-tools/libnas-cuda.so ]]
    local name
    for name in $(programs); do
        [[ -s root/opt/nas/share/man/man1/$name.1 && $(stat -c %a "root/opt/nas/bin/$name") = 755 ]]
    done
    need parallel
    works "$PWD/root/opt/nas"
    touch root/opt/nas/bin/other
    make_installed uninstall DESTDIR="$PWD/root" PREFIX=/opt/nas >/dev/null
    [[ $(find root ! -type d) = root/opt/nas/bin/other ]]
}

@test "make deb makes a package that holds the same, is the same each time, and runs" {
    [[ $(nas-search --version) != *sanitize* ]] || skip "as without sanitizers, and minutes of compression"
    need dpkg-deb dpkg-shlibdeps parallel
    make_installed deb DEB_DIR="$PWD/one" >/dev/null 2>&1
    local deb name files
    deb=$(echo one/nas-tools_*.deb)
    [[ $(dpkg-deb -f "$deb" Package) = nas-tools && $(dpkg-deb -f "$deb" Architecture) = "$(dpkg --print-architecture)" ]]
    [[ $("$NAS_BIN/nas-search" --version) = *"$(dpkg-deb -f "$deb" Version)"* ]]
    [[ $(dpkg-deb -f "$deb" Depends) = *libc6\ \(* && $(dpkg-deb -f "$deb" Depends) = *liblz4-1* ]]
    [[ $(dpkg-deb -f "$deb" Depends) != *cuda* ]]
    files=$(dpkg-deb -c "$deb")
    for name in $(programs); do
        [[ $files = *./usr/bin/$name$'\n'* && $files = *./usr/share/man/man1/$name.1.gz$'\n'* ]]
    done
    [[ $files = *nas-sweep\ -\>* && $files = *copyright* && $files != *libnas-cuda* ]]
    ! grep -vE '^[dl-][rwx-]{9} root/root ' <<<"$files" || false
    dpkg-deb -x "$deb" root
    (cd root && dpkg-deb -e "../$deb" ../control && md5sum --quiet -c ../control/md5sums)
    works "$PWD/root/usr"
    if command -v lintian >/dev/null && [[ $NAS_BIN = "$NAS_ROOT/bin" ]]; then
        lintian --allow-root --fail-on error "$deb"
    fi
    sleep 1
    make_installed deb DEB_DIR="$PWD/two" >/dev/null 2>&1
    same "$deb" "two/${deb#one/}"
}

@test "the CUDA plugin is a package of its own, which depends on the programs of the same version" {
    need dpkg-deb dpkg-shlibdeps gcc
    make_installed install DESTDIR="$PWD/root" PREFIX=/usr >/dev/null
    mkdir -p root/usr/lib/nas-tools
    gcc -shared -o root/usr/lib/nas-tools/libnas-cuda.so -x c - <<<'int nas_backend(void) { return 0; }'
    "$NAS_ROOT/packaging/deb" root 1.2 out 2>log
    [[ $(dpkg-deb -f out/nas-tools-cuda_1.2_*.deb Depends) = 'nas-tools (= 1.2)'* ]]
    [[ $(dpkg-deb -c out/nas-tools-cuda_1.2_*.deb) = *./usr/lib/nas-tools/libnas-cuda.so* ]]
    [[ $(dpkg-deb -c out/nas-tools_1.2_*.deb) != *libnas-cuda* ]]
}
