//! Counters of hash buckets and of frequent values, with the hash of src/cpu/hash.rs, and exact counts of the values of some buckets.
#pragma once
#include "words.cuh"

#define BUCKET_BITS 15
#define BUCKETS (1 << BUCKET_BITS)
#define SET_BITS 11
#define SETS (1 << SET_BITS)
#define WAYS 4
// The bits of a NaN, which is no value here.
#define FREE (~0ull)

__device__ inline u64 hash_of_bits(u64 bits) { return (bits ^ (bits >> 32)) * 0x9E3779B97F4A7C15ull; }

// The place of a frequent value among all places; SETS * WAYS where it is none.
__device__ inline u32 place_of(const u64* places, u64 hash, u64 bits) {
    u32 first = (u32)(hash >> (64 - SET_BITS)) * WAYS;
    u32 place = SETS * WAYS;
    for (u32 way = 0; way < WAYS; way++) place = places[first + way] == bits ? first + way : place;
    return place;
}

// Counters of frequent values, then of buckets.
extern "C" __global__ void __launch_bounds__(THREADS)
    hash_rows(const double* values, const Slot* slots, u32 slots_count, const u64* places, u64* counters) {
    __shared__ u32 frequent[SETS * WAYS];
    for (u32 i = threadIdx.x; i < SETS * WAYS; i += THREADS) frequent[i] = 0;
    __syncthreads();
    for (u32 at = blockIdx.x; at < slots_count * PARTS; at += gridDim.x) {
        Slot slot = part_of(slots, at);
        for (u64 i = threadIdx.x; i < slot.rows; i += THREADS) {
            double x = values[slot.first + i];
            if (!is_finite(x)) continue;
            u64 bits = bits_of(x + 0.0);
            u64 hash = hash_of_bits(bits);
            u32 place = place_of(places, hash, bits);
            if (place < SETS * WAYS) {
                atomicAdd(&frequent[place], 1u);
            } else {
                atomicAdd(&counters[SETS * WAYS + (u32)(hash >> (64 - BUCKET_BITS))], 1ull);
            }
        }
    }
    __syncthreads();
    for (u32 i = threadIdx.x; i < SETS * WAYS; i += THREADS) {
        if (frequent[i] > 0) atomicAdd(&counters[i], (u64)frequent[i]);
    }
}

// A table from values to how often they occur, by open addressing.
struct Table {
    u64* keys;
    u64* counts;
    // Slots less one; their number is a power of two.
    u64 mask;
    // Values that found no room.
    u64* lost;
};

__device__ inline void tally(const Table& table, u64 hash, u64 bits) {
    // Buckets were told apart by the highest bits: the others are mixed once more.
    u64 mixed = (hash ^ (hash >> 29)) * 0xBF58476D1CE4E5B9ull;
    u64 slot = (mixed ^ (mixed >> 32)) & table.mask;
    for (u64 tries = 0; tries <= table.mask; tries++) {
        u64 held = table.keys[slot];
        if (held == FREE) held = atomicCAS(&table.keys[slot], FREE, bits);
        if (held == FREE || held == bits) {
            atomicAdd(&table.counts[slot], 1ull);
            return;
        }
        slot = (slot + 1) & table.mask;
    }
    atomicAdd(table.lost, 1ull);
}

// Counts the values of the buckets that are marked, but for the frequent ones.
extern "C" __global__ void __launch_bounds__(THREADS)
    tally_rows(const double* values, const Slot* slots, u32 slots_count, const u64* places, const u8* marks,
               Table table) {
    for (u32 at = blockIdx.x; at < slots_count * PARTS; at += gridDim.x) {
        Slot slot = part_of(slots, at);
        for (u64 i = threadIdx.x; i < slot.rows; i += THREADS) {
            double x = values[slot.first + i];
            if (!is_finite(x)) continue;
            u64 bits = bits_of(x + 0.0);
            u64 hash = hash_of_bits(bits);
            if (marks[hash >> (64 - BUCKET_BITS)] == 0) continue;
            if (place_of(places, hash, bits) < SETS * WAYS) continue;
            tally(table, hash, bits);
        }
    }
}

// Different values in the table, and the highest of their counts: found[0] and found[1].
extern "C" __global__ void __launch_bounds__(THREADS) tally_most(Table table, u64* found) {
    __shared__ u64 taken[THREADS], most[THREADS];
    u32 t = threadIdx.x;
    u64 mine = 0, best = 0;
    for (u64 i = (u64)blockIdx.x * THREADS + t; i <= table.mask; i += (u64)gridDim.x * THREADS) {
        if (table.keys[i] == FREE) continue;
        mine++;
        best = table.counts[i] > best ? table.counts[i] : best;
    }
    taken[t] = mine;
    most[t] = best;
    for (u32 half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) {
            taken[t] += taken[t + half];
            most[t] = most[t + half] > most[t] ? most[t + half] : most[t];
        }
    }
    if (t == 0) {
        atomicAdd(&found[0], taken[0]);
        atomicMax(&found[1], most[0]);
    }
}

// The key of the smallest value that occurs as often as found[1] says: found[2].
extern "C" __global__ void __launch_bounds__(THREADS) tally_mode(Table table, u64* found) {
    u64 most = found[1], smallest = FREE;
    for (u64 i = (u64)blockIdx.x * THREADS + threadIdx.x; i <= table.mask; i += (u64)gridDim.x * THREADS) {
        if (table.keys[i] == FREE || table.counts[i] != most) continue;
        u64 key = key_of(number_of(table.keys[i]));
        smallest = key < smallest ? key : smallest;
    }
    if (smallest != FREE) atomicMin(&found[2], smallest);
}
