//! Sorting of values that lie in the nearest caches: a quicksort by vectors with sorting networks at its leaves.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod networks;
#[cfg(target_arch = "x86_64")]
mod quicksort;

#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::Instructions;

/// Sorts values in ascending order; none of them may be NaN, infinite or -0.0. `room` is as long, and is left with
/// anything.
///
/// # Panics
/// Where the lengths differ.
pub(crate) fn sort(values: &mut [f64], room: &mut [f64]) {
    assert_eq!(values.len(), room.len(), "the room is as long as the values");
    #[cfg(target_arch = "x86_64")]
    match Instructions::in_use() {
        // SAFETY: the processor has the instructions.
        Instructions::Avx512 => return unsafe { avx512::sort(values, room) },
        // SAFETY: as above.
        Instructions::Avx2 => return unsafe { avx2::sort(values, room) },
        Instructions::Portable => {}
    }
    values.sort_unstable_by(f64::total_cmp);
}

#[cfg(test)]
mod tests {
    use super::sort;
    use crate::cpu::simd::Instructions;

    /// Columns of some length, one for each thing that is hard for a quicksort.
    fn columns(length: usize) -> Vec<(&'static str, Vec<f64>)> {
        let mut state = 7u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64
        };
        let at = |f: &dyn Fn(usize) -> f64| (0..length).map(f).collect::<Vec<f64>>();
        let ends =
            [f64::MIN, -1.0, -f64::MIN_POSITIVE, -f64::from_bits(1), 0.0, f64::from_bits(1), 1.0, f64::MAX];
        vec![
            ("all different", (0..length).map(|_| random()).collect()),
            ("few different", (0..length).map(|_| (random() as u64 % 7) as f64).collect()),
            ("most the same", (0..length).map(|_| f64::max(random(), 9e15)).collect()),
            ("ascending", at(&|i| i as f64)),
            ("descending", at(&|i| (length - i) as f64)),
            ("up and down", at(&|i| i.min(length - i) as f64)),
            ("constant", vec![2.5; length]),
            ("one smaller", at(&|i| if i == length / 2 { 1.0 } else { 2.5 })),
            ("one larger", at(&|i| if i == length / 2 { 4.0 } else { 2.5 })),
            ("the ends of f64", at(&|i| ends[i * i % ends.len()])),
            ("a saw", at(&|i| (i % 131) as f64)),
        ]
    }

    #[test]
    fn every_set_of_instructions_sorts_as_the_standard_library_does() {
        for length in (0..300).chain([511, 512, 1_023, 1_024, 1_025, 5_000, 40_001]) {
            for (case, values) in columns(length) {
                let mut expected = values.clone();
                expected.sort_unstable_by(f64::total_cmp);
                for instructions in Instructions::ALL {
                    instructions.allow_at_most();
                    let (mut sorted, mut room) = (values.clone(), vec![f64::NAN; length]);
                    sort(&mut sorted, &mut room);
                    let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert!(bits(&sorted) == bits(&expected), "{case}, {length}, {instructions:?}");
                }
            }
        }
    }
}
