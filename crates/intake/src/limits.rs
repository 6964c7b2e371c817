//! The bounds of every reader, each with a name.

/// Bytes of one document.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Levels of nesting, XML elements and JSON values alike (the JSON parser's own bound).
pub const DEPTH_MAX: usize = 128;
/// Findings kept of one report; more are counted, not kept.
pub const FINDINGS_MAX: usize = 5_000;
/// Characters of a title, a rule, a location or a name.
pub const TEXT_CHARS_MAX: usize = 300;
/// Bytes looked at to recognise a format.
pub const SNIFF_BYTES_MAX: usize = 64 * 1024;
