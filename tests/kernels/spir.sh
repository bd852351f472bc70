#!/bin/sh
# Compiles conv_f16_nchw_dpas for SPIR as Intel's drivers do, with the instruction declared as the extension's specification has it: types
# and names of its calls are right, and no sum is left in memory. Nothing is run.
#     spir.sh CLANG
# It may be missing ("CLANG-NOTFOUND"): 77, skipped.
set -u
clang=$1
here=$(dirname "$0")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

if [ ! -x "$clang" ]; then
  echo "skipped: no clang"
  exit 77
fi

# expect STANDARD FUNCTION OPTION...: by the name that clang gives to the function of these types
expect() {
  standard=$1 function=$2
  shift 2
  if ! "$clang" -x cl -cl-std="$standard" -target spir64-unknown-unknown -Xclang -finclude-default-header \
    -include "$here/spir_builtins.cl" -Wall -Werror -O2 -DDPAS "$@" -S -emit-llvm "$here/../../cl/conv_mma.cl" \
    -o "$folder/kernel.ll" 2>"$folder/log"; then
    cat "$folder/log"
    echo "$standard $*: it does not compile"
    exit 1
  fi
  count=$(grep -c "call .*@$function(" "$folder/kernel.ll")
  if [ "$count" -eq 0 ]; then
    echo "$standard $*: no call of $function"
    exit 1
  fi
  if grep -q alloca "$folder/kernel.ll"; then
    grep alloca "$folder/kernel.ll"
    echo "$standard $*: not all sums are in registers"
    exit 1
  fi
  if ! grep -q intel_reqd_sub_group_size "$folder/kernel.ll"; then
    echo "$standard $*: no sub-group size is asked for"
    exit 1
  fi
  echo "$standard $*: $count calls of $function"
}

of_8=_Z38intel_sub_group_f16_f16_matrix_mad_k16Dv8_iS_Dv8_f
of_16=_Z38intel_sub_group_f16_f16_matrix_mad_k16Dv8_sDv8_iDv8_f
for standard in CL1.2 CL2.0 CL3.0; do
  expect $standard $of_8 -DSUBGROUP=8
  expect $standard $of_8 -DSUBGROUP=8 -DWARPS_PX=1 -DWARPS_OC=4 -DBLOCKS_OC=1 -DTILE_K=32
  expect $standard $of_16 -DSUBGROUP=16
  expect $standard $of_16 -DSUBGROUP=16 -DWARPS_PX=4 -DWARPS_OC=1 -DBLOCKS_OC=4 -DTILE_K=32
done
