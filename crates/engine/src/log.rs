//! The log proves itself: heads are signed as it grows, and tiles, proofs and bundles are made for those who verify it.
//! What the forms are is `domain`'s matter; where they are kept is the store's.

mod export;

use std::ops::Range;

use domain::audit::{AuditDraft, AuditKind, AuditReference};
use domain::bundle::Part;
use domain::checkpoint::{self, Checkpoint};
use domain::digest::Digest;
use domain::id::OrgId;
use domain::merkle::{self, Frontier};
use domain::note::{Algorithm, Note, SignatureLine, VerifierKey};
use domain::permission::Permission;
use domain::record::RecordType;
use domain::refusal::{Code, Refusal};
use domain::tile::{self, HEIGHT, Plan, Tile, Tiles};
use domain::time::Timestamp;
use identity::Actor;
use schemars::JsonSchema;
use serde::Serialize;
use store::{CommitError, Directory, LogKey, Org, Reader, StoredCheckpoint, Write};

use crate::signing::{LogSigner, SignatureVerifier};
use crate::stop::{Fault, Stop};
use crate::tool::Query as _;
use crate::tools::list_audit_records::ListAuditRecords;
use crate::{Caller, Engine, RequestIds, Surface, ledger, limits};

pub use export::{Exported, LogBundle};

/// That one record is under a signed head.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inclusion {
    pub sequence: u64,
    pub leaf_hash: Digest,
    /// Records under the head.
    pub size: u64,
    pub root: Digest,
    /// Siblings from the leaf upwards (RFC 9162, 2.1.3.1).
    pub hashes: Vec<Digest>,
    /// The head as a signed note (c2sp.org/tlog-checkpoint).
    pub checkpoint: String,
    /// All of it as one text (c2sp.org/tlog-proof).
    pub proof: String,
}

/// That an earlier head is a prefix of the newest one.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Consistency {
    /// Records under the earlier head.
    pub first: u64,
    /// Records under the newest one.
    pub size: u64,
    pub root: Digest,
    /// RFC 9162, 2.1.4.1.
    pub hashes: Vec<Digest>,
    pub checkpoint: String,
}

/// The name under which the directory keeps the secret half of a key.
fn secret_name(organization: OrgId, generation: i64) -> String {
    format!("log/{organization}/{generation}")
}

fn broken(error: CommitError) -> Stop {
    match error {
        CommitError::Fault(fault) => fault.into(),
        CommitError::Conflict(_) => Refusal::new(
            Code::VersionConflict,
            "the log was changed by somebody else at this moment",
            "Look at the log, and repeat the command if it is still wanted.",
        )
        .into(),
    }
}

fn not_found() -> Stop {
    Refusal::not_found("part of the log").into()
}

/// Reads what a plan needs.
async fn tiles(reader: &Reader, plan: &Plan) -> Result<Tiles, Fault> {
    let mut tiles = Tiles::default();
    for tile in plan.tiles() {
        tiles.insert(tile, hashes(reader, tile).await?);
    }
    Ok(tiles)
}

/// The hashes of a tile; fewer when storage has lost some.
async fn hashes(reader: &Reader, tile: Tile) -> Result<Vec<Digest>, Fault> {
    let found = match tile.level {
        0 => reader.log_leaves(tile.positions()).await?,
        level => reader.log_nodes(level, tile.positions()).await?,
    };
    let whole = tile.positions().zip(found).take_while(|(wanted, (at, _))| wanted == at);
    Ok(whole.map(|(_, (_, hash))| hash).collect())
}

async fn answers(reader: &Reader, plan: &Plan) -> Result<Vec<Digest>, Fault> {
    let tiles = tiles(reader, plan).await?;
    plan.answer(&tiles).ok_or(Fault::Bug("the stored log has every hash under its signed heads"))
}

/// A head with what witnesses have added to it.
async fn with_cosignatures(reader: &Reader, head: &StoredCheckpoint) -> Result<String, Fault> {
    let mut note = head.note.clone();
    for line in reader.cosignatures(head.size).await? {
        note.push_str(&line);
        note.push('\n');
    }
    Ok(note)
}

/// Roots of the greatest complete subtrees of a range.
async fn parts(reader: &Reader, size: u64, range: Range<u64>) -> Result<Vec<Part>, Fault> {
    let subtrees = merkle::subtrees(range);
    let roots = answers(reader, &Plan::subtrees(size, &subtrees)).await?;
    Ok(subtrees.iter().zip(roots).map(|(part, hash)| Part { level: part.level, hash }).collect())
}

impl Engine {
    /// Signs the head of a log that has grown. True when there is a head of everything that is recorded.
    ///
    /// A log that does not hash to its last signed head is not signed: that would make good what somebody changed.
    ///
    /// # Errors
    /// A fault of storage, or a log that cannot be read as it was written.
    pub async fn seal(&self, org: &Org) -> Result<bool, Fault> {
        let reader = org.reader();
        let size = u64::try_from(reader.audit_size().await?).unwrap_or(0);
        let last = reader.last_checkpoint().await?;
        if size == last.as_ref().map_or(0, |head| head.size) {
            return Ok(true);
        }
        let keys = self.keys(org).await?;
        let Some(signers) = self.signers(org.id(), &keys, last.as_ref()).await? else { return Ok(false) };
        let mut frontier = Frontier::new();
        if let Some(head) = &last {
            let plan = Plan::head(head.size);
            frontier = plan
                .frontier(&tiles(reader, &plan).await?)
                .filter(|frontier| frontier.root() == head.root)
                .ok_or(Fault::Altered("the audit log no longer hashes to its last signed head"))?;
        }
        let mut write = Write::new();
        while frontier.size() < size {
            let from = frontier.size();
            let to = size.min(from + limits::SEAL_BATCH);
            let leaves = reader.log_leaves(from..to).await?;
            if !leaves.iter().map(|(at, _)| *at).eq(from..to) {
                return Err(Fault::Altered("records of the audit log are missing"));
            }
            for (_, leaf) in leaves {
                frontier.append_each(leaf, |part, hash| {
                    if part.level > 0 && part.level % HEIGHT == 0 {
                        write.log_node(part.level / HEIGHT, part.index, hash);
                    }
                });
            }
        }
        let head = signed(&frontier, &keys, &signers, self.parts.clock.now())?;
        write.checkpoint(&head);
        match org.commit(write).await {
            Ok(_) => {}
            Err(CommitError::Conflict(_)) => return Ok(false),
            Err(CommitError::Fault(fault)) => return Err(fault.into()),
        }
        self.forget_old_keys(org).await?;
        Ok(true)
    }

    /// The keys of a log; the first one is made when there is none.
    async fn keys(&self, org: &Org) -> Result<Vec<LogKey>, Fault> {
        let keys = org.reader().log_keys().await?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        let origin = checkpoint::origin(&self.parts.settings.public_url, org.id());
        let mut write = Write::new();
        write.log_key(&self.new_key(org.id(), 1, &origin).await?);
        match org.commit(write).await {
            // Another process made it at the same moment, of the same secret.
            Ok(_) | Err(CommitError::Conflict(_)) => Ok(org.reader().log_keys().await?),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    async fn new_key(&self, organization: OrgId, generation: i64, name: &str) -> Result<LogKey, Fault> {
        let fresh = LogSigner::fresh_secret()?;
        let directory = self.parts.store.directory();
        let secret = directory.secret(&secret_name(organization, generation), fresh).await?;
        let key = {
            use domain::note::Sign as _;
            let public = LogSigner::new(&secret)?.public();
            VerifierKey::new(name, Algorithm::Ed25519, public)
                .map_err(|_| Fault::Bug("an origin is a name"))?
        };
        Ok(LogKey { generation, verifier_key: key.to_string(), created_at: self.parts.clock.now() })
    }

    /// The newest key, and before its first head also the one that signed last, so that who knows the old key can
    /// follow. `None` when that one is gone because another process has just signed.
    async fn signers(
        &self,
        organization: OrgId,
        keys: &[LogKey],
        last: Option<&StoredCheckpoint>,
    ) -> Result<Option<Vec<LogSigner>>, Fault> {
        let newest = keys.last().map_or(1, |key| key.generation);
        let oldest = last.map_or(newest, |head| head.generation);
        let directory = self.parts.store.directory();
        let mut signers = Vec::new();
        for generation in oldest..=newest {
            match directory.existing_secret(&secret_name(organization, generation)).await? {
                Some(secret) => signers.push(LogSigner::new(&secret)?),
                None => return Ok(None),
            }
        }
        Ok(Some(signers))
    }

    /// Secrets of keys that are followed by another are deleted once that one has signed.
    async fn forget_old_keys(&self, org: &Org) -> Result<(), Fault> {
        let generation = org.reader().last_checkpoint().await?.map_or(1, |head| head.generation);
        let directory: Directory = self.parts.store.directory();
        let old = secret_name(org.id(), generation - 1);
        if generation > 1 && directory.existing_secret(&old).await?.is_some() {
            for generation in 1..generation {
                directory.delete_secret(&secret_name(org.id(), generation)).await?;
            }
        }
        Ok(())
    }

    /// Writes down the reads that wait, and signs the head.
    ///
    /// # Errors
    /// As [`Engine::seal`].
    pub async fn seal_now(&self, org: &Org) -> Result<StoredCheckpoint, Fault> {
        self.flush_reads().await;
        self.seal(org).await?;
        org.reader().last_checkpoint().await?.ok_or(Fault::Bug("a log with records has a signed head"))
    }

    /// Goes on with a new key; recorded in the log, and the first head of the new key is signed by the old one too.
    ///
    /// # Errors
    /// `forbidden`; `version_conflict` when somebody else does the same.
    pub async fn rotate_key(&self, actor: &Actor, ids: &RequestIds, reason: &str) -> Result<LogKey, Stop> {
        may_manage(actor)?;
        let org = self.parts.store.org(actor.organization.id).await?;
        self.seal(&org).await?;
        let keys = self.keys(&org).await?;
        let Some(last) = keys.last() else { return Err(Fault::Bug("a sealed log has a key").into()) };
        let (name, _) = last.verifier_key.split_once('+').unwrap_or_default();
        let key = self.new_key(org.id(), last.generation + 1, name).await?;
        let mut draft = self.by_hand(actor, ids, AuditKind::Administered, "rotate_log_key", reason).await?;
        draft.created =
            vec![AuditReference { record_type: RecordType::LogKey, id: key.verifier_key.clone() }];
        let mut write = Write::new();
        write.audit(draft);
        write.log_key(&key);
        org.commit(write).await.map_err(broken)?;
        self.seal(&org).await?;
        Ok(key)
    }

    /// Takes away the bodies of records: reasons, payloads and messages. The log stays valid and says who did it.
    ///
    /// # Errors
    /// `forbidden`; `version_conflict` when one of them is not there or has been erased before.
    pub async fn erase(
        &self,
        actor: &Actor,
        ids: &RequestIds,
        sequences: &[i64],
        reason: &str,
    ) -> Result<(), Stop> {
        may_manage(actor)?;
        let org = self.parts.store.org(actor.organization.id).await?;
        let mut draft = self.by_hand(actor, ids, AuditKind::Erased, "erase_audit_bodies", reason).await?;
        let named = |at: &i64| AuditReference { record_type: RecordType::AuditRecord, id: at.to_string() };
        draft.references = sequences.iter().map(named).collect();
        let mut write = Write::new();
        write.audit(draft);
        for at in sequences {
            write.erase_body(*at);
        }
        org.commit(write).await.map_err(broken)?;
        Ok(())
    }

    async fn by_hand(
        &self,
        actor: &Actor,
        ids: &RequestIds,
        kind: AuditKind,
        what: &str,
        reason: &str,
    ) -> Result<domain::audit::AuditDraft, Stop> {
        let admitted = self.admit(actor.clone(), Surface::Api).await?;
        let caller = Caller { actor: &admitted, channel: domain::action::Channel::Cli, ids };
        let mut draft = ledger::draft(caller, self.parts.clock.now(), kind, Some(what));
        draft.body.reason = Some(reason.to_owned());
        Ok(draft)
    }

    /// Adds a witness's cosignature to a head of the log: the head as a note that has the witness's line. The log records
    /// it as the operator's doing.
    ///
    /// # Errors
    /// `validation_failed` when the note is of no head of this log, or the line is not of this key.
    pub async fn cosign(
        &self,
        org: &Org,
        ids: &RequestIds,
        note: &str,
        witness: &VerifierKey,
    ) -> Result<u64, Stop> {
        let wrong = |message: &str| Stop::from(Refusal::invalid("checkpoint", message));
        let (head, note) = Checkpoint::read(note).map_err(|_| wrong("is not a signed checkpoint"))?;
        let stored = org.reader().checkpoint(head.size).await?;
        let text = stored.as_ref().and_then(|stored| Note::parse(&stored.note).ok());
        if text.is_none_or(|stored| stored.text() != note.text()) {
            return Err(wrong("is not one of this log"));
        }
        let keys = std::slice::from_ref(witness);
        if note.verify(keys, &SignatureVerifier).is_err() || witness.algorithm() != Algorithm::Cosignature {
            return Err(wrong("has no cosignature of this witness"));
        }
        let line = note.signatures.iter().find(|line| line.name == witness.name() && line.id == witness.id());
        let Some(line) = line else { return Err(wrong("has no cosignature of this witness")) };
        let now = self.parts.clock.now();
        let mut write = Write::new();
        write.audit(AuditDraft {
            channel: domain::action::Channel::Cli,
            tool: Some("cosign_log".into()),
            references: vec![AuditReference { record_type: RecordType::LogKey, id: witness.to_string() }],
            trace_id: ids.trace_id.clone(),
            ..ledger::automatic(now, AuditKind::Administered, ids.request_id.clone())
        });
        write.cosignature(head.size, witness.name(), &line.to_string(), now);
        org.commit(write).await.map_err(broken)?;
        Ok(head.size)
    }

    /// The newest key of those that have signed a head, with its public side.
    ///
    /// # Errors
    /// `version_conflict` when the key was replaced at this moment.
    pub(crate) async fn signer_of(
        &self,
        org: &Org,
        head: &StoredCheckpoint,
    ) -> Result<(VerifierKey, LogSigner), Stop> {
        let keys = org.reader().log_keys().await?;
        let key = keys.iter().find(|key| key.generation == head.generation);
        let key = key.and_then(|key| VerifierKey::parse(&key.verifier_key).ok());
        let key = key.ok_or(Fault::Bug("a signed head has a key"))?;
        let name = secret_name(org.id(), head.generation);
        let secret = self.parts.store.directory().existing_secret(&name).await?;
        let secret = secret.ok_or_else(|| {
            Refusal::new(
                Code::VersionConflict,
                "the key of the log was replaced at this moment",
                "Try again.",
            )
        })?;
        Ok((key, LogSigner::new(&secret)?))
    }

    /// Reads of the log ask for the same right as the list of audit records.
    async fn log_reader(&self, caller: Caller<'_>) -> Result<Org, Stop> {
        if !caller.actor.permits(&ListAuditRecords::CARD) {
            return Err(caller.actor.refusal(&ListAuditRecords::CARD).into());
        }
        Ok(self.parts.store.org(caller.actor.organization.id).await?)
    }

    async fn told<T>(&self, caller: Caller<'_>, done: Result<T, Stop>) -> Result<T, Refusal> {
        match done {
            Ok(done) => Ok(done),
            Err(stop) => Err(self.refuse(caller, ListAuditRecords::CARD.name, stop).await),
        }
    }

    /// The newest signed head as a note, with what witnesses have added.
    ///
    /// # Errors
    /// `forbidden`; `not_found` before the first one is signed.
    pub async fn log_checkpoint(&self, caller: Caller<'_>) -> Result<String, Refusal> {
        let asked = async {
            let org = self.log_reader(caller).await?;
            let head = org.reader().last_checkpoint().await?.ok_or_else(not_found)?;
            Ok(with_cosignatures(org.reader(), &head).await?)
        };
        self.told(caller, asked.await).await
    }

    /// A tile (`0/000`, `1/x001/234.p/5`) or a bundle of entries (`entries/000`), as the path of c2sp.org/tlog-tiles names it.
    ///
    /// # Errors
    /// `forbidden`; `not_found` for one that lies beyond the newest signed head.
    pub async fn log_tile(&self, caller: Caller<'_>, path: &str) -> Result<Vec<u8>, Refusal> {
        let asked = async {
            let org = self.log_reader(caller).await?;
            let size = org.reader().last_checkpoint().await?.map_or(0, |head| head.size);
            let entries = path.strip_prefix("entries/").map(|rest| format!("0/{rest}"));
            let tile = Tile::parse(entries.as_deref().unwrap_or(path)).ok_or_else(not_found)?;
            if tile.positions().end > tile::hashes_at(size, tile.level) {
                return Err(not_found());
            }
            if entries.is_none() {
                return Ok(tile::encode_hashes(&hashes(org.reader(), tile).await?));
            }
            self.note_read(caller, "read_log_entries", tile.width.into(), Some(path.to_owned())).await;
            let mut bytes = Vec::new();
            for record in org.reader().log_records(tile.positions().start, tile.width.into()).await? {
                if !tile::push_entry(&mut bytes, record.entry.as_bytes()) {
                    return Err(Fault::Bug("an entry fits into a bundle").into());
                }
            }
            Ok(bytes)
        };
        self.told(caller, asked.await).await
    }

    /// The proof that a record is under the newest signed head.
    ///
    /// # Errors
    /// `forbidden`; `not_found` for a record that is not there or not yet signed.
    pub async fn log_inclusion(&self, caller: Caller<'_>, sequence: u64) -> Result<Inclusion, Refusal> {
        let asked = async { inclusion(self.log_reader(caller).await?.reader(), sequence).await };
        self.told(caller, asked.await).await
    }

    /// The proof that the first `first` records are the beginning of the newest signed head.
    ///
    /// # Errors
    /// `forbidden`; `not_found` for more records than were signed.
    pub async fn log_consistency(&self, caller: Caller<'_>, first: u64) -> Result<Consistency, Refusal> {
        let asked = async { consistency(self.log_reader(caller).await?.reader(), first).await };
        self.told(caller, asked.await).await
    }
}

/// The proof of one record.
pub(crate) async fn inclusion(reader: &Reader, sequence: u64) -> Result<Inclusion, Stop> {
    let head = reader.last_checkpoint().await?.ok_or_else(not_found)?;
    let plan = Plan::inclusion(sequence, head.size).ok_or_else(not_found)?;
    let hashes = answers(reader, &plan).await?;
    let leaf = reader.log_leaves(sequence..sequence + 1).await?;
    let (_, leaf_hash) = leaf.first().ok_or(Fault::Bug("a signed record is there"))?;
    let checkpoint = with_cosignatures(reader, &head).await?;
    let note = Note::parse(&checkpoint).map_err(|_| Fault::Bug("a stored head can be read"))?;
    let proof = checkpoint::proof_text(sequence, &hashes, &note);
    Ok(Inclusion {
        sequence,
        leaf_hash: *leaf_hash,
        size: head.size,
        root: head.root,
        hashes,
        checkpoint,
        proof,
    })
}

/// The proof since a head of `first` records.
pub(crate) async fn consistency(reader: &Reader, first: u64) -> Result<Consistency, Stop> {
    let head = reader.last_checkpoint().await?.ok_or_else(not_found)?;
    let plan = Plan::consistency(first, head.size).ok_or_else(not_found)?;
    let hashes = answers(reader, &plan).await?;
    let checkpoint = with_cosignatures(reader, &head).await?;
    Ok(Consistency { first, size: head.size, root: head.root, hashes, checkpoint })
}

fn may_manage(actor: &Actor) -> Result<(), Refusal> {
    if actor.rights.allows(Permission::OrganizationManage, None) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Forbidden,
        "this needs organization:manage",
        "Ask an administrator of the organization.",
    ))
}

fn signed(
    frontier: &Frontier,
    keys: &[LogKey],
    signers: &[LogSigner],
    at: Timestamp,
) -> Result<StoredCheckpoint, Fault> {
    let key = keys.last().ok_or(Fault::Bug("a log that signs has a key"))?;
    let (origin, _) = key.verifier_key.split_once('+').ok_or(Fault::Bug("a stored key can be read"))?;
    let (size, root) = (frontier.size(), frontier.root());
    let text = Checkpoint { origin: origin.to_owned(), size, root }.to_string();
    let lines: Result<Vec<SignatureLine>, _> =
        signers.iter().map(|signer| SignatureLine::sign(&text, origin, signer)).collect();
    let note = lines.and_then(|lines| Note::new(text, lines));
    let note = note.map_err(|_| Fault::Bug("an origin is a name"))?.to_string();
    Ok(StoredCheckpoint { size, root, generation: key.generation, note, at })
}
