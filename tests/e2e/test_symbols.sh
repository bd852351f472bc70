#!/bin/sh
# The shared library exports the public functions and nothing else. Usage: test_symbols.sh LIBRARY HEADER
set -eu
command -v nm >/dev/null || { echo "nm is not installed"; exit 77; }
exported=$(nm -D --defined-only "$1" | awk '{print $3}' | sed 's/@.*//' | sort)
declared=$(grep -o 'clvgg_[a-z_]*(' "$2" | tr -d '(' | sort -u)
for name in $exported; do
  case $name in clvgg_*) ;; *) echo "exported, but not the public interface: $name"; exit 1 ;; esac
done
missing=$(grep '^CLVGG_API' "$2" | grep -o 'clvgg_[a-z_]*(' | tr -d '(' | sort -u | while read -r name; do
  echo "$exported" | grep -qx "$name" || echo "$name"
done)
[ -z "$missing" ] || { echo "declared, but not exported: $missing"; exit 1; }
[ -n "$declared" ] && echo "$(echo "$exported" | wc -l) functions, all public"
