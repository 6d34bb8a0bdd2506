//! Settings and the one place where concrete backends meet.
