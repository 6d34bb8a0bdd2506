//! Large buffers on huge pages, and lines fetched ahead: touching fresh memory 4 KiB at a time costs more than most of
//! the arithmetic.

use std::sync::atomic::AtomicU64;

/// Zeroed words for many threads to write to.
pub(crate) fn zeroed(length: usize) -> Vec<AtomicU64> {
    let words = vec![0u64; length];
    advise(&words);
    let mut words = std::mem::ManuallyDrop::new(words);
    const { assert!(align_of::<AtomicU64>() == align_of::<u64>(), "words and atomic words differ here") };
    // SAFETY: AtomicU64 has the size, alignment and bit validity of u64; the vector is given away, not freed.
    unsafe { Vec::from_raw_parts(words.as_mut_ptr().cast::<AtomicU64>(), words.len(), words.capacity()) }
}

/// A column of zeros to write into.
pub fn column(length: usize) -> Vec<f64> {
    let values = vec![0.0; length];
    advise(&values);
    values
}

/// Zeros that take no memory before they are reached.
pub fn bytes(length: usize) -> Vec<u8> {
    let bytes = vec![0; length];
    advise(&bytes);
    bytes
}

/// An empty vector with room for `capacity` elements.
pub fn with_room<T>(capacity: usize) -> Vec<T> {
    let mut elements = Vec::with_capacity(capacity);
    advise(elements.spare_capacity_mut());
    elements
}

/// Has the cache line fetched that lies so many elements on from a place, where the processor can be told to.
#[inline(always)]
pub(crate) fn fetch_ahead(place: &f64, elements: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: fetching a line ahead reads and writes nothing, whatever the address is.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(place).wrapping_add(elements).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (place, elements);
}

/// Asks the kernel for huge pages; what it makes of that is its own affair.
fn advise<T>(buffer: &[T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let bytes = size_of_val(buffer);
        if bytes < 4 << 20 {
            return;
        }
        let begin = (buffer.as_ptr() as usize).next_multiple_of(PAGE);
        let end = (buffer.as_ptr() as usize + bytes) / PAGE * PAGE;
        // SAFETY: the range lies within a live allocation, and MADV_HUGEPAGE changes no content.
        unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = buffer;
}
