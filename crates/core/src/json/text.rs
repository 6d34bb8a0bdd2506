//! A text that is read, and how more of it comes into memory.

/// A text, of which a part is in memory.
pub trait Text {
    /// The part that is in memory.
    fn window(&self) -> &[u8];

    /// Lets go of the window's first `passed` bytes and appends some that follow it. Where none do, nothing changes and
    /// it is false.
    fn read_on(&mut self, passed: usize) -> bool;
}

/// The whole of it.
impl Text for &[u8] {
    #[inline]
    fn window(&self) -> &[u8] {
        self
    }

    fn read_on(&mut self, _: usize) -> bool {
        false
    }
}
