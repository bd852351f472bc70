/*
 * softmax_f32_naive: probabilities of each image's scores, one work-group an image. The largest score is taken off first, so
 * that exp cannot overflow.
 *
 *   scores   item 0, item 1, ... item GROUP-1, item 0, ...      largest = max over c of in[n][c]
 *            each item's maximum, then sum of exponentials,     total   = sum over c of exp(in[n][c] - largest)
 *            is combined by halves in local memory              out[n][c] = exp(in[n][c] - largest) / total
 *
 * Work-groups: dimension 0 = n.
 */
#ifndef GROUP
#define GROUP 64  // work-items in a group, a power of two (1, 2, 4, 8, 16, 32, 64, 128, 256)
#endif

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void softmax_f32_naive(
    __global const float *restrict in,  // (batch, classes)
    __global float *restrict out,       // (batch, classes)
    int classes) {
  __local float partial[GROUP];
  const int item = get_local_id(0);
  const int first = (int)get_group_id(0) * classes;

  float largest = -INFINITY;
  for (int c = item; c < classes; c += GROUP) largest = fmax(largest, in[first + c]);
  partial[item] = largest;
  for (int half_group = GROUP / 2; half_group > 0; half_group /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_group) partial[item] = fmax(partial[item], partial[item + half_group]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  largest = partial[0];
  barrier(CLK_LOCAL_MEM_FENCE);

  float total = 0.0f;
  for (int c = item; c < classes; c += GROUP) total += exp(in[first + c] - largest);
  partial[item] = total;
  for (int half_group = GROUP / 2; half_group > 0; half_group /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_group) partial[item] += partial[item + half_group];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  total = partial[0];
  for (int c = item; c < classes; c += GROUP) out[first + c] = exp(in[first + c] - largest) / total;
}
