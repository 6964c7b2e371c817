//! The audit log: entries (the leaves), bodies apart from them, and which records they speak of.

use std::collections::{BTreeSet, HashMap};

use domain::action::AuditReceipt;
use domain::audit::{AuditBody, AuditDraft, AuditEntry, AuditKind, Prepared, body_hash};
use domain::digest::Digest;
use domain::id::{ActionId, OrgId};
use domain::merkle::{self, Frontier};
use domain::tile;
use domain::time::Timestamp;

use super::ledger::LogRecord;
use super::statements;
use crate::fault::Fault;
use crate::sql::{Page, Paged, Row, Sql, Value, list, maybe, text};
use crate::write::Step;
use crate::{Entropy, Reader};

statements! {
    [LIST, COUNT, LIST_OF_ACTION, COUNT_OF_ACTION, LIST_ABOUT, COUNT_ABOUT]
    HEAD = "select size from audit_head where organization_id = ?1";
    OPEN_HEAD = "insert into audit_head (organization_id, size) values (?1, 0)
        on conflict (organization_id) do nothing";
    SET_HEAD = "insert into audit_head (organization_id, size) values (?1, ?2)
        on conflict (organization_id) do update set size = excluded.size";
    INSERT_ENTRY = "insert into audit_entry (organization_id, sequence, at, kind, user_id, action_id, leaf_hash, entry)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    INSERT_BODY = "insert into audit_body (organization_id, sequence, salt, body) values (?1, ?2, ?3, ?4)";
    INSERT_SUBJECT = "insert into audit_subject (organization_id, record_id, sequence) values (?1, ?2, ?3)
        on conflict do nothing";
}

/// Declares a list of records and its count. What they are looked up by differs, because the planner of neither engine finds
/// an index under a filter that may be absent.
macro_rules! lists {
    ($list:ident, $count:ident, $sequence:literal, $from:literal) => {
        pub(crate) const $list: Sql = Sql {
            name: concat!(module_path!(), "::", stringify!($list)),
            text: concat!(
                "select e.entry, e.sequence, e.leaf_hash, b.body from ",
                $from,
                " and (cast(?4 as text) is null or ?4 like '%,' || e.kind || ',%') and e.at >= ?5 and e.at <= ?6
                  and (cast(?7 as bigint) is null or ",
                $sequence,
                " < cast(?7 as bigint)) order by ",
                $sequence,
                " desc limit ?8"
            ),
        };
        pub(crate) const $count: Sql = Sql {
            name: concat!(module_path!(), "::", stringify!($count)),
            text: concat!(
                "select count(*) from ",
                $from,
                " and (cast(?4 as text) is null or ?4 like '%,' || e.kind || ',%') and e.at >= ?5 and e.at <= ?6"
            ),
        };
    };
}

lists!(
    LIST,
    COUNT,
    "e.sequence",
    "audit_entry e left join audit_body b on b.organization_id = e.organization_id and b.sequence = e.sequence
     where e.organization_id = ?1 and cast(?2 as text) is null and cast(?3 as text) is null"
);
lists!(
    LIST_OF_ACTION,
    COUNT_OF_ACTION,
    "e.sequence",
    "audit_entry e left join audit_body b on b.organization_id = e.organization_id and b.sequence = e.sequence
     where e.organization_id = ?1 and e.action_id = ?2 and cast(?3 as text) is null"
);
lists!(
    LIST_ABOUT,
    COUNT_ABOUT,
    "s.sequence",
    "audit_subject s join audit_entry e on e.organization_id = s.organization_id and e.sequence = s.sequence
     left join audit_body b on b.organization_id = e.organization_id and b.sequence = e.sequence
     where s.organization_id = ?1 and s.record_id = ?3 and (cast(?2 as text) is null or e.action_id = ?2)"
);

/// Only on PostgreSQL, where several nodes write: the size, and nobody else's turn until the transaction ends. The
/// embedded engine has one writer for each organization and no words for it.
pub(crate) const LOCK_HEAD: Sql = Sql {
    name: concat!(module_path!(), "::LOCK_HEAD"),
    text: "select size from audit_head where organization_id = ?1 for update",
};

/// Entries read at once while a log is verified.
const VERIFY_BATCH: u32 = 1_000;
/// Problems a report lists at most.
const PROBLEMS_MAX: usize = 100;

/// Which audit records.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter<'a> {
    pub action: Option<ActionId>,
    /// Id of a record they name.
    pub subject: Option<&'a str>,
    pub kinds: &'a [AuditKind],
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// An entry, its leaf hash, and its body unless that was erased.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub entry: AuditEntry,
    pub leaf_hash: Digest,
    pub body: Option<AuditBody>,
}

/// What the verification of a log found.
#[derive(Debug, Clone)]
pub struct LogReport {
    pub size: i64,
    /// RFC 9162 tree head over all leaves.
    pub root: Digest,
    /// Empty when the log is whole.
    pub problems: Vec<String>,
}

/// How an engine lays down the texts of leaves. Texts that follow each other are laid down each by itself.
pub(crate) type LayDown = fn(&str) -> Vec<u8>;

/// A record of the log that waits for its place, and the rows that hold it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub kind: AuditKind,
    prepared: Prepared,
    /// The leaf up to its sequence, and after it, as the engine lays it down.
    around_sequence: (Vec<u8>, Vec<u8>),
    pub rows: Vec<Step>,
}

/// Where a record of the log came to lie, for the statements that speak of it.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub receipt: AuditReceipt,
    /// The leaf hash as statements carry it.
    pub leaf: String,
    /// The leaf, as the engine lays it down.
    pub entry: Vec<u8>,
}

impl Entry {
    /// `index` is that of the draft in its write.
    pub fn new(
        organization: OrgId,
        index: usize,
        draft: AuditDraft,
        entropy: &dyn Entropy,
        lay_down: LayDown,
    ) -> Result<Entry, Fault> {
        let mut salt = [0_u8; 16];
        entropy.fill(&mut salt);
        let prepared = draft.prepare(organization, salt)?;
        let entry = &prepared.entry;
        let mut rows = vec![
            Step::unseen(
                &INSERT_ENTRY,
                vec![
                    text(organization),
                    Value::ReceiptSequence(index),
                    Value::Int(entry.at.0),
                    text(entry.kind),
                    maybe(entry.actor.user_id),
                    maybe(entry.action_id),
                    Value::ReceiptLeaf(index),
                    Value::ReceiptEntry(index),
                ],
            ),
            Step::unseen(
                &INSERT_BODY,
                vec![
                    text(organization),
                    Value::ReceiptSequence(index),
                    Value::Bytes(salt.to_vec()),
                    Value::from(prepared.body.as_str()),
                ],
            ),
        ];
        for subject in prepared.named() {
            let id = Value::from(subject.id.as_str());
            rows.push(Step::unseen(
                &INSERT_SUBJECT,
                vec![text(organization), id, Value::ReceiptSequence(index)],
            ));
        }
        let (before, after) = prepared.around_sequence();
        let around_sequence = (lay_down(before), lay_down(after));
        Ok(Entry { kind: entry.kind, prepared, around_sequence, rows })
    }

    /// Gives it its place.
    pub fn place(&self, sequence: i64) -> Placed {
        let leaf_hash = self.prepared.leaf_hash(sequence);
        let (before, after) = &self.around_sequence;
        let entry = [before, sequence.to_string().as_bytes(), after].concat();
        let receipt = AuditReceipt { sequence, leaf_hash, recorded_at: self.prepared.entry.at };
        Placed { receipt, leaf: leaf_hash.to_string(), entry }
    }
}

fn leaf(text: &str) -> Result<Digest, Fault> {
    Digest::parse(text).ok_or(Fault::Bug("a stored leaf hash is a digest"))
}

fn record(row: &dyn Row) -> Result<AuditRecord, Fault> {
    let body = match row.maybe_text(3) {
        Some(text) => Some(serde_json::from_str(&text)?),
        None => None,
    };
    Ok(AuditRecord { entry: serde_json::from_str(&row.text(0))?, leaf_hash: leaf(&row.text(2))?, body })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A walk over the log from its beginning, recomputing everything that is stored beside it.
struct Walk {
    organization: OrgId,
    next: i64,
    frontier: Frontier,
    problems: Vec<String>,
    /// Records without a body, as long as no later one says that it was erased.
    bodiless: BTreeSet<i64>,
    /// Signed heads in the batch, by size.
    heads: HashMap<u64, Digest>,
    /// Stored roots of tiles in the batch, by position.
    nodes: HashMap<u64, Digest>,
}

impl Walk {
    fn new(organization: OrgId) -> Walk {
        Walk {
            organization,
            next: 0,
            frontier: Frontier::new(),
            problems: Vec::new(),
            bodiless: BTreeSet::new(),
            heads: HashMap::new(),
            nodes: HashMap::new(),
        }
    }

    fn step(&mut self, record: &LogRecord) {
        let sequence = record.sequence;
        if sequence != self.next {
            self.problems.push(format!("records {} to {} are missing", self.next, sequence - 1));
        }
        let actual = merkle::leaf_hash(record.entry.as_bytes());
        if Digest::parse(&record.leaf_hash) != Some(actual) {
            self.problems.push(format!("record {sequence} does not have its leaf hash"));
        }
        self.entry(record);
        let (nodes, problems) = (&self.nodes, &mut self.problems);
        self.frontier.append_each(actual, |part, hash| {
            let stored = nodes.get(&part.index).filter(|_| part.level == tile::HEIGHT);
            if stored.is_some_and(|stored| *stored != hash) {
                let (first, last) = (part.index * tile::WIDTH, (part.index + 1) * tile::WIDTH - 1);
                problems.push(format!("records {first} to {last} are not those that were sealed"));
            }
        });
        let size = self.frontier.size();
        if self.heads.get(&size).is_some_and(|signed| *signed != self.frontier.root()) {
            self.problems.push(format!("the first {size} records are not those that were signed"));
        }
        self.next = sequence + 1;
    }

    fn entry(&mut self, record: &LogRecord) {
        let sequence = record.sequence;
        let Ok(entry) = serde_json::from_str::<AuditEntry>(&record.entry) else {
            self.problems.push(format!("record {sequence} cannot be read"));
            return;
        };
        if entry.sequence != sequence || entry.organization_id != self.organization {
            self.problems.push(format!("record {sequence} was written for another place"));
        }
        for erased in entry.references.iter().filter(|_| entry.kind == AuditKind::Erased) {
            self.bodiless.retain(|without| without.to_string() != erased.id);
        }
        let Some((salt, body)) = &record.body else {
            self.bodiless.insert(sequence);
            return;
        };
        match <[u8; 16]>::try_from(salt.as_slice()) {
            Ok(salt) if body_hash(&salt, body.as_bytes()) == entry.body_hash => {}
            Ok(_) => {
                self.problems.push(format!("the body of record {sequence} is not the one that was recorded"));
            }
            Err(_) => self.problems.push(format!("the body of record {sequence} has no salt")),
        }
    }

    /// `size` is what the log says of itself, `signed` the size of its newest signed head.
    fn finish(mut self, size: i64, signed: u64) -> LogReport {
        let found = self.next;
        if found != size {
            self.problems.push(format!("the log says that it has {size} records, but {found} were found"));
        }
        if signed > unsigned(found) {
            self.problems.push(format!("{signed} records were signed, but {found} were found"));
        }
        for sequence in &self.bodiless {
            self.problems.push(format!(
                "the body of record {sequence} is gone, and no record says that it was erased"
            ));
        }
        self.problems.truncate(PROBLEMS_MAX);
        LogReport { size, root: self.frontier.root(), problems: self.problems }
    }
}

impl Reader {
    /// Newest first.
    pub async fn audit(&self, f: AuditFilter<'_>, page: Page<'_>) -> Result<Paged<AuditRecord>, Fault> {
        let filters = vec![
            maybe(f.action),
            f.subject.map_or(Value::Null, Value::from),
            list(f.kinds),
            Value::Int(f.from.map_or(i64::MIN, |t| t.0)),
            Value::Int(f.to.map_or(i64::MAX, |t| t.0)),
        ];
        let (list, count) = match (f.action, f.subject) {
            (_, Some(_)) => (&LIST_ABOUT, &COUNT_ABOUT),
            (Some(_), None) => (&LIST_OF_ACTION, &COUNT_OF_ACTION),
            (None, None) => (&LIST, &COUNT),
        };
        // Positions in the log are numbers; what is none, nothing lies before.
        let after = page.after.map_or(Value::Null, |position| Value::Int(position.parse().unwrap_or(0)));
        self.paged_after(list, count, filters, (after, page.limit), record).await
    }

    /// How many records the log has.
    pub async fn audit_size(&self) -> Result<i64, Fault> {
        Ok(self.rows(&HEAD, Vec::new(), |row| Ok(row.int(0))).await?.first().copied().unwrap_or(0))
    }

    /// Reads the whole log and recomputes it: positions without a hole, leaf hashes of the stored bytes, body hashes of
    /// the bodies that are still there, the entries' own account of position and organization, the stored roots of tiles
    /// and every signed head. `progress` is told how many entries have been read.
    pub async fn verify_log(&self, progress: &mut (dyn FnMut(i64) + Send)) -> Result<LogReport, Fault> {
        let mut walk = Walk::new(self.organization);
        loop {
            let batch = self.log_records(unsigned(walk.next), VERIFY_BATCH).await?;
            let (Some(first), Some(last)) = (batch.first(), batch.last()) else { break };
            let (from, to) = (walk.next.min(first.sequence), last.sequence + 1);
            walk.heads = self.checkpoints(from, to).await?.into_iter().collect();
            let tiles = unsigned(from) / tile::WIDTH..unsigned(to) / tile::WIDTH + 1;
            walk.nodes = self.log_nodes(1, tiles).await?.into_iter().collect();
            for record in &batch {
                walk.step(record);
            }
            walk.problems.truncate(PROBLEMS_MAX);
            progress(walk.next);
        }
        let size = self.audit_size().await?;
        let signed = self.last_checkpoint().await?.map_or(0, |head| head.size);
        Ok(walk.finish(size, signed))
    }
}
