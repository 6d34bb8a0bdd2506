//! The moments of one block: a scan for counts and range, then power sums about a centre near the mean.

use crate::cpu::lanes::{CHUNK, CompensatedLanes, LANES, Lanes, chunk_power_sums, chunk_sum, padded};
use crate::cpu::simd::for_each_instruction_set;
use crate::dd::Dd;
use crate::moments::Moments;
use crate::power_of_two::{exponent_of, factors, power_of_two};

/// Magnitudes up to 2^±this keep fourth powers of deviations, and their rounding errors, inside f64.
const SAFE_EXPONENT: i32 = 150;

/// A block whose kurtosis is above this has rows so far out that they are summed apart, in double-double:
/// third powers of either sign could cancel and leave only their rounding errors.
const HEAVY_TAIL: f64 = 256.0;

/// How many standard deviations out such a row begins.
const FAR_OUT: f64 = 16.0;

impl Moments {
    /// The state of one block of at most [`BLOCK_ROWS`](crate::BLOCK_ROWS) rows.
    pub fn of_block(values: &[f64]) -> Moments {
        moments_of_block(values)
    }

    #[inline(always)]
    fn of_block_portable(values: &[f64]) -> Moments {
        let scan = Scan::of(values);
        let counted = Moments {
            rows: values.len() as u64,
            missing: scan.missing,
            positive_infinite: scan.positive_infinite,
            negative_infinite: scan.negative_infinite,
            ..Moments::EMPTY
        };
        let count = counted.count();
        if count == 0 {
            return counted;
        }
        let exponent = scan.exponent();
        let plain = exponent == 0 && count == counted.rows;
        let view = View { values, plain, shrink: factors(-exponent), reach: f64::MAX };
        let sum = if exponent == 0 { scan.sum.total() } else { view.sum() };
        let sums = view.power_sums(sum.hi / count as f64, count);
        let [mean, m2, m3, m4] = sums.about_the_mean(count);
        let (min, max) = (scan.min + 0.0, scan.max + 0.0);
        Moments { exponent, mean, m2, m3, m4, min, max, ..counted }
    }
}

for_each_instruction_set! {
    fn moments_of_block(values: &[f64]) -> Moments = Moments::of_block_portable;
}

/// What one reading of the raw rows gives.
struct Scan {
    missing: u64,
    positive_infinite: u64,
    negative_infinite: u64,
    min: f64,
    max: f64,
    /// Of the finite values; not meaningful where they need scaling.
    sum: CompensatedLanes,
}

impl Scan {
    #[inline(always)]
    fn of(values: &[f64]) -> Scan {
        let mut scan = Scan {
            missing: 0,
            positive_infinite: 0,
            negative_infinite: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: CompensatedLanes::default(),
        };
        for chunk in values.chunks(CHUNK) {
            if chunk.len() < CHUNK || !scan.add_finite(chunk) {
                scan.add_mixed(chunk);
            }
        }
        scan
    }

    /// Adds a chunk of whole lane rows, unless a sum shows that a value, or the sum itself, is not finite.
    #[inline(always)]
    fn add_finite(&mut self, chunk: &[f64]) -> bool {
        let sum = chunk_sum(chunk);
        if !sum.iter().all(|x| x.is_finite()) {
            return false;
        }
        let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        for row in chunk.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                low[lane] = if row[lane] < low[lane] { row[lane] } else { low[lane] };
                high[lane] = if row[lane] > high[lane] { row[lane] } else { high[lane] };
            }
        }
        self.add(&sum, &low, &high);
        true
    }

    /// Adds any chunk: what is not finite is counted and otherwise left out.
    #[inline(always)]
    fn add_mixed(&mut self, chunk: &[f64]) {
        let (mut sum, mut low, mut high) = ([0.0; LANES], [f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let [mut missing, mut positive, mut negative] = [[0u64; LANES]; 3];
        let mut add_row = |row: &Lanes| {
            for lane in 0..LANES {
                let x = row[lane];
                let finite = x.abs() <= f64::MAX;
                sum[lane] += if finite { x } else { 0.0 };
                low[lane] = if finite & (x < low[lane]) { x } else { low[lane] };
                high[lane] = if finite & (x > high[lane]) { x } else { high[lane] };
                missing[lane] += u64::from(x.is_nan());
                positive[lane] += u64::from(x == f64::INFINITY);
                negative[lane] += u64::from(x == f64::NEG_INFINITY);
            }
        };
        let (rows, rest) = chunk.as_chunks::<LANES>();
        rows.iter().for_each(&mut add_row);
        let mut padding = 0;
        if let Some(last) = padded(rest) {
            add_row(&last);
            padding = (LANES - rest.len()) as u64;
        }
        self.missing += missing.iter().sum::<u64>() - padding;
        self.positive_infinite += positive.iter().sum::<u64>();
        self.negative_infinite += negative.iter().sum::<u64>();
        self.add(&sum, &low, &high);
    }

    #[inline(always)]
    fn add(&mut self, sum: &Lanes, low: &Lanes, high: &Lanes) {
        self.sum.add(sum);
        self.min = low.iter().copied().fold(self.min, f64::min);
        self.max = high.iter().copied().fold(self.max, f64::max);
    }

    /// The power of two that the block is divided by: 0 unless its magnitude nears the ends of f64.
    #[inline(always)]
    fn exponent(&self) -> i32 {
        let magnitude = self.min.abs().max(self.max.abs());
        let safe = power_of_two(-SAFE_EXPONENT)..=power_of_two(SAFE_EXPONENT);
        if magnitude == 0.0 || safe.contains(&magnitude) { 0 } else { exponent_of(magnitude) }
    }
}

/// The rows of a block as the sums want them: scaled, and with a filler for those that do not take part.
#[derive(Clone, Copy)]
struct View<'a> {
    values: &'a [f64],
    /// Every row is finite and needs no scaling.
    plain: bool,
    /// Two factors whose product scales the block.
    shrink: (f64, f64),
    /// Rows further than this from the filler do not take part.
    reach: f64,
}

impl View<'_> {
    #[inline(always)]
    fn scaled(&self, x: f64) -> f64 {
        x * self.shrink.0 * self.shrink.1
    }

    /// A chunk as whole lane rows.
    #[inline(always)]
    fn whole<'b>(&self, chunk: &'b [f64], filler: f64, buffer: &'b mut [f64; CHUNK]) -> &'b [f64] {
        if self.plain && chunk.len() == CHUNK {
            return chunk;
        }
        for (slot, &x) in buffer.iter_mut().zip(chunk) {
            let x = self.scaled(x);
            *slot = if (x - filler).abs() <= self.reach { x } else { filler };
        }
        let padded = chunk.len().next_multiple_of(LANES);
        buffer[chunk.len()..padded].fill(filler);
        &buffer[..padded]
    }

    #[inline(always)]
    fn sum(&self) -> Dd {
        let mut sum = CompensatedLanes::default();
        let mut buffer = [0.0; CHUNK];
        for chunk in self.values.chunks(CHUNK) {
            sum.add(&chunk_sum(self.whole(chunk, 0.0, &mut buffer)));
        }
        sum.total()
    }

    /// Power sums about a centre that is the mean but for a few dozen units in the last place of the values.
    ///
    /// That suffices: where the spread is smaller still, deviations are small whole numbers of such units, whose
    /// powers and sums are exact, so that moving the sums to the mean loses nothing.
    #[inline(always)]
    fn power_sums(&self, center: f64, count: u64) -> PowerSums {
        let sums = self.power_sums_about(center);
        let kurtosis = count as f64 * sums.s4.hi / (sums.s2.hi * sums.s2.hi);
        if kurtosis > HEAVY_TAIL {
            return self.power_sums_with_far_rows_apart(center, (sums.s2.hi / count as f64).sqrt());
        }
        sums
    }

    #[inline(always)]
    fn power_sums_about(&self, center: f64) -> PowerSums {
        let [mut s1, mut s2, mut s3, mut s4] = [CompensatedLanes::default(); 4];
        let mut buffer = [center; CHUNK];
        for chunk in self.values.chunks(CHUNK) {
            let sums = chunk_power_sums(self.whole(chunk, center, &mut buffer), center);
            s1.add(&sums[0]);
            s2.add(&sums[1]);
            s3.add(&sums[2]);
            s4.add(&sums[3]);
        }
        PowerSums { center, s1: s1.total(), s2: s2.total(), s3: s3.total(), s4: s4.total() }
    }

    #[inline(always)]
    fn power_sums_with_far_rows_apart(&self, center: f64, spread: f64) -> PowerSums {
        let reach = FAR_OUT * spread;
        let mut sums = View { plain: false, reach, ..*self }.power_sums_about(center);
        for &x in self.values {
            let x = self.scaled(x);
            if x.is_finite() && (x - center).abs() > reach {
                sums.add_exactly(x);
            }
        }
        sums
    }
}

/// Sums of the first four powers of x − center.
struct PowerSums {
    center: f64,
    s1: Dd,
    s2: Dd,
    s3: Dd,
    s4: Dd,
}

impl PowerSums {
    fn add_exactly(&mut self, x: f64) {
        let d = Dd::difference(x, self.center);
        let square = d * d;
        self.s1 = self.s1 + d;
        self.s2 = self.s2 + square;
        self.s3 = self.s3 + square * d;
        self.s4 = self.s4 + square * square;
    }

    /// Mean, M2, M3 and M4: the sums moved from the centre to the mean.
    fn about_the_mean(&self, count: u64) -> [Dd; 4] {
        let PowerSums { center, s1, s2, s3, s4 } = *self;
        let offset = s1 / Dd::from(count);
        let m2 = s2 - offset * s1;
        let m3 = s3 - offset * (s2 * 3.0 - offset * s1 * 2.0);
        let m4 = s4 - offset * (s3 * 4.0 - offset * (s2 * 6.0 - offset * s1 * 3.0));
        [Dd::from(center) + offset, m2.not_negative(), m3, m4.not_negative()]
    }
}
