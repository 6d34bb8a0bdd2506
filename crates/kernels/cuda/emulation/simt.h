//! CUDA's threads on a processor: compiles the same kernels with g++, one fiber for each thread of a thread block.
//!
//! Blocks run one after the other; a fiber runs until it waits for others, so that a missing barrier shows. It covers neither
//! races between blocks nor what a real driver does.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(type, name) type* name = (type*)simt::block->dynamic.data()

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

namespace simt {

// Saves the registers that a function must keep and its stack's place, and goes on where another stack was left.
extern "C" void simt_switch(void** left, void* entered);

struct Fiber {
    void* place = nullptr;
    bool done = false;
    std::vector<char> stack;
};

// Who waits for whom: all threads of a block, or the lanes of a warp.
struct Barrier {
    unsigned waiting = 0, turn = 0, expected = 0;
};

struct Warp {
    Barrier barrier;
    alignas(16) char words[32][16];
    bool votes[32];
};

struct Block {
    dim3 grid, size, index;
    std::vector<Fiber> fibers;
    std::vector<dim3> threads;
    std::vector<Warp> warps;
    std::vector<char> dynamic;
    Barrier barrier;
    void* scheduler = nullptr;
    unsigned current = 0, alive = 0;
    const std::function<void()>* kernel = nullptr;
};

extern Block* block;

inline void release_if_complete(Barrier& barrier) {
    if (barrier.waiting > 0 && barrier.waiting == barrier.expected) {
        barrier.waiting = 0;
        barrier.turn++;
    }
}

inline void give_way() { simt_switch(&block->fibers[block->current].place, block->scheduler); }

inline void wait(Barrier& barrier) {
    unsigned turn = barrier.turn;
    barrier.waiting++;
    release_if_complete(barrier);
    while (barrier.turn == turn) give_way();
}

inline void syncthreads() { wait(block->barrier); }

template <class T, class From>
T shuffle(T value, From from) {
    static_assert(sizeof(T) <= 16, "what is shuffled fits into two words");
    unsigned lane = block->current % 32;
    Warp& warp = block->warps[block->current / 32];
    memcpy(warp.words[lane], &value, sizeof(T));
    wait(warp.barrier);
    int source = from((int)lane);
    T result = value;
    if (source >= 0 && source < 32) memcpy(&result, warp.words[source], sizeof(T));
    wait(warp.barrier);
    return result;
}

inline unsigned ballot(bool vote) {
    unsigned lane = block->current % 32;
    Warp& warp = block->warps[block->current / 32];
    warp.votes[lane] = vote;
    wait(warp.barrier);
    unsigned result = 0;
    for (unsigned i = 0; i < 32; i++) result |= (unsigned)(warp.votes[i]) << i;
    wait(warp.barrier);
    return result;
}

// A kernel with its arguments, which are copied at the launch as the driver does.
using Bound = std::function<void()>;
using Binder = Bound (*)(void**);
std::map<std::string, Binder>& kernels();

template <auto Kernel>
struct Binding;
template <class... A, void (*Kernel)(A...)>
struct Binding<Kernel> {
    template <size_t... I>
    static Bound bind(void** arguments, std::index_sequence<I...>) {
        auto copied = std::make_tuple(*(std::remove_cv_t<A>*)arguments[I]...);
        return [copied] { std::apply(Kernel, copied); };
    }
    static Bound of(void** arguments) { return bind(arguments, std::index_sequence_for<A...>{}); }
};

void run(const Bound& kernel, dim3 grid, dim3 size, size_t dynamic);

}  // namespace simt

#define threadIdx (simt::block->threads[simt::block->current])
#define blockIdx (simt::block->index)
#define blockDim (simt::block->size)
#define gridDim (simt::block->grid)
#define __syncthreads() simt::syncthreads()
#define __ballot_sync(mask, vote) simt::ballot(vote)

template <class T>
T __shfl_sync(unsigned, T value, int lane) {
    return simt::shuffle(value, [&](int) { return lane; });
}
template <class T>
T atomicAdd(T* at, std::common_type_t<T> more) {
    T before = *at;
    *at = before + more;
    return before;
}
template <class T>
T atomicMax(T* at, std::common_type_t<T> other) {
    T before = *at;
    if (other > before) *at = other;
    return before;
}
template <class T>
T atomicMin(T* at, std::common_type_t<T> other) {
    T before = *at;
    if (other < before) *at = other;
    return before;
}
template <class T>
T atomicCAS(T* at, std::common_type_t<T> expected, std::common_type_t<T> wanted) {
    T before = *at;
    if (before == expected) *at = wanted;
    return before;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
inline long long __double_as_longlong(double x) {
    long long bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline double __longlong_as_double(long long bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }

#define REGISTER(kernel)                                                                          \
    namespace {                                                                                   \
    struct Register_##kernel {                                                                    \
        Register_##kernel() { simt::kernels()[#kernel] = &simt::Binding<&kernel>::of; }           \
    } register_##kernel;                                                                          \
    }
