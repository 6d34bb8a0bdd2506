//! Counts of values between thresholds, with gathering of those in marked intervals, and the same fused with normalisation.
//!
//! The number of values below a threshold is the sum of the counts of all bins before it: every order statistic, histogram,
//! fence and z-score count comes down to that (docs/exactness.md).
#pragma once
#include "normalize.cuh"
#include "words.cuh"

// What is counted and gathered; `bins` has one counter more than there are thresholds.
struct Counting {
    // Ascending and different.
    const double* thresholds;
    // For each bin whether its values are gathered.
    const u8* gathers;
    u64* bins;
    double* gathered;
    u64* gathered_count;
    u64 capacity;
    u32 thresholds_count;
    // Counters of a bin, so that the lanes of a warp do not wait for each other; a power of two up to 32.
    u32 copies;
};

// How many thresholds are not above x.
__device__ inline u32 bin_of(const double* thresholds, u32 count, double x) {
    u32 from = 0, left = count;
    while (left > 0) {
        u32 half = left / 2;
        bool above = thresholds[from + half] <= x;
        from = above ? from + half + 1 : from;
        left = above ? left - half - 1 : half;
    }
    return from;
}

// Appends the rows that are to be kept, a warp at a time; what has no room is counted and left out.
__device__ inline void append(const Counting& c, bool keep, double x) {
    u32 lane = threadIdx.x % 32;
    u32 kept = __ballot_sync(0xffffffffu, keep);
    if (kept == 0) return;
    u64 at = 0;
    if (lane == 0) at = atomicAdd(c.gathered_count, (u64)__popc(kept));
    at = __shfl_sync(0xffffffffu, at, 0) + __popc(kept & ((1u << lane) - 1));
    if (keep && at < c.capacity) c.gathered[at] = x;
}

template <bool GATHER, bool NORMALIZE>
__device__ inline void count_rows(const double* values, const Slot* slots, u32 slots_count, const Counting& c,
                                  Steps steps, double* out) {
    DYNAMIC_SHARED(u8, memory);
    double* thresholds = (double*)memory;
    u32* counters = (u32*)(memory + sizeof(double) * c.thresholds_count);
    u8* gathers = (u8*)(counters + (c.thresholds_count + 1) * c.copies);
    u32 t = threadIdx.x, bins = c.thresholds_count + 1;
    for (u32 i = t; i < c.thresholds_count; i += THREADS) thresholds[i] = c.thresholds[i];
    for (u32 i = t; i < bins * c.copies; i += THREADS) counters[i] = 0;
    if (GATHER) {
        for (u32 i = t; i < bins; i += THREADS) gathers[i] = c.gathers[i];
    }
    __syncthreads();
    u32 copy = t & (c.copies - 1);
    for (u32 at = blockIdx.x; at < slots_count * PARTS; at += gridDim.x) {
        Slot slot = part_of(slots, at);
        const double* x = values + slot.first;
        // As many turns for each thread of a warp.
        for (u64 begin = 0; begin < slot.rows; begin += THREADS) {
            u64 i = begin + t;
            bool there = i < slot.rows;
            double v = there ? x[i] : number_of(~0ull);
            bool counted = v == v, keep = false;
            if (counted) {
                u32 bin = bin_of(thresholds, c.thresholds_count, v);
                atomicAdd(&counters[bin * c.copies + copy], 1u);
                if (GATHER) keep = gathers[bin] != 0;
            }
            if (GATHER) append(c, keep, v);
            if (NORMALIZE && there) out[slot.first + i] = normalized(steps, v);
        }
    }
    __syncthreads();
    for (u32 bin = t; bin < bins; bin += THREADS) {
        u64 sum = 0;
        for (u32 i = 0; i < c.copies; i++) sum += counters[bin * c.copies + i];
        if (sum > 0) atomicAdd(&c.bins[bin], sum);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    count_below(const double* values, const Slot* slots, u32 slots_count, Counting c) {
    count_rows<false, false>(values, slots, slots_count, c, Steps(), 0);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    count_and_gather(const double* values, const Slot* slots, u32 slots_count, Counting c) {
    count_rows<true, false>(values, slots, slots_count, c, Steps(), 0);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    count_and_normalize(const double* values, const Slot* slots, u32 slots_count, Counting c, Steps steps, double* out) {
    count_rows<false, true>(values, slots, slots_count, c, steps, out);
}
