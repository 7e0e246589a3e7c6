// What the CUDA driver of gpu-executor/device/cuda is run against where there is no NVIDIA GPU:
// the calls of libcuda and libnvrtc that it uses, by cuda.h's prototypes, over memory of this
// process. A "device" runs kernels as C++ made by g++ from the same CUDA C, threads of a block as
// fibres. Streams are threads, so work is as asynchronous as on a GPU. It checks what CUDA checks:
// a current context, known handles, addresses within allocations, sticky failures. Freed memory is
// overwritten, so that whoever reads it shows.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

typedef int Status;
typedef uint64_t Handle;

namespace {

enum { INVALID_VALUE = 1, NO_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_DEVICE = 101,
       INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600,
       ILLEGAL_ADDRESS = 700 };

const int DEVICES = 2;
std::recursive_mutex lock;
typedef std::lock_guard<std::recursive_mutex> Guard;
bool initialized = false;
int retained[DEVICES];
size_t memoryBytes = 256u << 20, heldBytes = 0;
Status sticky = 0;
std::map<std::string, Status> faults;
std::map<uint64_t, size_t> allocations, pinned;
thread_local Handle current = 0;

struct Event { bool recorded = false, done = true; };
typedef std::shared_ptr<Event> EventState;
std::condition_variable_any eventEnded;
std::map<Handle, EventState> events;

struct Stream {
  std::deque<std::function<void()>> work;
  bool busy = false, closed = false;
  std::condition_variable_any changed;
  std::thread thread;
  Stream() : thread([this] { run(); }) {}
  void run() {
    std::unique_lock<std::recursive_mutex> held(lock);
    for (;;) {
      changed.wait(held, [this] { return closed || !work.empty(); });
      if (work.empty()) return;
      auto next = std::move(work.front());
      work.pop_front();
      busy = true;
      held.unlock();
      next();
      held.lock();
      busy = false;
      changed.notify_all();
    }
  }
  void add(std::function<void()> task) { work.push_back(std::move(task)); changed.notify_all(); }
  void drain(std::unique_lock<std::recursive_mutex> &held) {
    changed.wait(held, [this] { return work.empty() && !busy; });
  }
};
// Never destroyed: a process that ends leaves its threads as they are.
auto &streams = *new std::map<Handle, std::unique_ptr<Stream>>();

struct Kernel {
  void (*call)(void **);
  int (*parameterBytes)(size_t);
  bool hasBarrier;
  struct Dim *threadIdx, *blockIdx, *blockDim, *gridDim;
  void (**barrier)();
};
struct Dim { unsigned x, y, z; };
std::map<Handle, void *> modules;
std::map<Handle, Kernel> kernels;
Handle lastHandle = 0x1000;

Status fault(const char *name) {
  auto found = faults.find(name);
  if (found == faults.end()) return sticky;
  Status status = found->second;
  faults.erase(found);
  if (status >= ILLEGAL_ADDRESS && status < 800) sticky = status;
  return status;
}

// Every call: initialised, a current context where one is needed, no failure planted or left over.
#define BEGIN(needsContext)                                          \
  std::unique_lock<std::recursive_mutex> held(lock);                 \
  if (!initialized) return NOT_INITIALIZED;                          \
  if (Status planted = fault(__func__)) return planted;              \
  if (needsContext && current == 0) return INVALID_CONTEXT;

bool within(const std::map<uint64_t, size_t> &ranges, uint64_t from, size_t bytes) {
  auto next = ranges.upper_bound(from);
  if (next == ranges.begin()) return false;
  auto range = std::prev(next);
  return from + bytes <= range->first + range->second;
}

// A copy is queued, and checked when it runs; without page-locked memory the host waits for it.
Status copy(Handle stream, void *to, const void *from, size_t bytes, bool isPinned,
            std::unique_lock<std::recursive_mutex> &held) {
  if (!streams.count(stream)) return INVALID_HANDLE;
  streams[stream]->add([=] { memcpy(to, from, bytes); });
  if (!isPinned) streams[stream]->drain(held);
  return 0;
}

struct Blas { Handle stream = 0; bool isPedantic = false; };
std::map<Handle, Blas> blases;

template <class T>
Status multiply(Handle handle, int opA, int opB, int m, int n, int k, T alpha, const T *a, int lda, long long stepA,
                const T *b, int ldb, long long stepB, T beta, T *c, int ldc, long long stepC, int count,
                bool needsPedantic = true) {
  Blas blas = blases[handle];
  bool fits = lda >= std::max(1, opA ? k : m) && ldb >= std::max(1, opB ? n : k) && ldc >= std::max(1, m);
  if ((needsPedantic && !blas.isPedantic) || !streams.count(blas.stream) || !fits || m < 0 || n < 0 || k < 0) return 7;
  streams[blas.stream]->add([=] {
    for (int model = 0; model < count; model++)
      for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
          const T *ofA = a + model * stepA, *ofB = b + model * stepB;
          T sum = 0;
          for (int l = 0; l < k; l++) sum += (opA ? ofA[l + i * lda] : ofA[i + l * lda]) * (opB ? ofB[j + l * ldb] : ofB[l + j * ldb]);
          T &cell = c[model * stepC + i + (long long)j * ldc];
          cell = alpha * sum + (beta == 0 ? 0 : beta * cell);
        }
  });
  return 0;
}

std::map<Handle, Handle> solvers;

// The factor of a symmetric matrix, column-major, in its upper triangle; 1 + the bad pivot's place.
int factored(double *a, int n, int lda) {
  for (int j = 0; j < n; j++)
    for (int i = 0; i <= j; i++) {
      double sum = a[i + (long long)j * lda];
      for (int k = 0; k < i; k++) sum -= a[k + (long long)i * lda] * a[k + (long long)j * lda];
      if (i == j && !(sum > 0)) return j + 1;
      a[i + (long long)j * lda] = i == j ? std::sqrt(sum) : sum / a[i + (long long)i * lda];
    }
  return 0;
}

template <class T>
Status one(Handle handle, int opA, int opB, int m, int n, int k, const T *alpha, const T *a, int lda, const T *b,
           int ldb, const T *beta, T *c, int ldc) {
  return multiply(handle, opA, opB, m, n, k, *alpha, a, lda, 0LL, b, ldb, 0LL, *beta, c, ldc, 0LL, 1, false);
}

// Fibres of one block; one kernel runs at a time, as its shared memory is static.
std::mutex oneKernel;
const size_t STACK_BYTES = 64 * 1024;
ucontext_t scheduler;
std::vector<ucontext_t> fibres;
std::vector<std::vector<char>> stacks;
std::vector<bool> ended;
size_t fibre;
const Kernel *running;
void **runningArguments;

void barrier() { swapcontext(&fibres[fibre], &scheduler); }
void body() { running->call(runningArguments); ended[fibre] = true; }

Dim unrolled(size_t index, Dim size) {
  return { unsigned(index % size.x), unsigned(index / size.x % size.y),
           unsigned(index / size.x / size.y) };
}

void runBlock(const Kernel &kernel, void **arguments, size_t threads, Dim block) {
  if (!kernel.hasBarrier) {
    for (size_t i = 0; i < threads; i++) {
      *kernel.threadIdx = unrolled(i, block);
      kernel.call(arguments);
    }
    return;
  }
  running = &kernel;
  runningArguments = arguments;
  fibres.resize(threads);
  ended.assign(threads, false);
  while (stacks.size() < threads) stacks.emplace_back(STACK_BYTES);
  for (size_t i = 0; i < threads; i++) {
    getcontext(&fibres[i]);
    fibres[i].uc_stack.ss_sp = stacks[i].data();
    fibres[i].uc_stack.ss_size = STACK_BYTES;
    fibres[i].uc_link = &scheduler;
    makecontext(&fibres[i], body, 0);
  }
  for (size_t left = threads; left > 0;) {
    left = 0;
    for (fibre = 0; fibre < threads; fibre++) {
      if (ended[fibre]) continue;
      *kernel.threadIdx = unrolled(fibre, block);
      swapcontext(&scheduler, &fibres[fibre]);
      if (!ended[fibre]) left++;
    }
  }
}

void runKernel(const Kernel &kernel, std::vector<std::vector<char>> values, Dim grid, Dim block) {
  std::lock_guard<std::mutex> one(oneKernel);
  std::vector<void *> arguments;
  for (auto &value : values) arguments.push_back(value.data());
  *kernel.gridDim = grid;
  *kernel.blockDim = block;
  *kernel.barrier = barrier;
  for (size_t i = 0; i < size_t(grid.x) * grid.y * grid.z; i++) {
    *kernel.blockIdx = unrolled(i, grid);
    runBlock(kernel, arguments.data(), size_t(block.x) * block.y * block.z, block);
  }
}

struct Program { std::string source, log, library; };
std::map<Handle, Program> programs;

// Where this library lies, for what it compiles.
std::string folder() {
  Dl_info self;
  dladdr((void *)folder, &self);
  std::string path = self.dli_fname;
  return path.substr(0, path.rfind('/'));
}

} // namespace

extern "C" {

// For tests: the next call of a name fails; what is held that a closed device should have given up.
void emulatedFault(const char *name, int status) { Guard held(lock); faults[name] = status; }
void emulatedReset(size_t bytes) { Guard held(lock); sticky = 0; faults.clear(); memoryBytes = bytes; }
int emulatedHeld() {
  Guard held(lock);
  return int(allocations.size() + pinned.size() + events.size() + streams.size() + modules.size() + blases.size() + solvers.size())
    + retained[0] + retained[1];
}

Status cuInit(unsigned) {
  Guard held(lock);
  auto planted = fault("cuInit");
  if (planted == 0) initialized = true;
  return planted;
}
Status cuDriverGetVersion(int *version) { *version = 12040; return 0; }
Status cuDeviceGetCount(int *count) { BEGIN(false) *count = DEVICES; return 0; }
Status cuDeviceGet(int *device, int ordinal) {
  BEGIN(false)
  if (ordinal < 0 || ordinal >= DEVICES) return INVALID_DEVICE;
  *device = ordinal;
  return 0;
}
Status cuDeviceGetName(char *name, int length, int) {
  BEGIN(false)
  strncpy(name, "Emulated GPU", length);
  return 0;
}
Status cuDeviceTotalMem_v2(size_t *bytes, int) { BEGIN(false) *bytes = memoryBytes; return 0; }
Status cuDeviceGetAttribute(int *value, int attribute, int) {
  BEGIN(false)
  const std::map<int, int> known = { {1, 1024}, {8, 49152}, {16, 4}, {18, 0}, {75, 9}, {76, 0} };
  auto found = known.find(attribute);
  if (found == known.end()) return INVALID_VALUE;
  *value = found->second;
  return 0;
}
Status cuDevicePrimaryCtxRetain(Handle *context, int device) {
  BEGIN(false)
  retained[device]++;
  *context = 0x100 + device;
  return 0;
}
Status cuDevicePrimaryCtxRelease_v2(int device) { BEGIN(false) retained[device]--; return 0; }
Status cuCtxSetCurrent(Handle context) { BEGIN(false) current = context; return 0; }

Status cuMemAlloc_v2(Handle *address, size_t bytes) {
  BEGIN(true)
  if (bytes == 0) return INVALID_VALUE;
  if (heldBytes + bytes > memoryBytes) return NO_MEMORY;
  *address = Handle(malloc(bytes));
  memset((void *)*address, 0xEE, bytes);
  allocations[*address] = bytes;
  heldBytes += bytes;
  return 0;
}
Status cuMemFree_v2(Handle address) {
  BEGIN(true)
  auto found = allocations.find(address);
  if (found == allocations.end()) return INVALID_VALUE;
  memset((void *)address, 0xEE, found->second);
  heldBytes -= found->second;
  allocations.erase(found);
  free((void *)address);
  return 0;
}
Status cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  BEGIN(true)
  *address = malloc(bytes);
  pinned[Handle(*address)] = bytes;
  return 0;
}
Status cuMemFreeHost(void *address) {
  BEGIN(true)
  if (!pinned.erase(Handle(address))) return INVALID_VALUE;
  free(address);
  return 0;
}
Status cuMemcpyHtoDAsync_v2(Handle to, const void *from, size_t bytes, Handle stream) {
  BEGIN(true)
  if (!within(allocations, to, bytes)) return sticky = ILLEGAL_ADDRESS;
  return copy(stream, (void *)to, from, bytes, within(pinned, Handle(from), bytes), held);
}
Status cuMemcpyDtoHAsync_v2(void *to, Handle from, size_t bytes, Handle stream) {
  BEGIN(true)
  if (!within(allocations, from, bytes)) return sticky = ILLEGAL_ADDRESS;
  return copy(stream, to, (void *)from, bytes, within(pinned, Handle(to), bytes), held);
}
Status cuMemcpyDtoDAsync_v2(Handle to, Handle from, size_t bytes, Handle stream) {
  BEGIN(true)
  if (!within(allocations, to, bytes) || !within(allocations, from, bytes)) return sticky = ILLEGAL_ADDRESS;
  return copy(stream, (void *)to, (void *)from, bytes, true, held);
}
Status cuMemcpyPeerAsync(Handle to, Handle toContext, Handle from, Handle fromContext, size_t bytes, Handle stream) {
  BEGIN(true)
  for (Handle context : { toContext, fromContext })
    if (context < 0x100 || context >= 0x100 + DEVICES || retained[context - 0x100] == 0) return INVALID_CONTEXT;
  if (toContext != current) return INVALID_CONTEXT;
  if (!within(allocations, to, bytes) || !within(allocations, from, bytes)) return sticky = ILLEGAL_ADDRESS;
  return copy(stream, (void *)to, (void *)from, bytes, true, held);
}

Status cuStreamCreate(Handle *stream, unsigned) {
  BEGIN(true)
  *stream = ++lastHandle;
  streams[*stream] = std::unique_ptr<Stream>(new Stream());
  return 0;
}
Status cuStreamSynchronize(Handle stream) {
  BEGIN(true)
  if (!streams.count(stream)) return INVALID_HANDLE;
  streams[stream]->drain(held);
  return 0;
}
Status cuStreamWaitEvent(Handle stream, Handle event, unsigned) {
  BEGIN(true)
  if (!streams.count(stream) || !events.count(event)) return INVALID_HANDLE;
  EventState state = events[event];
  streams[stream]->add([state] {
    std::unique_lock<std::recursive_mutex> held(lock);
    eventEnded.wait(held, [&] { return state->done; });
  });
  return 0;
}
Status cuStreamDestroy_v2(Handle stream) {
  BEGIN(true)
  auto found = streams.find(stream);
  if (found == streams.end()) return INVALID_HANDLE;
  std::unique_ptr<Stream> gone = std::move(found->second);
  streams.erase(found);
  gone->closed = true;
  gone->changed.notify_all();
  held.unlock();
  gone->thread.join();
  return 0;
}
Status cuEventCreate(Handle *event, unsigned) {
  BEGIN(true)
  *event = ++lastHandle;
  events[*event] = std::make_shared<Event>();
  return 0;
}
Status cuEventRecord(Handle event, Handle stream) {
  BEGIN(true)
  if (!streams.count(stream) || !events.count(event)) return INVALID_HANDLE;
  // Whoever waits for what was recorded before goes on waiting for that.
  EventState state = events[event] = std::make_shared<Event>();
  state->recorded = true;
  state->done = false;
  streams[stream]->add([state] { Guard held(lock); state->done = true; eventEnded.notify_all(); });
  return 0;
}
Status cuEventQuery(Handle event) {
  BEGIN(true)
  if (!events.count(event)) return INVALID_HANDLE;
  return events[event]->done ? 0 : NOT_READY;
}
Status cuEventDestroy_v2(Handle event) { BEGIN(true) return events.erase(event) ? 0 : INVALID_HANDLE; }

Status cuModuleLoadData(Handle *module, const void *image) {
  BEGIN(true)
  void *library = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return 200;
  *module = ++lastHandle;
  modules[*module] = library;
  return 0;
}
Status cuModuleGetFunction(Handle *function, Handle module, const char *name) {
  BEGIN(true)
  if (!modules.count(module)) return INVALID_HANDLE;
  void *library = modules[module];
  auto of = [&](const std::string &symbol) { return dlsym(library, symbol.c_str()); };
  Kernel kernel;
  kernel.call = (void (*)(void **))of(std::string("emulatedCall_") + name);
  if (kernel.call == nullptr) return NOT_FOUND;
  kernel.parameterBytes = (int (*)(size_t))of(std::string("emulatedBytes_") + name);
  kernel.hasBarrier = *(const bool *)of("emulatedHasBarrier");
  kernel.threadIdx = (Dim *)of("threadIdx");
  kernel.blockIdx = (Dim *)of("blockIdx");
  kernel.blockDim = (Dim *)of("blockDim");
  kernel.gridDim = (Dim *)of("gridDim");
  kernel.barrier = (void (**)())of("emulatedBarrier");
  *function = ++lastHandle;
  kernels[*function] = kernel;
  return 0;
}
Status cuModuleUnload(Handle module) { BEGIN(true) return modules.erase(module) ? 0 : INVALID_HANDLE; }
Status cuFuncGetParamInfo(Handle function, size_t index, size_t *offset, size_t *bytes) {
  BEGIN(true)
  int found = kernels[function].parameterBytes(index);
  if (found < 0) return INVALID_VALUE;
  *offset = 0;
  *bytes = found;
  return 0;
}
Status cuLaunchKernel(Handle function, unsigned gridX, unsigned gridY, unsigned gridZ,
                      unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                      Handle stream, void **parameters, void **extra) {
  BEGIN(true)
  if (!kernels.count(function) || !streams.count(stream)) return INVALID_HANDLE;
  size_t threads = size_t(blockX) * blockY * blockZ;
  if (threads == 0 || threads > 1024 || gridX * gridY * gridZ == 0 || sharedBytes || extra) return INVALID_VALUE;
  const Kernel &kernel = kernels[function];
  std::vector<std::vector<char>> values;
  for (size_t i = 0; kernel.parameterBytes(i) >= 0; i++) {
    const char *at = (const char *)parameters[i];
    values.emplace_back(at, at + kernel.parameterBytes(i));
  }
  streams[stream]->add([=] {
    runKernel(kernel, values, { gridX, gridY, gridZ }, { blockX, blockY, blockZ });
  });
  return 0;
}

// cuBLAS, in as far as it multiplies; column-major, by the letter of its documentation.
Status cublasCreate_v2(Handle *handle) {
  BEGIN(true)
  *handle = ++lastHandle;
  blases[*handle] = Blas();
  return 0;
}
Status cublasDestroy_v2(Handle handle) { BEGIN(true) return blases.erase(handle) ? 0 : 1; }
Status cublasSetStream_v2(Handle handle, Handle stream) {
  BEGIN(true)
  if (!blases.count(handle) || !streams.count(stream)) return 1;
  blases[handle].stream = stream;
  return 0;
}
Status cublasSetMathMode(Handle handle, int mode) {
  BEGIN(true)
  if (!blases.count(handle)) return 1;
  blases[handle].isPedantic = mode == 2;
  return 0;
}
Status cublasSgemmStridedBatched(Handle handle, int opA, int opB, int m, int n, int k, const float *alpha,
                                 const float *a, int lda, long long stepA, const float *b, int ldb,
                                 long long stepB, const float *beta, float *c, int ldc, long long stepC, int count) {
  BEGIN(true)
  return multiply(handle, opA, opB, m, n, k, *alpha, a, lda, stepA, b, ldb, stepB, *beta, c, ldc, stepC, count);
}
Status cublasDgemmStridedBatched(Handle handle, int opA, int opB, int m, int n, int k, const double *alpha,
                                 const double *a, int lda, long long stepA, const double *b, int ldb,
                                 long long stepB, const double *beta, double *c, int ldc, long long stepC, int count) {
  BEGIN(true)
  return multiply(handle, opA, opB, m, n, k, *alpha, a, lda, stepA, b, ldb, stepB, *beta, c, ldc, stepC, count);
}

// cuSOLVER, in as far as it factors and solves; column-major.
Status cusolverDnCreate(Handle *handle) {
  BEGIN(true)
  *handle = ++lastHandle;
  solvers[*handle] = 0;
  return 0;
}
Status cusolverDnDestroy(Handle handle) { BEGIN(true) return solvers.erase(handle) ? 0 : 1; }
Status cusolverDnSetStream(Handle handle, Handle stream) {
  BEGIN(true)
  if (!solvers.count(handle) || !streams.count(stream)) return 1;
  solvers[handle] = stream;
  return 0;
}
Status cusolverDnDpotrf_bufferSize(Handle handle, int triangle, int n, double *, int lda, int *cells) {
  BEGIN(true)
  if (!solvers.count(handle) || triangle != 1 || lda < n) return 3;
  *cells = 32 * n;
  return 0;
}
Status cusolverDnDpotrf(Handle handle, int triangle, int n, double *a, int lda, double *work, int cells, int *info) {
  BEGIN(true)
  if (!solvers.count(handle) || triangle != 1 || lda < n || cells < 32 * n) return 3;
  if (!within(allocations, Handle(a), 8ull * n * lda) || !within(allocations, Handle(work), 8ull * cells)) return sticky = ILLEGAL_ADDRESS;
  if (!within(allocations, Handle(info), 4)) return sticky = ILLEGAL_ADDRESS;
  streams[solvers[handle]]->add([=] { memset(work, 0xEE, 8ull * cells); *info = factored(a, n, lda); });
  return 0;
}
Status cusolverDnDpotrs(Handle handle, int triangle, int n, int cols, const double *a, int lda, double *b, int ldb, int *info) {
  BEGIN(true)
  if (!solvers.count(handle) || triangle != 1 || lda < n || ldb < n || cols < 0) return 3;
  if (!within(allocations, Handle(b), 8ull * cols * ldb) || !within(allocations, Handle(info), 4)) return sticky = ILLEGAL_ADDRESS;
  streams[solvers[handle]]->add([=] {
    for (int c = 0; c < cols; c++) {
      double *x = b + (long long)c * ldb;
      for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) x[i] -= a[k + (long long)i * lda] * x[k];
        x[i] /= a[i + (long long)i * lda];
      }
      for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++) x[i] -= a[i + (long long)k * lda] * x[k];
        x[i] /= a[i + (long long)i * lda];
      }
    }
    *info = 0;
  });
  return 0;
}

// What `bench -- device-products` calls, in any mode.
Status cublasSgemm_v2(Handle handle, int opA, int opB, int m, int n, int k, const float *alpha, const float *a, int lda,
                      const float *b, int ldb, const float *beta, float *c, int ldc) {
  BEGIN(true)
  return one(handle, opA, opB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
Status cublasDgemm_v2(Handle handle, int opA, int opB, int m, int n, int k, const double *alpha, const double *a, int lda,
                      const double *b, int ldb, const double *beta, double *c, int ldc) {
  BEGIN(true)
  return one(handle, opA, opB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
Status cublasSsyrk_v2(Handle handle, int, int op, int n, int k, const float *alpha, const float *a, int lda,
                      const float *beta, float *c, int ldc) {
  BEGIN(true)
  return one(handle, op, !op, n, n, k, alpha, a, lda, a, lda, beta, c, ldc);
}
Status cublasDsyrk_v2(Handle handle, int, int op, int n, int k, const double *alpha, const double *a, int lda,
                      const double *beta, double *c, int ldc) {
  BEGIN(true)
  return one(handle, op, !op, n, n, k, alpha, a, lda, a, lda, beta, c, ldc);
}

Status nvrtcVersion(int *major, int *minor) {
  *major = 12;
  *minor = 4;
  return fault(__func__);
}
Status nvrtcGetNumSupportedArchs(int *count) { *count = 2; return 0; }
Status nvrtcGetSupportedArchs(int *found) { found[0] = 80; found[1] = 90; return 0; }
Status nvrtcCreateProgram(Handle *program, const char *source, const char *, int headers,
                          const char *const *, const char *const *) {
  Guard held(lock);
  if (headers != 0) return 3;
  *program = ++lastHandle;
  programs[*program].source = source;
  return 0;
}
Status nvrtcCompileProgram(Handle handle, int count, const char *const *options) {
  Guard held(lock);
  if (count != 2 || strcmp(options[0], "--gpu-architecture=sm_90") || strcmp(options[1], "--fmad=false")) return 5;
  Program &program = programs[handle];
  std::string stem = folder() + "/k" + std::to_string(getpid()) + "-" + std::to_string(handle);
  std::ofstream file(stem + ".cpp");
  file << "#include \"cuda-language.hpp\"\n" << program.source;
  const std::string declaration = "KERNEL void ";
  for (size_t at = 0; (at = program.source.find(declaration, at)) != std::string::npos;) {
    at += declaration.size();
    std::string name = program.source.substr(at, program.source.find('(', at) - at);
    file << "\nextern \"C\" void emulatedCall_" << name << "(void **p) { emulatedCall(::" << name << ", p); }"
         << "\nextern \"C\" int emulatedBytes_" << name << "(size_t i) { return emulatedBytes(::" << name << ", i); }";
  }
  const auto has = [&](const char *word) { return program.source.find(word) != std::string::npos; };
  const bool hasBarrier = has("BARRIER();") || has("BARRIER_ALL();");
  file << "\nextern \"C\" const bool emulatedHasBarrier = " << hasBarrier << ";\n";
  file.close();
  program.library = stem + ".so";
  std::string command = "g++ -w -O1 -ffp-contract=off -fPIC -shared -I " + folder() + " -o " + program.library + " " + stem + ".cpp 2> " + stem + ".log";
  int failed = system(command.c_str());
  std::stringstream log;
  log << std::ifstream(stem + ".log").rdbuf();
  program.log = log.str();
  return failed ? 6 : 0;
}
Status nvrtcGetCUBINSize(Handle program, size_t *bytes) { Guard held(lock); *bytes = programs[program].library.size() + 1; return 0; }
Status nvrtcGetCUBIN(Handle program, char *into) { Guard held(lock); strcpy(into, programs[program].library.c_str()); return 0; }
Status nvrtcGetPTXSize(Handle, size_t *) { return 5; }
Status nvrtcGetPTX(Handle, char *) { return 5; }
Status nvrtcGetProgramLogSize(Handle program, size_t *bytes) { Guard held(lock); *bytes = programs[program].log.size() + 1; return 0; }
Status nvrtcGetProgramLog(Handle program, char *into) { Guard held(lock); strcpy(into, programs[program].log.c_str()); return 0; }
Status nvrtcDestroyProgram(Handle *program) { Guard held(lock); return programs.erase(*program) ? 0 : 4; }

} // extern "C"
