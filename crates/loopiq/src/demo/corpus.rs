//! The demo's evidence files, embedded: what real tools printed about small programs of ours. `demo/make.sh` makes them
//! again.

use anyhow::Context as _;
use include_dir::{Dir, include_dir};
use serde::Deserialize;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../demo/evidence");

/// One file and what it is evidence of.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub release: String,
    pub file: String,
    pub control: String,
    pub provider: String,
    pub component: String,
    pub age_days: i64,
}

#[derive(Deserialize)]
struct Manifest {
    evidence: Vec<Entry>,
}

/// All entries, in the order they are pushed.
///
/// # Errors
/// When the embedded manifest is not readable, which a test rules out.
pub fn manifest() -> anyhow::Result<Vec<Entry>> {
    let text =
        FILES.get_file("manifest.toml").and_then(|f| f.contents_utf8()).context("the demo's manifest")?;
    Ok(toml::from_str::<Manifest>(text).context("the demo's manifest")?.evidence)
}

/// The bytes of one entry's file.
pub fn file(entry: &Entry) -> Option<&'static [u8]> {
    FILES.get_file(format!("{}/{}", entry.release, entry.file)).map(include_dir::File::contents)
}
