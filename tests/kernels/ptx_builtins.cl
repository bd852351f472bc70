/* What conv_f16_nchw_mma uses of OpenCL C, for a compiler that has the language but not the library: clang for NVIDIA's PTX. */
typedef unsigned int uint;
typedef unsigned short ushort;
typedef __SIZE_TYPE__ size_t;
typedef uint uint2 __attribute__((ext_vector_type(2)));
typedef float float2 __attribute__((ext_vector_type(2)));
typedef float float4 __attribute__((ext_vector_type(4)));
typedef uint uint4 __attribute__((ext_vector_type(4)));
typedef ushort ushort4 __attribute__((ext_vector_type(4)));
#define CLK_LOCAL_MEM_FENCE 1
#define BUILTIN             static inline __attribute__((overloadable, always_inline))

BUILTIN size_t get_local_id(uint i) {
  return i == 0 ? __nvvm_read_ptx_sreg_tid_x() : __nvvm_read_ptx_sreg_tid_y();
}
BUILTIN size_t get_group_id(uint i) {
  return i == 0 ? __nvvm_read_ptx_sreg_ctaid_x() : __nvvm_read_ptx_sreg_ctaid_y();
}
BUILTIN void barrier(uint flags) {
  __asm__ volatile("bar.sync 0;" ::: "memory");
}
BUILTIN int isnan(float x) {
  return x != x;
}
BUILTIN uint4 convert_uint4(ushort4 v) {
  return __builtin_convertvector(v, uint4);
}
BUILTIN void vstore_half2(float2 pair, size_t i, __local half *to) {
  ushort low, high;
  __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(low) : "f"(pair.x));
  __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(high) : "f"(pair.y));
  ((__local uint *)to)[i] = low | (uint)high << 16;
}
