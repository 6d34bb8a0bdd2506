//! Four lanes with AVX2.

use std::arch::x86_64::*;

use super::networks::{sort_4, sort_8};
use super::quicksort::{network, orders, quicksort};

type Vector = __m256d;

const LANES: usize = 4;

/// Values up to which a network sorts them: twice as many vectors as the registers hold, which is still quicker than
/// partitions of so few.
const LEAF: usize = 16 * LANES;

quicksort!("avx2,bmi1,bmi2,popcnt");

/// A lane is moved as its two halves, each of which has a number.
static ORDERS: [[u64; LANES]; 1 << LANES] = orders(1 << 32, 2 << 32 | 2);

/// The lanes that are below their pivot, or also equal it, before the others; and how many they are.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
fn split<const OR_EQUAL: bool>(v: Vector, pivots: Vector) -> (Vector, usize) {
    let first = if OR_EQUAL {
        _mm256_cmp_pd::<_CMP_LE_OQ>(v, pivots)
    } else {
        _mm256_cmp_pd::<_CMP_LT_OQ>(v, pivots)
    };
    let first = _mm256_movemask_pd(first) as usize % (1 << LANES);
    // SAFETY: an order has four words.
    let order = unsafe { _mm256_loadu_si256(ORDERS[first].as_ptr().cast()) };
    let split = _mm256_permutevar8x32_epi32(_mm256_castpd_si256(v), order);
    (_mm256_castsi256_pd(split), first.count_ones() as usize)
}

#[target_feature(enable = "avx2")]
#[inline]
fn all(x: f64) -> Vector {
    _mm256_set1_pd(x)
}

#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load(from: *const f64) -> Vector {
    // SAFETY: as the caller says.
    unsafe { _mm256_loadu_pd(from) }
}

#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store(to: *mut f64, v: Vector) {
    // SAFETY: as the caller says.
    unsafe { _mm256_storeu_pd(to, v) }
}

#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_some(from: *const f64, lanes: usize, others: Vector) -> Vector {
    let mask = first_lanes(lanes);
    // SAFETY: only the first lanes are read.
    let some = unsafe { _mm256_maskload_pd(from, mask) };
    _mm256_blendv_pd(others, some, _mm256_castsi256_pd(mask))
}

#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store_some(to: *mut f64, lanes: usize, v: Vector) {
    // SAFETY: only the first lanes are written.
    unsafe { _mm256_maskstore_pd(to, first_lanes(lanes), v) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn first_lanes(lanes: usize) -> __m256i {
    _mm256_cmpgt_epi64(_mm256_set1_epi64x(lanes as i64), _mm256_setr_epi64x(0, 1, 2, 3))
}

#[target_feature(enable = "avx2")]
#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    _mm256_min_pd(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn max(a: Vector, b: Vector) -> Vector {
    _mm256_max_pd(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn backwards(v: Vector) -> Vector {
    _mm256_permute4x64_pd::<0b00_01_10_11>(v)
}

/// # Safety
/// There are `length` values at either place, at most [`LEAF`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
unsafe fn sort_leaf_at(from: *const f64, to: *mut f64, length: usize) {
    // SAFETY: as the caller says.
    unsafe {
        match length.div_ceil(LANES) {
            0 => {}
            1..=4 => network4(from, to, length),
            5..=8 => network8(from, to, length),
            _ => network16(from, to, length),
        }
    }
}

network!("avx2,bmi1,bmi2,popcnt", network4, 4, columns_of_4, 2 4);
network!("avx2,bmi1,bmi2,popcnt", network8, 8, columns_of_8, 4 8);
network!("avx2,bmi1,bmi2,popcnt", network16, 16, columns_of_8_twice, 4 8 16);

/// Sorts a vector that ascends and then descends, or the other way round.
#[target_feature(enable = "avx2")]
#[inline]
fn bitonic(v: Vector) -> Vector {
    let halves = _mm256_permute2f128_pd::<1>(v, v);
    let v = _mm256_blend_pd::<0b1100>(min(v, halves), max(v, halves));
    let pairs = _mm256_permute_pd::<0b0101>(v);
    _mm256_blend_pd::<0b1010>(min(v, pairs), max(v, pairs))
}

/// Sorts the four columns and lays each down as a vector.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
fn columns_of_4(mut v: [Vector; 4]) -> [Vector; 4] {
    sort_4!(exchange, &mut v);
    transposed(v)
}

/// Sorts the four columns and lays each down as two vectors.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
fn columns_of_8(mut v: [Vector; 8]) -> [Vector; 8] {
    sort_8!(exchange, &mut v);
    two_of_each(v)
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
fn columns_of_8_twice(mut v: [Vector; 16]) -> [Vector; 16] {
    for half in v.as_chunks_mut::<8>().0 {
        *half = columns_of_8(*half);
    }
    v
}

/// Rows as columns.
#[target_feature(enable = "avx2")]
#[inline]
fn transposed(v: [Vector; 4]) -> [Vector; 4] {
    let (a, b) = (_mm256_unpacklo_pd(v[0], v[1]), _mm256_unpackhi_pd(v[0], v[1]));
    let (c, d) = (_mm256_unpacklo_pd(v[2], v[3]), _mm256_unpackhi_pd(v[2], v[3]));
    [
        _mm256_permute2f128_pd::<0x20>(a, c),
        _mm256_permute2f128_pd::<0x20>(b, d),
        _mm256_permute2f128_pd::<0x31>(a, c),
        _mm256_permute2f128_pd::<0x31>(b, d),
    ]
}
