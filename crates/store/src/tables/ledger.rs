//! What the log says about itself: its keys, the roots of its full tiles, its signed heads, what witnesses added to them;
//! and its leaves and records in order, for proofs and exports. Everything here is only added to, but for the bodies that
//! are erased.

use std::ops::Range;

use domain::digest::Digest;
use domain::record::RecordType;
use domain::time::Timestamp;

use super::statements;
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Row, Value, text};
use crate::write::{Miss, Write};

statements! {
    KEYS = "select generation, verifier_key, created_at from audit_key where organization_id = ?1 order by generation";
    INSERT_KEY = "insert into audit_key (organization_id, generation, verifier_key, created_at) values (?1, ?2, ?3, ?4)";
    INSERT_NODE = "insert into audit_node (organization_id, level, position, hash) values (?1, ?2, ?3, ?4)
        on conflict (organization_id, level, position) do nothing";
    NODES = "select position, hash from audit_node
        where organization_id = ?1 and level = ?2 and position >= ?3 and position < ?4 order by position";
    INSERT_CHECKPOINT = "insert into audit_checkpoint (organization_id, size, root, generation, note, at)
        values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (organization_id, size) do nothing";
    LAST_CHECKPOINT = "select size, root, generation, note, at from audit_checkpoint
        where organization_id = ?1 order by size desc limit 1";
    CHECKPOINT = "select size, root, generation, note, at from audit_checkpoint
        where organization_id = ?1 and size = ?2";
    CHECKPOINTS = "select size, root, generation, note, at from audit_checkpoint
        where organization_id = ?1 and size > ?2 and size <= ?3 order by size";
    FIRST_OF_KEYS = "select c.size, c.root, c.generation, c.note, c.at from audit_key k
        join audit_checkpoint c on c.organization_id = k.organization_id
            and c.size = (select min(f.size) from audit_checkpoint f
                where f.organization_id = ?1 and f.generation = k.generation)
        where k.organization_id = ?1 order by c.size";
    LAST_COSIGNED = "select c.size, c.root, c.generation, c.note, c.at from audit_checkpoint c
        where c.organization_id = ?1 and c.size = (select max(s.size) from audit_cosignature s
            where s.organization_id = ?1)";
    INSERT_COSIGNATURE = "insert into audit_cosignature (organization_id, size, witness, line, at)
        values (?1, ?2, ?3, ?4, ?5) on conflict (organization_id, size, witness) do nothing";
    COSIGNATURES = "select line from audit_cosignature where organization_id = ?1 and size = ?2 order by witness";
    LEAVES = "select sequence, leaf_hash from audit_entry
        where organization_id = ?1 and sequence >= ?2 and sequence < ?3 order by sequence";
    RECORDS = "select e.sequence, e.leaf_hash, e.entry, b.salt, b.body from audit_entry e
        left join audit_body b on b.organization_id = e.organization_id and b.sequence = e.sequence
        where e.organization_id = ?1 and e.sequence >= ?2 order by e.sequence limit ?3";
    ERASE_BODY = "delete from audit_body where organization_id = ?1 and sequence = ?2";
}

/// A key of the log. Its secret half lies in the directory, under its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// 1, 2, 3 …; the last one signs.
    pub generation: i64,
    /// As `domain::note::VerifierKey` writes it.
    pub verifier_key: String,
    pub created_at: Timestamp,
}

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    pub size: u64,
    pub root: Digest,
    /// Of the newest key that has signed it.
    pub generation: i64,
    /// The signed note, without what witnesses added.
    pub note: String,
    pub at: Timestamp,
}

/// A record of the log as it is stored, whether or not it is what was once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    pub sequence: i64,
    pub leaf_hash: String,
    pub entry: String,
    /// Salt and body; absent when they were erased.
    pub body: Option<(Vec<u8>, String)>,
}

fn size(row: &dyn Row, column: usize) -> u64 {
    u64::try_from(row.int(column)).unwrap_or(0)
}

fn position(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn hash(row: &dyn Row, column: usize) -> Result<Digest, Fault> {
    Digest::parse(&row.text(column)).ok_or(Fault::Bug("a stored hash is a digest"))
}

fn checkpoint(row: &dyn Row) -> Result<StoredCheckpoint, Fault> {
    Ok(StoredCheckpoint {
        size: size(row, 0),
        root: hash(row, 1)?,
        generation: row.int(2),
        note: row.text(3),
        at: Timestamp(row.int(4)),
    })
}

fn numbered(row: &dyn Row) -> Result<(u64, Digest), Fault> {
    Ok((size(row, 0), hash(row, 1)?))
}

impl Write {
    /// Adds a key. The write conflicts when there is one of this generation.
    pub fn log_key(&mut self, key: &LogKey) {
        let params = vec![
            Value::Int(key.generation),
            Value::from(key.verifier_key.as_str()),
            Value::Int(key.created_at.0),
        ];
        self.one(&INSERT_KEY, params, Miss::Moved(RecordType::LogKey, key.generation.to_string()));
    }

    /// Adds the root of a full tile: the hash at `position` of the level of tiles above it. One that is there stays.
    pub fn log_node(&mut self, level: u32, at: u64, hash: Digest) {
        self.unseen(&INSERT_NODE, vec![Value::Int(level.into()), position(at), text(hash)]);
    }

    /// Adds a signed head. One of this size that is there stays.
    pub fn checkpoint(&mut self, c: &StoredCheckpoint) {
        let params = vec![
            position(c.size),
            text(c.root),
            Value::Int(c.generation),
            Value::from(c.note.as_str()),
            Value::Int(c.at.0),
        ];
        self.unseen(&INSERT_CHECKPOINT, params);
    }

    /// Adds a witness's line to a head. One of the same witness that is there stays.
    pub fn cosignature(&mut self, size: u64, witness: &str, line: &str, at: Timestamp) {
        let params = vec![position(size), Value::from(witness), Value::from(line), Value::Int(at.0)];
        self.unseen(&INSERT_COSIGNATURE, params);
    }

    /// Takes away the body of a record and its salt. The write must carry the audit record that says so, of the kind
    /// `erased` and with a reference to this one: without it, PostgreSQL lets nobody who serves do this.
    pub fn erase_body(&mut self, sequence: i64) {
        let miss = Miss::Moved(RecordType::AuditRecord, sequence.to_string());
        self.one(&ERASE_BODY, vec![Value::Int(sequence)], miss);
    }
}

impl Reader {
    /// The keys of the log, the oldest first.
    pub async fn log_keys(&self) -> Result<Vec<LogKey>, Fault> {
        let read = |row: &dyn Row| {
            Ok(LogKey {
                generation: row.int(0),
                verifier_key: row.text(1),
                created_at: Timestamp(row.int(2)),
            })
        };
        self.rows(&KEYS, Vec::new(), read).await
    }

    async fn one_checkpoint(
        &self,
        sql: &crate::sql::Sql,
        params: Vec<Value>,
    ) -> Result<Option<StoredCheckpoint>, Fault> {
        Ok(self.rows(sql, params, checkpoint).await?.into_iter().next())
    }

    /// The newest signed head.
    pub async fn last_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Fault> {
        self.one_checkpoint(&LAST_CHECKPOINT, Vec::new()).await
    }

    /// The signed head of this size.
    pub async fn checkpoint(&self, size: u64) -> Result<Option<StoredCheckpoint>, Fault> {
        self.one_checkpoint(&CHECKPOINT, vec![position(size)]).await
    }

    /// The newest signed head that a witness has cosigned.
    pub async fn cosigned_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Fault> {
        self.one_checkpoint(&LAST_COSIGNED, Vec::new()).await
    }

    /// The first signed head of each key, which the key before has signed too.
    pub async fn key_checkpoints(&self) -> Result<Vec<StoredCheckpoint>, Fault> {
        self.rows(&FIRST_OF_KEYS, Vec::new(), checkpoint).await
    }

    /// The signed heads above the first and up to the second size.
    pub(crate) async fn checkpoints(&self, above: i64, to: i64) -> Result<Vec<(u64, Digest)>, Fault> {
        self.rows(&CHECKPOINTS, vec![Value::Int(above), Value::Int(to)], numbered).await
    }

    /// What witnesses have added to the head of this size, as signature lines.
    pub async fn cosignatures(&self, size: u64) -> Result<Vec<String>, Fault> {
        self.rows(&COSIGNATURES, vec![position(size)], |row| Ok(row.text(0))).await
    }

    /// Leaf hashes by position. One that is missing is missing here too.
    pub async fn log_leaves(&self, range: Range<u64>) -> Result<Vec<(u64, Digest)>, Fault> {
        self.rows(&LEAVES, vec![position(range.start), position(range.end)], numbered).await
    }

    /// Roots of full tiles, by position at a level of tiles; the lowest that has any is 1.
    pub async fn log_nodes(&self, level: u32, range: Range<u64>) -> Result<Vec<(u64, Digest)>, Fault> {
        let params = vec![Value::Int(level.into()), position(range.start), position(range.end)];
        self.rows(&NODES, params, numbered).await
    }

    /// Records in order from a position on, as they are stored.
    pub async fn log_records(&self, from: u64, limit: u32) -> Result<Vec<LogRecord>, Fault> {
        let read = |row: &dyn Row| {
            Ok(LogRecord {
                sequence: row.int(0),
                leaf_hash: row.text(1),
                entry: row.text(2),
                body: row.maybe_text(4).map(|body| (row.bytes(3), body)),
            })
        };
        self.rows(&RECORDS, vec![position(from), Value::Int(limit.into())], read).await
    }
}
