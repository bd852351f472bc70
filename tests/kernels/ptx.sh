#!/bin/sh
# Assembles cl/conv_mma.cl for NVIDIA GPUs, which shows that its instructions exist there with these operands; none is run.
#     ptx.sh CLANG PTXAS
# Either may be missing ("CLANG-NOTFOUND"), or clang may not know the target: 77, skipped.
set -u
clang=$1 ptxas=$2
here=$(dirname "$0")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

skip() {
  echo "skipped: $1"
  exit 77
}
[ -x "$clang" ] || skip "no clang"
[ -x "$ptxas" ] || skip "no ptxas, which CUDA's toolkit has"
"$clang" --print-targets 2>/dev/null | grep -q nvptx64 || skip "$clang has no target nvptx64"
"$ptxas" --help | grep -q sm_75 || skip "$ptxas does not know sm_75"

# assemble ARCHITECTURE OPTION...: leaves kernel.ptx and what ptxas says in log
assemble() {
  architecture=$1
  shift
  "$clang" -x cl -cl-std=CL1.2 -cl-no-stdinc -include "$here/ptx_builtins.cl" --target=nvptx64-nvidia-nvcl -O2 \
    -Xclang -target-cpu -Xclang "$architecture" -Xclang -target-feature -Xclang +ptx70 "$@" \
    -S "$here/../../cl/conv_mma.cl" -o "$folder/kernel.ptx" || exit 1
  "$ptxas" -v -arch="$architecture" "$folder/kernel.ptx" -o "$folder/kernel.cubin" >"$folder/log" 2>&1
}

# expect ARCHITECTURE INSTRUCTION OPTION...
expect() {
  architecture=$1 instruction=$2
  shift 2
  if ! assemble "$architecture" "$@"; then
    cat "$folder/log"
    echo "$architecture $*: it does not assemble"
    exit 1
  fi
  count=$(grep -c "$instruction" "$folder/kernel.ptx")
  if [ "$count" -eq 0 ]; then
    echo "$architecture $*: no $instruction in it"
    exit 1
  fi
  if ! grep -q '^ *0 bytes stack frame' "$folder/log"; then
    cat "$folder/log"
    echo "$architecture $*: not all sums are in registers"
    exit 1
  fi
  echo "$architecture $*: $count times $instruction;$(grep -o 'Used [0-9]* registers' "$folder/log" | tail -n 1)"
}

expect sm_80 mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 -DK_STEP=16
expect sm_80 mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 -DK_STEP=16 -DWARP_PX=64 -DTILE_K=32
expect sm_75 mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 -DK_STEP=8
expect sm_75 mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 -DK_STEP=8 -DWARPS_PX=1 -DWARPS_OC=4 -DWARP_PX=16 -DWARP_OC=16
# What the host half refuses there.
if assemble sm_75 -DK_STEP=16; then
  echo "sm_75: K_STEP=16 assembles"
  exit 1
fi
