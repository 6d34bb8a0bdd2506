//! The storage from outside: records on every backend, sources of every kind, normalised data of every form.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; it makes its own identities, and tells its figures"
)]

mod buckets;
mod faults;
mod folders;
mod journal;
mod mutations;
mod normalized;
mod records;
mod scanning;
mod sources;
mod spilling;
mod support;
