# Damage, kills, full disks, read-only folders and many processes at once: right answers every time, and no row lost.
clvgg_test(fault test_tuning_db base store)
clvgg_test(fault test_tuning_disk base store)
clvgg_test(fault test_program_cache base device)
target_sources(test_program_cache PRIVATE e2e/cli.c e2e/command.c)
target_link_libraries(test_program_cache PRIVATE PkgConfig::JANSSON m)
add_dependencies(test_program_cache clvgg)
set_tests_properties(test_program_cache PROPERTIES ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>;${lsan}" TIMEOUT 1800)

# The whole program. Their runs last for as long as tuning does, and processes are killed in them.
foreach(name test_tune_planted test_tune_kills test_tune_rows test_tune_disks)
  clvgg_test(fault ${name} base store device)
  target_sources(${name} PRIVATE fault/program.c e2e/cli.c e2e/command.c)
  target_link_libraries(${name} PRIVATE PkgConfig::JANSSON m)
  add_dependencies(${name} clvgg)
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>" TIMEOUT 1800)
endforeach()
