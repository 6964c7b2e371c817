//! The files as they were pushed, kept by their SHA-256, read once more by today's importers: what an importer has
//! learnt since then shows in evidence that came before.

use domain::certification::Evidence;
use domain::digest::Digest;

use super::{Collected, Piece};
use crate::limits;
use crate::stop::{Fault, Stop};
use crate::tool::Cx;

/// Reads the files behind one provider's current evidence.
pub async fn read(cx: &Cx<'_>, current: &[Evidence], provider: &str) -> Result<Collected, Stop> {
    let mut collected = Collected { provider: provider.to_owned(), pieces: Vec::new(), missing: 0 };
    let of_provider = current.iter().filter(|e| !e.is_by_hand() && e.source == provider);
    for evidence in of_provider.take(limits::REFRESH_FILES_MAX) {
        match report(cx, evidence).await? {
            Some(report) => collected.pieces.push(Piece { evidence: evidence.clone(), report }),
            None => collected.missing += 1,
        }
    }
    Ok(collected)
}

/// What today's importer reads in the original; `None` when it is not there or can no longer be read.
async fn report(cx: &Cx<'_>, evidence: &Evidence) -> Result<Option<intake::Report>, Stop> {
    let Some(digest) = Digest::parse(&evidence.sha256) else { return Ok(None) };
    let Some(bytes) = cx.blobs.get(&digest).await? else { return Ok(None) };
    let format = evidence.format.as_deref().and_then(intake::Format::parse);
    // Reading a large file takes long enough to be kept off the threads that answer others.
    let read = tokio::task::spawn_blocking(move || intake::read(&bytes, format));
    Ok(read.await.map_err(|_| Fault::Cancelled)?.ok())
}
