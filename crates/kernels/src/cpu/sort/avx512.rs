//! Eight lanes with AVX-512.

use std::arch::x86_64::*;

use super::networks::{sort_8, sort_16};
use super::quicksort::{network, orders, quicksort};

type Vector = __m512d;

const LANES: usize = 8;

/// Values up to which a network sorts them: more vectors would not fit into the registers.
const LEAF: usize = 16 * LANES;

quicksort!("avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt");

static ORDERS: [[u64; LANES]; 1 << LANES] = orders(0, 1);

/// The lanes that are below their pivot, or also equal it, before the others; and how many they are.
#[target_feature(enable = "avx512f,popcnt")]
#[inline]
fn split<const OR_EQUAL: bool>(v: Vector, pivots: Vector) -> (Vector, usize) {
    let first = if OR_EQUAL {
        _mm512_cmp_pd_mask::<_CMP_LE_OQ>(v, pivots)
    } else {
        _mm512_cmp_pd_mask::<_CMP_LT_OQ>(v, pivots)
    };
    // Not compressed to memory, which is slow on some processors, nor twice in registers.
    // SAFETY: an order has eight words.
    let order = unsafe { _mm512_loadu_si512(ORDERS[usize::from(first)].as_ptr().cast()) };
    (_mm512_permutexvar_pd(order, v), first.count_ones() as usize)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn all(x: f64) -> Vector {
    _mm512_set1_pd(x)
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load(from: *const f64) -> Vector {
    // SAFETY: as the caller says.
    unsafe { _mm512_loadu_pd(from) }
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store(to: *mut f64, v: Vector) {
    // SAFETY: as the caller says.
    unsafe { _mm512_storeu_pd(to, v) }
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_some(from: *const f64, lanes: usize, others: Vector) -> Vector {
    // SAFETY: only the first lanes are read.
    unsafe { _mm512_mask_loadu_pd(others, first_lanes(lanes), from) }
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store_some(to: *mut f64, lanes: usize, v: Vector) {
    // SAFETY: only the first lanes are written.
    unsafe { _mm512_mask_storeu_pd(to, first_lanes(lanes), v) }
}

#[inline]
fn first_lanes(lanes: usize) -> __mmask8 {
    ((1u32 << lanes) - 1) as __mmask8
}

#[target_feature(enable = "avx512f")]
#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    _mm512_min_pd(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn max(a: Vector, b: Vector) -> Vector {
    _mm512_max_pd(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn backwards(v: Vector) -> Vector {
    _mm512_permutexvar_pd(_mm512_setr_epi64(7, 6, 5, 4, 3, 2, 1, 0), v)
}

/// # Safety
/// There are `length` values at either place, at most [`LEAF`].
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt")]
#[inline]
unsafe fn sort_leaf_at(from: *const f64, to: *mut f64, length: usize) {
    // SAFETY: as the caller says.
    unsafe {
        match length.div_ceil(LANES) {
            0 => {}
            1..=2 => network2(from, to, length),
            3..=4 => network4(from, to, length),
            5..=8 => network8(from, to, length),
            _ => network16(from, to, length),
        }
    }
}

network!("avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt", network2, 2, sorted_vectors, 2);
network!("avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt", network4, 4, sorted_vectors, 2 4);
network!("avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt", network8, 8, columns_of_8, 2 4 8);
network!("avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt", network16, 16, columns_of_16, 4 8 16);

/// Sorts a vector that ascends and then descends, or the other way round.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn bitonic(v: Vector) -> Vector {
    let v = ordered(v, _mm512_shuffle_f64x2::<0b01_00_11_10>(v, v), 0b1111_0000);
    let v = ordered(v, _mm512_permutex_pd::<0b01_00_11_10>(v), 0b1100_1100);
    ordered(v, _mm512_permute_pd::<0b0101_0101>(v), 0b1010_1010)
}

/// The larger of both in the lanes of the mask, the smaller in the others.
#[target_feature(enable = "avx512f")]
#[inline]
fn ordered(v: Vector, partner: Vector, larger: __mmask8) -> Vector {
    _mm512_mask_max_pd(_mm512_min_pd(v, partner), larger, v, partner)
}

/// Sorts each vector by itself.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn sorted_vectors<const N: usize>(mut v: [Vector; N]) -> [Vector; N] {
    for v in &mut v {
        *v = ordered(*v, _mm512_permute_pd::<0b0101_0101>(*v), 0b1010_1010);
        *v = ordered(*v, _mm512_permutex_pd::<0b00_01_10_11>(*v), 0b1100_1100);
        *v = ordered(*v, _mm512_permute_pd::<0b0101_0101>(*v), 0b1010_1010);
        *v = ordered(*v, backwards(*v), 0b1111_0000);
        *v = ordered(*v, _mm512_permutex_pd::<0b01_00_11_10>(*v), 0b1100_1100);
        *v = ordered(*v, _mm512_permute_pd::<0b0101_0101>(*v), 0b1010_1010);
    }
    v
}

/// Sorts the eight columns by a network of 19 exchanges and lays them down as vectors.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt")]
#[inline]
fn columns_of_8(mut v: [Vector; 8]) -> [Vector; 8] {
    sort_8!(exchange, &mut v);
    transposed(v)
}

/// Sorts the eight columns by a network of 60 exchanges and lays each down as two vectors.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,bmi1,bmi2,popcnt")]
#[inline]
fn columns_of_16(mut v: [Vector; 16]) -> [Vector; 16] {
    sort_16!(exchange, &mut v);
    two_of_each(v)
}

/// Rows as columns.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn transposed(v: [Vector; 8]) -> [Vector; 8] {
    let (mut pairs, mut quads, mut columns) = (v, v, v);
    for i in [0, 2, 4, 6] {
        pairs[i] = _mm512_unpacklo_pd(v[i], v[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_pd(v[i], v[i + 1]);
    }
    for i in [0, 1, 4, 5] {
        (quads[i], quads[i + 2]) = quarters(pairs[i], pairs[i + 2]);
    }
    for i in 0..4 {
        (columns[i], columns[i + 4]) = quarters(quads[i], quads[i + 4]);
    }
    columns
}

/// The first and third quarters of both, and the others.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn quarters(a: Vector, b: Vector) -> (Vector, Vector) {
    (_mm512_shuffle_f64x2::<0b10_00_10_00>(a, b), _mm512_shuffle_f64x2::<0b11_01_11_01>(a, b))
}
