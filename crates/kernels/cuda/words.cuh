//! The words that kernels and host agree on, and the order-preserving key of a number (src/key.rs).
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define LARGEST 1.7976931348623157e308
#define INFINITE __longlong_as_double(0x7ff0000000000000ll)

// What one thread of a block does once: called, not copied into place.
#ifdef __CUDACC__
#define ONCE __device__ __noinline__
#else
#define ONCE __device__ inline
#endif

// Threads of every thread block.
#define THREADS 256

// A block of rows of some column: where it begins among the values, and how many rows it has.
struct Slot {
    u64 first;
    u64 rows;
};

// Parts that a block of rows is cut into where their order does not matter.
#define PARTS 8

__device__ inline Slot part_of(const Slot* slots, u32 at) {
    Slot slot = slots[at / PARTS];
    u64 size = (slot.rows + PARTS - 1) / PARTS;
    u64 begin = at % PARTS * size;
    u64 left = begin < slot.rows ? slot.rows - begin : 0;
    return Slot{slot.first + begin, left < size ? left : size};
}

__device__ inline u64 bits_of(double x) { return (u64)__double_as_longlong(x); }

__device__ inline double number_of(u64 bits) { return __longlong_as_double((i64)bits); }

__device__ inline bool is_finite(double x) { return fabs(x) <= LARGEST; }

__device__ inline u64 key_of(double x) {
    u64 bits = bits_of(x + 0.0);
    return (bits ^ ((u64)((i64)bits >> 63) | (1ull << 63))) + (bits >> 63);
}
