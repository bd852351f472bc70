#!/bin/sh
# Accuracy of the bundled model on a folder of images, as `clvgg eval --json` reports it.
# Usage: test_accuracy.sh CLVGG DIR IMAGES TOP1 TOLERANCE TOP5      (accuracies in percent)
# DIR empty: $CLVGG_CIFAR10_TEST, CIFAR-10's test set as DIR/<class>/<image>.png; skipped (77) when that is not set.
set -eu
[ $# -eq 6 ] || { sed -n 3,4p "$0" >&2; exit 2; }
clvgg=$1 dir=${2:-${CLVGG_CIFAR10_TEST:-}} images=$3 top1=$4 tolerance=$5 top5=$6
if [ -z "$dir" ]; then
  echo "skipped: CLVGG_CIFAR10_TEST does not name a folder of CIFAR-10's 10,000 test images"
  exit 77
fi
answer=$("$clvgg" eval "$dir" --json)
echo "$answer"
field() { # the number of a field of the JSON text
  printf '%s\n' "$answer" | tr -d ' \n' | sed -n "s/.*\"$1\":\([-0-9.eE+]*\).*/\1/p"
}
awk -v images="$(field images)" -v failed="$(field failed)" -v top1="$(field top1)" -v top5="$(field top5)" \
    -v want_images="$images" -v want_top1="$top1" -v want_top5="$top5" -v tolerance="$tolerance" '
  function off(found, expected) { d = found - expected; return found == "" || (d < 0 ? -d : d) > tolerance + 1e-9 }
  function check(name, wrong, found, expected) {
    if (wrong) { printf "%s is %s, expected %s (tolerance %s)\n", name, found, expected, tolerance; bad = 1 }
  }
  BEGIN {
    check("images", images != want_images, images, want_images)
    check("failed", failed != 0 || failed == "", failed, 0)
    check("top1", off(top1, want_top1), top1, want_top1)
    check("top5", off(top5, want_top5), top5, want_top5)
    if (!bad) printf "%d images: top-1 %s %%, top-5 %s %%, as expected\n", images, top1, top5
    exit bad
  }'
