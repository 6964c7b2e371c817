//! The HTTP surfaces over a real store and engine in a temporary folder: requests go in by the router, as from a
//! listener, and whole answers are looked at.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests end a test by a panic, which the lints' exception for test functions does not cover"
)]

mod api;
mod console;
mod door;
mod events;
mod exceptions;
mod late;
mod mcp;
mod refresh;
mod world;
mod write;
