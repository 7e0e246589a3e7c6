// CUDA C's words as C++ for one thread of the host at a time: what kernels see in the emulation.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>
using namespace std;
struct Dim { unsigned x, y, z; };
extern "C" { Dim threadIdx, blockIdx, blockDim, gridDim; void (*emulatedBarrier)(); }
#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __syncthreads() emulatedBarrier()
inline long long __double_as_longlong(double a) { long long b; memcpy(&b, &a, 8); return b; }
inline double __longlong_as_double(long long a) { double b; memcpy(&b, &a, 8); return b; }
inline float __int_as_float(int a) { float b; memcpy(&b, &a, 4); return b; }
template <class T> T atomicAdd(T *at, T value) { T old = *at; *at += value; return old; }
template <class T> T atomicExch(T *at, T value) { T old = *at; *at = value; return old; }
template <class T> T atomicCAS(T *at, T is, T value) { T old = *at; if (old == is) *at = value; return old; }
template <class... A, size_t... I>
void emulatedCall(void (*kernel)(A...), void **p, index_sequence<I...>) { kernel(*(A *)p[I]...); }
template <class... A> void emulatedCall(void (*kernel)(A...), void **p) {
  emulatedCall(kernel, p, index_sequence_for<A...>());
}
template <class... A> int emulatedBytes(void (*)(A...), size_t i) {
  const int bytes[] = { int(sizeof(A))..., 0 };
  return i < sizeof...(A) ? bytes[i] : -1;
}
