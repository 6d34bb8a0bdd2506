//! Definition levels of optional columns: runs of one bit a row, repeated or packed.

use caudal_core::Result;

use super::parquet::damaged;

/// The levels of one page, and which of the rows asked for last are there.
#[derive(Default)]
pub(crate) struct Levels {
    encoded: Vec<u8>,
    at: usize,
    run: Run,
    /// A bit for each of the last rows.
    there: Vec<u64>,
}

#[derive(Clone, Copy)]
enum Run {
    Repeated {
        level: bool,
        left: usize,
    },
    /// Bits from a place of the encoded ones on.
    Packed {
        bit: usize,
        left: usize,
    },
}

impl Default for Run {
    fn default() -> Self {
        Run::Repeated { level: false, left: 0 }
    }
}

impl Levels {
    pub fn clear(&mut self) {
        self.encoded.clear();
        (self.at, self.run) = (0, Run::default());
    }

    /// Room for the encoded levels of a page.
    pub fn room(&mut self, length: usize) -> &mut [u8] {
        self.encoded.resize(length, 0);
        &mut self.encoded
    }

    /// Looks at the levels of the next rows; how many of these are there.
    pub fn next(&mut self, rows: usize) -> Result<usize> {
        self.there.clear();
        self.there.resize(rows.div_ceil(64), 0);
        let (mut row, mut there) = (0, 0);
        while row < rows {
            match self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.run = self.next_run()?,
                Run::Repeated { level, left } => {
                    let count = left.min(rows - row);
                    self.run = Run::Repeated { level, left: left - count };
                    if level {
                        set(&mut self.there, row, count);
                        there += count;
                    }
                    row += count;
                }
                Run::Packed { bit, left } => {
                    let count = left.min(rows - row).min(64 - row % 64).min(57);
                    let bits = self.bits(bit) & (u64::MAX >> (64 - count));
                    self.run = Run::Packed { bit: bit + count, left: left - count };
                    if let Some(word) = self.there.get_mut(row / 64) {
                        *word |= bits << (row % 64);
                    }
                    there += bits.count_ones() as usize;
                    row += count;
                }
            }
        }
        Ok(there)
    }

    fn next_run(&mut self) -> Result<Run> {
        let short = || damaged(&"the definition levels of a page end before its rows");
        let (mut header, mut shift) = (0u64, 0);
        loop {
            let byte = *self.encoded.get(self.at).ok_or_else(short)?;
            self.at += 1;
            header |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let count = usize::try_from(header >> 1).map_err(|_| short())?;
        if header & 1 == 1 {
            let left = (self.encoded.len() - self.at).min(count);
            let bit = self.at * 8;
            self.at += left;
            // The last run may be cut off where the rows end.
            return if left > 0 { Ok(Run::Packed { bit, left: left * 8 }) } else { Err(short()) };
        }
        let level = *self.encoded.get(self.at).ok_or_else(short)?;
        self.at += 1;
        match level {
            0 | 1 => Ok(Run::Repeated { level: level == 1, left: count }),
            _ => Err(damaged(&"a definition level is higher than there are levels")),
        }
    }

    /// At least 57 bits from a place on, as far as there are any.
    fn bits(&self, bit: usize) -> u64 {
        let rest = self.encoded.get(bit / 8..).unwrap_or_default();
        let bytes = match rest.first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => rest.iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte)),
        };
        bytes >> (bit % 8)
    }

    /// Moves the first `there` of the rows that were looked at to where they belong, and NaN to the gaps.
    pub fn spread(&self, rows: &mut [f64], mut there: usize) {
        for (i, word) in self.there.iter().enumerate().rev() {
            let first = i * 64;
            let end = rows.len().min(first + 64);
            if there == end {
                // Everything up to here is where it belongs.
                return;
            }
            let present = word.count_ones() as usize;
            if present == end - first {
                rows.copy_within(there - present..there, first);
                there -= present;
                continue;
            }
            for row in (first..end).rev() {
                let is_there = word >> (row % 64) & 1 == 1;
                there -= usize::from(is_there);
                // The next value is read whether it is taken or not, which spares a branch that is hard to foresee.
                let value = rows[there];
                rows[row] = if is_there { value } else { f64::NAN };
            }
        }
    }
}

/// Sets bits.
fn set(words: &mut [u64], from: usize, count: usize) {
    let (mut at, end) = (from, from + count);
    while at < end {
        let until = end.min((at / 64 + 1) * 64);
        if let Some(word) = words.get_mut(at / 64) {
            *word |= (u64::MAX >> (64 - (until - at))) << (at % 64);
        }
        at = until;
    }
}

/// Appends levels as Parquet encodes them, their length before them: `there` says of each row whether it is there.
pub(crate) fn encode(rows: usize, there: &[u64], out: &mut Vec<u8>) {
    use super::page_header::variable;

    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    let full = |i: usize| if rows - i * 64 >= 64 { u64::MAX } else { u64::MAX >> (64 - rows % 64) };
    match there.iter().enumerate().all(|(i, word)| *word == full(i)) {
        true => {
            variable((rows as u64) << 1, out);
            out.push(1);
        }
        false => {
            let groups = rows.div_ceil(8);
            variable((groups as u64) << 1 | 1, out);
            let bytes = there.iter().flat_map(|word| word.to_le_bytes());
            out.extend(bytes.take(groups));
        }
    }
    let length = (out.len() - begin - 4) as u32;
    if let Some(place) = out.get_mut(begin..begin + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(there: &[bool]) -> Vec<u8> {
        let mut words = vec![0; there.len().div_ceil(64)];
        (0..there.len()).filter(|i| there[*i]).for_each(|i| set(&mut words, i, 1));
        let mut out = Vec::new();
        encode(there.len(), &words, &mut out);
        out
    }

    #[test]
    fn rows_that_are_there_are_found_whatever_the_steps() {
        for (rows, pattern) in
            [(1, 1), (7, 2), (64, 3), (65, 1_000), (1_000, 7), (5_000, 1), (4_999, 64), (640, 65)]
        {
            let there: Vec<bool> = (0..rows).map(|i| i % pattern != 1).collect();
            let bytes = encoded(&there);
            for step in [1, 3, 64, 100, 5_000] {
                let mut levels = Levels::default();
                levels.room(bytes.len() - 4).copy_from_slice(&bytes[4..]);
                for chunk in (0..rows).collect::<Vec<_>>().chunks(step) {
                    let found = levels.next(chunk.len()).unwrap();
                    let values: Vec<f64> = chunk.iter().filter(|i| there[**i]).map(|i| *i as f64).collect();
                    assert_eq!(found, values.len());
                    let mut placed = values.clone();
                    placed.resize(chunk.len(), -1.0);
                    levels.spread(&mut placed, found);
                    for (i, x) in chunk.iter().zip(placed) {
                        assert!(
                            if there[*i] { x == *i as f64 } else { x.is_nan() },
                            "{rows} {pattern} {step}: {i}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn runs_of_both_kinds_follow_each_other_and_may_end_too_early() {
        let mut levels = Levels::default();
        // 5 rows that are there, 8 packed ones of which every other is, 3 that are not.
        levels.room(7).copy_from_slice(&[10, 1, 3, 0b0101_0101, 6, 0, 9]);
        assert_eq!(levels.next(6).unwrap(), 6);
        assert_eq!(levels.next(10).unwrap(), 3);
        assert!(levels.next(1).is_err());
        levels.clear();
        levels.room(2).copy_from_slice(&[10, 2]);
        assert!(levels.next(1).is_err());
    }
}
