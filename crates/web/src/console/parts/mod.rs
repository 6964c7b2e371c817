//! What pages are made of. Everything here is a function from values to markup: no state, no asking.

pub mod card;
pub mod chart;
pub mod conversation;
pub mod fields;
pub mod form;
pub mod graph;
pub mod icon;
pub mod layered;
pub mod layout;
pub mod list;
pub mod pill;
pub mod readiness;
pub mod table;
pub mod text;
pub mod written;
