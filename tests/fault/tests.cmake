# Damage, kills, full disks: what must not cost an answer or a row.
clvgg_test(fault test_tuning_db base store)
clvgg_test(fault test_tuning_disk base store)

# The whole program. Their runs last for as long as tuning does, and processes are killed in them.
foreach(name test_tune_planted test_tune_kills test_tune_rows)
  clvgg_test(fault ${name} base store device)
  target_sources(${name} PRIVATE fault/program.c e2e/cli.c e2e/command.c)
  target_link_libraries(${name} PRIVATE PkgConfig::JANSSON m)
  add_dependencies(${name} clvgg)
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "CLVGG_CLI=$<TARGET_FILE:clvgg>" TIMEOUT 1800)
endforeach()
