#!/bin/sh
# Runs a program under oclgrind and fails when it reports anything: oclgrind itself exits 0 on races.
#     oclgrind.sh PROGRAM [OCLGRIND OPTION...]
set -u
program=$1
shift
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
CLVGG_DEVICE=oclgrind oclgrind "$@" --log "$log" "$program" --small
status=$?
if [ -s "$log" ]; then
  echo "oclgrind reports:"
  head -n 60 "$log"
  exit 1
fi
exit $status
