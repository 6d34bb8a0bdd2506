//! A `libcuda.so.1` without a card: the driver's calls that Caudal makes, over host memory and kernels run by simt.h.
//!
//! Streams are as lazy as CUDA allows: work waits in its stream until somebody synchronises with it, and copies of host memory
//! read and write then, so that a missing wait gives wrong results. Faults are asked for by the environment:
//! EMULATED_GPU_INIT, _DEVICES, _VERSION, _CAPABILITY, _RETAIN (codes and numbers), _MEMORY (bytes), _BROKEN (a kernel that
//! does nothing), _FAULT (`call:nth:code`, after which every call fails with the code; `call:nth:code:once` fails once).
#include "simt.h"

#include "../caudal.cu"

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

REGISTER(block_moments)
REGISTER(count_below)
REGISTER(count_and_gather)
REGISTER(count_and_normalize)
REGISTER(hash_rows)
REGISTER(tally_rows)
REGISTER(tally_most)
REGISTER(tally_mode)
REGISTER(normalize_rows)
REGISTER(widen_f32)
REGISTER(widen_f64)
REGISTER(pick_rows)

#if defined(__x86_64__)
asm(R"(
.text
.globl simt_switch
.type simt_switch, @function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size simt_switch, . - simt_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl simt_switch
.type simt_switch, @function
simt_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size simt_switch, . - simt_switch
)");
#else
#error "the emulation switches stacks on x86-64 and aarch64"
#endif

namespace simt {

Block* block = nullptr;

std::map<std::string, Binder>& kernels() {
    static std::map<std::string, Binder> all;
    return all;
}

static void fiber() {
    for (;;) {
        (*block->kernel)();
        Block& b = *block;
        b.fibers[b.current].done = true;
        b.alive--;
        b.barrier.expected--;
        Warp& warp = b.warps[b.current / 32];
        warp.barrier.expected--;
        release_if_complete(b.barrier);
        release_if_complete(warp.barrier);
        give_way();
    }
}

// The place of a stack, whose end is given, on which `fiber` begins.
static void* begin_on(char* end) {
    void** top = (void**)((uintptr_t)end & ~(uintptr_t)15);
#if defined(__x86_64__)
    *--top = nullptr;
    *--top = (void*)fiber;
    for (int i = 0; i < 6; i++) *--top = nullptr;
#else
    top -= 20;
    top[11] = (void*)fiber;
#endif
    return top;
}

static void run_block(Block& b) {
    unsigned n = (unsigned)b.fibers.size();
    b.alive = n;
    b.barrier = Barrier{0, 0, n};
    for (unsigned w = 0; w < b.warps.size(); w++) b.warps[w].barrier = Barrier{0, 0, std::min(32u, n - 32 * w)};
    for (auto& f : b.fibers) f.done = false;
    std::fill(b.dynamic.begin(), b.dynamic.end(), (char)0xA5);
    for (unsigned long idle = 0; b.alive > 0; idle++) {
        for (unsigned i = 0; i < n; i++) {
            if (b.fibers[i].done) continue;
            b.current = i;
            simt_switch(&b.scheduler, b.fibers[i].place);
        }
        if (idle > 100000000ul) {
            fprintf(stderr, "emulated GPU: the threads of a block wait for each other\n");
            abort();
        }
    }
}

void run(const Bound& kernel, dim3 grid, dim3 size, size_t dynamic) {
    const size_t stack = 256 * 1024;
    unsigned n = size.x * size.y * size.z;
    // Fibers are kept: making them takes longer than what most blocks do.
    static Block kept;
    Block& b = kept;
    block = &b;
    b.grid = grid;
    b.size = size;
    b.kernel = &kernel;
    b.dynamic.resize(dynamic + 16);
    if (b.fibers.size() != n) {
        b.fibers = std::vector<Fiber>(n);
        b.threads.resize(n);
        b.warps = std::vector<Warp>((n + 31) / 32);
        for (unsigned i = 0; i < n; i++) {
            Fiber& f = b.fibers[i];
            b.threads[i] = dim3{i % size.x, (i / size.x) % size.y, i / (size.x * size.y)};
            f.stack.resize(stack);
            f.place = begin_on(f.stack.data() + stack);
        }
    }
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                b.index = dim3{x, y, z};
                run_block(b);
            }
}

}  // namespace simt

namespace {

typedef int Result;
typedef unsigned long long Pointer;

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, NOT_FOUND = 500 };

// One lock for all: the emulation is not about speed.
std::recursive_mutex lock;
using Guard = std::lock_guard<std::recursive_mutex>;

long setting(const char* name, long otherwise) {
    const char* text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

struct Fault {
    std::string call;
    long nth = 0, code = 0;
    bool once = false;
};

Fault wanted_fault() {
    Fault fault;
    const char* text = getenv("EMULATED_GPU_FAULT");
    if (!text) return fault;
    std::string all = text;
    size_t a = all.find(':'), b = all.find(':', a + 1), c = all.find(':', b + 1);
    if (a == std::string::npos || b == std::string::npos) return fault;
    fault.call = all.substr(0, a);
    fault.nth = atol(all.substr(a + 1, b - a - 1).c_str());
    fault.code = atol(all.substr(b + 1, c - b - 1).c_str());
    fault.once = c != std::string::npos;
    return fault;
}

// What a call answers instead of doing its work; 0 where it does it.
Result faulty(const char* call) {
    static Fault fault = wanted_fault();
    static long seen = 0, sticky = 0;
    if (sticky) return (Result)sticky;
    if (fault.code == 0 || fault.call != call || ++seen != fault.nth) return OK;
    if (!fault.once) sticky = fault.code;
    return (Result)fault.code;
}

#define CALL(name)                                       \
    Guard guard(lock);                                   \
    if (Result fault = faulty(#name); fault != OK) return fault

struct Stream;

struct Event {
    // The stream and the number of the work behind which it was recorded.
    Stream* stream = nullptr;
    unsigned long number = 0;
};

struct Stream {
    std::deque<std::pair<unsigned long, std::function<Result()>>> work;
    unsigned long last = 0;
    Result failed = OK;
    void add(std::function<Result()> one) { work.emplace_back(++last, std::move(one)); }
    Result run_to(unsigned long number) {
        while (!work.empty() && work.front().first <= number) {
            auto one = std::move(work.front().second);
            work.pop_front();
            if (Result result = one(); result != OK) failed = result;
        }
        return failed;
    }
};

Stream& stream_of(void* stream) {
    static Stream legacy;
    return stream ? *(Stream*)stream : legacy;
}

const size_t CANARY = 64;

struct Memory {
    std::map<Pointer, size_t> device;
    long long held = 0;

    Result take(Pointer* out, size_t bytes) {
        long long limit = setting("EMULATED_GPU_MEMORY", 8l << 30);
        if (bytes == 0) return INVALID_VALUE;
        if (held + (long long)bytes > limit) return OUT_OF_MEMORY;
        char* p = (char*)aligned_alloc(256, (bytes + CANARY + 255) / 256 * 256);
        if (!p) return OUT_OF_MEMORY;
        memset(p, 0xCD, bytes);
        memset(p + bytes, 0x5A, CANARY);
        held += (long long)bytes;
        device[(Pointer)p] = bytes;
        *out = (Pointer)p;
        return OK;
    }
    Result give(Pointer p) {
        auto found = device.find(p);
        if (found == device.end()) return INVALID_VALUE;
        for (size_t i = 0; i < CANARY; i++) {
            if (((char*)p)[found->second + i] != 0x5A) {
                fprintf(stderr, "emulated GPU: a kernel wrote behind the end of an allocation\n");
                abort();
            }
        }
        held -= (long long)found->second;
        device.erase(found);
        free((void*)p);
        return OK;
    }
    bool holds(Pointer p, size_t bytes) const {
        auto after = device.upper_bound(p);
        if (after == device.begin()) return false;
        auto found = std::prev(after);
        return p + bytes <= found->first + found->second;
    }
} memory;

struct Function {
    std::string name;
    simt::Binder binder;
};

}  // namespace

extern "C" {

Result cuInit(unsigned) {
    CALL(cuInit);
    return (Result)setting("EMULATED_GPU_INIT", OK);
}
Result cuDriverGetVersion(int* version) {
    CALL(cuDriverGetVersion);
    *version = (int)setting("EMULATED_GPU_VERSION", 12090);
    return OK;
}
Result cuDeviceGetCount(int* count) {
    CALL(cuDeviceGetCount);
    *count = (int)setting("EMULATED_GPU_DEVICES", 1);
    return OK;
}
Result cuDeviceGet(int* device, int ordinal) {
    CALL(cuDeviceGet);
    if (ordinal >= setting("EMULATED_GPU_DEVICES", 1)) return INVALID_DEVICE;
    *device = ordinal;
    return OK;
}
Result cuDeviceGetName(char* name, int length, int) {
    CALL(cuDeviceGetName);
    snprintf(name, (size_t)length, "Emulated GPU (no card)");
    return OK;
}
Result cuDeviceGetAttribute(int* value, int attribute, int) {
    CALL(cuDeviceGetAttribute);
    long capability = setting("EMULATED_GPU_CAPABILITY", 90);
    switch (attribute) {
        case 16: *value = 4; break;
        case 75: *value = (int)(capability / 10); break;
        case 76: *value = (int)(capability % 10); break;
        case 115: *value = 1; break;
        default: return INVALID_VALUE;
    }
    return OK;
}
Result cuDeviceTotalMem_v2(size_t* bytes, int) {
    CALL(cuDeviceTotalMem_v2);
    *bytes = (size_t)setting("EMULATED_GPU_MEMORY", 8l << 30);
    return OK;
}
Result cuDevicePrimaryCtxRetain(void** context, int) {
    CALL(cuDevicePrimaryCtxRetain);
    *context = (void*)1;
    return (Result)setting("EMULATED_GPU_RETAIN", OK);
}
Result cuDevicePrimaryCtxRelease_v2(int) {
    CALL(cuDevicePrimaryCtxRelease_v2);
    return OK;
}
Result cuCtxSetCurrent(void*) {
    CALL(cuCtxSetCurrent);
    return OK;
}
Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    CALL(cuMemGetInfo_v2);
    *total = (size_t)setting("EMULATED_GPU_MEMORY", 8l << 30);
    *free = *total - (size_t)memory.held;
    return OK;
}
Result cuDeviceGetDefaultMemPool(void** pool, int) {
    CALL(cuDeviceGetDefaultMemPool);
    *pool = (void*)2;
    return OK;
}
Result cuMemPoolSetAttribute(void*, int attribute, void*) {
    CALL(cuMemPoolSetAttribute);
    return attribute == 4 ? OK : INVALID_VALUE;
}
Result cuStreamCreate(void** stream, unsigned flags) {
    CALL(cuStreamCreate);
    if (flags != 1) return INVALID_VALUE;
    *stream = new Stream;
    return OK;
}
Result cuStreamDestroy_v2(void* stream) {
    Guard guard(lock);
    stream_of(stream).run_to(~0ul);
    delete (Stream*)stream;
    return faulty("cuStreamDestroy_v2");
}
Result cuStreamSynchronize(void* stream) {
    CALL(cuStreamSynchronize);
    return stream_of(stream).run_to(~0ul);
}
Result cuStreamWaitEvent(void* stream, void* event, unsigned) {
    CALL(cuStreamWaitEvent);
    Event recorded = *(Event*)event;
    if (recorded.stream == nullptr) return OK;
    stream_of(stream).add([recorded] { return recorded.stream->run_to(recorded.number); });
    return OK;
}
Result cuEventCreate(void** event, unsigned) {
    CALL(cuEventCreate);
    *event = new Event;
    return OK;
}
Result cuEventDestroy_v2(void* event) {
    Guard guard(lock);
    Event* e = (Event*)event;
    if (e->stream) e->stream->run_to(e->number);
    delete e;
    return faulty("cuEventDestroy_v2");
}
Result cuEventRecord(void* event, void* stream) {
    CALL(cuEventRecord);
    Event* e = (Event*)event;
    Stream& s = stream_of(stream);
    s.add([] { return OK; });
    e->stream = &s;
    e->number = s.last;
    return OK;
}
Result cuEventSynchronize(void* event) {
    CALL(cuEventSynchronize);
    Event* e = (Event*)event;
    return e->stream ? e->stream->run_to(e->number) : OK;
}
Result cuMemAllocAsync(Pointer* out, size_t bytes, void*) {
    CALL(cuMemAllocAsync);
    return memory.take(out, bytes);
}
Result cuMemFreeAsync(Pointer p, void* stream) {
    CALL(cuMemFreeAsync);
    stream_of(stream).add([p] { return memory.give(p); });
    // Nobody need synchronise for memory to come back: what lies before it in the stream runs now.
    return stream_of(stream).run_to(~0ul);
}
Result cuMemHostAlloc(void** out, size_t bytes, unsigned) {
    CALL(cuMemHostAlloc);
    *out = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    return *out ? OK : OUT_OF_MEMORY;
}
Result cuMemFreeHost(void* p) {
    CALL(cuMemFreeHost);
    free(p);
    return OK;
}
Result cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, void* stream) {
    CALL(cuMemcpyHtoDAsync_v2);
    if (!memory.holds(to, bytes)) return INVALID_VALUE;
    stream_of(stream).add([=] {
        memcpy((void*)to, from, bytes);
        return OK;
    });
    return OK;
}
Result cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, void* stream) {
    CALL(cuMemcpyDtoHAsync_v2);
    if (!memory.holds(from, bytes)) return INVALID_VALUE;
    stream_of(stream).add([=] {
        memcpy(to, (const void*)from, bytes);
        return OK;
    });
    return OK;
}
Result cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void* stream) {
    CALL(cuMemsetD8Async);
    if (!memory.holds(to, bytes)) return INVALID_VALUE;
    stream_of(stream).add([=] {
        memset((void*)to, value, bytes);
        return OK;
    });
    return OK;
}
// The image must be a program for NVIDIA's cards: an ELF file of machine 190, or PTX.
Result cuModuleLoadData(void** module, const void* image) {
    CALL(cuModuleLoadData);
    const unsigned char* bytes = (const unsigned char*)image;
    bool cubin = memcmp(bytes, "\x7f" "ELF", 4) == 0 && bytes[18] == 190 && bytes[19] == 0;
    bool ptx = memcmp(bytes, "//", 2) == 0 || bytes[0] == '\n' || bytes[0] == '.';
    if (!cubin && !ptx) return 200;
    *module = (void*)3;
    return OK;
}
Result cuModuleUnload(void*) {
    CALL(cuModuleUnload);
    return OK;
}
Result cuModuleGetFunction(void** function, void*, const char* name) {
    CALL(cuModuleGetFunction);
    auto found = simt::kernels().find(name);
    if (found == simt::kernels().end()) return NOT_FOUND;
    *function = new Function{name, found->second};
    return OK;
}
Result cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned dynamic, void* stream, void** arguments, void**) {
    CALL(cuLaunchKernel);
    Function* f = (Function*)function;
    if (gx * gy * gz == 0 || bx * by * bz > 1024 || dynamic > 48 * 1024) return INVALID_VALUE;
    const char* broken = getenv("EMULATED_GPU_BROKEN");
    if (broken && f->name == broken) return OK;
    simt::Bound kernel = f->binder(arguments);
    dim3 grid{gx, gy, gz}, size{bx, by, bz};
    stream_of(stream).add([=] {
        simt::run(kernel, grid, size, dynamic);
        return OK;
    });
    return OK;
}
Result cuGetErrorName(int code, const char** name) {
    switch (code) {
        case INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
        case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
        case 46: *name = "CUDA_ERROR_DEVICE_UNAVAILABLE"; break;
        case NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
        case 700: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
        case 719: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
        case 803: *name = "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"; break;
        default: return INVALID_VALUE;
    }
    return OK;
}
}
