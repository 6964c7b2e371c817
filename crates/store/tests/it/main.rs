//! The store through its public face, on the embedded engine and on a real PostgreSQL.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod both;
mod bucket;
mod changes;
mod embedded;
mod ledger;
mod place;
mod postgres;
mod tls;
