//! Verifying a proof bundle: nothing altered, nothing missing, no tail cut off since a checkpoint that somebody kept, all
//! of it signed, nothing executed without the approval that was asked for, no body gone but those whose erasure is
//! recorded. Pure: [`check`] looks at one line by itself, so that lines can be looked at side by side, as [`check_each`] has it
//! done; [`Verifier`] takes what was found in order.

mod line;
mod report;
mod side;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::audit::{ApprovalAsked, AuditKind, Waived};
use crate::bundle::{FORMAT, Header, Part, VERSION};
use crate::checkpoint::Checkpoint;
use crate::digest::Digest;
use crate::id::{ActionId, OrgId, UserId};
use crate::merkle::{self, Frontier};
use crate::note::{Algorithm, Note, NoteError, VerifierKey, Verify};
use crate::record::RecordType;
use crate::tile::{HEIGHT, WIDTH};
use crate::time::Timestamp;

pub use line::{Checked, check};
use line::{Event, Record, Said};
pub use report::{Counts, Fault, Finding, Report};
pub use side::check_each;

/// Findings that are named at most; all are counted.
const FINDINGS_MAX: usize = 100;

/// What is known of one action so far. A log has many, and nearly all of them are over: of those, nothing is kept but how
/// they ended.
#[derive(Debug)]
enum Action {
    Open(Box<Open>),
    /// Without an execution, by this record.
    Ended(u64, AuditKind),
    /// By this record.
    Executed(u64),
}

impl Default for Action {
    fn default() -> Action {
        Action::Open(Box::default())
    }
}

/// What an execution will be judged by.
#[derive(Debug, Default)]
struct Open {
    proposed: Option<Proposed>,
    approvals: Vec<Given>,
    glass_broken: bool,
}

/// What was proposed, as the log has it.
#[derive(Debug)]
struct Proposed {
    at: Timestamp,
    digest: Option<Digest>,
    asked: Option<ApprovalAsked>,
}

/// One approval, as the log has it.
#[derive(Debug)]
struct Given {
    at: Timestamp,
    /// By the rules themselves, in nobody's name.
    by_rule: bool,
    /// The person, if they gave it in a session of their own.
    person: Option<UserId>,
    digest: Option<Digest>,
    /// With a passkey of theirs.
    signed: bool,
}

/// A head that the records must have come to.
struct Expected {
    root: Digest,
    fault: Fault,
}

/// Takes the lines of a bundle in order.
pub struct Verifier {
    header: Header,
    report: Report,
    expected: BTreeMap<u64, Vec<Expected>>,
    signed: Vec<(Checkpoint, Note)>,
    frontier: Frontier,
    /// The next record that must come.
    next: u64,
    /// Whether records were missing, after which no root can be had.
    torn: bool,
    /// Whether lines may stand for records that are not shown, and for how many they did.
    may_hide: bool,
    hidden: u64,
    /// Roots of tiles the records have filled and no line has confirmed yet.
    filled: HashMap<u64, Digest>,
    actions: HashMap<ActionId, Action>,
    unjudged: u64,
    bodiless: BTreeSet<u64>,
    erased: BTreeSet<u64>,
    /// Keys that records of the log name, with the position of the record.
    named_keys: Vec<(u64, VerifierKey)>,
    /// Whose passkeys are which, as far as the records have said.
    passkeys: HashMap<String, UserId>,
    /// Signatures whose passkey may have been named before the exported piece.
    unnamed_passkeys: u64,
}

/// What the reader of a bundle knows beforehand.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Keys of the log, and of witnesses.
    pub keys: Vec<VerifierKey>,
    /// A checkpoint that was kept, as the text of its note.
    pub checkpoint: Option<String>,
}

impl Verifier {
    /// Begins with the first line.
    ///
    /// # Errors
    /// What the line lacks to be the first one of a bundle, readable after "the file …".
    pub fn new(first: &str) -> Result<Verifier, &'static str> {
        let header: Header = serde_json::from_str(first).map_err(|_| "is not a proof bundle")?;
        if header.format != FORMAT || header.version != VERSION {
            return Err("is a bundle of another version");
        }
        let mut frontier = Frontier::new();
        let whole = header.before.iter().all(|part| frontier.append_subtree(part.level, part.hash));
        if !whole || frontier.size() != header.from || header.to < header.from || header.size < header.to {
            return Err("has a first line that contradicts itself");
        }
        let report = Report {
            origin: header.origin.clone(),
            organization: header.organization.slug.clone(),
            from: header.from,
            to: header.to,
            size: header.size,
            root: merkle::empty_root(),
            counts: Counts::default(),
            keys: Vec::new(),
            keys_were_given: false,
            findings: Vec::new(),
            found: 0,
            notes: Vec::new(),
        };
        let mut verifier = Verifier {
            next: header.from,
            header,
            report,
            expected: BTreeMap::new(),
            signed: Vec::new(),
            frontier,
            torn: false,
            may_hide: false,
            hidden: 0,
            filled: HashMap::new(),
            actions: HashMap::new(),
            unjudged: 0,
            bodiless: BTreeSet::new(),
            erased: BTreeSet::new(),
            named_keys: Vec::new(),
            passkeys: HashMap::new(),
            unnamed_passkeys: 0,
        };
        verifier.read_checkpoints();
        Ok(verifier)
    }

    /// Lets lines stand for records that the file does not show. Only for a file whose bytes are signed as a whole: to put a
    /// hash in the place of a record needs no key.
    pub fn with_hidden(mut self) -> Verifier {
        self.may_hide = true;
        self
    }

    /// Whose log the file says it is of; records of others are found.
    pub const fn organization(&self) -> OrgId {
        self.header.organization.id
    }

    /// Whether there may be records that were not seen.
    const fn is_partial(&self) -> bool {
        self.header.from > 0 || self.hidden > 0
    }

    fn read_checkpoints(&mut self) {
        for text in std::mem::take(&mut self.header.checkpoints) {
            match Checkpoint::read(&text) {
                Ok((head, note)) if head.origin == self.header.origin => {
                    let expected = Expected { root: head.root, fault: Fault::WrongRoot };
                    self.expected.entry(head.size).or_default().push(expected);
                    self.signed.push((head, note));
                }
                Ok(_) => self.find(Fault::OtherLog, None, "a checkpoint of the file is of another log"),
                Err(_) => self.find(Fault::WrongSignature, None, "a checkpoint of the file cannot be read"),
            }
        }
        self.signed.sort_by_key(|(head, _)| head.size);
        if self.signed.last().is_none_or(|(head, _)| head.size != self.header.size) {
            let message = format!("no checkpoint of the file signs its {} records", self.header.size);
            self.find(Fault::WrongSignature, None, message);
        }
    }

    fn find(&mut self, fault: Fault, sequence: Option<u64>, message: impl Into<String>) {
        self.report.found += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { fault, sequence, message: message.into() });
        }
    }

    /// Sets what is expected of a checkpoint that somebody kept: that the log has grown from it.
    pub fn expect(&mut self, known: &Known, with: &dyn Verify) {
        let Some(text) = &known.checkpoint else { return };
        let Ok((head, note)) = Checkpoint::read(text) else {
            return self.find(Fault::WrongSignature, None, "the given checkpoint cannot be read");
        };
        if head.origin != self.header.origin {
            return self.find(Fault::OtherLog, None, "the given checkpoint is of another log");
        }
        let mut keys = known.keys.clone();
        if keys.is_empty() {
            keys.extend(self.header.keys.iter().filter_map(|key| VerifierKey::parse(key).ok()));
        }
        if let Err(error) = note.verify(&keys, with) {
            return self.find(fault_of(&error), None, format!("of the given checkpoint, {error}"));
        }
        if head.size > self.header.size {
            let message = format!(
                "the log ends at {} records, but {} were signed by the given checkpoint: its tail was cut off",
                self.header.size, head.size
            );
            return self.find(Fault::CutOff, Some(self.header.size), message);
        }
        if head.size < self.header.from || head.size > self.header.to && head.size < self.header.size {
            let message = format!(
                "the given checkpoint of {} records lies outside of what was exported, so that it says nothing here",
                head.size
            );
            return self.report.notes.push(message);
        }
        let expected = Expected { root: head.root, fault: Fault::RewrittenHistory };
        self.expected.entry(head.size).or_default().push(expected);
        self.compare();
    }

    /// The next line, as [`check`] found it.
    pub fn push(&mut self, line: Checked) {
        match line.0 {
            Ok(Said::Record(record)) => self.record(*record),
            Ok(Said::Tile { position, root }) => self.tile(position, root),
            Ok(Said::Hidden(part)) => self.hide(part),
            Err(why) => self.find(Fault::UnreadableLine, Some(self.next), why),
        }
    }

    fn record(&mut self, record: Record) {
        let sequence = record.sequence;
        if sequence < self.next || sequence >= self.header.to {
            return self.find(
                Fault::WrongPlace,
                Some(sequence),
                format!("record {sequence} is out of order"),
            );
        }
        if sequence > self.next {
            self.missing(sequence);
        }
        self.next = sequence + 1;
        self.report.counts.records += 1;
        for (fault, words) in &record.faults {
            self.find(*fault, Some(sequence), format!("record {sequence} {words}"));
        }
        if record.organization.is_some_and(|of| of != self.header.organization.id) {
            self.find(
                Fault::WrongPlace,
                Some(sequence),
                format!("record {sequence} is of another organization"),
            );
        }
        if record.body {
            self.report.counts.bodies += 1;
        } else {
            self.bodiless.insert(sequence);
        }
        let filled = &mut self.filled;
        self.frontier.append_each(record.leaf, |part, hash| {
            if part.level == HEIGHT {
                filled.insert(part.index, hash);
            }
        });
        self.compare();
        if let Some(event) = record.event {
            self.event(sequence, event);
        }
    }

    fn hide(&mut self, part: Part) {
        let count = 1_u64.checked_shl(part.level).unwrap_or(0);
        let until = self.next.saturating_add(count);
        if self.torn {
            self.next = until;
            return;
        }
        if count == 0 || until > self.header.to || !self.frontier.append_subtree(part.level, part.hash) {
            self.torn = true;
            return self.find(Fault::WrongPlace, Some(self.next), "a hash stands where none belongs");
        }
        if !self.may_hide {
            let message = format!("records {} to {} are not shown, only their hash is", self.next, until - 1);
            self.find(Fault::MissingRecords, Some(self.next), message);
        }
        self.hidden += count;
        self.next = until;
        self.compare();
    }

    fn missing(&mut self, until: u64) {
        let (first, last) = (self.next, until - 1);
        let message = if first == last {
            format!("record {first} is missing")
        } else {
            format!("records {first} to {last} are missing")
        };
        self.find(Fault::MissingRecords, Some(first), message);
        self.torn = true;
    }

    fn tile(&mut self, position: u64, root: Digest) {
        self.report.counts.tiles += 1;
        let filled = self.filled.remove(&position);
        if !self.torn && filled.is_some_and(|filled| filled != root) {
            let (first, last) = (position * WIDTH, (position + 1) * WIDTH - 1);
            let message = format!("records {first} to {last} are not those that were sealed");
            self.find(Fault::AlteredTile, Some(first), message);
        }
    }

    /// Compares with every head of the size that has been reached.
    fn compare(&mut self) {
        let size = self.frontier.size();
        let Some(expected) = self.expected.remove(&size).filter(|_| !self.torn) else { return };
        let root = self.frontier.root();
        for head in expected.into_iter().filter(|head| head.root != root) {
            let message = match head.fault {
                Fault::RewrittenHistory => {
                    format!(
                        "the first {size} records are not those of the given checkpoint: they were rewritten"
                    )
                }
                _ => format!("the first {size} records are not those that were signed"),
            };
            self.find(head.fault, None, message);
        }
    }

    fn event(&mut self, sequence: u64, event: Event) {
        match event.kind {
            AuditKind::Erased => {
                let erased = event.names.iter().filter(|(kind, _)| *kind == RecordType::AuditRecord);
                self.erased.extend(erased.filter_map(|(_, id)| id.parse::<u64>().ok()));
            }
            AuditKind::Administered => {
                let keys = event.names.iter().filter(|(kind, _)| *kind == RecordType::LogKey);
                let keys = keys.filter_map(|(_, key)| VerifierKey::parse(key).ok());
                self.named_keys.extend(keys.map(|key| (sequence, key)));
            }
            _ => {
                let Some(id) = event.action else { return };
                match event.kind {
                    AuditKind::Proposed => {
                        if let Action::Open(open) = self.actions.entry(id).or_default() {
                            let Event { at, digest, approval: asked, .. } = event;
                            open.proposed = Some(Proposed { at, digest, asked });
                        }
                    }
                    kind @ (AuditKind::Rejected | AuditKind::Expired | AuditKind::Failed) => {
                        let action = self.actions.entry(id).or_default();
                        if !matches!(action, Action::Executed(_)) {
                            *action = Action::Ended(sequence, kind);
                        }
                    }
                    AuditKind::Executed => {
                        self.passkeys(&event);
                        self.executed(id, sequence, event);
                    }
                    kind => {
                        let signed = self.signed(sequence, &event);
                        if let Action::Open(open) = self.actions.entry(id).or_default() {
                            open.glass_broken |= kind == AuditKind::BrokenGlass;
                            let by_rule = event.user.is_none();
                            let person = event.user.filter(|_| event.in_session);
                            let (at, digest) = (event.at, event.digest);
                            open.approvals.push(Given { at, by_rule, person, digest, signed });
                        }
                    }
                }
            }
        }
    }

    /// Remembers the passkeys that an execution registers, and forgets those that it removes.
    fn passkeys(&mut self, event: &Event) {
        let owner = event.approval.as_ref().map(|asked| asked.requester_id);
        for (_, id) in event.names.iter().filter(|(kind, _)| *kind == RecordType::Passkey) {
            self.passkeys.extend(owner.map(|owner| (id.clone(), owner)));
        }
        for (_, id) in event.changed.iter().filter(|(kind, _)| *kind == RecordType::Passkey) {
            self.passkeys.remove(id);
        }
    }

    /// Whether an approval is signed with a passkey that was this person's by then.
    fn signed(&mut self, sequence: u64, event: &Event) -> bool {
        let Some(passkey) = &event.signed_by else { return false };
        match self.passkeys.get(passkey) {
            Some(owner) if Some(*owner) == event.user => {
                self.report.counts.signed_approvals += 1;
                true
            }
            None if self.is_partial() => {
                self.unnamed_passkeys += 1;
                true
            }
            _ => {
                let message = format!(
                    "record {sequence} is signed with a passkey that the log had not named as this person's"
                );
                self.find(Fault::WrongPasskey, Some(sequence), message);
                false
            }
        }
    }

    fn executed(&mut self, id: ActionId, sequence: u64, event: Event) {
        let partial = self.is_partial();
        let action = match self.actions.insert(id, Action::Executed(sequence)) {
            Some(Action::Executed(first)) => {
                let message = format!("record {sequence} executes what record {first} has executed already");
                return self.find(Fault::SecondExecution, Some(sequence), message);
            }
            Some(Action::Ended(ended, kind)) => {
                let message = format!("record {sequence} executes what record {ended} says has {kind}");
                return self.find(Fault::UnapprovedExecution, Some(sequence), message);
            }
            Some(Action::Open(open)) => *open,
            None => Open::default(),
        };
        let Some(asked) = event.approval else { return self.unjudged += 1 };
        if let Some(proposed) = &action.proposed {
            let as_asked = proposed.asked.as_ref().is_none_or(|before| before.asks_as(&asked));
            if !as_asked || proposed.digest != event.digest {
                let message = format!("record {sequence} executes something else than what was proposed");
                return self.find(Fault::UnapprovedExecution, Some(sequence), message);
            }
        }
        if asked.minimum_approvers == 0 {
            self.report.counts.executions_without_requirement += 1;
            return;
        }
        let given = action.approvals.iter().filter(|given| given.digest == event.digest);
        let people: BTreeSet<UserId> = given.clone().filter_map(|given| given.person).collect();
        let signed = given.clone().filter(|given| given.signed).filter_map(|given| given.person);
        let signed = signed.collect::<BTreeSet<_>>().len() as u32;
        let others = people.iter().filter(|person| **person != asked.requester_id).count() as u32;
        let (good, count) = match asked.waived {
            None => {
                let enough = people.len() as u32 >= asked.minimum_approvers
                    && others >= asked.minimum_others
                    && signed >= asked.minimum_signed;
                (enough, &mut self.report.counts.approved_executions)
            }
            Some(Waived::Rule) => {
                let due = action.proposed.as_ref().zip(asked.auto_approve_after_seconds);
                let due = due.map(|(proposed, after)| proposed.at.plus_seconds(after));
                let in_time =
                    due.is_some_and(|due| given.clone().any(|given| given.by_rule && given.at >= due));
                (in_time, &mut self.report.counts.approved_by_rule)
            }
            Some(Waived::BrokenGlass) => {
                (action.glass_broken && !people.is_empty(), &mut self.report.counts.broken_glass)
            }
        };
        if good {
            *count += 1;
        } else if partial && action.proposed.is_none() {
            self.unjudged += 1;
        } else if asked.waived == Some(Waived::Rule) {
            let message = format!(
                "record {sequence} executes what a rule is said to have approved, but by the log none had done so in its \
                 time"
            );
            self.find(Fault::UnapprovedExecution, Some(sequence), message);
        } else {
            let message = format!(
                "record {sequence} executes an action that needs {} approval(s), {} of them by others than the \
                 requester and {} signed with a passkey; the log has {} of this payload, {others} of them by others and \
                 {signed} signed",
                asked.minimum_approvers,
                asked.minimum_others,
                asked.minimum_signed,
                people.len(),
            );
            self.find(Fault::UnapprovedExecution, Some(sequence), message);
        }
    }

    /// Ends: the tail, the root, the signatures, the bodies.
    pub fn finish(mut self, known: &Known, with: &dyn Verify) -> Report {
        if self.next < self.header.to {
            self.missing(self.header.to);
        }
        let after = std::mem::take(&mut self.header.after);
        let whole = self.torn || after.iter().all(|part| self.frontier.append_subtree(part.level, part.hash));
        if !self.torn && (!whole || self.frontier.size() != self.header.size) {
            self.find(Fault::WrongRoot, None, "the hashes after the exported piece do not belong there");
        }
        self.compare();
        self.report.root = self.frontier.root();
        self.signatures(known, with);
        for sequence in std::mem::take(&mut self.bodiless) {
            if self.erased.contains(&sequence) {
                self.report.counts.erased += 1;
            } else if self.header.to == self.header.size && self.hidden == 0 {
                let message =
                    format!("the body of record {sequence} is gone, and no record says that it was erased");
                self.find(Fault::MissingBody, Some(sequence), message);
            } else {
                let message = format!(
                    "the body of record {sequence} is gone; whether that is recorded lies outside of what was exported"
                );
                self.report.notes.push(message);
            }
        }
        if self.unjudged > 0 {
            let message = format!(
                "{} execution(s) could not be judged: their proposal lies outside of what was exported, or they were \
                 recorded without what they needed",
                self.unjudged
            );
            self.report.notes.push(message);
        }
        if self.unnamed_passkeys > 0 {
            let message = format!(
                "of {} approval(s) signed with a passkey, whose it is was named outside of what was exported",
                self.unnamed_passkeys
            );
            self.report.notes.push(message);
        }
        self.report
    }

    /// Every checkpoint must be signed by a key of the log. Where keys were given, only those count, and those that a
    /// record under a checkpoint of theirs has named since.
    fn signatures(&mut self, known: &Known, with: &dyn Verify) {
        let origin = self.header.origin.clone();
        let own = |key: &VerifierKey| key.algorithm() == Algorithm::Ed25519 && key.name() == origin;
        // Heads of other sizes were compared with nothing, so that nothing is proven under them.
        let whole = !self.torn && self.hidden == 0;
        let compared = self.header.from..=if whole { self.header.to } else { 0 };
        let (mut trusted, witnesses): (Vec<_>, Vec<_>) =
            known.keys.iter().cloned().partition(|key| key.algorithm() == Algorithm::Ed25519);
        trusted.retain(own);
        self.report.keys_were_given = known.keys.iter().any(own);
        if !self.report.keys_were_given {
            trusted = self.header.keys.iter().filter_map(|key| VerifierKey::parse(key).ok()).collect();
            trusted.retain(own);
            if known.keys.iter().any(|key| key.algorithm() == Algorithm::Ed25519) {
                self.find(Fault::UnknownKey, None, "the given key is of another log");
            } else {
                let message =
                    "no key was given: the signatures were verified with the keys of the file itself";
                self.report.notes.push(message.into());
            }
        }
        let mut used: Vec<String> = Vec::new();
        for (head, note) in std::mem::take(&mut self.signed) {
            match note.verify(&trusted, with) {
                Ok(keys) => {
                    self.report.counts.checkpoints += 1;
                    used.extend(keys.iter().map(ToString::to_string));
                    let proven = |at: u64| at < head.size && compared.contains(&head.size);
                    let named = self.named_keys.iter().filter(|(at, key)| proven(*at) && own(key));
                    trusted.extend(named.map(|(_, key)| key.clone()));
                }
                Err(error) => {
                    let message = format!("of the checkpoint of {} records, {error}", head.size);
                    self.find(fault_of(&error), None, message);
                }
            }
            match note.verify(&witnesses, with) {
                Ok(keys) => self.report.counts.cosignatures += keys.len() as u64,
                Err(NoteError::NoKnownKey) => {}
                Err(error) => {
                    let message = format!("of the checkpoint of {} records, {error}", head.size);
                    self.find(fault_of(&error), None, message);
                }
            }
        }
        used.sort();
        used.dedup();
        self.report.keys = used;
    }
}

const fn fault_of(error: &NoteError) -> Fault {
    match error {
        NoteError::NoKnownKey => Fault::UnknownKey,
        _ => Fault::WrongSignature,
    }
}
