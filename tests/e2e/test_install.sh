#!/bin/sh
# Installs into an empty prefix, moves that elsewhere, and builds and runs the example against it, three ways:
# pkg-config, find_package(clvgg), and find_package with the static library.
# Usage: test_install.sh BUILD CC IMAGE        (CFLAGS is used; the example has to answer with a class of IMAGE)
set -eu
[ $# -eq 3 ] || { sed -n 4p "$0" >&2; exit 2; }
build=$1 cc=$2 image=$3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
cflags=${CFLAGS:-}
# A machine may have ninja and no make, which CMake would take by itself.
! command -v ninja >/dev/null || export CMAKE_GENERATOR=Ninja
export XDG_CACHE_HOME="$tmp/cache"
[ -n "${CLVGG_TEST_LANE:-}" ] || export POCL_CACHE_DIR="$tmp/pocl"

cmake --install "$build" --prefix "$tmp/first" >"$tmp/log" || { cat "$tmp/log"; exit 1; }
mv "$tmp/first" "$tmp/moved"
prefix=$tmp/moved
pc=$(find "$prefix" -name clvgg.pc)
libdir=$(dirname "$(dirname "$pc")")
example=$(find "$prefix" -name classify.c)
data=$prefix/share/clvgg
[ -f "$data/imagenet_classes.txt" ] || { echo "no data files in $data"; exit 1; }
[ -f "$data/samples/index.txt" ] || { echo "no sample images in $data"; exit 1; }
unset CLVGG_DATA_DIR

try() { # NAME PROGRAM: runs it on the image; five lines, the first the most probable
  echo "$1"
  LD_LIBRARY_PATH=$libdir "$2" "$image" >"$tmp/answer" || { cat "$tmp/answer"; echo "$1: failed"; exit 1; }
  cat "$tmp/answer"
  [ "$(wc -l <"$tmp/answer")" -eq 5 ] || { echo "$1: expected five classes"; exit 1; }
}

export PKG_CONFIG_PATH="$libdir/pkgconfig"
[ "$(pkg-config --modversion clvgg)" = "$("$prefix/bin/clvgg" --version | cut -d' ' -f2)" ] || {
  echo "clvgg.pc and clvgg --version name different versions"; exit 1; }
# Unquoted: several flags each.
# shellcheck disable=SC2046,SC2086
$cc $cflags "$example" -o "$tmp/with-pkg-config" $(pkg-config --cflags --libs clvgg)
try pkg-config "$tmp/with-pkg-config"

mkdir "$tmp/project"
cp "$example" "$tmp/project/classify.c"
cat >"$tmp/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.20)
project(uses_clvgg LANGUAGES C)
find_package(clvgg 0.1 REQUIRED COMPONENTS static)
add_executable(shared classify.c)
target_link_libraries(shared PRIVATE clvgg::clvgg)
add_executable(static classify.c)
target_link_libraries(static PRIVATE clvgg::clvgg_static)
END
{
  cmake -S "$tmp/project" -B "$tmp/project/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_C_FLAGS="$cflags"
  cmake --build "$tmp/project/build"
} >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
try "find_package, shared" "$tmp/project/build/shared"
# A program with the library inside does not lie beside the data.
CLVGG_DATA_DIR=$data
export CLVGG_DATA_DIR
try "find_package, static" "$tmp/project/build/static"
unset CLVGG_DATA_DIR

# The moved data files are what was read above, not those of the source tree: damaged ones are found, and named.
model=$data/vgg16_bn_half_cifar10.safetensors
mv "$model" "$tmp/model"
echo damaged >"$model"
refuse() { # NAME COMMAND...: it has to fail over the moved model
  echo "$1, model damaged"
  shift
  if LD_LIBRARY_PATH=$libdir "$@" >"$tmp/answer" 2>&1; then echo "$1: used another model"; exit 1; fi
  grep -F "$model" "$tmp/answer" || { cat "$tmp/answer"; echo "$1: expected an error about $model"; exit 1; }
}
refuse library "$tmp/with-pkg-config" "$image"
cd /
PATH=$prefix/bin:$PATH
refuse program clvgg classify "$image"
mkdir "$tmp/bin"
ln -s "$prefix/bin/clvgg" "$tmp/bin/linked"
refuse "link to the program" "$tmp/bin/linked" classify "$image"
mv "$tmp/model" "$model"
clvgg classify "$image" || { echo "the moved program failed"; exit 1; }
