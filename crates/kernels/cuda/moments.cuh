//! The moments of one block of rows per thread block, in exactly the order of operations of src/cpu/block.rs.
//!
//! A chunk of 256 rows is summed plainly in eight lanes, one thread for each chunk and lane; the sums of the chunks are
//! then added with compensation, in their order, by one thread for each lane.
#pragma once
#include "dd.cuh"
#include "words.cuh"

#define LANES 8
#define CHUNK 256
// Chunks that are summed at the same time.
#define TILE (THREADS / LANES)
#define SAFE_EXPONENT 150
#define HEAVY_TAIL 256.0
#define FAR_OUT 16.0
// By Chebyshev's inequality fewer than one row in 256 lies 16 standard deviations out.
#define FAR_ROWS 512
#define MOMENT_WORDS 15

struct PowerSums {
    Dd s1, s2, s3, s4;
};

// What the threads of a block share.
struct Shared {
    double terms[4][TILE][LANES];
    double sum[4][LANES];
    double error[4][LANES];
    double low[THREADS];
    double high[THREADS];
    u32 missing[THREADS];
    u32 positive[THREADS];
    u32 negative[THREADS];
    u32 far_rows[FAR_ROWS];
    u32 far_sorted[FAR_ROWS];
    u32 far_count;
    double first_factor, second_factor, center, reach;
    int exponent;
    bool again;
};

__device__ inline double power_of_two(int k) { return number_of((u64)(k + 1023) << 52); }

__device__ inline int exponent_of(double x) {
    u64 bits = bits_of(fabs(x));
    int biased = (int)(bits >> 52);
    return biased == 0 ? -1011 - __clzll((i64)bits) : biased - 1023;
}

// Adds `tile` chunks' terms to the running sums of `kinds` kinds, one thread for each kind and lane.
__device__ inline void compensate(Shared& s, int kinds, u32 chunks) {
    u32 t = threadIdx.x;
    if (t < (u32)kinds * LANES) {
        u32 kind = t / LANES, lane = t % LANES;
        double sum = s.sum[kind][lane], error = s.error[kind][lane];
        for (u32 chunk = 0; chunk < chunks; chunk++) {
            Dd added = two_sum(sum, s.terms[kind][chunk][lane]);
            sum = added.hi;
            error += added.lo;
        }
        s.sum[kind][lane] = sum;
        s.error[kind][lane] = error;
    }
}

__device__ inline void clear_sums(Shared& s) {
    __syncthreads();
    if (threadIdx.x < 4 * LANES) {
        s.sum[threadIdx.x / LANES][threadIdx.x % LANES] = 0.0;
        s.error[threadIdx.x / LANES][threadIdx.x % LANES] = 0.0;
    }
    __syncthreads();
}

ONCE Dd total(const Shared& s, int kind) {
    Dd total = dd(0.0);
    for (int lane = 0; lane < LANES; lane++) {
        total = total + two_sum(s.sum[kind][lane], s.error[kind][lane]);
    }
    return total;
}

// Counts, range and plain sums of the raw rows.
__device__ inline void scan_rows(Shared& s, const double* x, u32 rows) {
    u32 t = threadIdx.x, lane = t % LANES, place = t / LANES;
    u32 chunks = (rows + CHUNK - 1) / CHUNK;
    double low = INFINITE, high = -INFINITE;
    u32 missing = 0, positive = 0, negative = 0;
    clear_sums(s);
    for (u32 tile = 0; tile < chunks; tile += TILE) {
        u32 here = min(chunks - tile, (u32)TILE);
        double sum = 0.0;
        u32 begin = (tile + place) * CHUNK + lane;
#pragma unroll 8
        for (u32 r = 0; r < CHUNK; r += LANES) {
            u32 i = begin + r;
            if (place < here && i < rows) {
                double v = x[i];
                bool finite = is_finite(v);
                sum += finite ? v : 0.0;
                low = finite && v < low ? v : low;
                high = finite && v > high ? v : high;
                missing += v != v;
                positive += v == INFINITE;
                negative += v == -INFINITE;
            }
        }
        s.terms[0][place][lane] = sum;
        __syncthreads();
        compensate(s, 1, here);
        __syncthreads();
    }
    s.low[t] = low;
    s.high[t] = high;
    s.missing[t] = missing;
    s.positive[t] = positive;
    s.negative[t] = negative;
    for (u32 half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) {
            s.low[t] = s.low[t + half] < s.low[t] ? s.low[t + half] : s.low[t];
            s.high[t] = s.high[t + half] > s.high[t] ? s.high[t + half] : s.high[t];
            s.missing[t] += s.missing[t + half];
            s.positive[t] += s.positive[t + half];
            s.negative[t] += s.negative[t + half];
        }
    }
    __syncthreads();
}

// Sums of the rows scaled by a power of two, where their magnitude is near the ends of f64.
__device__ inline void scaled_sums(Shared& s, const double* x, u32 rows) {
    u32 lane = threadIdx.x % LANES, place = threadIdx.x / LANES;
    u32 chunks = (rows + CHUNK - 1) / CHUNK;
    double first = s.first_factor, second = s.second_factor;
    clear_sums(s);
    for (u32 tile = 0; tile < chunks; tile += TILE) {
        u32 here = min(chunks - tile, (u32)TILE);
        double sum = 0.0;
        u32 begin = (tile + place) * CHUNK + lane;
        for (u32 r = 0; r < CHUNK; r += LANES) {
            u32 i = begin + r;
            if (place < here && i < rows) {
                double v = x[i] * first * second;
                sum += is_finite(v) ? v : 0.0;
            }
        }
        s.terms[0][place][lane] = sum;
        __syncthreads();
        compensate(s, 1, here);
        __syncthreads();
    }
}

// Power sums about the centre, of the rows within reach of it.
__device__ inline void power_sums(Shared& s, const double* x, u32 rows) {
    u32 lane = threadIdx.x % LANES, place = threadIdx.x / LANES;
    u32 chunks = (rows + CHUNK - 1) / CHUNK;
    clear_sums(s);
    double first = s.first_factor, second = s.second_factor, center = s.center, reach = s.reach;
    for (u32 tile = 0; tile < chunks; tile += TILE) {
        u32 here = min(chunks - tile, (u32)TILE);
        double s1 = 0.0, s2 = 0.0, s3 = 0.0, s4 = 0.0;
        u32 begin = (tile + place) * CHUNK + lane;
#pragma unroll 8
        for (u32 r = 0; r < CHUNK; r += LANES) {
            u32 i = begin + r;
            if (place < here && i < rows) {
                double d = x[i] * first * second - center;
                // What takes no part is at the centre; NaN compares false.
                d = fabs(d) <= reach ? d : 0.0;
                double square = d * d;
                s1 += d;
                s2 += square;
                s3 += square * d;
                s4 += square * square;
            }
        }
        s.terms[0][place][lane] = s1;
        s.terms[1][place][lane] = s2;
        s.terms[2][place][lane] = s3;
        s.terms[3][place][lane] = s4;
        __syncthreads();
        compensate(s, 4, here);
        __syncthreads();
    }
}

// The rows beyond reach in their order; all rows are gone over where they are more than expected.
__device__ inline void find_far_rows(Shared& s, const double* x, u32 rows) {
    if (threadIdx.x == 0) s.far_count = 0;
    __syncthreads();
    for (u32 i = threadIdx.x; i < rows; i += THREADS) {
        double v = x[i] * s.first_factor * s.second_factor;
        if (is_finite(v) && fabs(v - s.center) > s.reach) {
            u32 at = atomicAdd(&s.far_count, 1u);
            if (at < FAR_ROWS) s.far_rows[at] = i;
        }
    }
    __syncthreads();
    if (s.far_count <= FAR_ROWS) {
        for (u32 i = threadIdx.x; i < s.far_count; i += THREADS) {
            u32 row = s.far_rows[i], before = 0;
            for (u32 j = 0; j < s.far_count; j++) before += s.far_rows[j] < row;
            s.far_sorted[before] = row;
        }
    }
    __syncthreads();
}

ONCE void add_exactly(PowerSums& sums, double x, double center) {
    Dd d = two_sum(x, -center);
    Dd square = d * d;
    sums.s1 = sums.s1 + d;
    sums.s2 = sums.s2 + square;
    sums.s3 = sums.s3 + square * d;
    sums.s4 = sums.s4 + square * square;
}

ONCE void add_far_rows(PowerSums& sums, const Shared& s, const double* x, u32 rows) {
    bool listed = s.far_count <= FAR_ROWS;
    u32 many = listed ? s.far_count : rows;
    for (u32 i = 0; i < many; i++) {
        double v = x[listed ? s.far_sorted[i] : i] * s.first_factor * s.second_factor;
        if (is_finite(v) && fabs(v - s.center) > s.reach) add_exactly(sums, v, s.center);
    }
}

__device__ inline void put(u64* words, int at, Dd x) {
    words[at] = bits_of(x.hi);
    words[at + 1] = bits_of(x.lo);
}

// The words of Moments::to_words, from sums moved from the centre to the mean.
ONCE void put_state(u64* words, const Shared& s, const PowerSums& sums, u64 count) {
    Dd offset = sums.s1 / dd_count(count);
    Dd m2 = sums.s2 - offset * sums.s1;
    Dd m3 = sums.s3 - offset * (sums.s2 * 3.0 - offset * sums.s1 * 2.0);
    Dd m4 = sums.s4 - offset * (sums.s3 * 4.0 - offset * (sums.s2 * 6.0 - offset * sums.s1 * 3.0));
    words[4] = (u64)(i64)s.exponent;
    put(words, 5, dd(s.center) + offset);
    put(words, 7, not_negative(m2));
    put(words, 9, m3);
    put(words, 11, not_negative(m4));
    words[13] = bits_of(s.low[0] + 0.0);
    words[14] = bits_of(s.high[0] + 0.0);
}

__device__ inline void put_counts(u64* words, const Shared& s, u32 rows) {
    words[0] = rows;
    words[1] = s.missing[0];
    words[2] = s.positive[0];
    words[3] = s.negative[0];
    for (int i = 4; i < 13; i++) words[i] = 0;
    words[13] = bits_of(INFINITE);
    words[14] = bits_of(-INFINITE);
}

// The power of two that the block is divided by, and the centre where nothing has to be scaled.
__device__ inline void settle(Shared& s, u64 count) {
    double magnitude = fmax(fabs(s.low[0]), fabs(s.high[0]));
    bool safe = magnitude == 0.0 ||
                (magnitude >= power_of_two(-SAFE_EXPONENT) && magnitude <= power_of_two(SAFE_EXPONENT));
    s.exponent = safe ? 0 : exponent_of(magnitude);
    int k = -s.exponent;
    s.first_factor = power_of_two(k / 2);
    s.second_factor = power_of_two(k - k / 2);
    s.reach = LARGEST;
    s.center = total(s, 0).hi / (double)count;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    block_moments(const double* values, const Slot* slots, u64* states) {
    __shared__ Shared s;
    Slot slot = slots[blockIdx.x];
    const double* x = values + slot.first;
    u64* words = states + (u64)blockIdx.x * MOMENT_WORDS;
    u32 rows = (u32)slot.rows, t = threadIdx.x;
    scan_rows(s, x, rows);
    u64 count = (u64)rows - s.missing[0] - s.positive[0] - s.negative[0];
    if (t == 0) put_counts(words, s, rows);
    // The same in all threads.
    if (count == 0) return;
    if (t == 0) settle(s, count);
    __syncthreads();
    if (s.exponent != 0) {
        scaled_sums(s, x, rows);
        if (t == 0) s.center = total(s, 0).hi / (double)count;
        __syncthreads();
    }
    power_sums(s, x, rows);
    PowerSums sums = PowerSums{dd(0.0), dd(0.0), dd(0.0), dd(0.0)};
    if (t == 0) {
        sums = PowerSums{total(s, 0), total(s, 1), total(s, 2), total(s, 3)};
        double kurtosis = (double)count * sums.s4.hi / (sums.s2.hi * sums.s2.hi);
        s.again = kurtosis > HEAVY_TAIL;
        if (s.again) s.reach = FAR_OUT * sqrt(sums.s2.hi / (double)count);
    }
    __syncthreads();
    if (s.again) {
        power_sums(s, x, rows);
        find_far_rows(s, x, rows);
        if (t == 0) {
            sums = PowerSums{total(s, 0), total(s, 1), total(s, 2), total(s, 3)};
            add_far_rows(sums, s, x, rows);
        }
    }
    if (t == 0) put_state(words, s, sums, count);
}
