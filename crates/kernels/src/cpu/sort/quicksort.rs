//! The quicksort itself, written once and compiled for vectors of either width.
//!
//! A partition reads one buffer and writes another: what belongs to the front from the front on, the rest from the end
//! backwards. Both buffers change their parts from level to level, until a leaf is small enough for a network.

/// For each mask of lanes those that it has, ascending, then the others, as words of a permutation: that of a lane is
/// `first` and its number times `step`.
pub(super) const fn orders<const LANES: usize, const MASKS: usize>(
    first: u64,
    step: u64,
) -> [[u64; LANES]; MASKS] {
    let mut orders = [[0; LANES]; MASKS];
    let mut mask = 0;
    while mask < MASKS {
        let (mut inside, mut other) = (0, (mask as u32).count_ones() as usize);
        let mut lane = 0;
        while lane < LANES {
            let place = if mask >> lane & 1 == 1 { &mut inside } else { &mut other };
            orders[mask][*place] = first + lane as u64 * step;
            *place += 1;
            lane += 1;
        }
        mask += 1;
    }
    orders
}

/// Defines `sort` for a module that has a vector, its `LANES` and what is done with it: `all`, `load`, `store`,
/// `load_some`, `store_some`, `min`, `max`, `backwards`, `bitonic`, `transposed`, `split`, `LEAF` and `sort_leaf_at`.
macro_rules! quicksort {
    ($features:tt) => {
        /// Sorts values by the help of a buffer of the same length.
        #[target_feature(enable = $features)]
        pub fn sort(values: &mut [f64], room: &mut [f64]) {
            sort_part(values, room, false, 2 * values.len().max(2).ilog2());
        }

        /// Sorts `from`, and leaves the result there or, where `move_over`, in `to`. Both are of the same length.
        #[target_feature(enable = $features)]
        fn sort_part(from: &mut [f64], to: &mut [f64], move_over: bool, partitions_left: u32) {
            if from.len() <= LEAF {
                return if move_over { sort_leaf(from, to) } else { sort_leaf_in_place(from) };
            }
            if partitions_left == 0 {
                // The pivots were too bad to go on.
                from.sort_unstable_by(f64::total_cmp);
                if move_over {
                    to.copy_from_slice(from);
                }
                return;
            }
            let pivot = pivot_of(from);
            let below = partition::<false>(from, to, pivot);
            if below == 0 {
                // The pivot is the smallest value: all its copies come first.
                let copies = partition::<true>(from, to, pivot);
                if !move_over {
                    from[..copies].fill(pivot);
                }
                return sort_part(&mut to[copies..], &mut from[copies..], !move_over, partitions_left - 1);
            }
            let (low, high) = to.split_at_mut(below);
            let (low_room, high_room) = from.split_at_mut(below);
            sort_part(low, low_room, !move_over, partitions_left - 1);
            sort_part(high, high_room, !move_over, partitions_left - 1);
        }

        /// One of the values, near their median.
        #[target_feature(enable = $features)]
        #[inline]
        fn pivot_of(values: &[f64]) -> f64 {
            const SAMPLED: usize = 64;
            let mut sample = [0.0; SAMPLED];
            let size = if values.len() < 1_024 { SAMPLED / 4 } else { SAMPLED };
            let step = values.len() / size;
            for (taken, x) in sample[..size].iter_mut().zip(values[step / 2..].iter().step_by(step)) {
                *taken = *x;
            }
            sort_leaf_in_place(&mut sample[..size]);
            sample[size / 2]
        }

        /// Writes what is below the pivot, or also what equals it, to the front of `to` and the rest to its end; returns
        /// how many the former are.
        #[target_feature(enable = $features)]
        #[inline]
        fn partition<const OR_EQUAL: bool>(from: &[f64], to: &mut [f64], pivot: f64) -> usize {
            assert_eq!(from.len(), to.len(), "a partition writes as many values as it reads");
            let pivots = all(pivot);
            let (whole, rest) = from.as_chunks::<LANES>();
            let (mut front, mut end) = (0, to.len());
            // What does not fill a vector goes first, so that from then on the gap is of whole vectors.
            for x in rest {
                if *x < pivot || OR_EQUAL && *x == pivot {
                    to[front] = *x;
                    front += 1;
                } else {
                    end -= 1;
                    to[end] = *x;
                }
            }
            let mut last = end.wrapping_sub(LANES);
            let to = to.as_mut_ptr();
            for row in whole {
                // SAFETY: the gap between what is written at the front and at the end of `to` is as long as what is
                // still to be read: some whole vectors, and one at least. So each store, which begins or ends with the
                // gap, lies within it. Where the gap is one vector long, both write the same to the same place; else
                // they lie apart, and neither touches what the other keeps.
                unsafe {
                    let (vector, count) = split::<OR_EQUAL>(load(row.as_ptr()), pivots);
                    store(to.add(front), vector);
                    store(to.add(last), vector);
                    front += count;
                    last = (last + count).wrapping_sub(LANES);
                }
            }
            front
        }

        /// Sorts a leaf into a place as long.
        #[target_feature(enable = $features)]
        fn sort_leaf(from: &[f64], to: &mut [f64]) {
            assert!(from.len() == to.len() && from.len() <= LEAF, "a leaf fits, and fits a network");
            // SAFETY: both places are as long as is said.
            unsafe { sort_leaf_at(from.as_ptr(), to.as_mut_ptr(), from.len()) }
        }

        #[target_feature(enable = $features)]
        fn sort_leaf_in_place(values: &mut [f64]) {
            assert!(values.len() <= LEAF, "a leaf fits a network");
            let (length, place) = (values.len(), values.as_mut_ptr());
            // SAFETY: the place is as long as is said, and a network reads all before it writes.
            unsafe { sort_leaf_at(place, place, length) }
        }

        /// The vectors of some values, filled up with what sorts behind them.
        ///
        /// # Safety
        /// There are `length` values at `from`.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn load_leaf<const N: usize>(from: *const f64, length: usize) -> [Vector; N] {
            let mut v = [all(f64::INFINITY); N];
            for (i, v) in v.iter_mut().enumerate() {
                let lanes = length.saturating_sub(LANES * i).min(LANES);
                // SAFETY: lanes behind the last value are not read.
                *v = unsafe { load_some(from.wrapping_add(LANES * i), lanes, *v) };
            }
            v
        }

        /// # Safety
        /// There is room for `length` values at `to`.
        #[target_feature(enable = $features)]
        #[inline]
        unsafe fn store_leaf<const N: usize>(to: *mut f64, length: usize, v: [Vector; N]) {
            for (i, v) in v.iter().enumerate() {
                let lanes = length.saturating_sub(LANES * i).min(LANES);
                // SAFETY: lanes behind the last value are not written.
                unsafe { store_some(to.wrapping_add(LANES * i), lanes, *v) };
            }
        }

        /// Merges two sorted runs, the first and the second half of the vectors: Batcher's bitonic merge.
        #[target_feature(enable = $features)]
        #[inline]
        fn merge<const N: usize>(v: &mut [Vector; N]) {
            let (first, second) = v.split_at_mut(N / 2);
            let mut turned = [all(0.0); N];
            for (turned, v) in turned.iter_mut().zip(second.iter().rev()) {
                *turned = backwards(*v);
            }
            for ((a, b), turned) in first.iter_mut().zip(second).zip(turned) {
                (*a, *b) = (min(*a, turned), max(*a, turned));
            }
            if N >= 16 {
                exchange_at::<4>(v);
            }
            if N >= 8 {
                exchange_at::<2>(v);
            }
            if N >= 4 {
                exchange_at::<1>(v);
            }
            for v in v {
                *v = bitonic(*v);
            }
        }

        /// Lays each column down as two vectors.
        #[target_feature(enable = $features)]
        #[inline]
        fn two_of_each(mut v: [Vector; 2 * LANES]) -> [Vector; 2 * LANES] {
            let (halves, _) = v.as_chunks::<LANES>();
            let (low, high) = (transposed(halves[0]), transposed(halves[1]));
            for (i, (low, high)) in low.iter().zip(&high).enumerate() {
                (v[2 * i], v[2 * i + 1]) = (*low, *high);
            }
            v
        }

        #[target_feature(enable = $features)]
        #[inline]
        fn exchange_at<const DISTANCE: usize>(v: &mut [Vector]) {
            for i in 0..v.len() {
                if i & DISTANCE == 0 {
                    exchange(v, i, i + DISTANCE);
                }
            }
        }

        /// Puts the smaller of each lane first.
        #[target_feature(enable = $features)]
        #[inline]
        fn exchange(v: &mut [Vector], i: usize, j: usize) {
            (v[i], v[j]) = (min(v[i], v[j]), max(v[i], v[j]));
        }
    };
}

/// Defines a network over some vectors: what sorts them to short runs, then merges of ever more vectors.
macro_rules! network {
    ($features:tt, $name:ident, $vectors:literal, $begin:ident, $($merged:literal)*) => {
        /// # Safety
        /// There are `length` values at either place, at most as many as the vectors hold.
        #[target_feature(enable = $features)]
        unsafe fn $name(from: *const f64, to: *mut f64, length: usize) {
            // SAFETY: as the caller says.
            unsafe {
                let mut v = $begin(load_leaf::<$vectors>(from, length));
                $(
                    for runs in v.as_chunks_mut::<$merged>().0 {
                        merge(runs);
                    }
                )*
                store_leaf(to, length, v);
            }
        }
    };
}

pub(super) use {network, quicksort};
