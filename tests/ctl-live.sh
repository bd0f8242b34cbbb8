#!/usr/bin/env bash
# ctl-live.sh - the live page in a real browser: its numbers are those of /v1/stats
#
# With ZSLOT_SCREENSHOT=FILE.png a picture of the page is left there.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need chromium chromedriver curl jq nbdcopy zstd

port=$(unused_port)
at=http://127.0.0.1:$port

# -- A browser, by WebDriver. --

# What it keeps, it keeps here; and no proxy stands between it and this machine.
export HOME=$directory TMPDIR=$directory XDG_CONFIG_HOME=$directory XDG_CACHE_HOME=$directory no_proxy='*'
# A browser outlives its driver.
session=''
close_browser() {
    [ -z "$session" ] || curl -sS --max-time 20 -X DELETE "$driver$session" >/dev/null 2>&1 || true
    session=''
}
trap 'close_browser; stop_all' EXIT
chromedriver --port=0 >driver.log 2>&1 &
servers+=($!)
until_true 60 grep -q 'successfully on port [0-9]' driver.log || fail "chromedriver: $(cat driver.log)"
driver=http://127.0.0.1:$(sed -n 's/.*successfully on port \([0-9]*\).*/\1/p' driver.log)

# driver METHOD PATH [JSON]: what the answer has as its value
driver() {
    curl -sS --max-time 120 -X "$1" -H 'Content-Type: application/json' ${3+-d "$3"} "$driver$2" >said
    jq -e '.value | type != "object" or (has("error") | not)' said >/dev/null || fail "$1 $2: $(cat said)"
    jq -c .value said
}

# js SCRIPT: what it returns, as JSON
js() {
    driver POST "$session/execute/sync" "$(jq -cn --arg script "$1" '{script: $script, args: []}')"
}

# cdp COMMAND PARAMETERS: what WebDriver has no words for
cdp() {
    driver POST "$session/goog/cdp/execute" "$(jq -cn --arg cmd "$1" --argjson params "$2" '{cmd: $cmd, params: $params}')" >/dev/null
}

is_js() {
    [ "$(js "return $1")" = true ]
}

# -- A server with pages of every kind. --

zstd -dc "$sample" >pages
# As many more that are one word repeated, and some that no codec can shorten.
{ yes zslot64 || true; } | head -c 2M >>pages
head -c 2M /dev/urandom >>pages
start() {
    serve zslot 64M memory-limit=12M backing=backing backing-size=64M backing-overwrite=true idle-age=600 \
        metrics-port="$port" control=control
}
start
for _ in 1 2 3; do
    nbdcopy pages "$uri"
    nbdcopy "$uri" null:
done
"${builddir:-$srcdir}/control/zslotctl" -s control writeback huge 512k >/dev/null

# shellcheck disable=SC2016 # jq's variable
capabilities='{capabilities: {alwaysMatch: {browserName: "chrome", "goog:loggingPrefs": {browser: "ALL"},
    "goog:chromeOptions": {binary: $binary, args: ["--headless=new", "--no-sandbox", "--disable-gpu",
        "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars", "--window-size=1280,1000",
        "--disable-background-networking", "--disable-component-update"]}}}}'
session=/session/$(driver POST /session "$(jq -cn --arg binary "$(command -v chromium)" "$capabilities")" | jq -r .sessionId)
driver POST "$session/url" "$(jq -cn --arg url "$at/" '{url: $url}')" >/dev/null
until_true 30 is_js "+document.body.dataset.drawn > 2" || fail "nothing is drawn: $(js 'return document.body.innerText')"

# -- What is on the page. --

shown() {
    js "return [...document.querySelectorAll('$1[data-of]')].map(e => ({of: e.dataset.of, text: e.textContent}))"
}

# exact JSON: all that is a whole number in these elements is that of stats.json
exact() {
    jq -r --slurpfile stats stats.json '.[] | .of as $of | ($stats[0] | getpath($of | split("."))) as $value |
        select(($value | type) == "number" and (.text | gsub(","; "")) != ($value | tostring)) |
        "\($of): \(.text) and not \($value)"' <<<"$1"
}

# The server is at rest; the page asks once a second.
agrees() {
    curl -sS "$at/v1/stats" >stats.json
    all=$(shown '#all ') && tiers=$(shown '#tier-table ')
    [ -z "$(exact "$all")$(exact "$tiers")" ]
}

# numbers_are_those_of_v1_stats
until_true 20 agrees || fail "$(exact "$all"; exact "$tiers")"
names=$(sed -n 's/^STAT(\([a-z_]*\),.*/\1/p' "$srcdir/core/stats.def")
for one in $names; do
    [ "$(jq --arg one "$one" '[.[] | select(.of == $one)] | length' <<<"$all")" = 1 ] || fail "$one is not on the page"
done
[ "$(jq -r '[.[].of] | sort | join(" ")' <<<"$tiers")" = \
    'slots.compressed slots.empty slots.huge slots.same slots.stored' ] || fail "$tiers"
for one in compressed huge same stored empty; do
    [ "$(jq ".slots.$one" stats.json)" -gt 0 ] || fail "the test has no page that is $one: $(jq -c .slots stats.json)"
done

# rounded_numbers_are_so_too: "1.5 GiB", "12.3 µs", "2.05 : 1"
near() { # TEXT VALUE
    awk -v text="$1" -v value="$2" 'BEGIN {
        split("B KiB MiB GiB TiB", sizes, " "); for (i in sizes) unit[sizes[i]] = 1024 ^ (i - 1)
        unit["ns"] = 1e-9; unit["µs"] = 1e-6; unit["ms"] = 1e-3; unit["s"] = unit[":1"] = 1
        gsub(/ /, "", text); match(text, /^[0-9.]+/)
        shown = substr(text, 1, RLENGTH) * unit[substr(text, RLENGTH + 1)]
        exit !(shown >= value * 0.94 && shown <= value * 1.06) }'
}
rounded=0
while IFS=$'\t' read -r of text value; do
    near "$text" "$value" || fail "$of: \"$text\", and it is $value"
    rounded=$((rounded + 1))
done < <(shown 'section ' | jq -r --slurpfile stats stats.json '.[] | .of as $of |
    ($stats[0] | getpath($of | split("."))) as $value |
    select(($value | type) == "number" and ($of | test("size|total$|p[0-9]+$"))) | "\($of)\t\(.text)\t\($value)"')
[ "$rounded" -ge 8 ] || fail "only $rounded rounded numbers"
ratio=$(jq '(.orig_data_size - 4096 * .slots.stored) / .compr_data_size' stats.json)
near "$(js 'return document.getElementById("ratio").textContent' | jq -r .)" "$ratio" ||
    fail "ratio: $(js 'return document.getElementById("ratio").textContent') and not $ratio"
[ "$(js 'return document.getElementById("backing-state").textContent' | jq -r .)" = "file: ok" ] || fail "backing store"

# charts_are_there
is_js "[...document.querySelectorAll('.chart')].every(e => e.querySelector('svg'))" || fail "a chart is missing"

# rates_are_those_of_what_goes_on
(while nbdcopy "$uri" null: && [ ! -e enough ]; do :; done) &
readers=$!
servers+=("$readers")
reads() {
    is_js "parseFloat(document.getElementById('reads').textContent) > 0"
}
until_true 20 reads || fail "no reads are seen: $(js 'return document.getElementById("reads").textContent')"

# readable_in_light_and_dark
luminance="getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => +a + +b)"
cdp Emulation.setEmulatedMedia '{"features": [{"name": "prefers-color-scheme", "value": "dark"}]}'
is_js "$luminance < 150" || fail "not dark"
cdp Emulation.setEmulatedMedia '{"features": [{"name": "prefers-color-scheme", "value": "light"}]}'
is_js "$luminance > 600" || fail "not light"

# nothing_is_wider_than_a_phone
for width in 320 360 768 1280; do
    cdp Emulation.setDeviceMetricsOverride \
        "{\"width\": $width, \"height\": 800, \"deviceScaleFactor\": 1, \"mobile\": $([ $width -lt 700 ] && echo true || echo false)}"
    drawn=$(js "return +document.body.dataset.drawn")
    until_true 20 is_js "+document.body.dataset.drawn > $drawn + 1" || fail "it is not drawn any more"
    is_js "document.documentElement.scrollWidth <= $width" ||
        fail "at $width: $(js 'return document.documentElement.scrollWidth')"
done
if [ -n "${ZSLOT_SCREENSHOT:-}" ]; then
    driver GET "$session/screenshot" | jq -r . | base64 -d >"$ZSLOT_SCREENSHOT"
fi

# nothing_comes_from_elsewhere_and_nothing_is_refused
is_js "performance.getEntriesByType('resource').every(e => e.name === '$at/v1/stats')" ||
    fail "$(js "return performance.getEntriesByType('resource').map(e => e.name)")"
log=$(driver POST "$session/se/log" '{"type": "browser"}')
[ "$log" = '[]' ] || fail "the browser says: $log"

# a_server_that_is_gone_is_seen_and_so_is_the_next_one
# (The readers go first: nbdkit 1.32 may abort when it answers a client that leaves while it is told to.)
touch enough
wait "$readers"
stop
until_true 20 is_js "document.getElementById('state').textContent.startsWith('no answer')" || fail "it is not missed"
start
until_true 20 is_js "document.getElementById('state').textContent === 'live'" || fail "the next one is not seen"
until_true 20 agrees || fail "$(exact "$all"; exact "$tiers")"
