//! Caudal, the one binary: process files, serve the API.
fn main() {}
