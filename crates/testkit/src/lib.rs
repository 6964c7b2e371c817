//! For tests only: golden files, the executed house rules, a real server to talk to, and the clients that talk to it.
//! Nothing outside tests depends on this crate.

pub mod golden;
pub mod tidy;
