//! Verifying a bundle: a good one is good, and every way to tamper with one is found and named.

use std::num::NonZero;

use data_encoding::BASE64URL_NOPAD;
use domain::action::Channel;
use domain::approval::Requirement;
use domain::audit::{
    ApprovalAsked, AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference, Sealed, Waived,
};
use domain::bundle::{self, Header, Organization, Part};
use domain::checkpoint::Checkpoint;
use domain::compact::{pack, unpack};
use domain::digest::{Digest, canonical_json};
use domain::id::{ActionId, AgentId, ApprovalId, IdentityProviderId, OrgId, SessionId, TokenId, UserId};
use domain::merkle::{self, Frontier};
use domain::note::{Algorithm, Note, SignatureLine};
use domain::passkey::{self, Assertion, Curve, PublicKey};
use domain::record::RecordType;
use domain::refusal::Code;
use domain::tile::{ENTRY_BYTES_MAX, HEIGHT};
use domain::time::Timestamp;
use domain::verify::{Fault, Known, Report, Verifier, check, check_each};
use uuid::Uuid;

use crate::log::{Check, Dalek};

const ORIGIN: &str = "loopiq.example.com/log/org_1";
const OLD: u8 = 1;
const NEW: u8 = 2;

pub fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub fn organization() -> OrgId {
    OrgId::from_uuid(id(1))
}

fn draft(kind: AuditKind, person: u128) -> AuditDraft {
    let session_id = (kind != AuditKind::Proposed).then(|| SessionId::from_uuid(id(person + 100)));
    AuditDraft {
        at: Timestamp(1),
        kind,
        actor: AuditActor {
            user_id: Some(UserId::from_uuid(id(person))),
            session_id,
            ..AuditActor::default()
        },
        channel: Channel::Mcp,
        tool: Some("a_tool".into()),
        action_id: None,
        approval_id: None,
        action_digest: None,
        approval: None,
        assertion: None,
        references: Vec::new(),
        created: Vec::new(),
        updated: Vec::new(),
        code: None,
        returned: None,
        request_id: "request".into(),
        trace_id: "trace".into(),
        body: AuditBody { reason: Some("because \"it\" must".into()), ..AuditBody::default() },
    }
}

/// A draft about an action of person 7 that needs two people, one of them another.
pub fn about(kind: AuditKind, person: u128, action: u128) -> AuditDraft {
    AuditDraft {
        action_id: Some(ActionId::from_uuid(id(action))),
        action_digest: Some(Digest::of(b"payload")),
        approval: Some(ApprovalAsked {
            requester_id: UserId::from_uuid(id(7)),
            minimum_approvers: 2,
            minimum_others: 1,
            minimum_signed: 0,
            auto_approve_after_seconds: None,
            waived: None,
        }),
        ..draft(kind, person)
    }
}

fn naming(kind: AuditKind, record_type: RecordType, id: &str) -> AuditDraft {
    let named = vec![AuditReference { record_type, id: id.into() }];
    match kind {
        AuditKind::Erased => AuditDraft { references: named, ..draft(kind, 7) },
        _ => AuditDraft { created: named, ..draft(kind, 7) },
    }
}

/// A log in memory, and what is exported of it.
#[derive(Default, Clone)]
struct Log {
    records: Vec<Sealed>,
    erased: Vec<usize>,
    checkpoints: Vec<String>,
    keys: Vec<String>,
}

impl Log {
    fn of(drafts: Vec<AuditDraft>) -> Log {
        let mut log = Log::default();
        for draft in drafts {
            log.add(draft);
        }
        log
    }
    /// Some governed writes among many reads, all in order.
    fn usual() -> Log {
        let mut log = Log::default();
        for n in 0..300 {
            log.add(draft(AuditKind::Read, 3 + n % 5));
        }
        for draft in [
            about(AuditKind::Proposed, 7, 50),
            about(AuditKind::Approved, 7, 50),
            about(AuditKind::Approved, 8, 50),
            about(AuditKind::Executed, 8, 50),
        ] {
            log.add(draft);
        }
        log.add(naming(AuditKind::Erased, RecordType::AuditRecord, "5"));
        log.erased.push(5);
        for _ in 0..300 {
            log.add(draft(AuditKind::Read, 3));
        }
        log.sign(&[OLD]);
        log
    }
    fn add(&mut self, draft: AuditDraft) {
        let sequence = self.records.len() as i64;
        self.records.extend(draft.seal(organization(), sequence, [sequence as u8; 16]));
    }
    fn leaves(&self) -> Vec<Digest> {
        self.records.iter().map(|record| record.leaf_hash).collect()
    }
    /// Signs what is there with keys of these seeds.
    fn sign(&mut self, seeds: &[u8]) -> &str {
        let root = merkle::root(&self.leaves());
        let head = Checkpoint { origin: ORIGIN.into(), size: self.records.len() as u64, root }.to_string();
        let lines = seeds.iter().filter_map(|s| SignatureLine::sign(&head, ORIGIN, &Dalek::new(*s)).ok());
        let note = Note::new(head.clone(), lines.collect()).map(|note| note.to_string());
        self.checkpoints.extend(note);
        for key in seeds.iter().map(|seed| key(*seed)) {
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        self.checkpoints.last().map_or("", String::as_str)
    }
    fn parts(&self, from: usize, to: usize) -> Vec<Part> {
        let leaves = self.leaves();
        merkle::subtrees(from as u64..to as u64)
            .into_iter()
            .map(|part| {
                let (start, end) = (part.index << part.level, (part.index + 1) << part.level);
                Part { level: part.level, hash: merkle::root(&leaves[start as usize..end as usize]) }
            })
            .collect()
    }
    /// Lines of the records `from..to`.
    fn piece(&self, from: usize, to: usize) -> Vec<String> {
        let size = self.records.len();
        let header = Header {
            format: bundle::FORMAT.into(),
            version: bundle::VERSION,
            organization: Organization { id: organization(), slug: "acme".into(), name: "Acme".into() },
            origin: ORIGIN.into(),
            from: from as u64,
            to: to as u64,
            size: size as u64,
            keys: self.keys.clone(),
            checkpoints: self.checkpoints.clone(),
            before: self.parts(0, from),
            after: self.parts(to, size),
            exported_at: Timestamp(9),
        };
        let mut lines = vec![serde_json::to_string(&header).unwrap_or_default()];
        let mut frontier = Frontier::new();
        for (n, record) in self.records.iter().enumerate().take(to) {
            let body = &record.body;
            let body = (!self.erased.contains(&n)).then_some((&record.salt[..], body.as_str()));
            let line = bundle::record_line(n as i64, &record.leaf_hash.to_string(), &record.entry_text, body);
            let mut tile = None;
            frontier.append_each(record.leaf_hash, |part, hash| {
                if part.level == HEIGHT {
                    tile = Some(bundle::tile_line(part.index, hash));
                }
            });
            if n >= from {
                lines.push(line);
                lines.extend(tile);
            }
        }
        lines
    }
    fn bundle(&self) -> Vec<String> {
        self.piece(0, self.records.len())
    }
}

fn key(seed: u8) -> String {
    Dalek::new(seed).key(ORIGIN, Algorithm::Ed25519).map(|key| key.to_string()).unwrap_or_default()
}

fn known(seed: u8) -> Known {
    Known { keys: Dalek::new(seed).key(ORIGIN, Algorithm::Ed25519).into_iter().collect(), checkpoint: None }
}

fn verify_with(lines: &[String], known: &Known) -> Result<Report, &'static str> {
    let mut verifier = Verifier::new(&lines[0])?;
    verifier.expect(known, &Check);
    for line in &lines[1..] {
        verifier.push(check(line, &Check));
    }
    Ok(verifier.finish(known, &Check))
}

/// Fault, position and message of everything that is found.
fn found(lines: &[String], known: &Known) -> Vec<(Fault, Option<u64>, String)> {
    let report = verify_with(lines, known).map(|report| report.findings).unwrap_or_default();
    report.into_iter().map(|f| (f.fault, f.sequence, f.message)).collect()
}

fn faults(lines: &[String], known: &Known) -> Vec<(Fault, Option<u64>)> {
    found(lines, known).into_iter().map(|(fault, at, _)| (fault, at)).collect()
}

#[test]
fn a_whole_log_and_every_piece_of_it_verify() {
    let log = Log::usual();
    let report = verify_with(&log.bundle(), &known(OLD)).unwrap();
    assert!(report.is_good() && report.notes.is_empty() && report.keys_were_given, "{report:?}");
    let counts = report.counts;
    assert_eq!((counts.records, counts.bodies, counts.erased), (605, 604, 1));
    assert_eq!((counts.tiles, counts.checkpoints, counts.approved_executions), (2, 1, 1));
    assert_eq!(report.root, merkle::root(&log.leaves()));
    assert_eq!(report.keys, [key(OLD)]);
    let unknown = verify_with(&log.bundle(), &Known::default()).unwrap();
    assert!(unknown.is_good() && unknown.notes.len() == 1 && !unknown.keys_were_given);
    for (from, to) in [(0, 1), (3, 300), (256, 512), (257, 604), (299, 605), (605, 605), (0, 0)] {
        let report = verify_with(&log.piece(from, to), &known(OLD)).unwrap();
        assert!(report.is_good(), "{from}..{to}: {:?}", report.findings);
        assert_eq!(report.root, merkle::root(&log.leaves()));
    }
    assert_eq!(verify_with(&[String::from("{}")], &Known::default()).err(), Some("is not a proof bundle"));
}

#[test]
fn what_was_altered_is_named() {
    let lines = Log::usual().bundle();
    let place = lines.iter().position(|line| line.starts_with(r#"{"sequence":17,"#)).unwrap();
    let altered = |from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[place].contains(from), "{}", lines[place]);
        lines[place] = lines[place].replacen(from, to, 1);
        lines
    };
    let entry = altered(r#""tool":"a_tool""#, r#""tool":"b_tool""#);
    let said = "record 17 is not the one that was recorded: its leaf hash is another".to_owned();
    assert_eq!(found(&entry, &known(OLD)), [(Fault::AlteredRecord, Some(17), said)]);
    let body = altered("because", "Because");
    assert_eq!(faults(&body, &known(OLD)), [(Fault::AlteredBody, Some(17))]);
    assert_eq!(
        faults(&altered(r#","salt":"11"#, r#","salt":"12"#), &known(OLD)),
        [(Fault::AlteredBody, Some(17))]
    );
    let cut = altered(r#""entry":{"#, r#""entry":{{"#);
    assert!(faults(&cut, &known(OLD)).contains(&(Fault::UnreadableLine, Some(17))));

    // Somebody who knows how it works also puts in the leaf hash that belongs to the altered entry.
    let mut forged = entry;
    let (_, rest) = forged[place].split_once(r#""entry":"#).unwrap();
    let entry = rest.split_once(r#","salt""#).unwrap().0;
    let leaf = merkle::leaf_hash(entry.as_bytes()).to_string();
    let at = forged[place].find(r#""leafHash":""#).unwrap() + 12;
    forged[place].replace_range(at..at + 64, &leaf);
    assert_eq!(faults(&forged, &known(OLD)), [(Fault::AlteredTile, Some(0)), (Fault::WrongRoot, None)]);
}

/// More lines than all threads together are given at once.
#[test]
fn lines_looked_at_side_by_side_are_taken_in_their_order() {
    let mut log = Log::of((0..4_000).map(|n| draft(AuditKind::Read, 3 + n % 5)).collect());
    log.sign(&[OLD]);
    let mut lines = log.bundle();
    lines[2_345] = lines[2_345].replace("\"kind\":\"read\"", "\"kind\":\"seen\"");
    lines.swap(3_001, 3_002);
    // More than is given at once, by itself and together.
    lines[10] = "x".repeat(3 << 20);
    lines[20..30].fill("y".repeat(300_000));
    let alone: Vec<String> = lines[1..].iter().map(|line| format!("{:?}", check(line, &Check))).collect();
    for threads in [1, 2, 3, 16] {
        let threads = NonZero::new(threads).unwrap();
        let mut taken = Vec::new();
        let whole = lines[1..].iter().map(Ok::<_, &str>);
        check_each(whole, threads, &Check, |line| taken.push(format!("{line:?}"))).unwrap();
        assert_eq!(taken, alone, "{threads} threads");
        let torn = lines[1..3_000].iter().map(Ok).chain([Err("cannot be read")]).chain(lines.iter().map(Ok));
        assert_eq!(check_each(torn, threads, &Check, |_| {}), Err("cannot be read"), "{threads} threads");
    }
}

/// The usual spelling of a line is read in one pass, any other by the library alone.
#[test]
fn a_line_says_the_same_however_it_is_spelled() {
    let lines = Log::usual().bundle();
    let said = |line: &str| format!("{:?}", check(line, &Check));
    let mut altered = 0;
    for line in &lines[1..] {
        let spaced = |line: &str| format!(" {line}");
        assert_eq!(said(line), said(&spaced(line)));
        // Three bytes in turn at every seventh place, so that each of them comes to every part of a line.
        for (at, other) in (0..line.len()).step_by(7).zip([b'0', b'"', b'}'].into_iter().cycle()) {
            let mut bytes = line.clone().into_bytes();
            bytes[at] = other;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            altered += usize::from(said(&changed) != said(line));
            assert_eq!(said(&changed), said(&spaced(&changed)), "{changed}");
        }
    }
    assert!(altered > 100, "the changes changed nothing");
}

#[test]
fn what_is_missing_moved_or_cut_off_is_named() {
    let mut log = Log::usual();
    let kept = Known { checkpoint: Some(log.checkpoints[0].clone()), ..known(OLD) };
    let lines = log.bundle();
    let mut middle = lines.clone();
    middle.drain(41..44);
    let said = "records 40 to 42 are missing".to_owned();
    assert_eq!(found(&middle, &known(OLD)), [(Fault::MissingRecords, Some(40), said)]);
    let mut tail = lines.clone();
    tail.truncate(lines.len() - 2);
    assert_eq!(faults(&tail, &known(OLD)), [(Fault::MissingRecords, Some(603))]);
    let mut swapped = lines.clone();
    swapped.swap(10, 11);
    assert_eq!(
        faults(&swapped, &known(OLD)),
        [(Fault::MissingRecords, Some(9)), (Fault::WrongPlace, Some(9))]
    );

    // The server signs a shorter log: only who kept a checkpoint can know.
    let mut short = log.clone();
    short.records.truncate(500);
    short.checkpoints.clear();
    short.sign(&[OLD]);
    assert_eq!(faults(&short.bundle(), &known(OLD)), []);
    assert_eq!(faults(&short.bundle(), &kept), [(Fault::CutOff, Some(500))]);
    // It signs another history of the same or a greater length.
    let mut other = Log::usual();
    other.records[9] = draft(AuditKind::Read, 99).seal(organization(), 9, [9; 16]).unwrap();
    other.checkpoints.clear();
    (0..10).for_each(|_| other.add(draft(AuditKind::Read, 3)));
    other.sign(&[OLD]);
    assert_eq!(faults(&other.bundle(), &known(OLD)), []);
    assert_eq!(faults(&other.bundle(), &kept), [(Fault::RewrittenHistory, None)]);

    // A log that has grown is good, from the beginning and from the kept checkpoint on.
    (0..30).for_each(|_| log.add(draft(AuditKind::Read, 3)));
    log.sign(&[OLD]);
    let kept_size = 605;
    for from in [0, 100, kept_size] {
        let report = verify_with(&log.piece(from, 635), &kept).unwrap();
        assert!(report.is_good() && report.notes.is_empty(), "{report:?}");
    }
    let beside = verify_with(&log.piece(606, 635), &kept).unwrap();
    assert!(beside.is_good() && beside.notes.len() == 1);
}

#[test]
fn signatures_count_when_they_are_of_the_right_key_over_the_right_text() {
    let log = Log::usual();
    let mut broken = log.clone();
    broken.checkpoints[0] = broken.checkpoints[0].replace("\n605\n", "\n604\n");
    let named = faults(&broken.bundle(), &known(OLD));
    assert!(named.contains(&(Fault::WrongSignature, None)), "{named:?}");
    assert_eq!(faults(&log.bundle(), &known(NEW)), [(Fault::UnknownKey, None)]);
    let mut unsigned = log.clone();
    unsigned.checkpoints.clear();
    assert_eq!(faults(&unsigned.bundle(), &known(OLD)), [(Fault::WrongSignature, None)]);
    let mut foreign = log.clone();
    foreign.checkpoints.push(log.checkpoints[0].replace(ORIGIN, "other.example/log"));
    assert_eq!(faults(&foreign.bundle(), &known(OLD)), [(Fault::OtherLog, None)]);
    let other = Known { checkpoint: foreign.checkpoints.pop(), ..known(OLD) };
    assert_eq!(faults(&log.bundle(), &other), [(Fault::OtherLog, None)]);

    // A witness's line counts when its key is known, and is passed over otherwise.
    let mut seen = log;
    let (_, mut note) = Checkpoint::read(&seen.checkpoints[0]).unwrap();
    note.signatures.push(SignatureLine::cosign(note.text(), "w.example", 5, &Dalek::new(9)).unwrap());
    seen.checkpoints[0] = note.to_string();
    let mut with_witness = known(OLD);
    with_witness.keys.push(Dalek::new(9).key("w.example", Algorithm::Cosignature).unwrap());
    assert_eq!(verify_with(&seen.bundle(), &with_witness).unwrap().counts.cosignatures, 1);
    assert_eq!(verify_with(&seen.bundle(), &known(OLD)).unwrap().counts.cosignatures, 0);
}

#[test]
fn a_new_key_is_trusted_when_the_old_one_signed_the_record_that_names_it() {
    let rotated = |named: bool, both: bool| {
        let mut log = Log::usual();
        if named {
            log.add(naming(AuditKind::Administered, RecordType::LogKey, &key(NEW)));
        } else {
            log.add(draft(AuditKind::Administered, 7));
        }
        log.sign(if both { &[OLD, NEW] } else { &[NEW] });
        log.add(draft(AuditKind::Read, 3));
        log.sign(&[NEW]);
        log.bundle()
    };
    let good = verify_with(&rotated(true, true), &known(OLD)).unwrap();
    assert!(good.is_good() && good.counts.checkpoints == 3, "{good:?}");
    // Anybody can add a line of their own to a note that the old key signed; the log must name the key.
    assert_eq!(faults(&rotated(false, true), &known(OLD)), [(Fault::UnknownKey, None)]);
    assert_eq!(faults(&rotated(true, false), &known(OLD)).len(), 2);
    assert!(verify_with(&rotated(false, false), &Known::default()).unwrap().is_good(), "nobody knows better");
}

#[test]
fn an_execution_needs_the_approvals_it_asked_for() {
    use AuditKind as K;
    let judged = |drafts: Vec<AuditDraft>| {
        let mut log = Log::of(drafts);
        log.sign(&[OLD]);
        verify_with(&log.bundle(), &known(OLD)).unwrap()
    };
    let unapproved = |drafts: Vec<AuditDraft>| {
        let at = drafts.len() as u64 - 1;
        let findings = judged(drafts).findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].fault, findings[0].sequence), (Fault::UnapprovedExecution, Some(at)));
    };
    let (proposed, executed) = (about(K::Proposed, 7, 50), about(K::Executed, 8, 50));
    let approved = |person: u128| about(K::Approved, person, 50);
    unapproved(vec![proposed.clone(), executed.clone()]);
    unapproved(vec![proposed.clone(), approved(8), executed.clone()]);
    unapproved(vec![proposed.clone(), approved(8), approved(8), executed.clone()]);
    let other_payload = AuditDraft { action_digest: Some(Digest::of(b"other")), ..approved(9) };
    unapproved(vec![proposed.clone(), approved(8), other_payload, executed.clone()]);
    let by_machine = AuditDraft { actor: proposed.actor.clone(), ..approved(9) };
    unapproved(vec![proposed.clone(), approved(8), by_machine, executed.clone()]);
    unapproved(vec![proposed.clone(), approved(8), about(K::Approved, 9, 51), executed.clone()]);
    // Two approvals, both of the requester's own organization role, but nobody else's: one other is asked for.
    let asks = |draft: &AuditDraft, change: &dyn Fn(&mut ApprovalAsked)| {
        let mut draft = draft.clone();
        draft.approval.iter_mut().for_each(change);
        draft
    };
    let alone = |draft: &AuditDraft| asks(draft, &|asked| asked.minimum_others = 2);
    unapproved(vec![alone(&proposed), approved(7), approved(8), alone(&executed)]);
    // What is executed asks for less than what was proposed, or is something else.
    let for_less = asks(&executed, &|asked| asked.minimum_approvers = 0);
    unapproved(vec![proposed.clone(), for_less.clone()]);
    let other = AuditDraft { action_digest: Some(Digest::of(b"other")), ..for_less.clone() };
    unapproved(vec![asks(&proposed, &|asked| asked.minimum_approvers = 0), other]);
    assert!(judged(vec![for_less]).is_good(), "run at once, as no approval was asked for");
    // What has ended is not executed.
    for end in [K::Rejected, K::Expired, K::Failed] {
        let ended = about(end, 8, 50);
        unapproved(vec![proposed.clone(), approved(7), approved(8), ended, executed.clone()]);
    }

    let good = vec![proposed.clone(), approved(7), approved(8), executed.clone()];
    assert!(judged(good.clone()).is_good());
    let mut twice = good;
    twice.push(executed.clone());
    let again = judged(twice).findings;
    assert_eq!((again[0].fault, again[0].sequence), (Fault::SecondExecution, Some(4)));

    let waived = |waived: Waived| asks(&executed, &|asked| asked.waived = Some(waived));
    let timed = |draft: &AuditDraft| asks(draft, &|asked| asked.auto_approve_after_seconds = Some(60));
    let after = |seconds: i64| AuditDraft {
        at: proposed.at.plus_seconds(seconds),
        actor: AuditActor::default(),
        ..approved(7)
    };
    let by_rule = |approval: AuditDraft| vec![timed(&proposed), approval, timed(&waived(Waived::Rule))];
    assert_eq!(judged(by_rule(after(60))).counts.approved_by_rule, 1);
    unapproved(by_rule(after(59)));
    unapproved(by_rule(AuditDraft { actor: approved(7).actor, ..after(60) }));
    unapproved(vec![proposed.clone(), after(60), waived(Waived::Rule)]);
    unapproved(vec![timed(&proposed), timed(&waived(Waived::Rule))]);
    let glass = about(K::BrokenGlass, 7, 50);
    assert_eq!(judged(vec![proposed.clone(), glass, waived(Waived::BrokenGlass)]).counts.broken_glass, 1);
    unapproved(vec![proposed, approved(7), waived(Waived::BrokenGlass)]);

    // A piece that begins after the proposal cannot judge what it does not show.
    let mut log = Log::of(vec![about(K::Proposed, 7, 50), approved(8), executed]);
    log.sign(&[OLD]);
    let piece = verify_with(&log.piece(2, 3), &known(OLD)).unwrap();
    assert!(piece.is_good() && piece.notes.len() == 1);
}

/// A passkey that belongs to nobody in particular; `x` tells it from others.
fn passkey(x: &str) -> PublicKey {
    PublicKey::Ec { crv: Curve::P256, x: x.into(), y: "y".into() }
}

/// An approval of person `person` for action 50, signed with a passkey over `payload`.
fn signed(person: u128, key: &PublicKey, payload: &[u8]) -> AuditDraft {
    let draft = about(AuditKind::Approved, person, 50);
    let challenge = passkey::challenge(ActionId::from_uuid(id(50)), &Digest::of(payload));
    let client = serde_json::json!({
        "type": "webauthn.get", "challenge": BASE64URL_NOPAD.encode(&challenge.0), "origin": "https://loopiq.example",
    });
    let client = client.to_string();
    let data = [&Digest::of(b"loopiq.example").0[..], &[5, 0, 0, 0, 0]].concat();
    let signature = Digest::of(&[data.as_slice(), &Digest::of(client.as_bytes()).0].concat());
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let assertion = Assertion {
        key: key.clone(),
        authenticator_data: encode(&data),
        client_data_json: encode(client.as_bytes()),
        signature: encode(&signature.0),
    };
    AuditDraft { assertion: Some(assertion), ..draft }
}

#[test]
fn an_execution_that_asks_for_signatures_is_found_without_them() {
    use AuditKind as K;
    let asks = |draft: AuditDraft| AuditDraft {
        approval: draft.approval.clone().map(|asked| ApprovalAsked { minimum_signed: 1, ..asked }),
        ..draft
    };
    let key = passkey("a");
    let name = key.thumbprint().unwrap().to_string();
    let names = |mut draft: AuditDraft, registers: bool| {
        let named = vec![AuditReference { record_type: RecordType::Passkey, id: name.clone() }];
        if registers {
            draft.created = named;
        } else {
            draft.updated = named;
        }
        draft.approval = draft.approval.map(|asked| ApprovalAsked { minimum_approvers: 0, ..asked });
        draft
    };
    // Asked for by person 7, in whose name the execution stands.
    let registered = names(about(K::Executed, 7, 40), true);
    let removed = names(about(K::Executed, 7, 41), false);
    let (proposed, executed) = (asks(about(K::Proposed, 7, 50)), asks(about(K::Executed, 8, 50)));
    let other = about(K::Approved, 8, 50);
    let judged = |drafts: &[&AuditDraft]| {
        let mut log = Log::of(drafts.iter().map(|draft| (*draft).clone()).collect());
        log.sign(&[OLD]);
        verify_with(&log.bundle(), &known(OLD)).unwrap()
    };
    let faults = |drafts: &[&AuditDraft]| {
        judged(drafts).findings.iter().map(|finding| finding.fault).collect::<Vec<_>>()
    };
    let mine = signed(7, &key, b"payload");
    let good = judged(&[&registered, &proposed, &mine, &other, &executed]);
    assert!(good.is_good() && good.counts.signed_approvals == 1, "{good:?}");

    let unsigned = about(K::Approved, 7, 50);
    assert_eq!(faults(&[&registered, &proposed, &unsigned, &other, &executed]), [Fault::UnapprovedExecution]);
    let both = [Fault::WrongPasskey, Fault::UnapprovedExecution];
    assert_eq!(faults(&[&proposed, &mine, &other, &executed]), both, "no record names the passkey");
    assert_eq!(faults(&[&registered, &removed, &proposed, &mine, &other, &executed]), both, "it was removed");
    let stolen = signed(8, &key, b"payload");
    assert_eq!(faults(&[&registered, &proposed, &unsigned, &stolen, &executed]), both, "of somebody else");
    let elsewhere = signed(7, &key, b"another payload");
    assert_eq!(faults(&[&registered, &proposed, &elsewhere, &other, &executed]), both, "over something else");
    let foreign = signed(7, &passkey("b"), b"payload");
    assert_eq!(faults(&[&registered, &proposed, &foreign, &other, &executed]), both, "another key");

    // A piece that begins after the registration says what it cannot know.
    let mut log = Log::of(vec![registered, proposed, mine, other, executed]);
    log.sign(&[OLD]);
    let piece = verify_with(&log.piece(1, 5), &known(OLD)).unwrap();
    assert!(piece.is_good() && piece.notes.len() == 1, "{piece:?}");
}

#[test]
fn what_is_asked_of_people_is_summed_up_for_the_log() {
    let asked = |requirement: &Requirement| {
        let others = requirement.rules.iter().filter(|rule| !rule.requester_may_approve);
        others.map(|rule| rule.minimum_approvers).max().unwrap_or(0)
    };
    assert_eq!(asked(&Requirement::one_person()), 0);
    assert_eq!(asked(&Requirement::second_person()), 1);
}

#[test]
fn a_body_is_gone_only_where_the_log_says_so() {
    let mut log = Log::usual();
    log.erased.push(6);
    assert_eq!(faults(&log.bundle(), &known(OLD)), [(Fault::MissingBody, Some(6))]);
    let piece = verify_with(&log.piece(0, 20), &known(OLD)).unwrap();
    assert!(piece.is_good() && piece.notes.len() == 2, "the erasure lies beyond the piece: {piece:?}");
}

#[test]
fn an_entry_with_too_many_names_leaves_them_to_the_body() {
    let mut many = draft(AuditKind::Executed, 7);
    many.code = Some(Code::Internal);
    many.created = (0..2_000)
        .map(|n| AuditReference { record_type: RecordType::ProviderBlocker, id: format!("blk_{n:026}") })
        .collect();
    let prepared = many.prepare(organization(), [1; 16]).unwrap();
    assert_eq!(prepared.named().count(), 2_000);
    let sealed = prepared.seal(0);
    assert!(sealed.entry_text.len() < ENTRY_BYTES_MAX);
    assert_eq!(sealed.entry_text.as_bytes(), canonical_json(&sealed.entry).unwrap());
    assert_eq!((sealed.entry.named_in_body, sealed.entry.created.len()), (Some(2_000), 0));
    let body: AuditBody = serde_json::from_str(&sealed.body).unwrap();
    assert_eq!(body.named.unwrap().created.len(), 2_000);
    assert_eq!(sealed.entry.body_hash, domain::audit::body_hash(&[1; 16], sealed.body.as_bytes()));
}

#[test]
fn entries_and_bodies_are_canonical_as_they_are_written() {
    let odd = "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}\u{e9}\u{2028}\u{1f600}";
    let named = |record_type| vec![AuditReference { record_type, id: odd.into() }];
    let asked = about(AuditKind::Proposed, 7, 50).approval.unwrap();
    let mut log = Log::default();
    log.add(AuditDraft {
        actor: AuditActor {
            agent_id: Some(AgentId::from_uuid(id(1))),
            provider_id: Some(IdentityProviderId::from_uuid(id(2))),
            session_id: Some(SessionId::from_uuid(id(3))),
            token_id: Some(TokenId::from_uuid(id(4))),
            user_id: Some(UserId::from_uuid(id(5))),
        },
        tool: Some(odd.into()),
        approval_id: Some(ApprovalId::from_uuid(id(6))),
        approval: Some(ApprovalAsked {
            auto_approve_after_seconds: Some(86_400),
            minimum_signed: 1,
            waived: Some(Waived::Rule),
            ..asked
        }),
        references: named(RecordType::Release),
        created: named(RecordType::WorkItem),
        updated: named(RecordType::Team),
        code: Some(Code::Internal),
        returned: Some(u32::MAX),
        request_id: odd.into(),
        trace_id: odd.into(),
        body: AuditBody {
            idempotency_key: Some(odd.into()),
            message: Some(odd.into()),
            payload: Some(odd.into()),
            reason: Some(odd.into()),
            workflow: Some(odd.into()),
            named: None,
        },
        ..about(AuditKind::Executed, 7, 50)
    });
    log.add(signed(7, &passkey("x"), b"{}"));
    assert_eq!(log.records.len(), 2);
    for record in &log.records {
        let body: AuditBody = serde_json::from_str(&record.body).unwrap();
        assert_eq!(record.entry_text.as_bytes(), canonical_json(&record.entry).unwrap());
        assert_eq!(record.body.as_bytes(), canonical_json(&body).unwrap());
        assert_eq!(unpack(&pack(&record.entry_text)).as_ref(), Some(&record.entry_text));
    }
}

#[test]
fn storage_that_holds_no_json_cannot_add_lines_to_a_bundle() {
    let line = bundle::record_line(3, "x", "{\"a\":1}\n{\"sequence\":4}", Some((&[0; 16], "nothing")));
    assert_eq!(line.lines().count(), 1);
    assert!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["entry"].is_string());
}

/// Whoever writes the log can make every hash fit.
#[test]
fn hashes_that_fit_do_not_make_a_line_good() {
    let sealed = draft(AuditKind::Read, 3).seal(organization(), 0, [0; 16]).unwrap();
    let said = |entry: &str, body: &str| {
        let hash = domain::audit::body_hash(&[0; 16], body.as_bytes()).to_string();
        let entry = entry.replace(&sealed.entry.body_hash.to_string(), &hash);
        let (leaf, salt) = (merkle::leaf_hash(entry.as_bytes()), "0".repeat(32));
        let line =
            format!(r#"{{"sequence":0,"leafHash":"{leaf}","entry":{entry},"salt":"{salt}","body":{body}}}"#);
        let said = format!("{:?}", check(&line, &Check));
        assert_eq!(said, format!("{:?}", check(&format!(" {line}"), &Check)));
        said
    };
    let entry = sealed.entry_text.as_str();
    assert!(said(entry, &sealed.body).contains("faults: []"));
    for body in ["{},\"entry\":{}", "{},\"more\":1", "{}}", "nothing", ""] {
        assert!(said(entry, body).contains("not of this format"), "{body}");
    }
    assert!(said(entry, "{} ").contains("AlteredBody"), "a space that is not a part of the value");
    let person = UserId::from_uuid(id(3)).to_string();
    assert!(said(&entry.replace(&person, "somebody"), &sealed.body).contains("cannot be read"));
}

/// The whole log, of which these records are shown and hashes stand for the others.
fn hiding(log: &Log, shown: std::ops::Range<usize>) -> Vec<String> {
    let hidden = |from: usize, to: usize| log.parts(from, to).into_iter().map(bundle::hidden_line);
    let whole = log.bundle();
    let records: Vec<&String> = whole.iter().filter(|line| line.starts_with("{\"sequence\"")).collect();
    let mut lines = vec![whole[0].clone()];
    lines.extend(hidden(0, shown.start));
    lines.extend(records[shown.clone()].iter().map(|line| (*line).clone()));
    lines.extend(hidden(shown.end, records.len()));
    lines
}

/// What is found where hashes may stand for records.
fn partly(lines: &[String]) -> Result<Report, &'static str> {
    let mut verifier = Verifier::new(&lines[0])?.with_hidden();
    lines[1..].iter().for_each(|line| verifier.push(check(line, &Check)));
    Ok(verifier.finish(&known(OLD), &Check))
}

#[test]
fn records_may_be_hidden_only_where_that_is_allowed_and_are_proven_all_the_same() {
    let log = Log::usual();
    let lines = hiding(&log, 300..304);
    let report = partly(&lines).unwrap();
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.counts.records, report.counts.approved_executions), (4, 1));
    let hidden = faults(&lines, &known(OLD));
    assert!(
        hidden.iter().all(|(fault, _)| *fault == Fault::MissingRecords) && hidden.len() > 1,
        "{hidden:?}"
    );

    let mut other = lines.clone();
    other[1] = bundle::hidden_line(Part { hash: Digest::of(b"others"), ..log.parts(0, 300)[0] });
    assert!(partly(&other).unwrap().findings.iter().all(|f| f.fault == Fault::WrongRoot), "{other:?}");
    let mut misplaced = lines.clone();
    misplaced.swap(1, 2);
    assert_eq!(partly(&misplaced).unwrap().findings[0].fault, Fault::WrongPlace);
    // An approval that is hidden is not there for who judges.
    let first = lines.iter().position(|line| line.starts_with("{\"sequence\"")).unwrap();
    let mut secret = lines;
    secret[first + 1] = bundle::hidden_line(log.parts(301, 302)[0]);
    assert_eq!(partly(&secret).unwrap().findings[0].fault, Fault::UnapprovedExecution);
}
