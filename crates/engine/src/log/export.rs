//! Exports of the log: bundles of a piece or of all of it, and of single records among hashes that stand for the rest.

use std::collections::BTreeSet;
use std::ops::Range;

use domain::bundle::{self, Header};
use domain::checkpoint::Checkpoint;
use domain::digest::Digest;
use domain::refusal::Refusal;
use domain::tile;
use store::{LogRecord, Org, Reader, StoredCheckpoint};

use super::{parts, with_cosignatures};
use crate::stop::{Fault, Stop};
use crate::{Caller, Engine, limits};

/// The name under which exports of the log are recorded.
const TOOL: &str = "export_audit_log";

impl Engine {
    /// The whole log as a bundle, for who may list its records.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn log_bundle(&self, caller: Caller<'_>) -> Result<LogBundle, Refusal> {
        let asked = async {
            let org = self.log_reader(caller).await?;
            let header = self.bundle_header(&caller.actor.organization, &org, 0).await?;
            let to = header.to;
            self.note_read(caller, TOOL, u32::try_from(to).unwrap_or(u32::MAX), None).await;
            let header = Some(serde_json::to_string(&header)?);
            Ok(LogBundle { engine: self.clone(), org, header, next: 0, to })
        };
        self.told(caller, asked.await).await
    }

    /// The first line of a bundle of the records from `from` up to the newest signed head.
    ///
    /// # Errors
    /// `validation_failed` for a beginning that lies behind the end.
    pub async fn bundle_header(
        &self,
        organization: &domain::org::Organization,
        org: &Org,
        from: u64,
    ) -> Result<Header, Stop> {
        let head = self.seal_now(org).await?;
        if from > head.size {
            return Err(Refusal::invalid("from", "lies behind the end of the log").into());
        }
        let reader = org.reader();
        let mut heads = reader.key_checkpoints().await?;
        heads.extend(reader.cosigned_checkpoint().await?);
        heads.push(head.clone());
        heads.sort_by_key(|head| head.size);
        heads.dedup_by_key(|head| head.size);
        Ok(self.header(organization, reader, &head, &heads, from..head.size).await?)
    }

    /// The first line of a bundle of the records of a range, proven under `head`.
    async fn header(
        &self,
        organization: &domain::org::Organization,
        reader: &Reader,
        head: &StoredCheckpoint,
        heads: &[StoredCheckpoint],
        range: Range<u64>,
    ) -> Result<Header, Fault> {
        let keys = reader.log_keys().await?;
        let mut checkpoints = Vec::new();
        for head in heads {
            checkpoints.push(with_cosignatures(reader, head).await?);
        }
        let origin =
            Checkpoint::read(&head.note).map_err(|_| Fault::Bug("a stored head can be read"))?.0.origin;
        Ok(Header {
            format: bundle::FORMAT.into(),
            version: bundle::VERSION,
            organization: bundle::Organization {
                id: organization.id,
                slug: organization.slug.clone(),
                name: organization.name.clone(),
            },
            origin,
            from: range.start,
            to: range.end,
            size: head.size,
            keys: keys.into_iter().map(|key| key.verifier_key).collect(),
            checkpoints,
            before: parts(reader, head.size, 0..range.start).await?,
            after: parts(reader, head.size, range.end..head.size).await?,
            exported_at: self.parts.clock.now(),
        })
    }

    /// A bundle that shows these records under `head`; hashes stand for all others.
    ///
    /// # Errors
    /// A fault of storage.
    pub(crate) async fn bundle_of(
        &self,
        organization: &domain::org::Organization,
        reader: &Reader,
        head: &StoredCheckpoint,
        sequences: &BTreeSet<u64>,
    ) -> Result<String, Fault> {
        let from = sequences.first().copied().unwrap_or(head.size);
        let to = sequences.last().map_or(head.size, |last| last + 1);
        let header = self.header(organization, reader, head, std::slice::from_ref(head), from..to).await?;
        let mut text = serde_json::to_string(&header)? + "\n";
        let mut next = from;
        for sequence in sequences {
            for part in parts(reader, head.size, next..*sequence).await? {
                text.push_str(&bundle::hidden_line(part));
                text.push('\n');
            }
            let found = reader.log_records(*sequence, 1).await?;
            let Some(record) = found.first() else {
                return Err(Fault::Altered("records of the audit log are missing"));
            };
            text.push_str(&line(record));
            text.push('\n');
            next = sequence + 1;
        }
        Ok(text)
    }

    /// Stored records, and the roots of the tiles that end among them, for the lines of an export.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn exported(&self, org: &Org, from: u64, to: u64) -> Result<Exported, Fault> {
        let limit = u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX).min(limits::EXPORT_BATCH);
        let records = org.reader().log_records(from, limit).await?;
        let tiles = org.reader().log_nodes(1, from / tile::WIDTH..to / tile::WIDTH).await?;
        Ok(Exported { records, tiles })
    }
}

/// What is read for a piece of an export.
#[derive(Debug)]
pub struct Exported {
    pub records: Vec<LogRecord>,
    /// Roots of full tiles by position.
    pub tiles: Vec<(u64, Digest)>,
}

impl Exported {
    /// The lines of a bundle: each record, and after the last one of a full tile that tile.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.records.iter().flat_map(|record| {
            let next = u64::try_from(record.sequence).unwrap_or(0) + 1;
            let ended = next.is_multiple_of(tile::WIDTH).then_some(next / tile::WIDTH);
            let root = self.tiles.iter().find(|(at, _)| Some(at + 1) == ended);
            std::iter::once(line(record)).chain(root.map(|(at, hash)| bundle::tile_line(*at, *hash)))
        })
    }
}

fn line(record: &LogRecord) -> String {
    let body = record.body.as_ref().map(|(salt, body)| (salt.as_slice(), body.as_str()));
    bundle::record_line(record.sequence, &record.leaf_hash, &record.entry, body)
}

/// The bundle of a whole log, read as it is sent.
pub struct LogBundle {
    engine: Engine,
    org: Org,
    /// The first line, until it has been taken.
    header: Option<String>,
    next: u64,
    to: u64,
}

impl LogBundle {
    /// The next lines; `None` at the end.
    ///
    /// # Errors
    /// A fault of storage. What was sent so far is then no whole bundle, and verification says so.
    pub async fn next(&mut self) -> Result<Option<String>, Fault> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header + "\n"));
        }
        if self.next >= self.to {
            return Ok(None);
        }
        let found = self.engine.exported(&self.org, self.next, self.to).await?;
        let last = found.records.last().and_then(|record| u64::try_from(record.sequence).ok());
        self.next = last.map_or(self.to, |last| last + 1);
        Ok(Some(found.lines().fold(String::new(), |text, line| text + &line + "\n")))
    }
}
