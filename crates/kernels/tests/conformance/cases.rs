//! Named columns that are hard for floating-point statistics.

const TINY: f64 = f64::from_bits(1);

/// A column and what it is called in a failure.
pub type Case = (&'static str, Vec<f64>);

/// NIST StRD NumAcc1 to 4, by their published definitions.
pub fn nist() -> Vec<Case> {
    let alternating = |centre: f64, low: f64, high: f64| {
        let pairs = std::iter::repeat_n([low, high], 500).flatten();
        std::iter::once(centre).chain(pairs).collect::<Vec<f64>>()
    };
    vec![
        ("NumAcc1", vec![10_000_001.0, 10_000_003.0, 10_000_002.0]),
        ("NumAcc2", alternating(1.2, 1.1, 1.3)),
        ("NumAcc3", alternating(1_000_000.2, 1_000_000.1, 1_000_000.3)),
        ("NumAcc4", alternating(10_000_000.2, 10_000_000.1, 10_000_000.3)),
    ]
}

/// Uniform in 0..1, the same on every run.
pub fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    })
}

/// Approximately normal: twelve uniform numbers less six.
pub fn normal(seed: u64, n: usize) -> Vec<f64> {
    let mut numbers = uniform(seed);
    (0..n).map(|_| numbers.by_ref().take(12).sum::<f64>() - 6.0).collect()
}

fn small() -> Vec<Case> {
    vec![
        ("no rows", vec![]),
        ("all missing", vec![f64::NAN; 1000]),
        ("only infinities", vec![f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]),
        ("single value", vec![-3.25]),
        ("single value among missing", vec![f64::NAN, 7.5, f64::NAN]),
        ("two values", vec![1.0, 4.0]),
        ("two equal values", vec![0.1, 0.1]),
        ("two neighbours", vec![1.0, 1.0f64.next_up()]),
        ("zeros of both signs", vec![-0.0, 0.0, -0.0, 5.0, -5.0]),
        ("only negative zeros", vec![-0.0; 9]),
        ("denormals", (1..500).map(|i| TINY * f64::from(i * i % 97)).collect()),
        ("smallest denormals", vec![0.0, TINY, TINY, 2.0 * TINY]),
        ("constant denormal", vec![TINY; 77]),
        ("denormals of both signs", vec![-3.0 * TINY, 2.0 * TINY, 1e-310, -1e-309]),
        ("tiny normals", (0..200).map(|i| 1e-300 * (1.0 + f64::from(i))).collect()),
        ("squares underflow", vec![1e-170, 2e-170, 4e-170, -1e-169]),
        ("near overflow", vec![1e308, -1e308, 1.7e308, -1.7e308, 3.0, 1e-300]),
        ("near overflow, one side", (0..64).map(|i| 1.7e308 - f64::from(i) * 1e300).collect()),
        ("largest numbers", vec![f64::MAX, -f64::MAX]),
        ("largest number and neighbour", vec![f64::MAX, f64::MAX.next_down()]),
        ("constant largest number", vec![f64::MAX; 5]),
        ("from end to end", vec![TINY, 1.0, f64::MAX, -TINY, -1e100, 1e200]),
        ("squares overflow", vec![1e200, -3e200, 2e199, 5e200]),
        ("a fence beyond f64", vec![0.4e308, 0.4e308, 1.7e308, 1.7e308, 1e308]),
        ("infinite among finite", vec![f64::INFINITY, 1.0, f64::NAN, 2.0, f64::NEG_INFINITY, 4.0]),
        ("ties for the mode", vec![3.0, 1.0, 2.0, 3.0, 1.0, 9.0]),
        ("integers 0 to 100", (0..=100).map(f64::from).collect()),
    ]
}

fn large() -> Vec<Case> {
    let mut bursts = normal(6, 140_000);
    bursts[100] = 1e12;
    bursts[70_000] = -1e12;
    let mut scales = normal(7, 70_000);
    scales.extend(normal(8, 70_000).iter().map(|x| x * 1e-200));
    scales.extend(normal(9, 70_000).iter().map(|x| x * 1e200));
    let mut quiet_then_missing = normal(10, 66_000);
    quiet_then_missing.extend(vec![f64::NAN; 70_000]);
    quiet_then_missing.extend([f64::INFINITY, -0.0, 3.0]);
    vec![
        ("constant", vec![0.1; 140_000]),
        ("80 % zeros", uniform(4).take(70_000).map(|u| (u - 0.8).max(0.0)).collect()),
        ("huge offset", uniform(3).take(200_000).map(|u| 1e9 + 0.2 * u - 0.1).collect()),
        (
            "offset of one unit in the last place",
            (0..140_000).map(|i| if i % 70_000 == 9 { 1.0 } else { 1.0f64.next_up() }).collect(),
        ),
        ("sorted ramp", (0..300_000).map(f64::from).collect()),
        ("heavy tails", uniform(5).take(140_000).map(|u| (u - 0.5).powi(-3)).collect()),
        ("two opposite bursts", bursts),
        ("blocks of very different scale", scales),
        ("missing blocks and specials", quiet_then_missing),
        ("a scaled block after zeros", [vec![0.0; 65_536], vec![1e-200, 3e-200, -2e-200]].concat()),
        ("normal", normal(1, 131_072)),
    ]
}

/// Every named column but NIST's.
pub fn named() -> Vec<Case> {
    small().into_iter().chain(large()).collect()
}
