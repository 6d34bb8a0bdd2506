//! Buffers of parts that were written, for the parts that come: fresh memory costs more than what is written to it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use caudal_kernels::huge_room;

/// Buffers that wait to be used again. Cheap to clone.
#[derive(Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer with room for so many bytes.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = waiting.iter().position(|buffer| buffer.capacity() >= bytes);
        match fitting.map(|i| waiting.swap_remove(i)) {
            Some(mut buffer) => {
                buffer.clear();
                buffer
            }
            None => huge_room(bytes),
        }
    }

    /// What a buffer holds; it comes back when nobody reads that any more.
    pub fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, buffers: self.clone() })
    }
}

struct Lent {
    buffer: Vec<u8>,
    buffers: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.buffers.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_reads_it() {
        let buffers = Buffers::default();
        let mut first = buffers.take(100);
        first.extend_from_slice(b"abc");
        let place = first.as_ptr();
        let lent = buffers.lend(first);
        let other = lent.slice(1..);
        drop(lent);
        let meanwhile = buffers.take(100);
        assert!(meanwhile.as_ptr() != place, "it is still read");
        assert_eq!(&other[..], b"bc");
        drop(other);
        let again = buffers.take(100);
        assert!(again.as_ptr() == place && again.is_empty());
    }
}
