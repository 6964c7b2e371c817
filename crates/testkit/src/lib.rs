//! For tests only: golden files, the executed house rules, and records to store.
//! Nothing outside tests depends on this crate.

pub mod golden;
pub mod records;
pub mod tidy;
