//! Drives the product from outside: the binary, the HTTP port, the stored objects.

mod accuracy;
mod command_line;
mod formats;
mod house;
mod http;
mod recovery;
mod support;
mod validation;
