# Which tests share PoCL's kernels (clvgg_lane in CMakeLists.txt): those of single kernels, and those of whole networks. Together they keep two
# cores busy.
clvgg_lane(kernels test_kernels test_kernels_limits test_blocked test_nan test_trust test_pack test_cached test_device test_buffers
  test_launches test_timer test_wrap test_gemm test_roofline)

get_property(clvgg_tests DIRECTORY PROPERTY TESTS)
set(golden ${clvgg_tests})
list(FILTER golden INCLUDE REGEX "^golden_")
clvgg_lane(networks ${golden} test_rgb8 accuracy_200 accuracy_10000 test_cli test_cli_images test_explain test_explain_tuning test_precision
  test_report test_several_devices test_install test_program_cache test_tune_rows test_tune_disks)
