clvgg_test(kernels test_device base device)
