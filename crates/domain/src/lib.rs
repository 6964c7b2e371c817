//! What things are and what may happen to them. Pure values and functions: no IO, no async, no clock, no
//! randomness. Everything else in the workspace depends on this crate; it depends on nothing of ours.

pub mod action;
pub mod agent;
pub mod approval;
pub mod audit;
pub mod bundle;
mod canonical;
pub mod certification;
pub mod checkpoint;
pub mod control;
pub mod digest;
pub mod directory;
pub mod effect;
pub mod evaluation;
pub mod graph;
pub mod id;
pub mod merkle;
pub mod note;
pub mod org;
pub mod passkey;
pub mod permission;
pub mod policy;
pub mod record;
pub mod refusal;
pub mod release;
pub mod review;
pub mod severity;
pub mod tile;
pub mod time;
pub mod token;
pub mod verify;
pub mod webhook;
pub mod words;
pub mod work;
