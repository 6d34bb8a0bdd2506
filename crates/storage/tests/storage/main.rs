//! The storage from outside: records on every backend, sources of every kind, normalised data of every form.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod normalized;
mod records;
mod sources;
mod support;
