# Writes OUT, a C file with the text of every kernel file of FILES: cmake -DFILES=... -DOUT=... -P embed.cmake
# Bytes, not string literals: C compilers limit a literal's length.
cmake_minimum_required(VERSION 3.20)
set(text "/* Made by embed.cmake from cl/. */\n#include \"device/kernels.h\"\n\n")
set(rows "")
set(number 0)
string(REPEAT "0x..," 20 line)
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  # unsigned: bytes above 127 (UTF-8 in comments) do not fit a signed char.
  string(APPEND text "static const unsigned char text_${number}[] = {\n${bytes}0};\n")
  string(APPEND rows "    {\"${name}\", (const char *)text_${number}, sizeof text_${number} - 1},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND text "\nconst kernel_source kernel_sources[] = {\n${rows}    {0, 0, 0}};\n")
file(WRITE "${OUT}" "${text}")
