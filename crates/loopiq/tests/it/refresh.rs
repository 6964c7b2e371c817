//! Refreshing the evidence of a release: what was stored is read again, and each provider is told about honestly.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::certifications::certification;
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    originals_are_read_again_and_each_provider_is_told_about
}

const REFRESH: &str = "loopiq_refresh_release_evidence";
const RELEASE: &str = "backend-v1.0-GCN";

async fn originals_are_read_again_and_each_provider_is_told_about(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let session = server.sign_in("grace").await;
    assert!(certification(&server, &grace, RELEASE).await["evidenceRefreshedAt"].is_null());
    let arguments = json!({ "release": RELEASE, "limit": 100 });
    let (_, evidence) = server.call(&http(), &grace, "loopiq_list_evidence", arguments).await;
    let sources: BTreeSet<&str> =
        evidence["items"].as_array().unwrap().iter().map(|e| e["source"].as_str().unwrap()).collect();

    let refresh = json!({ "release": RELEASE, "reason": "before the review" });
    let outcome = server.carry_out(&grace, &session, REFRESH, refresh).await;
    let notes = outcome["notes"].as_array().unwrap();
    let told: BTreeSet<&str> = notes.iter().map(|n| n["about"].as_str().unwrap()).collect();
    assert_eq!(told, sources, "every provider with evidence is told about: {notes:?}");
    for note in notes {
        assert_eq!(note["code"], "unchanged", "today's importers made this evidence: {note}");
        assert!(note["text"].as_str().unwrap().contains("No source is configured"), "{note}");
    }
    let refreshed = certification(&server, &grace, RELEASE).await;
    assert!(refreshed["evidenceRefreshedAt"].is_string(), "{refreshed}");
    assert!(outcome["created"].as_array().unwrap().is_empty(), "nothing is new: {outcome}");

    let some = sources.first().unwrap().to_uppercase();
    let only =
        json!({ "release": RELEASE, "providers": [some, "canary-77aa"], "reason": "look", "dryRun": true });
    let (error, preview) = server.call(&http(), &grace, REFRESH, only).await;
    let codes: Vec<&Value> = preview["notes"].as_array().unwrap().iter().map(|n| &n["code"]).collect();
    assert!(
        !error && codes == ["unchanged", "provider_unavailable"],
        "one failing stops no other: {preview}"
    );
    assert!(!preview["notes"].to_string().contains("canary-77aa"), "{preview}");

    let none = json!({ "release": RELEASE, "providers": ["canary-77aa"], "reason": "look" });
    let refused = server.refused(&grace, REFRESH, none, "provider_unavailable").await;
    assert_eq!(
        (&refused["details"][0]["field"], &refused["retryable"]),
        (&json!("providers[0]"), &json!(true))
    );
    assert!(!refused.to_string().contains("canary-77aa"), "{refused}");
    let linus = server.token("linus", "acme");
    let (error, hidden) =
        server.call(&http(), &linus, REFRESH, json!({ "release": RELEASE, "reason": "r" })).await;
    assert!(error && hidden["code"] == -32602, "a team lead may not refresh: {hidden}");
}
