/* What Intel's drivers declare for conv_f16_nchw_dpas and clang's own header does not: as in the specifications of
 * cl_intel_subgroup_matrix_multiply_accumulate ("New OpenCL C Functions") and of cl_intel_subgroups. */
#define BUILTIN __attribute__((overloadable, convergent))

BUILTIN float8 intel_sub_group_f16_f16_matrix_mad_k16(int8 a, int8 b, float8 acc);
BUILTIN float8 intel_sub_group_f16_f16_matrix_mad_k16(short8 a, int8 b, float8 acc);

#if !defined(cl_khr_subgroups) && !defined(__opencl_c_subgroups)
BUILTIN uint get_sub_group_local_id(void);
BUILTIN uint get_sub_group_id(void);
#endif
