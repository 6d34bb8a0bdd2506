//! Columns on the device: f32 and validity bitmaps widened to f64 with NaN for missing, and values picked by their places.
#pragma once
#include "words.cuh"

// Bit i of a bitmap whose rows begin at bit `offset`, the lowest bit of each byte first, as Arrow has them.
__device__ inline bool is_valid(const u8* validity, u64 offset, u64 i) {
    return validity == 0 || (validity[(offset + i) / 8] >> ((offset + i) % 8) & 1) != 0;
}

template <class T>
__device__ inline void widen(const T* in, const u8* validity, u64 offset, u64 rows, double* out) {
    for (u64 i = (u64)blockIdx.x * THREADS + threadIdx.x; i < rows; i += (u64)gridDim.x * THREADS) {
        out[i] = is_valid(validity, offset, i) ? (double)in[i] : number_of(0x7ff8000000000000ull);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    widen_f32(const float* in, const u8* validity, u64 offset, u64 rows, double* out) {
    widen(in, validity, offset, rows, out);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    widen_f64(const double* in, const u8* validity, u64 offset, u64 rows, double* out) {
    widen(in, validity, offset, rows, out);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    pick_rows(const double* values, const u64* places, u64 count, double* out) {
    for (u64 i = (u64)blockIdx.x * THREADS + threadIdx.x; i < count; i += (u64)gridDim.x * THREADS) {
        out[i] = values[places[i]];
    }
}
