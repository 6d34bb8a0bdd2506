//! Drives the product from outside: the binary, the HTTP port, the stored objects.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests stop at what they cannot read, tell their figures, time what they wait for, and are told of servers"
)]

mod access;
mod accuracy;
mod bodies;
mod command_line;
mod derived;
mod durability;
mod errors;
mod events;
mod files;
mod formats;
mod gpu;
mod hostile;
mod house;
mod http;
mod idempotency;
mod issuer;
mod layouts;
mod limits;
mod object_store;
mod origins;
mod quotas;
mod raw;
mod recovery;
mod removal;
mod spark;
mod spark_home;
mod spilling;
mod support;
mod tls;
mod tokens;
mod uploads;
mod validation;
mod webhooks;
