//! Normalisation of rows, step by step as in src/normalization.rs.
#pragma once
#include "words.cuh"

// (x·shrink − center) / divisor.
struct Steps {
    double shrink, center, divisor;
};

__device__ inline double normalized(Steps s, double x) {
    double scaled = x * s.shrink;
    double difference = scaled - s.center;
    double quick = difference / s.divisor;
    if (is_finite(quick) || !is_finite(x)) {
        return is_finite(x) ? quick : x;
    }
    double careful = is_finite(difference) ? difference / s.divisor : scaled / s.divisor - s.center / s.divisor;
    return careful < -LARGEST ? -LARGEST : careful > LARGEST ? LARGEST : careful;
}

// Neighbouring rows; `out` may be `values`.
extern "C" __global__ void __launch_bounds__(THREADS)
    normalize_rows(const double* values, u64 rows, Steps steps, double* out) {
    for (u64 i = (u64)blockIdx.x * THREADS + threadIdx.x; i < rows; i += (u64)gridDim.x * THREADS) {
        out[i] = normalized(steps, values[i]);
    }
}
