# Which tests share PoCL's kernels (clvgg_lane in CMakeLists.txt). Tests of a lane take turns, so lanes are of about the same length.
clvgg_lane(plain test_kernels test_kernels_limits test_nan test_pack test_cached test_gemm)
clvgg_lane(blocked test_blocked test_trust test_roofline test_device test_buffers test_launches test_timer test_wrap)

get_property(clvgg_tests DIRECTORY PROPERTY TESTS)
set(golden ${clvgg_tests})
list(FILTER golden INCLUDE REGEX "^golden_")
clvgg_lane(networks ${golden} test_rgb8 accuracy_200 accuracy_10000 test_cli test_cli_images test_explain test_explain_tuning test_precision
  test_report test_several_devices test_install test_program_cache test_tune_rows test_tune_disks)

# Each lane begins with what takes longest, and so does the whole: what mostly waits fits in anywhere.
set_tests_properties(test_kernels test_cli test_blocked PROPERTIES COST 1000)
