//! The gateway driven from outside, over a bucket that holds nothing: edges of HTTP, and the OpenAPI document.

mod client;
mod document;
mod edges;
mod empty_bucket;
mod serving;
