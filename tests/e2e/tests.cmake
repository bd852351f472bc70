# The product as its users meet it: the program, the header, the installed package, the answers.
# Read only by a sanitized build: drivers leak.
set(lsan "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_LIST_DIR}/lsan.supp:print_suppressions=0:fast_unwind_on_malloc=0")
foreach(name test_cli test_cli_images test_explain test_explain_tuning test_precision test_report)
  clvgg_test(e2e ${name})
  target_sources(${name} PRIVATE e2e/cli.c e2e/command.c)
  target_link_libraries(${name} PRIVATE PkgConfig::JANSSON m)
  add_dependencies(${name} clvgg)
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>;${lsan}" TIMEOUT 1800)
endforeach()
target_link_libraries(test_precision PRIVATE clvgg_static)
target_sources(test_explain_tuning PRIVATE e2e/page.c)
target_compile_definitions(test_explain_tuning PRIVATE KERNEL_DIR="${PROJECT_SOURCE_DIR}/cl")
target_compile_definitions(test_report PRIVATE KERNEL_DIR="${PROJECT_SOURCE_DIR}/cl")
# The frames of PoCL's compiler, by which its leaks are known, are only found by slow unwinding.
set_tests_properties(test_explain test_explain_tuning test_report PROPERTIES
  ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>;${lsan}")

clvgg_test(e2e test_several_devices)
target_sources(test_several_devices PRIVATE e2e/cli.c e2e/command.c)
target_link_libraries(test_several_devices PRIVATE PkgConfig::JANSSON m)
add_dependencies(test_several_devices clvgg)
set_tests_properties(test_several_devices PROPERTIES
  ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>;RUSTICL_ENABLE=llvmpipe;${lsan}" TIMEOUT 1800)

clvgg_test(e2e test_tune base store)
target_sources(test_tune PRIVATE fault/program.c e2e/cli.c e2e/command.c)
target_link_libraries(test_tune PRIVATE PkgConfig::JANSSON m)
add_dependencies(test_tune clvgg)
set_tests_properties(test_tune PROPERTIES ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>;${lsan}" TIMEOUT 1800)

add_executable(header_c e2e/header_c.c)
target_compile_options(header_c PRIVATE -std=c11 -pedantic-errors)
target_link_libraries(header_c PRIVATE clvgg_shared)
add_test(NAME header_c COMMAND header_c)
set_tests_properties(header_c PROPERTIES LABELS e2e)

include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
  enable_language(CXX)
  add_executable(header_cpp e2e/header_cpp.cpp)
  # In place of the warnings set for C, of which C++ compilers know only some.
  set_target_properties(header_cpp PROPERTIES CXX_STANDARD 11 CXX_EXTENSIONS OFF
    COMPILE_OPTIONS "-Wall;-Wextra;-pedantic-errors;$<$<BOOL:${CLVGG_SANITIZE}>:-fsanitize=address,undefined>")
  target_link_libraries(header_cpp PRIVATE clvgg_shared)
  add_test(NAME header_cpp COMMAND header_cpp)
  set_tests_properties(header_cpp PROPERTIES LABELS e2e)
endif()

add_test(NAME test_install COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_install.sh ${PROJECT_BINARY_DIR}
  ${CMAKE_C_COMPILER} ${CMAKE_CURRENT_SOURCE_DIR}/data/cifar10/cat/00000.png)
set_tests_properties(test_install PROPERTIES LABELS e2e TIMEOUT 600)
if(CLVGG_SANITIZE)
  set_tests_properties(test_install PROPERTIES ENVIRONMENT "CFLAGS=-fsanitize=address,undefined;${lsan}")
endif()

include(${CMAKE_CURRENT_LIST_DIR}/golden.cmake OPTIONAL)

if(NOT CLVGG_SANITIZE) # sanitizers add names of their own
  add_test(NAME test_symbols COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_symbols.sh $<TARGET_FILE:clvgg_shared> ${PROJECT_SOURCE_DIR}/include/clvgg/clvgg.h)
  set_tests_properties(test_symbols PROPERTIES LABELS e2e SKIP_RETURN_CODE 77)
endif()
