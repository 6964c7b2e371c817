//! Evidence bytes in a bucket of an S3-compatible service: pushed, backed up, put back, and what is said when the bucket
//! cannot be used.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::bucket::{KEY, SECRET, Service};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    evidence_goes_to_the_bucket_and_comes_back_from_a_backup
}

/// The settings of a folder in the bucket.
fn bucket(service: &Service, folder: &str, secret: &str) -> Vec<(&'static str, String)> {
    vec![
        ("LOOPIQ_EVIDENCE_URL", format!("s3://evidence/{folder}")),
        ("LOOPIQ_EVIDENCE_ENDPOINT", service.endpoint()),
        ("LOOPIQ_EVIDENCE_ACCESS_KEY_ID", KEY.to_owned()),
        ("LOOPIQ_EVIDENCE_SECRET_ACCESS_KEY", secret.to_owned()),
    ]
}

/// Names of the files of evidence below a folder, which are their digests.
fn digests(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if entry.path().components().any(|part| part.as_os_str() == "blobs") {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    found.sort();
    found
}

/// Id and digest of each piece of evidence of the demo's release.
async fn evidence(server: &Server, token: &str) -> Vec<(Value, Value)> {
    let (error, listed) =
        server.call(&http(), token, "loopiq_list_evidence", json!({ "release": "backend-v1.0-GCN" })).await;
    assert!(!error, "{listed}");
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|item| (item["id"].clone(), item["sha256"].clone())).collect()
}

async fn another(home: &Home) -> Home {
    if home.database.is_some() { Home::postgres().await } else { Home::embedded() }
}

async fn evidence_goes_to_the_bucket_and_comes_back_from_a_backup(mut home: Home) {
    let cloud = TempDir::new().unwrap();
    let service = Service::start(cloud.path()).unwrap();
    service.bucket("evidence").unwrap();
    home.settings = bucket(&service, "here", SECRET);
    let server = Server::demo(&home);
    let here = cloud.path().join("evidence/here");
    let had = digests(&here);
    assert!(had.len() > 10 && digests(home.folder.path()).is_empty(), "{had:?}");

    let grace = server.token("grace", "acme");
    let address =
        format!("{}/api/v1/releases/backend-v1.0-GCN/evidence?control=TEST-INTEGRATION", server.url);
    let report =
        r#"<testsuite name="smoke" tests="1"><testcase classname="smoke" name="starts"/></testsuite>"#;
    let pushed = http().post(address).bearer_auth(&grace).body(report).send().await.unwrap();
    assert_eq!(pushed.status(), 201);
    assert_eq!(digests(&here).len(), had.len() + 1);
    let listed = evidence(&server, &grace).await;

    let away = TempDir::new().unwrap();
    let backup = away.path().join("backup");
    let to = backup.to_str().unwrap();
    server.stop();
    home.administer(&["backup", "--to", to]);
    assert_eq!(digests(&backup), digests(&here));

    let mut restored = another(&home).await;
    restored.settings = bucket(&service, "there", SECRET);
    restored.administer(&["restore", "--from", to]);
    assert_eq!(digests(&cloud.path().join("evidence/there")), digests(&here));
    let server = Server::alone(&restored);
    assert_eq!(evidence(&server, &grace).await, listed);
    drop(server);

    // A key that opens nothing is found at the start, and is not shown.
    restored.settings = bucket(&service, "there", "not-the-secret");
    let refused = restored.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("evidence_url") && !told.contains("not-the-secret"), "{told}");
}
