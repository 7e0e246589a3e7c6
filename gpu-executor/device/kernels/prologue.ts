/**
 * What makes one restricted C serve OpenCL C and CUDA C: the names that kernels use for what the
 * two spell differently. Invariant: a kernel uses these names alone, besides C; no vector types,
 * no `half`, no built-ins of one language. A product and a sum are never contracted, so that
 * devices agree with the host (CUDA by its flag `--fmad=false`).
 */
import type { DriverKind } from '../driver.js';

const opencl = `
#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#define KERNEL __kernel
#define FUNCTION static inline
#define GLOBAL __global
#define LOCAL __local
#define RESTRICT restrict
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define BARRIER_ALL() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define GLOBAL_ID(d) ((long)get_global_id(d))
#define LOCAL_ID(d) ((int)get_local_id(d))
#define LOCAL_SIZE(d) ((int)get_local_size(d))
#define GROUP_ID(d) ((long)get_group_id(d))
typedef long int64;
typedef ulong uint64;
typedef uint uint32;
#define BITS_OF_DOUBLE(a) as_ulong(a)
#define DOUBLE_OF_BITS(a) as_double(a)
#define INFINITE INFINITY
#define NOT_A_NUMBER NAN
`;

const cuda = `
#define KERNEL extern "C" __global__
#define FUNCTION static __device__ __forceinline__
#define GLOBAL
#define LOCAL __shared__
#define RESTRICT __restrict__
#define BARRIER() __syncthreads()
#define BARRIER_ALL() __syncthreads()
#define DIMENSION_(v, d) ((d) == 0 ? v.x : (d) == 1 ? v.y : v.z)
#define LOCAL_ID(d) ((int)DIMENSION_(threadIdx, d))
#define LOCAL_SIZE(d) ((int)DIMENSION_(blockDim, d))
#define GROUP_ID(d) ((long long)DIMENSION_(blockIdx, d))
#define GLOBAL_ID(d) (GROUP_ID(d) * LOCAL_SIZE(d) + LOCAL_ID(d))
typedef long long int64;
typedef unsigned long long uint64;
typedef unsigned int uint32;
#define BITS_OF_DOUBLE(a) ((uint64)__double_as_longlong(a))
#define DOUBLE_OF_BITS(a) __longlong_as_double((long long)(a))
#define INFINITE __int_as_float(0x7f800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)
`;

/**
 * As `Math.min` and `Math.max`: NaN where either is, and -0 below 0; arguments are names. And a
 * cell of either dtype, for kernels that compute in float64 whatever it is.
 */
const shared = `
#define LEAST(a, b) ((a) < (b) || (a) != (a) ? (a) \\
  : (b) < (a) || (b) != (b) || 1 / (a) > 0 ? (b) : (a))
#define GREATEST(a, b) ((b) < (a) || (a) != (a) ? (a) \\
  : (a) < (b) || (b) != (b) || 1 / (a) < 0 ? (b) : (a))
#define CELL_OF(x, at, is_narrow) ((is_narrow) ? (double)((GLOBAL const float *)(x))[at] \\
  : ((GLOBAL const double *)(x))[at])
#define PUT_CELL(out, at, value, is_narrow) do { \\
    if (is_narrow) ((GLOBAL float *)(out))[at] = (float)(value); \\
    else ((GLOBAL double *)(out))[at] = (value); \\
  } while (0)
`;

export const prologues: Readonly<Record<DriverKind, string>> = {
  opencl: opencl + shared,
  cuda: cuda + shared,
};
