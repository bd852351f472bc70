# host/device
foreach(name test_device test_buffers test_launches test_timer test_wrap test_gemm)
  clvgg_test(kernels ${name} base device)
  target_sources(${name} PRIVATE kernels/device_fixture.c)
endforeach()

clvgg_test(kernels test_roofline base device measure)
target_compile_definitions(test_roofline PRIVATE KERNEL_SOURCE="${PROJECT_SOURCE_DIR}/cl/roofline.cl")
# Two measurements can only agree when the device does the same both times.
set_tests_properties(test_roofline PROPERTIES RUN_SERIAL TRUE)

clvgg_test(kernels test_blocked algo device reference network checkpoint base)
target_sources(test_blocked PRIVATE kernels/emulated_bf16.c kernels/guarded.c kernels/suite.c kernels/winograd_bf16.c)
set_tests_properties(test_blocked PROPERTIES TIMEOUT 1200) # it compiles some thousand kernels
if(EXISTS /etc/OpenCL/vendors/rusticl.icd)
  add_test(NAME test_blocked_rusticl COMMAND test_blocked --small --ends)
  set_tests_properties(test_blocked_rusticl PROPERTIES LABELS kernels TIMEOUT 900 SKIP_RETURN_CODE 77
    ENVIRONMENT "RUSTICL_ENABLE=llvmpipe;CLVGG_DEVICE=rusticl")
endif()
clvgg_test(kernels test_trust base image checkpoint network reference device algo trust plan engine gate tune store process verify measure api)

clvgg_test(kernels test_rules algo device network checkpoint base)
clvgg_test(kernels test_pack algo device network checkpoint base)
clvgg_test(kernels test_kernels algo device reference network checkpoint base)
target_sources(test_kernels PRIVATE kernels/emulated.c kernels/guarded.c kernels/suite.c kernels/winograd_bf16.c)
set_tests_properties(test_kernels PROPERTIES TIMEOUT 1200) # it compiles some hundred kernels

# The same on a device with the least that OpenCL 1.2 GPUs have; CLVGG_DEVICE_LIMITS is explained in host/device/select.c.
add_test(NAME test_kernels_limits COMMAND test_kernels --ends)
set_tests_properties(test_kernels_limits PROPERTIES LABELS kernels TIMEOUT 1200
  ENVIRONMENT "CLVGG_DEVICE_LIMITS=group=64,local=16384,alloc=1048576;CLVGG_TEST_WITHOUT=clblast")

# Mesa's driver, where it is installed: it stops loops silently, so this also checks the count of iterations.
if(EXISTS /etc/OpenCL/vendors/rusticl.icd)
  # In two parts, for two cores.
  foreach(part 1 2)
    add_test(NAME test_kernels_rusticl_${part} COMMAND test_kernels --small --ends)
    set_tests_properties(test_kernels_rusticl_${part} PROPERTIES LABELS kernels TIMEOUT 900 SKIP_RETURN_CODE 77
      ENVIRONMENT "RUSTICL_ENABLE=llvmpipe;CLVGG_DEVICE=rusticl;CLVGG_TEST_PART=${part}/2")
  endforeach()
endif()

# oclgrind preloads itself, which AddressSanitizer does not allow.
find_program(OCLGRIND oclgrind)
if(OCLGRIND AND NOT CLVGG_SANITIZE)
  # Values: without optimisation, since oclgrind 21.10 does not know LLVM's freeze there; without CLBlast, whose direct
  # GEMM makes it report values as uninitialised that are right.
  # In two parts, for two cores.
  foreach(part 1 2)
    add_test(NAME test_kernels_oclgrind_${part} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/oclgrind.sh
      $<TARGET_FILE:test_kernels> --build-options -cl-opt-disable --data-races --uninitialized)
    set_tests_properties(test_kernels_oclgrind_${part} PROPERTIES LABELS kernels TIMEOUT 900 SKIP_RETURN_CODE 77
      ENVIRONMENT "CLVGG_TEST_WITHOUT=clblast;CLVGG_TEST_PART=${part}/2")
  endforeach()
  # Of the kernels for CPUs only those with emulated instructions run there.
  add_test(NAME test_blocked_oclgrind COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/oclgrind.sh $<TARGET_FILE:test_blocked>
    --build-options -cl-opt-disable --data-races --uninitialized)
  set_tests_properties(test_blocked_oclgrind PROPERTIES LABELS kernels TIMEOUT 900 SKIP_RETURN_CODE 77)
  # Races and bounds in groups of 64 with 16 KiB of local memory, CLBlast too.
  add_test(NAME test_kernels_oclgrind_little COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/oclgrind.sh
    $<TARGET_FILE:test_kernels> --data-races --max-wgsize 64 --local-mem-size 16384)
  set_tests_properties(test_kernels_oclgrind_little PROPERTIES LABELS kernels TIMEOUT 900 SKIP_RETURN_CODE 77
    ENVIRONMENT "CLVGG_TEST_ENDS=1")
endif()

# NVIDIA's instructions assemble where clang and CUDA's assembler are installed.
find_program(CLANG NAMES clang-14 clang clang-15 clang-16)
find_program(PTXAS ptxas HINTS /usr/local/cuda/bin)
add_test(NAME test_ptx COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/ptx.sh ${CLANG} ${PTXAS})
set_tests_properties(test_ptx PROPERTIES LABELS kernels SKIP_RETURN_CODE 77)

# Intel's instruction is called as the specification declares it, where clang is installed.
add_test(NAME test_spir COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/spir.sh ${CLANG})
set_tests_properties(test_spir PROPERTIES LABELS kernels SKIP_RETURN_CODE 77)

# AMX's and AVX-512's instructions for bf16: compiled, and AMX run, if need be by a handler of its traps.
add_test(NAME test_bf16 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/bf16.sh ${CLANG})
set_tests_properties(test_bf16 PROPERTIES LABELS kernels SKIP_RETURN_CODE 77)
clvgg_test(kernels test_cpu algo device reference network checkpoint base)
target_sources(test_cpu PRIVATE kernels/amx_trap.c kernels/emulated_bf16.c kernels/guarded.c kernels/suite.c kernels/winograd_bf16.c)
set_tests_properties(test_cpu PROPERTIES SKIP_RETURN_CODE 77)

clvgg_test(kernels test_cached base device)
set_tests_properties(test_cached PROPERTIES SKIP_RETURN_CODE 77)
clvgg_test(kernels test_nan algo device network checkpoint base)
target_sources(test_nan PRIVATE kernels/emulated.c kernels/emulated_bf16.c kernels/guarded.c)
