//! Where the evidence of a release can be collected from once more. One file per source: it says what it has for which
//! provider, and reports honestly where it has nothing. To add a provider's own interface, add its file and ask it in
//! [`collect`], before the originals.

mod originals;

use std::collections::BTreeSet;

use domain::certification::Evidence;

use crate::stop::Stop;
use crate::tool::Cx;

/// One piece of evidence as a source gives it now.
pub struct Piece {
    /// The evidence it is about.
    pub evidence: Evidence,
    pub report: intake::Report,
}

/// What the sources have for one provider.
pub struct Collected {
    /// As its evidence names it: text from outside.
    pub provider: String,
    pub pieces: Vec<Piece>,
    /// Stored files that could not be read.
    pub missing: usize,
}

/// Asks the sources for every provider that is wanted (all that have evidence by a tool, if none is named). A provider
/// that is wanted and has nothing is part of the answer, with no pieces.
pub async fn collect(cx: &Cx<'_>, current: &[Evidence], wanted: &[String]) -> Result<Vec<Collected>, Stop> {
    let folded = |name: &str| name.trim().to_lowercase();
    let known: BTreeSet<&str> =
        current.iter().filter(|e| !e.is_by_hand()).map(|e| e.source.as_str()).collect();
    let mut all = Vec::new();
    if wanted.is_empty() {
        for provider in known {
            all.push(originals::read(cx, current, provider).await?);
        }
        return Ok(all);
    }
    for name in wanted {
        let provider = known.iter().find(|k| folded(k) == folded(name));
        all.push(match provider {
            Some(provider) => originals::read(cx, current, provider).await?,
            None => Collected { provider: String::new(), pieces: Vec::new(), missing: 0 },
        });
    }
    Ok(all)
}
