//! Any bytes as CycloneDX: an answer or a refusal within the bounds, never a panic.
#![no_main]

#[path = "../../tests/invariants/mod.rs"]
mod invariants;

use intake::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| invariants::check(bytes, Format::CyclonedxJson));
