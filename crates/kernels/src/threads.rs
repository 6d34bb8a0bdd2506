//! How many threads the whole process computes on.

/// Sets the number of threads that columns are gone over with; the first call in a process decides.
pub fn compute_on(threads: usize) {
    // Whoever was first has decided.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}
