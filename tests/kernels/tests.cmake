clvgg_test(kernels test_device base device)
clvgg_test(kernels test_roofline base device measure)
target_compile_definitions(test_roofline PRIVATE KERNEL_SOURCE="${PROJECT_SOURCE_DIR}/cl/roofline.cl")
# Two measurements can only agree when the device does the same both times.
set_tests_properties(test_roofline PROPERTIES RUN_SERIAL TRUE)

clvgg_test(kernels test_blocked algo device reference network checkpoint base)
set_tests_properties(test_blocked PROPERTIES TIMEOUT 1200) # it compiles some thousand kernels
if(EXISTS /etc/OpenCL/vendors/rusticl.icd)
  add_test(NAME test_blocked_rusticl COMMAND test_blocked --small)
  set_tests_properties(test_blocked_rusticl PROPERTIES LABELS kernels TIMEOUT 900 SKIP_RETURN_CODE 77
    ENVIRONMENT "RUSTICL_ENABLE=llvmpipe;CLVGG_DEVICE=rusticl")
endif()
clvgg_test(kernels test_trust base image checkpoint network reference device algo trust plan engine verify measure api)
