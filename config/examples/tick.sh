#!/bin/sh
# SPDX-License-Identifier: MIT
#
# ops.*: what beat sends by the schedule. Prints its result, a JSON string.
set -eu
echo "$CONEY_TASK $CONEY_ID $CONEY_RETRIES started $(date +%s%6N)" >>ledger
echo "$CONEY_TASK $CONEY_ID $CONEY_RETRIES done $(date +%s%6N)" >>ledger
echo '"tick"'
