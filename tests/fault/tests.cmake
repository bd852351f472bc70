# Damage, kills, full disks: what must not cost an answer or a row.
clvgg_test(fault test_tuning_db base store)
clvgg_test(fault test_tuning_disk base store)
