//! How figures are written for people.

/// Whole numbers with a comma at each thousand.
pub fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seven significant digits, without trailing zeros; powers of ten where the number is very large or small.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if x == x.trunc() && size < 1e15 {
        let sign = if x < 0.0 { "-" } else { "" };
        return format!("{sign}{}", whole(size as u64));
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{x:.6e}");
    }
    let decimals = (6 - size.log10().floor() as i32).clamp(0, 10) as usize;
    let text = format!("{x:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number, or a dash where there is none.
pub fn optional(x: Option<f64>) -> String {
    x.map_or_else(|| "–".into(), number)
}

/// Seconds in the unit that fits.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// One character for each bin, as high as its share of the fullest bin.
pub fn sparkline(counts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |&count: &u64| match count {
        0 => ' ',
        n => BARS[((n * 8).div_ceil(highest) as usize - 1).min(7)],
    };
    counts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_seven_digits() {
        for (x, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1234567.0, "1,234,567"),
            (-5.0, "-5"),
            (1.0 / 3.0, "0.3333333"),
            (1234.5678, "1,234.568"),
            (1e-7, "1.000000e-7"),
            (1.5e300, "1.500000e300"),
        ] {
            assert_eq!(number(x).replace(',', ""), text.replace(',', ""), "{x}");
        }
        assert_eq!(whole(1000), "1,000");
        assert_eq!(whole(999), "999");
    }

    #[test]
    fn a_bar_is_as_high_as_its_share() {
        assert_eq!(sparkline(&[0, 1, 50, 100]), " ▁▄█");
        assert_eq!(sparkline(&[]), "");
    }
}
