#!/bin/sh
# SPDX-License-Identifier: MIT
# coney-test: no-broker timeout=60
#
# `coney check`, as an operator meets it: what it prints where, and with which exit code.
set -eu

coney=${CONEY:?}
examples=${CONEY_SOURCE_DIR:?}/config
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset CONEY_CONFIG CONEY_BROKER_PASSWORD CONEY_RESULTS_PASSWORD XDG_CONFIG_HOME
export HOME="$dir"

fail()
{
    echo "FAILED: $*" >&2
    head -n 50 "$dir/out" "$dir/err" >&2
    exit 1
}

# expect CODE ARGUMENT...: run coney with these arguments; it must end with CODE.
expect()
{
    wanted=$1
    shift
    code=0
    "$coney" "$@" >"$dir/out" 2>"$dir/err" || code=$?
    [ "$code" -eq "$wanted" ] || fail "coney $*: exit code $code, not $wanted"
}

says()
{
    grep -qF -- "$2" "$dir/$1" || fail "no \"$2\" in std$1"
}

is_silent()
{
    [ ! -s "$dir/$1" ] || fail "something in std$1"
}

# A right configuration: one line, 0.
echo 'worker: {concurrency: 3}' >"$dir/coney.yaml"
expect 0 check --config "$dir/coney.yaml"
says out "$dir/coney.yaml: right  classes=3 queues=3 tasks=0 schedule=0"
is_silent err

# Every mistake at once, with file, line and column, in the order of reading; 78.
mkdir "$dir/conf.d"
printf 'worker: {concurency: 3}\nbeat: {timezone: Mars/Base}\n' >"$dir/coney.yaml"
printf 'tasks:\n  x: {queue: hgh}\n' >"$dir/conf.d/tasks.yaml"
expect 78 check --config "$dir/coney.yaml"
is_silent out
cat >"$dir/expected" <<END
$dir/coney.yaml:1:10: unknown key "concurency" in worker; did you mean "concurrency"?
$dir/coney.yaml:2:18: timezone: no time zone Mars/Base in /usr/share/zoneinfo
$dir/conf.d/tasks.yaml:2:14: queue: there is no queue "hgh"; did you mean "high"?
END
cmp -s "$dir/expected" "$dir/err" || fail "not the mistakes expected"
expect 78 check --config "$dir/coney.yaml" --print
is_silent out

# A file that is not there, and no file at all.
expect 78 check --config "$dir/none.yaml"
says err "can't read $dir/none.yaml: No such file or directory"
if [ ! -e /etc/coney/coney.yaml ] && [ ! -e /usr/local/etc/coney/coney.yaml ]; then
    expect 78 check
    says err "$dir/.config/coney/coney.yaml"
fi
mkdir -p "$dir/.config/coney"
echo 'beat: {name: mine}' >"$dir/.config/coney/coney.yaml"
expect 0 check --print
says out 'name: mine'

# A file that may not be read; root may read everything.
rm -r "$dir/conf.d"
if [ "$(id -u)" -ne 0 ]; then
    chmod 000 "$dir/coney.yaml"
    expect 78 check --config "$dir/coney.yaml"
    says err 'permission denied; run as its owner or in its group, or change its mode'
fi

# Each example is right once the password is there; what is printed prints the same again.
export CONEY_BROKER_PASSWORD=s3cret CONEY_RESULTS_PASSWORD=s3cret
for example in "$examples"/*.yaml; do
    expect 0 check --config "$example" --print
    cp "$dir/out" "$dir/printed.yaml"
    expect 0 check --config "$dir/printed.yaml" --print
    cmp -s "$dir/printed.yaml" "$dir/out" || fail "$example prints otherwise when read again"
    ! grep -q s3cret "$dir/out" || fail "$example: the password is printed"
done

# Why a task is treated as it is.
expect 0 check --config "$examples/coney-full.yaml" --explain notify.send_sms
says out 'rate_limit             10/m'
says out 'tasks: "notify.send_sms"'
says out 'tasks: "notify.*"'

# The table of keys, for scripts.
expect 0 check --keys
awk -F '\t' 'NF != 4 { exit 1 }' "$dir/out" || fail 'a key without four columns'

# What is not on the command line's side.
expect 64 check --prnt
says err 'there is no option --prnt'
expect 64 check --config
says err '--config needs a value'
expect 64 check extra
expect 64
expect 64 chekc
says err 'did you mean "check"?'
expect 0 check --help
says out 'usage: coney check'
expect 0 help check
says out 'usage: coney check'
expect 0 --help
says out 'check, print or explain the configuration'
expect 0 --version
says out 'coney '

# A reader that goes away or a disk that is full is no success.
if [ -w /dev/full ]; then
    code=0
    "$coney" check --keys >/dev/full 2>"$dir/err" || code=$?
    [ "$code" -eq 1 ] || fail "a full disk gives $code"
fi
