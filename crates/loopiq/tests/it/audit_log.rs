//! The log proves itself: heads are signed as it grows, whoever may read it gets proofs, and a bundle is verified without
//! the server, which finds every way to tamper with it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use domain::checkpoint::{Checkpoint, read_proof};
use domain::digest::Digest;
use domain::merkle;
use domain::note::{Algorithm, Note, Sign as _, SignatureLine, VerifierKey};
use domain::tile::decode_hashes;
use engine::signing::{LogSigner, SignatureVerifier};
use serde_json::{Value, json};
use tlog_tiles::{TileHashReader, TileReader};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

/// What comes by itself must come after this time, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

on_both_engines! {
    the_log_is_signed_as_it_grows_and_proves_its_records
    another_implementation_reads_what_is_served
    a_bundle_is_verified_without_the_server
    a_new_key_and_erased_bodies_leave_the_log_valid
    a_witness_cosigns
    a_bundle_tells_by_what_right_each_action_ran
    a_bundle_tells_what_the_rules_approved_themselves
    a_log_that_was_altered_past_the_program_is_signed_no_more
    a_log_is_read_page_by_page_to_its_beginning
}

async fn get(server: &Server, token: &str, path: &str) -> reqwest::Response {
    http().get(format!("{}/api/v1/log/{path}", server.url)).bearer_auth(token).send().await.unwrap()
}

async fn json_of(server: &Server, token: &str, path: &str) -> Value {
    let answer = get(server, token, path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

fn digest(value: &Value) -> Digest {
    Digest::parse(value.as_str().unwrap()).unwrap()
}

fn digests(value: &Value) -> Vec<Digest> {
    value.as_array().unwrap().iter().map(digest).collect()
}

/// Signs the head now: size, checkpoint, and the keys.
pub fn checkpoint(home: &Home) -> (u64, String, Vec<String>) {
    let said = home.administer(&["audit", "checkpoint", "--org", "acme"]).remove(0);
    let keys = said["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned());
    (said["size"].as_u64().unwrap(), said["checkpoint"].as_str().unwrap().to_owned(), keys.collect())
}

/// A governed write from the proposal to its execution.
async fn write(server: &Server, title: &str) {
    let grace = server.token("grace", "acme");
    let package = server.package(&http(), &grace, title).await;
    server.carry_out(&grace, &server.sign_in("grace").await, CREATE, package).await;
}

pub fn beside(home: &Home, name: &str) -> PathBuf {
    let folder = home.folder.path();
    folder.with_file_name(format!("{}-{name}", folder.file_name().unwrap().display()))
}

pub fn export(home: &Home, name: &str) -> PathBuf {
    let path = beside(home, name);
    let output = path.to_str().unwrap();
    let arguments = ["audit", "export", "--org", "acme", "--format", "bundle", "--output", output];
    let done = home.command(&arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    path
}

pub fn verify(file: &Path, more: &[&str]) -> Output {
    let mut command = std::process::Command::new(crate::server::binary());
    command.args(["audit", "verify", "--json"]).arg(file).args(more).output().unwrap()
}

/// The faults that verification names.
pub fn faults(file: &Path, more: &[&str]) -> Vec<String> {
    let done = verify(file, more);
    let report: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|_| panic!("a report: {}", String::from_utf8_lossy(&done.stderr)));
    let found: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["fault"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(done.status.code(), Some(i32::from(!found.is_empty())), "{report}");
    found
}

async fn the_log_is_signed_as_it_grows_and_proves_its_records(home: Home) {
    let server = Server::demo(&home);
    let rita = server.token("rita", "acme");
    let (kept_size, kept, keys) = checkpoint(&home);
    write(&server, "While nobody asks for a signature").await;
    // The server signs by itself.
    let signed = async {
        loop {
            let note = get(&server, &rita, "checkpoint").await.text().await.unwrap();
            let (head, note) = Checkpoint::read(&note).unwrap();
            if head.size > kept_size {
                return (head, note);
            }
        }
    };
    let (head, note) = tokio::time::timeout(PATIENCE, signed).await.unwrap();
    let key = VerifierKey::parse(&keys[0]).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key), &SignatureVerifier).unwrap(), [&key]);

    let at = kept_size - 1;
    let proof = json_of(&server, &rita, &format!("records/{at}/proof")).await;
    let (size, root) = (proof["size"].as_u64().unwrap(), digest(&proof["root"]));
    assert!(size >= head.size);
    let leaf = digest(&proof["leafHash"]);
    assert!(merkle::verify_inclusion(leaf, at, size, &digests(&proof["hashes"]), root), "{proof}");
    let (index, hashes, ..) = read_proof(proof["proof"].as_str().unwrap()).unwrap();
    assert_eq!((index, hashes), (at, digests(&proof["hashes"])));

    let grown = json_of(&server, &rita, &format!("consistency/{kept_size}")).await;
    let (size, root) = (grown["size"].as_u64().unwrap(), digest(&grown["root"]));
    let (before, _) = Checkpoint::read(&kept).unwrap();
    let hashes = digests(&grown["hashes"]);
    assert!(merkle::verify_consistency(kept_size, size, before.root, root, &hashes), "{grown}");

    let width = kept_size.min(200);
    let tile = get(&server, &rita, &format!("tile/0/000.p/{width}")).await.bytes().await.unwrap();
    let leaves = decode_hashes(&tile).unwrap();
    assert_eq!(leaves.len() as u64, width);
    let entries = get(&server, &rita, "tile/entries/000.p/1").await.bytes().await.unwrap();
    assert_eq!(merkle::leaf_hash(&entries[2..]), leaves[0], "an entry has the leaf hash of its place");

    let asked = json!({ "proofOf": at, "limit": 1 });
    let (error, listed) = server.call(&http(), &rita, "loopiq_list_audit_records", asked).await;
    assert!(!error && read_proof(listed["proof"].as_str().unwrap()).unwrap().0 == at, "{listed}");
    let asked = json!({ "consistentSince": kept_size, "limit": 1 });
    let (error, listed) = server.call(&http(), &rita, "loopiq_list_audit_records", asked).await;
    let told = &listed["consistency"];
    assert!(!error && told["first"] == kept_size, "{listed}");
    let (now, _) = Checkpoint::read(told["checkpoint"].as_str().unwrap()).unwrap();
    assert_eq!((&told["size"], digest(&told["root"])), (&json!(now.size), now.root));
    let hashes = digests(&told["hashes"]);
    assert!(merkle::verify_consistency(kept_size, now.size, before.root, now.root, &hashes), "{listed}");
    let asked = json!({ "consistentSince": 999_999 });
    server.refused(&rita, "loopiq_list_audit_records", asked, "not_found").await;

    for absent in ["records/999999/proof", "consistency/999999", "tile/0/999", "tile/0/0", "records/x/proof"]
    {
        assert_eq!(get(&server, &rita, absent).await.status(), 404, "{absent}");
    }
    let vic = server.token("vic", "acme");
    for path in ["checkpoint", "tile/0/000.p/1", "records/0/proof", "consistency/1"] {
        assert_eq!(get(&server, &vic, path).await.status(), 403, "{path}");
    }
}

/// Tiles as they were served, for a reader that cannot wait for them.
struct Served(HashMap<String, Vec<u8>>);

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| self.0[&tile.path()].clone()).collect())
    }
    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

async fn another_implementation_reads_what_is_served(home: Home) {
    let server = Server::demo(&home);
    let rita = server.token("rita", "acme");
    let (kept_size, kept, keys) = checkpoint(&home);
    write(&server, "Read by somebody else").await;
    let (least, ..) = checkpoint(&home);
    let served = get(&server, &rita, "checkpoint").await.text().await.unwrap();

    let theirs = signed_note::Note::from_bytes(served.as_bytes()).unwrap();
    let verifier = signed_note::StandardVerifier::new(&keys[0]).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    assert_eq!(theirs.verify(&known).unwrap().0.len(), 1);
    let head = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    let before = signed_note::Note::from_bytes(kept.as_bytes()).unwrap();
    let before = tlog_tiles::Checkpoint::from_bytes(before.text()).unwrap();
    let size = head.size();
    assert!(before.size() == kept_size && size >= least && least > kept_size, "{served}");

    // All tiles there are, under the paths by which they know them.
    let mut tiles = HashMap::new();
    for tile in tlog_tiles::Tile::new_tiles(8, 0, size) {
        let path = tile.path();
        let answer = get(&server, &rita, &path.replacen("tile/8/", "tile/", 1)).await;
        assert_eq!(answer.status(), 200, "{path}");
        tiles.insert(path, answer.bytes().await.unwrap().to_vec());
    }
    let tiles = Served(tiles);
    let reader = TileHashReader::new(size, *head.hash(), &tiles);
    for index in [0, kept_size - 1, size - 1] {
        // The record as it is served is the leaf that they prove.
        let bundle = get(&server, &rita, &entries(index, size)).await.bytes().await.unwrap();
        let leaf = tlog_tiles::record_hash(entry(&bundle, index % 256));
        let proof = tlog_tiles::prove_record(size, index, &reader).unwrap();
        tlog_tiles::check_record(&proof, size, *head.hash(), index, leaf).unwrap();
    }
    let grown = tlog_tiles::prove_tree(size, kept_size, &reader).unwrap();
    tlog_tiles::check_tree(&grown, size, *head.hash(), kept_size, *before.hash()).unwrap();
}

/// Path of the bundle of entries that has this one.
fn entries(index: u64, size: u64) -> String {
    let (bundle, whole) = (index / 256, size / 256);
    let partial = if bundle < whole { String::new() } else { format!(".p/{}", size % 256) };
    format!("tile/entries/{bundle:03}{partial}")
}

/// One of a bundle: each is two bytes of length, and so many bytes.
fn entry(bundle: &[u8], at: u64) -> &[u8] {
    let mut rest = bundle;
    for _ in 0..at {
        rest = &rest[2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]))..];
    }
    &rest[2..2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]))]
}

async fn a_bundle_is_verified_without_the_server(home: Home) {
    let server = Server::demo(&home);
    write(&server, "First").await;
    let (_, kept, keys) = checkpoint(&home);
    let kept_file = beside(&home, "kept.txt");
    std::fs::write(&kept_file, &kept).unwrap();
    let earlier = export(&home, "earlier.bundle");
    write(&server, "Second").await;
    let bundle = export(&home, "acme.bundle");
    server.stop();

    let (key, kept_path) = (keys[0].as_str(), kept_file.to_str().unwrap());
    assert_eq!(faults(&bundle, &["--key", key, "--checkpoint", kept_path]), [""; 0]);
    let text = std::fs::read_to_string(&bundle).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let header: Value = serde_json::from_str(lines[0]).unwrap();
    let records = lines.iter().filter(|line| line.starts_with("{\"sequence\"")).count() as u64;
    assert_eq!(header["size"], records);
    let report: Value = serde_json::from_slice(&verify(&bundle, &["--key", key]).stdout).unwrap();
    assert!(report["counts"]["approvedExecutions"].as_u64().unwrap() >= 2, "{report}");
    assert_eq!(report["notes"], json!([]), "{report}");

    let tampered = beside(&home, "tampered.bundle");
    let found = |lines: &[String], more: &[&str]| {
        std::fs::write(&tampered, lines.join("\n")).unwrap();
        let mut arguments = vec!["--key", key];
        arguments.extend(more);
        faults(&tampered, &arguments)
    };
    let owned: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let position = |part: &str| owned.iter().rposition(|line| line.contains(part)).unwrap();

    let mut altered = owned.clone();
    altered[5] = altered[5].replacen("\"sequence\":4,\"tool\":\"", "\"sequence\":4,\"tool\":\"x", 1);
    altered[5] = altered[5].replacen("\"channel\":\"", "\"channel\":\"x", 1);
    assert_eq!(found(&altered, &[]), ["altered_record"]);
    let mut shorter = owned.clone();
    shorter.drain(6..9);
    assert_eq!(found(&shorter, &[]), ["missing_records"]);
    let mut cut = owned.clone();
    cut.pop();
    assert_eq!(found(&cut, &[]), ["missing_records"]);
    // A whole log of an earlier day is good by itself; who kept a later checkpoint knows better.
    assert_eq!(faults(&earlier, &["--key", key]), [""; 0]);
    let later = beside(&home, "later.txt");
    std::fs::write(&later, header["checkpoints"].as_array().unwrap().last().unwrap().as_str().unwrap())
        .unwrap();
    assert_eq!(faults(&earlier, &["--key", key, "--checkpoint", later.to_str().unwrap()]), ["cut_off"]);
    let mut signature = owned.clone();
    let note = header["checkpoints"][0].as_str().unwrap();
    let at = note.rfind(' ').unwrap() + 12;
    let other = if note.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut broken = note.to_owned();
    broken.replace_range(at..=at, other);
    let escaped = |text: &str| json!(text).to_string();
    signature[0] = signature[0].replace(&escaped(note), &escaped(&broken));
    assert!(found(&signature, &[]).contains(&"wrong_signature".to_owned()));
    let mut unapproved = owned.clone();
    let approved = position("\"kind\":\"approved\"");
    unapproved[approved] = unapproved[approved].replacen("\"kind\":\"approved\"", "\"kind\":\"rejected\"", 1);
    assert_eq!(found(&unapproved, &[]), ["altered_record", "unapproved_execution"]);
    let stranger = LogSigner::new(&[7; 32]).unwrap();
    let name = header["origin"].as_str().unwrap();
    let stranger = VerifierKey::new(name, Algorithm::Ed25519, stranger.public()).unwrap().to_string();
    assert_eq!(faults(&bundle, &["--key", &stranger])[0], "unknown_key");

    for (format, field) in [("jsonl", "leafHash"), ("ocsf", "type_uid")] {
        let arguments = ["audit", "export", "--org", "acme", "--format", format];
        let done = home.command(&arguments).output().unwrap();
        let printed = String::from_utf8(done.stdout).unwrap();
        let all: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(all.len() as u64 >= records && all.iter().all(|one| !one[field].is_null()), "{format}");
        if format == "ocsf" {
            let kinds: BTreeSet<&str> =
                all.iter().map(|e| e["metadata"]["event_code"].as_str().unwrap()).collect();
            assert!(
                kinds.is_superset(&BTreeSet::from(["proposed", "approved", "executed", "signed_in"])),
                "{kinds:?}"
            );
            for event in &all {
                let number =
                    |field: &str| event[field].as_u64().unwrap_or_else(|| panic!("{field} of {event}"));
                assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"), "{event}");
                assert!(number("time") > 0 && [3002, 6003].contains(&number("class_uid")), "{event}");
            }
        }
    }
}

async fn a_new_key_and_erased_bodies_leave_the_log_valid(home: Home) {
    let server = Server::demo(&home);
    write(&server, "Signed with the old key").await;
    let (size, _, old) = checkpoint(&home);
    let rotate = |email: &str| {
        let arguments = ["audit", "rotate-key", "--org", "acme", "--reason", "Once a year", "--email", email];
        home.command(&arguments).output().unwrap()
    };
    assert_eq!(rotate("grace@acme.example").status.code(), Some(1), "she manages no organization");
    let done = rotate("ada@acme.example");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (_, note, keys) = checkpoint(&home);
    assert_eq!((keys.len(), &keys[0]), (2, &old[0]));
    let new = VerifierKey::parse(&keys[1]).unwrap();
    assert!(Note::parse(&note).unwrap().verify(&[new], &SignatureVerifier).is_ok());

    let erased = (size - 1).to_string();
    let erase = |email: &str| {
        let arguments =
            ["audit", "erase", &erased, "--org", "acme", "--reason", "Asked for", "--email", email];
        home.command(&arguments).output().unwrap()
    };
    assert_eq!(erase("grace@acme.example").status.code(), Some(1));
    let done = erase("ada@acme.example");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(erase("ada@acme.example").status.code(), Some(1), "what is gone is not erased twice");
    write(&server, "Signed with the new key").await;

    let bundle = export(&home, "rotated.bundle");
    // Who knows only the old key follows to the new one.
    assert_eq!(faults(&bundle, &["--key", &old[0]]), [""; 0]);
    let report: Value = serde_json::from_slice(&verify(&bundle, &["--key", &old[0]]).stdout).unwrap();
    assert_eq!(
        (&report["counts"]["erased"], report["counts"]["checkpoints"].as_u64() >= Some(2)),
        (&json!(1), true)
    );
    let checked = home.administer(&["doctor"]);
    assert!(!checked.is_empty(), "the server's own check passes too");
}

async fn a_witness_cosigns(home: Home) {
    let server = Server::demo(&home);
    let (size, note, keys) = checkpoint(&home);
    let signer = LogSigner::new(&[9; 32]).unwrap();
    let witness = VerifierKey::new("w.example", Algorithm::Cosignature, signer.public()).unwrap().to_string();
    let (_, mut cosigned) = Checkpoint::read(&note).unwrap();
    cosigned.signatures.push(SignatureLine::cosign(cosigned.text(), "w.example", 5, &signer).unwrap());
    let file = beside(&home, "cosigned.txt");
    let cosign = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let done = home.command(&["audit", "cosign", "--org", "acme", "--key", &witness]).arg(&file).output();
        done.unwrap().status.code()
    };
    assert_eq!(cosign(&note), Some(1), "without the line of the witness");
    assert_eq!(
        cosign(&cosigned.to_string().replace(&format!("\n{size}\n"), "\n1\n")),
        Some(1),
        "another head"
    );
    assert_eq!(cosign(&cosigned.to_string()), Some(0));
    write(&server, "After the witness came").await;
    let bundle = export(&home, "witnessed.bundle");
    let done = verify(&bundle, &["--key", &keys[0], "--key", &witness]);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["counts"]["cosignatures"], 1, "{report}");
    let asked = json!({ "kind": ["administered"], "limit": 100 });
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", asked).await;
    let told = log["items"].as_array().unwrap().iter().filter(|record| record["tool"] == "cosign_log");
    assert_eq!(told.count(), 1, "what was refused added nothing: {log}");
}

async fn a_bundle_tells_by_what_right_each_action_ran(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    write(&server, "Approved by a person").await;
    let team = json!({ "name": "Platform", "key": "platform", "reason": "we grow" });
    assert_eq!(server.by_hand(&ada, "loopiq_create_team", team).await.0, 200);
    let before = verify(&export(&home, "before"), &[]);
    let before: Value = serde_json::from_slice(&before.stdout).unwrap();

    let grace = server.token("grace", "acme");
    let package = server.package(&http(), &grace, "Past the rules").await;
    let (_, waiting) = server.call(&http(), &grace, CREATE, package).await;
    let action = waiting["action"]["id"].as_str().unwrap();
    let (status, _) = server.decide(&ada, action, "break-glass").await.unwrap();
    assert_eq!(status, 200);
    let bundle = export(&home, "bundle");
    let after: Value = serde_json::from_slice(&verify(&bundle, &[]).stdout).unwrap();
    assert_eq!(after["findings"], json!([]), "{after}");
    let more = |count: &str| {
        let of = |report: &Value| report["counts"][count].as_u64().unwrap();
        of(&after) - of(&before)
    };
    assert_eq!(
        (more("brokenGlass"), more("approvedExecutions"), more("approvedByRule")),
        (1, 0, 0),
        "{after}"
    );

    // A glass that was never broken is no right to run.
    let lines: Vec<String> = std::fs::read_to_string(&bundle).unwrap().lines().map(str::to_owned).collect();
    let broken = |line: &&String| line.contains("\"kind\":\"broken_glass\"");
    assert_eq!(lines.iter().filter(broken).count(), 1, "the bundle has the record");
    let without: Vec<String> = lines.iter().filter(|line| !broken(line)).cloned().collect();
    let forged = beside(&home, "forged");
    std::fs::write(&forged, without.join("\n")).unwrap();
    let found = faults(&forged, &[]);
    assert!(found.contains(&"unapproved_execution".to_owned()), "{found:?}");
}

async fn a_bundle_tells_what_the_rules_approved_themselves(home: Home) {
    let server = Server::demo(&home);
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let ordinary = "@id(\"ordinary-write\")\n";
    let text = shown[0]["text"].as_str().unwrap();
    assert_eq!(text.matches(ordinary).count(), 1, "{text}");
    let file = beside(&home, "by-themselves.cedar");
    std::fs::write(&file, text.replace(ordinary, &format!("{ordinary}@auto_approve_after(\"1s\")\n")))
        .unwrap();
    let who = ["--org", "acme", "--email", "ada@acme.example", "--reason", "Silence is consent here"];
    home.administer(&[&["policy", "publish", file.to_str().unwrap()][..], &who].concat());
    let count = |report: &Value| report["counts"]["approvedByRule"].as_u64().unwrap();
    let before: Value = serde_json::from_slice(&verify(&export(&home, "before"), &[]).stdout).unwrap();

    let grace = server.token("grace", "acme");
    let item = json!({ "type": "story", "title": "Nobody decides", "teamId": "backend", "reason": "a test" });
    let (_, waiting) = server.call(&http(), &grace, "loopiq_create_work_item", item).await;
    let asked = json!({ "actionId": waiting["action"]["id"] });
    let decided = async {
        loop {
            let (_, now) = server.call(&http(), &grace, "loopiq_get_action", asked.clone()).await;
            if now["action"]["status"] != "pending_approval" {
                return now;
            }
        }
    };
    let now = tokio::time::timeout(PATIENCE, decided).await.expect("the rule decides in its time");
    assert_eq!(now["action"]["status"], "executed", "{now}");

    let bundle = export(&home, "bundle");
    let after: Value = serde_json::from_slice(&verify(&bundle, &[]).stdout).unwrap();
    assert_eq!(after["findings"], json!([]), "{after}");
    assert_eq!(count(&after), count(&before) + 1, "{after}");

    // That a rule did is part of the record: it cannot be said afterwards of an execution that nobody approved.
    let text = std::fs::read_to_string(&bundle).unwrap();
    let forged = beside(&home, "forged");
    std::fs::write(&forged, text.replace("\"waived\":\"rule\"", "\"waived\":\"broken_glass\"")).unwrap();
    let found = faults(&forged, &[]);
    assert!(found.contains(&"altered_record".to_owned()), "{found:?}");
}

async fn a_log_that_was_altered_past_the_program_is_signed_no_more(home: Home) {
    let server = Server::demo(&home);
    write(&server, "Signed as it was").await;
    let (size, kept, _) = checkpoint(&home);
    server.stop();
    let organizations = home.administer(&["org", "list"]);
    let acme = organizations.iter().find(|o| o["slug"] == "acme").unwrap()["id"].as_str().unwrap();
    // The last record in the place of the one before it, as if that had never been.
    let text = format!(
        "update audit_entry set leaf_hash = (select last.leaf_hash from audit_entry last
            where last.organization_id = audit_entry.organization_id and last.sequence = {})
         where organization_id = '{acme}' and sequence = {}",
        size - 1,
        size - 2,
    );
    match &home.database {
        Some(database) => database.run(&database.name, &text).await,
        None => testkit::sqlite::run(home.folder.path(), acme, &text),
    }
    let server = Server::demo(&home);
    write(&server, "Where nobody signs").await;
    let signing = home.command(&["audit", "checkpoint", "--org", "acme"]).output().unwrap();
    let said = String::from_utf8(signing.stderr).unwrap();
    assert!(!signing.status.success() && said.contains("no longer hashes to its last signed head"), "{said}");
    // What the server gives out is still the head that was signed when all was well.
    let rita = server.token("rita", "acme");
    assert_eq!(get(&server, &rita, "checkpoint").await.text().await.unwrap(), kept);
    let checked = home.command(&["doctor"]).output().unwrap();
    let printed = String::from_utf8(checked.stdout).unwrap();
    assert!(!checked.status.success() && printed.contains("FAIL  acme"), "{printed}");
}

async fn a_log_is_read_page_by_page_to_its_beginning(home: Home) {
    let server = Server::demo(&home);
    let (ada, rita) = (server.token("ada", "acme"), server.token("rita", "acme"));
    let list = async |asked: Value| {
        let (error, found) = server.call(&http(), &rita, "loopiq_list_audit_records", asked).await;
        assert!(!error, "{found}");
        found
    };
    // More reads than an export takes at once. They are written a moment after they happened.
    for _ in 0..130 {
        server.call(&http(), &ada, "loopiq_list_teams", json!({})).await;
    }
    let reads = json!({ "kind": ["read"], "limit": 40 });
    let written = async { while list(reads.clone()).await["total"].as_u64() < Some(130) {} };
    tokio::time::timeout(PATIENCE, written).await.unwrap();
    for filter in [json!({ "limit": 40 }), reads, json!({ "kind": ["executed", "administered"], "limit": 1 })]
    {
        let (mut seen, mut pages, mut asked) = (Vec::new(), 0, filter.clone());
        loop {
            let found = list(asked.clone()).await;
            seen.extend(
                found["items"].as_array().unwrap().iter().map(|one| one["sequence"].as_i64().unwrap()),
            );
            pages += 1;
            asked["cursor"] = found["nextCursor"].clone();
            if asked["cursor"].is_null() {
                break;
            }
        }
        assert!(pages > 1 && seen.is_sorted_by(|a, b| a > b), "{filter}: {pages} pages, {seen:?}");
        if filter.get("kind").is_none() {
            assert_eq!(seen.len() as i64, seen[0] + 1, "every record to the first");
        }
    }
    let (client, _) = server.sign_in("rita").await;
    let export = client.get(format!("{}/app/audit/export?kind=read", server.url)).send().await.unwrap();
    assert!(export.text().await.unwrap().lines().count() >= 130);
}
