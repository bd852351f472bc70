# Logits against PyTorch's and accuracy on real images. These link the library as a stranger would: public header only.
add_executable(test_golden e2e/test_golden.c)
target_link_libraries(test_golden PRIVATE clvgg_static PkgConfig::CMOCKA PkgConfig::OPENCL m)
target_compile_definitions(test_golden PRIVATE TEST_DATA_DIR="${CMAKE_CURRENT_SOURCE_DIR}/data")
foreach(case bundled_16 bundled_3 bundled_1 bundled_f24w enqueue vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn vgg11_160x192 vgg16_batch2
  vgg11_f24w)
  add_test(NAME golden_${case} COMMAND test_golden ${case})
  set_tests_properties(golden_${case} PROPERTIES LABELS "e2e;golden" TIMEOUT 600)
endforeach()

# The bundled network from 8-bit pixels.
add_executable(test_rgb8 e2e/test_rgb8.c)
target_link_libraries(test_rgb8 PRIVATE clvgg_static PkgConfig::CMOCKA PkgConfig::OPENCL m)
target_compile_definitions(test_rgb8 PRIVATE TEST_DATA_DIR="${CMAKE_CURRENT_SOURCE_DIR}/data")
add_test(NAME test_rgb8 COMMAND test_rgb8)
set_tests_properties(test_rgb8 PROPERTIES LABELS e2e TIMEOUT 600)

# PyTorch gets 182 of the 200 bundled images right, and 9085 of all 10,000 with these weights rounded to f16.
set(accuracy_sh ${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_accuracy.sh)
add_test(NAME accuracy_200 COMMAND sh ${accuracy_sh} $<TARGET_FILE:clvgg> ${CMAKE_CURRENT_SOURCE_DIR}/data/cifar10 200 91.00 0.01 99.50)
add_test(NAME accuracy_10000 COMMAND sh ${accuracy_sh} $<TARGET_FILE:clvgg> "" 10000 90.85 0.05 99.71)
set_tests_properties(accuracy_200 accuracy_10000 PROPERTIES LABELS "e2e;accuracy" TIMEOUT 1200 SKIP_RETURN_CODE 77)
