//! What things are and what may happen to them. Pure values and functions: no IO, no async, no clock, no
//! randomness. Everything else in the workspace depends on this crate; it depends on nothing of ours.

pub mod severity;
