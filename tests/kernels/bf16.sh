#!/bin/sh
# Compiles cl/conv_bf16_nchwc.cl, and cl/conv_winograd.cl with products of bf16, for x86 processors that have their instructions, and looks
# for them; none is run.
#     bf16.sh CLANG
# It may be missing ("CLANG-NOTFOUND"), or not know the processors: 77, skipped.
set -u
clang=$1
here=$(dirname "$0")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

skip() {
  echo "skipped: $1"
  exit 77
}
[ -x "$clang" ] || skip "no clang"
"$clang" --print-targets 2>/dev/null | grep -q x86-64 || skip "$clang has no target x86-64"
echo >"$folder/empty.c"
"$clang" --target=x86_64-unknown-linux-gnu -march=sapphirerapids -c "$folder/empty.c" -o "$folder/empty.o" 2>/dev/null ||
  skip "$clang does not know sapphirerapids"

# compile PROCESSOR OPTION...: leaves kernel.s of source, and kernel.o where the assembler takes that
source=conv_bf16_nchwc.cl
compile() {
  processor=$1
  shift
  "$clang" -x cl -cl-std=CL1.2 -Xclang -finclude-default-header --target=x86_64-unknown-linux-gnu -march="$processor" -O2 \
    "$@" -S "$here/../../cl/$source" -o "$folder/kernel.s" 2>"$folder/log" &&
    "$clang" --target=x86_64-unknown-linux-gnu -c "$folder/kernel.s" -o "$folder/kernel.o" 2>>"$folder/log"
}

# expect PROCESSOR INSTRUCTIONS OPTION...: each of them is there
expect() {
  processor=$1 instructions=$2
  shift 2
  if ! compile "$processor" "$@"; then
    cat "$folder/log"
    echo "$processor $*: it does not compile"
    exit 1
  fi
  for instruction in $instructions; do
    if ! grep -q "$instruction" "$folder/kernel.s"; then
      echo "$processor $*: no $instruction in it"
      exit 1
    fi
  done
  echo "$processor $*: $instructions"
}

# expect_registers: between two products without a label in between, no vector comes from the stack or goes there
expect_registers() {
  awk '/^[^ \t].*:|^# %bb/ { inside = 0; found = "" }
       /vdpbf16ps/ { if (inside && found != "") { print found; bad = 1 } inside = 1; found = "" }
       /zmm/ && /%rsp/ { found = $0 }
       END { exit bad }' "$folder/kernel.s" || {
    echo "sums leave the registers between products"
    exit 1
  }
}

tiles="ldtilecfg tilezero tileloadd tdpbf16ps tilestored tilerelease"
expect sapphirerapids "$tiles" -DAMX
# The assembler takes them for any x86-64 processor; whether they run is for the host to know.
expect x86-64-v3 "$tiles" -DAMX -DVEC=8 -DTILES_PX=1 -DTILES_OC=1
expect sapphirerapids vdpbf16ps
expect_registers
expect cooperlake vdpbf16ps -DPX=14 -DTILES_OC=2
expect_registers
expect sapphirerapids vdpbf16ps -DVEC=4 -DPX=7 -DTILES_OC=1
expect_registers
# A processor without registers of 512 bits has none for it.
if compile x86-64-v3; then
  echo "x86-64-v3: vdpbf16ps compiles"
  exit 1
fi
# Emulated, none is left.
for form in -DAMX -DPX=7; do
  compile sapphirerapids $form -DEMULATE_BF16 || exit 1
  if grep -qE "tmm|vdpbf16ps" "$folder/kernel.s"; then
    echo "$form -DEMULATE_BF16: an instruction is left"
    exit 1
  fi
done

source=conv_winograd.cl
expect sapphirerapids "vdpbf16ps vcvtneps2bf16" -DBF16
expect_registers
expect cooperlake "vdpbf16ps vcvtneps2bf16" -DBF16 -DPREFETCH -DM=2 -DTILES=13
expect_registers
expect sapphirerapids vdpbf16ps -DBF16 -DVEC=4 -DTILES=6
compile sapphirerapids -DBF16 -DEMULATE_BF16 || exit 1
if grep -qE "vdpbf16ps|vcvtneps2bf16" "$folder/kernel.s"; then
  echo "$source -DEMULATE_BF16: an instruction is left"
  exit 1
fi
