//! Stories through the real binary: what a new user does, over HTTP, with real MCP clients, and with the server killed in
//! the middle.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod clients;
mod conformance;
mod crash;
mod governed_write;
mod server;
mod tenancy;
