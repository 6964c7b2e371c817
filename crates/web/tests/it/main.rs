//! The HTTP surfaces over a real store and engine in a temporary folder: requests go in by the router, as from a
//! listener, and whole answers are looked at.

mod api;
mod door;
mod mcp;
mod world;
mod write;
