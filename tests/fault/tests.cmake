# Damage, kills, full disks, read-only folders and many processes at once: right answers every time, and no row lost.
clvgg_test(fault test_tuning_db base store)
clvgg_test(fault test_tuning_disk base store)
clvgg_test(fault test_program_cache base device)
target_sources(test_program_cache PRIVATE e2e/cli.c e2e/command.c)
target_link_libraries(test_program_cache PRIVATE PkgConfig::JANSSON m)
add_dependencies(test_program_cache clvgg)
set_tests_properties(test_program_cache PROPERTIES ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>;${lsan}:fast_unwind_on_malloc=0" TIMEOUT 1800)
