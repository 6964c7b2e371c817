//! What offline verification costs, as a ratio within one run: bytes of a bundle verified per second against bytes of the
//! same bundle hashed per second by plain SHA-256, both on one processor, and both on all of them, as the command line does it.
//!
//! `cargo bench -p domain --bench verify [-- <records> <rounds>]`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZero;
use std::time::Instant;

use domain::action::Channel;
use domain::audit::{ApprovalAsked, AuditActor, AuditBody, AuditDraft, AuditKind, AuditReference};
use domain::bundle::{self, Header, Organization};
use domain::checkpoint::Checkpoint;
use domain::digest::Digest;
use domain::id::{ActionId, ApprovalId, OrgId, SessionId, UserId};
use domain::merkle::Frontier;
use domain::note::{Algorithm, Note, Sign, SignatureLine, VerifierKey, Verify};
use domain::passkey::PublicKey;
use domain::record::RecordType;
use domain::tile::HEIGHT;
use domain::time::Timestamp;
use domain::verify::{Known, Verifier, check_each};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use uuid::Uuid;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ORIGIN: &str = "loopiq.example.com/log/org_1";

struct Dalek(SigningKey);
impl Sign for Dalek {
    fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

struct Check;
impl Verify for Check {
    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(public).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
    fn verify_passkey(&self, _: &PublicKey, _: &[u8], _: &[u8]) -> bool {
        false
    }
}

fn id(n: u64) -> Uuid {
    Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | n)
}

/// Proposals, approvals and executions in turn, as large as those of a work item are.
fn draft(n: u64) -> AuditDraft {
    let kind = [AuditKind::Proposed, AuditKind::Approved, AuditKind::Executed][(n % 3) as usize];
    let named = |record_type: RecordType| AuditReference { record_type, id: format!("wi_{}", id(n)) };
    let payload = format!(
        "{{\"type\":\"story\",\"title\":\"Story {n}\",\"teamId\":\"backend\",\"description\":\"{}\"}}",
        "what is to be done ".repeat(12)
    );
    AuditDraft {
        at: Timestamp(1_795_000_000_000_000 + n as i64),
        kind,
        actor: AuditActor {
            user_id: Some(UserId::from_uuid(id(7))),
            session_id: (kind != AuditKind::Proposed).then(|| SessionId::from_uuid(id(8))),
            ..AuditActor::default()
        },
        channel: Channel::Mcp,
        tool: Some("loopiq_create_work_item".into()),
        action_id: Some(ActionId::from_uuid(id(n / 3))),
        approval_id: Some(ApprovalId::from_uuid(id(n / 3))),
        action_digest: Some(Digest::of(b"payload")),
        approval: Some(ApprovalAsked {
            requester_id: UserId::from_uuid(id(7)),
            minimum_approvers: 1,
            minimum_others: 0,
            minimum_signed: 0,
            auto_approve_after_seconds: None,
            waived: None,
        }),
        assertion: None,
        references: vec![named(RecordType::Team), named(RecordType::Release)],
        created: if kind == AuditKind::Executed { vec![named(RecordType::WorkItem)] } else { Vec::new() },
        updated: Vec::new(),
        code: None,
        returned: None,
        request_id: format!("req_{}", id(n)),
        trace_id: format!("{n:032x}"),
        body: AuditBody {
            reason: Some("a measurement".into()),
            payload: Some(payload),
            ..AuditBody::default()
        },
    }
}

/// A whole log of so many records, as it is exported.
fn bundle(records: u64) -> Vec<String> {
    let organization = OrgId::from_uuid(id(1));
    let (mut lines, mut frontier) = (Vec::new(), Frontier::new());
    for n in 0..records {
        let sealed = draft(n).seal(organization, n as i64, [n as u8; 16]).unwrap();
        let (leaf, entry) = (sealed.leaf_hash.to_string(), sealed.entry_text);
        let body = sealed.body;
        lines.push(bundle::record_line(n as i64, &leaf, &entry, Some((&sealed.salt[..], body.as_str()))));
        let mut tile = None;
        frontier.append_each(sealed.leaf_hash, |part, hash| {
            if part.level == HEIGHT {
                tile = Some(bundle::tile_line(part.index, hash));
            }
        });
        lines.extend(tile);
    }
    let signer = Dalek(SigningKey::from_bytes(&[1; 32]));
    let head = Checkpoint { origin: ORIGIN.into(), size: records, root: frontier.root() }.to_string();
    let line = SignatureLine::sign(&head, ORIGIN, &signer).unwrap();
    let key = VerifierKey::new(ORIGIN, Algorithm::Ed25519, signer.public()).unwrap();
    let header = Header {
        format: bundle::FORMAT.into(),
        version: bundle::VERSION,
        organization: Organization { id: organization, slug: "acme".into(), name: "Acme".into() },
        origin: ORIGIN.into(),
        from: 0,
        to: records,
        size: records,
        keys: vec![key.to_string()],
        checkpoints: vec![Note::new(head, vec![line]).unwrap().to_string()],
        before: Vec::new(),
        after: Vec::new(),
        exported_at: Timestamp(9),
    };
    lines.insert(0, serde_json::to_string(&header).unwrap());
    lines
}

fn verified(lines: &[String], threads: NonZero<usize>) {
    let (first, rest) = lines.split_first().unwrap();
    let mut verifier = Verifier::new(first).unwrap();
    let rest = rest.iter().map(Ok::<_, Infallible>);
    check_each(rest, threads, &Check, |line| verifier.push(line)).unwrap();
    let report = verifier.finish(&Known::default(), &Check);
    assert!(report.is_good(), "{:?}", report.findings);
}

fn hashed(lines: &[String], threads: NonZero<usize>) {
    std::thread::scope(|scope| {
        for part in lines.chunks(lines.len().div_ceil(threads.get())) {
            scope.spawn(move || {
                for line in part {
                    black_box(Digest::of(line.as_bytes()));
                }
            });
        }
    });
}

/// Seconds of the quickest of some rounds.
fn quickest(rounds: u64, mut work: impl FnMut()) -> f64 {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (records, rounds) = (numbers.next().unwrap_or(99_999), numbers.next().unwrap_or(5));
    let lines = bundle(records);
    let bytes = lines.iter().map(String::len).sum::<usize>() as f64;
    println!("{records} records, {:.0} bytes each", bytes / records as f64);
    let all = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    for threads in [NonZero::<usize>::MIN, all] {
        let plain = quickest(rounds, || hashed(&lines, threads));
        let whole = quickest(rounds, || verified(&lines, threads));
        let rate = |seconds: f64| bytes / seconds / 1e6;
        println!(
            "{threads} processor(s): SHA-256 {:.0} MB/s, verification {:.0} MB/s, ratio {:.2}",
            rate(plain),
            rate(whole),
            plain / whole
        );
    }
}
