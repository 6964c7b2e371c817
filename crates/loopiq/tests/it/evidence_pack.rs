//! The evidence pack: an auditor exports it by command line and over HTTP and verifies it without the server, which finds every
//! way to tamper with it; who may not read all that is in it gets none.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use domain::dsse::Envelope;
use domain::note::{Algorithm, Sign as _, VerifierKey};
use domain::pack::check::Files;
use domain::pack::{AUDIT, INPUTS, PAYLOAD_TYPE, RELEASE, STATEMENT};
use engine::pack::archive::{self, Archive};
use engine::signing::LogSigner;
use serde_json::{Value, json};

use crate::access::publish;
use crate::audit_log::{beside, checkpoint};
use crate::certifications::{DECIDE, certification, decision};
use crate::server::{Home, Server, binary, http, on_both_engines, tool};

on_both_engines! {
    an_auditor_verifies_a_granted_certification_without_the_server
    what_was_not_granted_is_exported_too_and_says_so
    every_way_to_tamper_with_a_pack_is_named
    who_may_not_read_all_of_it_gets_no_pack
    another_implementation_verifies_the_statement
}

/// Exports by the command line, as an auditor does.
fn export(home: &Home, server: &Server, name: &str, certification: &Value) -> PathBuf {
    let path = beside(home, name);
    let done = Command::new(binary())
        .args(["certification", "export", certification["id"].as_str().unwrap(), "--out"])
        .arg(&path)
        .env("LOOPIQ_URL", &server.url)
        .env("LOOPIQ_TOKEN", server.token("rita", "acme"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    path
}

pub fn verify(file: &Path, more: &[&str]) -> Output {
    Command::new(binary()).args(["certification", "verify"]).arg(file).args(more).output().unwrap()
}

/// What verification reports, whose exit code says whether all is well.
fn report(file: &Path, more: &[&str]) -> Value {
    let mut arguments = vec!["--json"];
    arguments.extend(more);
    let done = verify(file, &arguments);
    let report: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|_| panic!("a report: {}", String::from_utf8_lossy(&done.stderr)));
    assert_eq!(done.status.code(), Some(i32::from(report["found"] != 0)), "{report}");
    report
}

/// The faults that verification names, each with its file.
fn faults(file: &Path, more: &[&str]) -> Vec<String> {
    let report = report(file, more);
    let found = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<String> =
        found.map(|f| format!("{} {}", text(&f["fault"]), text(&f["file"]))).collect();
    found.sort();
    found.dedup();
    found
}

/// Certified by two people.
async fn certified(server: &Server, release: &str) -> Value {
    let ada = server.token("ada", "acme");
    let ready = certification(server, &ada, release).await;
    let (rita, second) = (server.sign_in("rita").await, server.sign_in("ada").await);
    let (status, proposed) = server.by_hand(&rita, DECIDE, decision(&ready, "certify")).await;
    assert_eq!(status, 200, "{proposed}");
    let action = proposed["action"]["id"].as_str().unwrap();
    assert_eq!(server.decide(&second, action, "approve").await.unwrap().1["status"], "executed");
    certification(server, &ada, release).await
}

async fn an_auditor_verifies_a_granted_certification_without_the_server(home: Home) {
    let server = Server::demo(&home);
    let granted = certified(&server, "backend-v1.1-GCN").await;
    let (_, _, keys) = checkpoint(&home);
    let pack = export(&home, &server, "granted.zip", &granted);
    let address = format!("{}/api/v1/certifications/{}/pack", server.url, granted["id"].as_str().unwrap());
    let answer = http().get(address).bearer_auth(server.token("rita", "acme")).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    let over_http = beside(&home, "over-http.zip");
    std::fs::write(&over_http, answer.bytes().await.unwrap()).unwrap();
    let asked = json!({ "kind": ["read"], "limit": 100 });
    let (_, reads) =
        server.call(&http(), &server.token("rita", "acme"), "loopiq_list_audit_records", asked).await;
    server.stop();

    for file in [&pack, &over_http] {
        let found = report(file, &["--key", &keys[0]]);
        assert_eq!((&found["findings"], &found["notes"]), (&json!([]), &json!([])), "{found}");
        assert_eq!((&found["keyWasGiven"], &found["key"]), (&json!(true), &json!(keys[0])));
        let computed = &found["computed"];
        assert_eq!(
            (&computed["granted"], &computed["readiness"]["verdict"]),
            (&json!(true), &json!("ready")),
            "{found}"
        );
        assert_eq!(computed["decision"]["rationale"], "every control passed on fresh evidence");
        let controls = computed["controls"].as_array().unwrap();
        assert!(
            controls.iter().filter(|c| c["required"] == true).all(|c| c["outcome"] == "passed"),
            "{found}"
        );
        let checked = found["checked"].to_string();
        for words in ["signed with", "read again", "computed once more", "under its signed head", "on record"]
        {
            assert!(checked.contains(words), "{words}: {checked}");
        }
        assert!(checked.contains("the decision is on record"), "{checked}");
    }
    let unsure = report(&pack, &[]);
    assert_eq!(unsure["keyWasGiven"], false);
    assert!(unsure["notes"][0].as_str().unwrap().contains("only the pack's own word"), "{unsure}");
    let told = String::from_utf8(verify(&pack, &["--key", &keys[0]]).stdout).unwrap();
    for words in ["backend-v1.1-GCN of acme", "certified, granted", "control ", "checked ", "good: "] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let records = reads["items"].as_array().unwrap();
    assert!(records.iter().any(|record| record["tool"] == "export_evidence_pack"), "{reads}");
}

async fn what_was_not_granted_is_exported_too_and_says_so(home: Home) {
    let server = Server::demo(&home);
    let (ada, rita) = (server.token("ada", "acme"), server.sign_in("rita").await);
    let release = "backend-v1.0-GCN";
    let asked = json!({ "release": release, "status": ["open"] });
    let (_, gaps) = server.call(&http(), &ada, "loopiq_list_evidence_gaps", asked).await;
    let exception = json!({
        "targetIds": [gaps["items"][0]["id"]], "kind": "accepted_risk", "reason": "the date cannot move",
        "rationale": "It is watched by hand", "expiresAt": server.in_days(&ada, 30).await,
    });
    server.carry_out(&ada, &rita, "loopiq_propose_exception", exception).await;
    let statement = json!({
        "release": release, "title": "Review of the last change", "controlId": "code-review", "type": "code_review",
        "result": "pass", "content": "Reviewed by Linus.", "reason": "the review was on paper",
    });
    let linus = server.sign_in("linus").await;
    server.carry_out(&server.token("linus", "acme"), &linus, "loopiq_attach_evidence", statement).await;
    let (_, _, keys) = checkpoint(&home);
    let blocked = certification(&server, &ada, release).await;
    let planted = certification(&server, &ada, "payments-v2.3").await;
    let draft = certification(&server, &ada, "mobile-v5.0").await;
    let blocked_pack = export(&home, &server, "blocked.zip", &blocked);
    let planted_pack = export(&home, &server, "planted.zip", &planted);
    let draft_pack = export(&home, &server, "draft.zip", &draft);
    server.stop();

    let found = report(&blocked_pack, &["--key", &keys[0]]);
    assert_eq!(found["findings"], json!([]), "{found}");
    let computed = &found["computed"];
    assert_eq!((&computed["granted"], &computed["decision"]), (&json!(false), &Value::Null), "{found}");
    assert_eq!(
        (&computed["readiness"], &computed["acceptedRisks"]),
        (&blocked["readiness"], &json!(1)),
        "{found}"
    );
    let outcome = |code: &str| {
        let controls = computed["controls"].as_array().unwrap();
        controls.iter().find(|c| c["code"] == code).unwrap()["outcome"].clone()
    };
    assert_eq!(outcome("CODE-REVIEW"), "passed");
    assert!(found["checked"].to_string().contains("1 were written by hand"), "{found}");
    let told = String::from_utf8(verify(&blocked_pack, &[]).stdout).unwrap();
    assert!(told.contains("not granted") && told.contains("failed: "), "{told}");
    // That the demo's own certification was set up with its organization is said, and no fault of the pack.
    let found = report(&planted_pack, &["--key", &keys[0]]);
    assert_eq!((&found["findings"], &found["computed"]["granted"]), (&json!([]), &json!(true)), "{found}");
    assert!(found["notes"].to_string().contains("no record of the pack decides"), "{found}");
    let found = report(&draft_pack, &["--key", &keys[0]]);
    assert_eq!((&found["findings"], &found["computed"]["granted"]), (&json!([]), &json!(false)), "{found}");
}

fn packed(path: &Path, files: &Files) {
    let mut archive = Archive::empty();
    for (name, bytes) in files {
        archive.add(name, bytes).unwrap();
    }
    std::fs::write(path, archive.finish().unwrap()).unwrap();
}

/// Replaces words in a file, which must have them.
fn replaced(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).unwrap();
    assert!(text.contains(from), "{name} has {from}");
    files.insert(name.to_owned(), text.replacen(from, to, 1).into_bytes());
}

/// Signs the statement anew, changed, with a key of somebody's own under the name of the log's.
fn signed_anew(files: &mut Files, name: &str, change: impl FnOnce(&mut Value)) {
    let envelope: Envelope = serde_json::from_slice(&files[STATEMENT]).unwrap();
    let mut statement: Value = serde_json::from_slice(&envelope.payload().unwrap()).unwrap();
    change(&mut statement);
    let signer = LogSigner::new(&[7; 32]).unwrap();
    let key = VerifierKey::new(name, Algorithm::Ed25519, signer.public()).unwrap();
    let payload = serde_json::to_vec(&statement).unwrap();
    let forged = Envelope::sign(PAYLOAD_TYPE, &payload, &key, &signer);
    files.insert(STATEMENT.to_owned(), serde_json::to_vec(&forged).unwrap());
}

async fn every_way_to_tamper_with_a_pack_is_named(home: Home) {
    let server = Server::demo(&home);
    let granted = certified(&server, "backend-v1.1-GCN").await;
    let (_, _, keys) = checkpoint(&home);
    let key = keys[0].as_str();
    let pack = export(&home, &server, "good.zip", &granted);
    server.stop();
    let good = archive::read(&std::fs::read(&pack).unwrap()).unwrap();
    let tampered = beside(&home, "tampered.zip");
    let found = |change: &dyn Fn(&mut Files)| {
        let mut files = good.clone();
        change(&mut files);
        packed(&tampered, &files);
        faults(&tampered, &["--key", key])
    };
    assert_eq!(found(&|_| {}), [""; 0], "packed by anybody, it is the same pack");

    let evidence = good.keys().find(|name| name.starts_with("evidence/")).unwrap().as_str();
    let altered = |files: &mut Files| files.get_mut(evidence).unwrap().push(b' ');
    assert_eq!(found(&altered), [format!("altered_file {evidence}")]);
    let removed = |files: &mut Files| drop(files.remove(evidence));
    assert_eq!(found(&removed), [format!("missing_file {evidence}")]);
    let foreign = |files: &mut Files| drop(files.insert("evidence/aa/aa/run.sh".into(), b"true".to_vec()));
    assert_eq!(found(&foreign), ["foreign_file evidence/aa/aa/run.sh"]);
    // A name that would lead out of a folder is a name like any other; nothing is unpacked.
    let mut outside = std::fs::read(&tampered).unwrap();
    for at in 0..outside.len() - 5 {
        if outside[at..].starts_with(b"aa/aa") {
            outside[at..at + 5].copy_from_slice(b"../..");
        }
    }
    std::fs::write(&tampered, outside).unwrap();
    assert_eq!(faults(&tampered, &["--key", key]), ["foreign_file evidence/../../run.sh"]);
    for name in [STATEMENT, RELEASE, INPUTS, AUDIT] {
        let without = found(&|files| drop(files.remove(name)));
        assert!(without.contains(&format!("missing_file {name}")), "{name}: {without:?}");
    }

    // An input, so that a control fails or one that failed passes.
    let input = |files: &mut Files| replaced(files, INPUTS, "\"result\":\"pass\"", "\"result\":\"fail\"");
    let named = found(&input);
    for fault in ["altered_file inputs.json", &format!("altered_verdict {STATEMENT}")] {
        assert!(named.contains(&fault.to_owned()), "{fault}: {named:?}");
    }
    assert!(named.iter().any(|fault| fault.starts_with("other_reading evidence/")), "{named:?}");
    let release = |files: &mut Files| replaced(files, RELEASE, "backend-v1.1-GCN", "backend-v1.2-GCN");
    assert!(found(&release).contains(&"altered_file release.json".to_owned()));

    // A record of the log, and a record that is left out.
    let record = |files: &mut Files| replaced(files, AUDIT, "\"kind\":\"approved\"", "\"kind\":\"rejected\"");
    assert_eq!(found(&record), ["altered_file audit.bundle", "altered_log audit.bundle"]);
    let shorter = |files: &mut Files| {
        let text = String::from_utf8(files[AUDIT].clone()).unwrap();
        let at = text.lines().position(|line| line.contains(DECIDE)).unwrap();
        let rest: Vec<&str> =
            text.lines().enumerate().filter(|(n, _)| *n != at).map(|(_, line)| line).collect();
        files.insert(AUDIT.to_owned(), rest.join("\n").into_bytes());
    };
    assert_eq!(found(&shorter), ["altered_file audit.bundle", "altered_log audit.bundle"]);

    // The verdict, the signature, the key.
    let name = key.split('+').next().unwrap();
    let verdict = |files: &mut Files| {
        let mut envelope: Envelope = serde_json::from_slice(&files[STATEMENT]).unwrap();
        let statement = String::from_utf8(envelope.payload().unwrap()).unwrap();
        let statement = statement.replacen("\"score\":100", "\"score\":99", 1);
        envelope.payload = data_encoding::BASE64.encode(statement.as_bytes());
        files.insert(STATEMENT.to_owned(), serde_json::to_vec(&envelope).unwrap());
    };
    assert_eq!(
        found(&verdict),
        [format!("altered_verdict {STATEMENT}"), format!("wrong_signature {STATEMENT}")]
    );
    assert_eq!(found(&|files| signed_anew(files, name, |_| {})), [format!("unknown_key {STATEMENT}")]);
    // By itself such a pack agrees with itself, but for the log, which somebody else has signed.
    let mut forged = good.clone();
    signed_anew(&mut forged, name, |statement| statement["predicate"]["granted"] = json!(false));
    packed(&tampered, &forged);
    assert_eq!(faults(&tampered, &[]), ["altered_log audit.bundle", &format!("altered_verdict {STATEMENT}")]);
    let stranger =
        VerifierKey::new(name, Algorithm::Ed25519, LogSigner::new(&[8; 32]).unwrap().public()).unwrap();
    assert!(faults(&pack, &["--key", &stranger.to_string()]).contains(&format!("unknown_key {STATEMENT}")));

    // What is no pack at all, and what is more than one.
    let whole = std::fs::read(&pack).unwrap();
    for (what, bytes) in [
        ("cut", whole[..whole.len() - 30].to_vec()),
        ("followed", [whole.as_slice(), b"more"].concat()),
        ("text", b"not an archive".to_vec()),
    ] {
        std::fs::write(&tampered, bytes).unwrap();
        let done = verify(&tampered, &["--key", key]);
        assert_eq!(done.status.code(), Some(1), "{what}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("remedy: "), "{what}");
    }
    assert_eq!(verify(&pack, &["--key", "nonsense"]).status.code(), Some(2));
}

async fn who_may_not_read_all_of_it_gets_no_pack(home: Home) {
    let server = Server::demo(&home);
    let ada = server.token("ada", "acme");
    let id = certification(&server, &ada, "backend-v1.1-GCN").await["id"].as_str().unwrap().to_owned();
    let ask = async |token: &str, id: &str| {
        let asked = http().get(format!("{}/api/v1/certifications/{id}/pack", server.url)).bearer_auth(token);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let (status, absent) = ask(&ada, &format!("cert_{}", "0".repeat(26))).await;
    assert_eq!((status, &absent["code"]), (404, &json!("not_found")));
    let (status, foreign) = ask(&server.token("max", "globex"), &id).await;
    assert_eq!((status, &foreign["detail"]), (404, &absent["detail"]), "{foreign}");
    assert_eq!(ask(&ada, "nonsense").await.0, 404);
    for reader in ["vic", "grace"] {
        let (status, refused) = ask(&server.token(reader, "acme"), &id).await;
        assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{reader}: {refused}");
    }
    let done = Command::new(binary())
        .args(["certification", "export", &id, "--url", &server.url])
        .current_dir(home.folder.path())
        .env("LOOPIQ_TOKEN", server.token("vic", "acme"))
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("(forbidden)"));
    assert!(!home.folder.path().join(format!("{id}.zip")).exists());

    let forbid = "@id(\"no-statements\") forbid (principal, action == LoopIQ::Action::\"see:evidence.statement\", resource);";
    assert_eq!(ask(&ada, &id).await.0, 200);
    publish(&home, &server, forbid);
    let (status, refused) = ask(&ada, &id).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("policies keep parts"), "{refused}");
}

async fn another_implementation_verifies_the_statement(home: Home) {
    let server = Server::demo(&home);
    let ada = server.token("ada", "acme");
    let pack = export(&home, &server, "theirs.zip", &certification(&server, &ada, "backend-v1.1-GCN").await);
    server.stop();
    let files = archive::read(&std::fs::read(&pack).unwrap()).unwrap();
    let envelope = beside(&home, "statement.json");
    std::fs::write(&envelope, &files[STATEMENT]).unwrap();
    let ours: Envelope = serde_json::from_slice(&files[STATEMENT]).unwrap();
    // Base64 has a plus of its own; the key is what follows the second.
    let named = ours.signatures[0].keyid.splitn(3, '+').nth(2).unwrap();
    let public = data_encoding::BASE64.decode(named.as_bytes()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests-tools/clients/verify_dsse.py");
    let check = |public: &[u8]| {
        let mut python = Command::new(tool("LOOPIQ_TEST_PYTHON"));
        python.arg(&script).arg(&envelope).arg(data_encoding::HEXLOWER.encode(public)).output().unwrap()
    };
    let done = check(&public[1..]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let theirs: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(theirs["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(theirs["subject"].as_array().unwrap().len(), 3, "{theirs}");
    for subject in theirs["subject"].as_array().unwrap() {
        let name = subject["name"].as_str().unwrap();
        let digest = domain::digest::Digest::of(&files[name]).to_string();
        assert_eq!(subject["digest"]["sha256"], digest, "{name}");
    }
    let stranger = LogSigner::new(&[8; 32]).unwrap().public();
    assert!(!check(&stranger).status.success(), "another key has not signed it");

    // Other programs unpack it: the files are where their hashes say.
    let unpack = "import hashlib,sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                  n=[e for e in z.namelist() if e.startswith('evidence/')]; assert n; \
                  assert all(hashlib.sha256(z.read(e)).hexdigest()==e[9:] for e in n)";
    let done = Command::new(tool("LOOPIQ_TEST_PYTHON")).args(["-c", unpack]).arg(&pack).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
