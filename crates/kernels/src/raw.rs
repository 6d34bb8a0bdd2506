//! A column as the bytes that it is made of, so that files are read straight into it.

/// The bytes of some rows, in the order of this machine. Whatever is written to them are numbers again.
pub fn bytes_of_column(values: &mut [f64]) -> &mut [u8] {
    let length = size_of_val(values);
    // SAFETY: the bytes are those of the slice, which is borrowed for as long; u8 needs no alignment, an f64 has no
    // padding, and every bit pattern is one.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_the_bytes_are_the_numbers() {
        let mut values = [0.0, -1.5, f64::NAN];
        bytes_of_column(&mut values[..2])[8..].copy_from_slice(&2.5f64.to_ne_bytes());
        assert_eq!(values[..2], [0.0, 2.5]);
        assert_eq!(bytes_of_column(&mut values).len(), 24);
        assert!(bytes_of_column(&mut []).is_empty());
    }
}
