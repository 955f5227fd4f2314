#!/usr/bin/env bats
# The page of nas-stats --html in a real browser: Debian's chromium, headless, where it is installed (it is large, and never
# installed for this test). NAS_SHOTS=folder keeps the pictures, to be looked at.

load helper

browser()
{
    timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run \
        --user-data-dir="$PWD/profile" --allow-file-access-from-files --blink-settings=preferredColorScheme="$1" \
        "${@:2}" 2>browser.log 3>&-
}

# measured SCHEME WIDTH PAGE: what the page is in a window of this width: width needed, width there, height, colour of paper.
measured()
{
    cat >frame.html <<END
<!doctype html><title>-</title><iframe id=f src=$3 style="width:$2px;height:800px;border:0"></iframe>
<script>onload = () => {
    const page = f.contentDocument.documentElement;
    document.title = [page.scrollWidth, page.clientWidth, page.scrollHeight,
                      f.contentWindow.getComputedStyle(f.contentDocument.body).backgroundColor.replace(/ /g, "")].join(" ");
}</script>
END
    browser "$1" --dump-dom "file://$PWD/frame.html" | sed -n 's/.*<title>\(.*\)<\/title>.*/\1/p'
}

# brightness 'rgb(R,G,B)': their sum
brightness() { local n; IFS=', ' read -ra n <<<"${1//[!0-9,]/}"; echo $((n[0] + n[1] + n[2])); }

@test "the page is no wider than a phone or a desktop window, light and dark, and not blank" {
    need chromium dot gnuplot
    nas-ingest -q synthetic --option kind=blobs --option n=120 --option size=8 -o b.nas
    nas-search -q --nodes 4 --layers 1 --reduce-at none --channels 4 --batch 16 --epochs 2 b.nas | nas-derive -q --random 3 -o c.nas
    nas-train -q --data b.nas --layers 1 --reduce-at none --channels 4 --batch 16 --epochs 2 --net small-cnn c.nas |
        nas-eval -q --data b.nas -o r.nas
    nas-stats --html -o report.html r.nas
    echo '<!doctype html><style>@media(prefers-color-scheme:dark){body{background:#14171b}}</style><p>' >blank.html

    local width scheme needs there height paper sizes=()
    for width in 390 1280; do
        for scheme in 0 1; do # dark, light
            read -r needs there height paper <<<"$(measured $scheme $width report.html)"
            echo "$width $scheme: $needs $there $height $paper" >&2
            (( needs == there && there == width && height > 1600 ))
            if (( scheme )); then (( $(brightness "$paper") > 600 )); else (( $(brightness "$paper") < 200 )); fi
            for name in report blank; do
                browser $scheme --window-size=$width,1400 --screenshot="$PWD/$name.png" "file://$PWD/$name.html" >&2
            done
            # a picture of something takes more bytes than one of nothing
            (( $(stat -c %s report.png) > 5 * $(stat -c %s blank.png) ))
            [[ -z ${NAS_SHOTS-} ]] || cp report.png "$NAS_SHOTS/$width-$scheme.png"
        done
    done
}

@test "the measure of a page notices what is too wide" {
    need chromium
    echo '<!doctype html><div style="width:500px;height:10px"></div>' >wide.html
    local needs there rest
    read -r needs there rest <<<"$(measured 1 390 wide.html)"
    (( needs > there ))
}
