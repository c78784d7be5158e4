#!/bin/sh
# SPDX-License-Identifier: MIT
# coney-test: no-broker timeout=60
#
# `coney schedule`: what comes when, across a change of the clocks, without a broker.
set -eu

coney=${CONEY:?}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail()
{
    echo "FAILED: $*" >&2
    head -n 50 "$dir/out" "$dir/err" >&2
    exit 1
}

# expect CODE ARGUMENT...: run coney schedule with these arguments; it must end with CODE.
expect()
{
    wanted=$1
    shift
    code=0
    "$coney" schedule --config "$dir/coney.yaml" "$@" >"$dir/out" 2>"$dir/err" || code=$?
    [ "$code" -eq "$wanted" ] || fail "coney schedule $*: exit code $code, not $wanted"
}

# prints TEXT: standard output is just that; @ stands for a tab.
prints()
{
    printf '%s\n' "$1" | tr @ '\t' >"$dir/expected"
    cmp -s "$dir/expected" "$dir/out" || fail "expected: $(cat "$dir/expected")"
}

is_silent()
{
    [ ! -s "$dir/out" ] || fail 'something printed'
}

cat >"$dir/coney.yaml" <<END
beat: {timezone: Europe/Paris}
schedule:
  early: {task: a.early, crontab: "30 2 * * *"}
  pulse: {task: a.pulse, every: 1h30m}
  accra: {task: a.accra, crontab: "0 0 * * sun", timezone: Africa/Accra}
  off: {task: a.off, every: 1s, enabled: false}
END

# 29 March 2026: in Paris there is no 02:30; the tick comes just after the gap.
expect 0 next --from 2026-03-28T23:00:00Z --count 4
prints '2026-03-29T00:00:00+00:00 UTC@pulse@a.pulse
2026-03-29T00:00:00+00:00 GMT@accra@a.accra
2026-03-29T03:00:00+02:00 CEST@early@a.early
2026-03-29T01:30:00+00:00 UTC@pulse@a.pulse'

expect 0 list --from 2026-03-28T23:00:00+00:00
prints 'early@a.early@30 2 * * *@Europe/Paris@2026-03-29T03:00:00+02:00 CEST
pulse@a.pulse@every 1h30m@UTC@2026-03-29T00:00:00+00:00 UTC
accra@a.accra@0 0 * * sun@Africa/Accra@2026-03-29T00:00:00+00:00 GMT
off@a.off@every 1s@UTC@disabled'

# Without --count there are ten, without --from they lie ahead.
expect 0 next
[ "$(wc -l <"$dir/out")" -eq 10 ] || fail 'not ten ticks'
yesterday=$(date -u -d yesterday +%Y-%m-%d) # the zones are not all at the same day
awk -v past="$yesterday" 'substr($0, 1, 10) < past { exit 1 }' "$dir/out" ||
    fail 'a tick in the past'

expect 64
expect 64 lists
expect 64 next extra
expect 64 next --count 0
expect 64 next --count 1x
expect 64 next --from yesterday
grep -q '"yesterday" is no time like' "$dir/err" || fail 'no remedy'
expect 0 --help

# An empty schedule is a short list; a wrong one is none.
: >"$dir/coney.yaml"
expect 0 next
is_silent
echo 'schedule: {a: {task: x}}' >"$dir/coney.yaml"
expect 78 list
is_silent
grep -q 'says neither crontab nor every' "$dir/err" || fail 'the mistake is not told'
