//! How the process's memory comes back to the system.

/// Blocks from this size on are taken from the system and given back one by one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 4 << 20;

/// Free memory at the top of a heap beyond this goes back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 16 << 20;

/// Makes the C library's allocator give large blocks back when they are freed; to be called once, at the start.
///
/// Left to itself it raises the size from which on it does so to 32 MB, and a process that works through columns then
/// holds several times what it uses (mallopt(3), M_MMAP_THRESHOLD).
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt sets parameters of the allocator and touches no memory of ours.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
