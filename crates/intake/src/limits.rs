//! The bounds of every reader, each with a name. What lies beyond one is refused as a whole, or counted and not kept;
//! the comment says which.

/// Bytes of one document. Larger ones are refused before anything is read.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Levels of nesting, XML elements and JSON values alike; deeper documents are refused. Below the JSON parser's own
/// bound of 128, so that it is this one that the caller is told.
pub const DEPTH_MAX: usize = 100;
/// Findings kept of one report. Of more, the most severe are kept; all are counted.
pub const FINDINGS_MAX: usize = 5_000;
/// Characters of a title, a rule, a location or a name; longer ones are cut.
pub const TEXT_CHARS_MAX: usize = 300;
/// Bytes of a text that are looked at to name, compare or identify something. Many results can refer to one text of a
/// rule or a component; without this bound one long text would be read again for each of them.
pub const TEXT_BYTES_READ_MAX: usize = 4_096;
/// Characters of a foreign word that names a count (a level, a kind, a type); longer ones are cut.
pub const WORD_CHARS_MAX: usize = 60;
/// Different foreign words counted one by one in a group; the rest are counted together as `(other)`.
pub const WORDS_MAX: usize = 50;
/// Tools listed of one report; further ones are left out.
pub const TOOLS_MAX: usize = 50;
/// SARIF runs whose results are also counted run by run; further ones are in the totals only.
pub const RUNS_LISTED_MAX: usize = 100;
/// Raw control characters that are tolerated inside the strings of a JSON document; with more it is refused. Each
/// grows to six bytes while it is read.
pub const RAW_CONTROLS_MAX: usize = 100_000;
/// Bytes at the beginning of an XML document in which its declaration and the start of its root are looked for.
pub const SNIFF_BYTES_MAX: usize = 64 * 1024;
