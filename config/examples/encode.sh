#!/bin/sh
# SPDX-License-Identifier: MIT
#
# video.encode(film): a task that is a program in shell, hangs, and ignores that it is asked to
# end. At its hard limit it is killed, and so is what it has started.
trap '' TERM
echo "$CONEY_TASK $CONEY_ID $CONEY_RETRIES started $(date +%s%6N)" >>ledger
echo "encode: waiting for a frame that never comes" >&2
sleep 600 &
while :; do
    sleep 600
done
