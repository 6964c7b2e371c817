//! For tests only: golden files, the executed house rules, records to store, and databases to store them in.
//! Nothing outside tests depends on this crate.

pub mod bucket;
pub mod cluster;
pub mod golden;
pub mod postgres;
pub mod records;
pub mod sqlite;
pub mod tidy;
