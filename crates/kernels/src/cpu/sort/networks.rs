//! Networks that sort columns of vectors: each exchange puts the smaller of two vectors first, lane by lane.
//!
//! They are macros, so that every vector has a number that is known when they are compiled, and stays in its register.

/// Five exchanges, the fewest that four values need.
macro_rules! sort_4 {
    ($exchange:expr, $v:expr) => {
        $crate::cpu::sort::networks::exchanges! { $exchange, $v,
            0 2, 1 3, 0 1, 2 3, 1 2
        }
    };
}

/// 19 exchanges, the fewest that eight values need (Knuth, The Art of Computer Programming, vol. 3, 5.3.4).
macro_rules! sort_8 {
    ($exchange:expr, $v:expr) => {
        $crate::cpu::sort::networks::exchanges! { $exchange, $v,
            0 2, 1 3, 4 6, 5 7, 0 4, 1 5, 2 6, 3 7, 0 1, 2 3, 4 5, 6 7, 2 4, 3 5, 1 4, 3 6, 1 2,
            3 4, 5 6
        }
    };
}

/// 60 exchanges in ten layers, the fewest that are known for sixteen values.
macro_rules! sort_16 {
    ($exchange:expr, $v:expr) => {
        $crate::cpu::sort::networks::exchanges! { $exchange, $v,
            0 13, 1 12, 2 15, 3 14, 4 8, 5 6, 7 11, 9 10, 0 5, 1 7, 2 9, 3 4, 6 13, 8 14, 10 15,
            11 12, 0 1, 2 3, 4 5, 6 8, 7 9, 10 11, 12 13, 14 15, 0 2, 1 3, 4 10, 5 11, 6 7, 8 9,
            12 14, 13 15, 1 2, 3 12, 4 6, 5 7, 8 10, 9 11, 13 14, 1 4, 2 6, 5 8, 7 10, 9 13, 11 14,
            2 4, 3 6, 9 12, 11 13, 3 5, 6 8, 7 9, 10 12, 3 4, 5 6, 7 8, 9 10, 11 12, 6 7, 8 9
        }
    };
}

macro_rules! exchanges {
    ($exchange:expr, $v:expr, $($i:literal $j:literal),*) => {
        $($exchange($v, $i, $j);)*
    };
}

pub(super) use {exchanges, sort_4, sort_8, sort_16};

#[cfg(test)]
mod tests {
    fn exchange(word: &mut u32, i: u32, j: u32) {
        if *word >> i & 1 > *word >> j & 1 {
            *word ^= 1 << i | 1 << j;
        }
    }

    /// A network that sorts all zeros and ones sorts everything (Knuth, 5.3.4, theorem Z).
    fn sorts_bits(size: u32, network: fn(&mut u32)) -> bool {
        (0..1u32 << size).all(|word| {
            let mut sorted = word;
            network(&mut sorted);
            sorted == ((1 << word.count_ones()) - 1) << (size - word.count_ones())
        })
    }

    #[test]
    fn the_networks_sort_and_one_for_fewer_values_does_not() {
        assert!(sorts_bits(4, |word| {
            super::sort_4!(exchange, word);
        }));
        assert!(sorts_bits(8, |word| {
            super::sort_8!(exchange, word);
        }));
        assert!(sorts_bits(16, |word| {
            super::sort_16!(exchange, word);
        }));
        assert!(!sorts_bits(5, |word| {
            super::sort_4!(exchange, word);
        }));
    }
}
