//! Two people at the same moment, on two nodes where there can be two: each action ends once, in one way, and the log
//! says which.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    two_approvers_run_it_once
    of_approval_and_rejection_one_counts
    of_approval_and_expiry_one_counts
    two_of_a_quorum_are_both_counted
    of_two_changes_of_one_record_one_is_made
    of_two_teams_of_one_key_one_is_made
}

/// How often each pair meets: often enough to meet in different ways.
const ROUNDS: usize = 6;

/// A server, and a second node where the engine allows one.
struct Both {
    first: Server,
    second: Option<Server>,
}

impl Both {
    fn of(home: &Home) -> Both {
        let first = Server::demo(home);
        let second = home.database.as_ref().map(|_| Server::node(home, &first));
        Both { first, second }
    }

    fn other(&self) -> &Server {
        self.second.as_ref().unwrap_or(&self.first)
    }

    async fn proposed(&self, title: &str) -> String {
        let (http, linus) = (http(), self.first.token("linus", "acme"));
        let package = self.first.package(&http, &linus, title).await;
        let (error, proposed) = self.first.call(&http, &linus, CREATE, package).await;
        assert!(!error && proposed["status"] == "pending_approval", "{proposed}");
        proposed["action"]["id"].as_str().unwrap().to_owned()
    }

    /// How often each kind of record speaks of an action.
    async fn recorded(&self, action: &str) -> BTreeMap<String, usize> {
        let rita = self.first.token("rita", "acme");
        let asked = json!({ "actionId": action, "limit": 100 });
        let (error, log) = self.first.call(&http(), &rita, "loopiq_list_audit_records", asked).await;
        assert!(!error, "{log}");
        let mut counts = BTreeMap::new();
        for record in log["items"].as_array().unwrap() {
            *counts.entry(record["kind"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        counts
    }

    async fn stories(&self, title: &str) -> usize {
        let asked = json!({ "release": "backend-v1.0-GCN", "limit": 100 });
        let grace = self.first.token("grace", "acme");
        let (_, found) = self.first.call(&http(), &grace, "loopiq_list_work_items", asked).await;
        found["items"].as_array().unwrap().iter().filter(|item| item["title"] == title).count()
    }
}

/// Refused because the other came first.
fn is_late((status, answer): &(u16, Value)) -> bool {
    *status == 409
        && ["approval_already_used", "approval_expired", "approval_not_granted"]
            .iter()
            .any(|code| answer["code"] == *code)
}

async fn two_approvers_run_it_once(home: Home) {
    let both = Both::of(&home);
    let (grace, linus) = (both.first.sign_in("grace").await, both.other().sign_in("linus").await);
    for round in 0..ROUNDS {
        let title = format!("Once {round}");
        let action = both.proposed(&title).await;
        let (one, other) = tokio::join!(
            both.first.decide(&grace, &action, "approve"),
            both.other().decide(&linus, &action, "approve"),
        );
        let answers = [one.unwrap(), other.unwrap()];
        let executed = answers.iter().filter(|(status, _)| *status == 200).count();
        assert!(executed == 1 && answers.iter().any(is_late), "{answers:?}");
        let recorded = both.recorded(&action).await;
        assert_eq!(
            (recorded.get("approved"), recorded.get("executed")),
            (Some(&1), Some(&1)),
            "{recorded:?}"
        );
        assert_eq!(both.stories(&title).await, 1);
    }
}

async fn of_approval_and_rejection_one_counts(home: Home) {
    let both = Both::of(&home);
    let (grace, linus) = (both.first.sign_in("grace").await, both.other().sign_in("linus").await);
    for round in 0..ROUNDS {
        let title = format!("Either {round}");
        let action = both.proposed(&title).await;
        let (yes, no) = tokio::join!(
            both.first.decide(&grace, &action, "approve"),
            both.other().decide(&linus, &action, "reject"),
        );
        let (yes, no) = (yes.unwrap(), no.unwrap());
        assert!((yes.0 == 200) != (no.0 == 200), "{yes:?} {no:?}");
        assert!(is_late(if yes.0 == 200 { &no } else { &yes }), "{yes:?} {no:?}");
        let recorded = both.recorded(&action).await;
        let ended = ["executed", "rejected"].map(|kind| recorded.get(kind).copied().unwrap_or(0));
        assert_eq!(ended, if yes.0 == 200 { [1, 0] } else { [0, 1] }, "{recorded:?}");
        assert_eq!(both.stories(&title).await, usize::from(yes.0 == 200));
    }
}

async fn of_approval_and_expiry_one_counts(home: Home) {
    let both = Both::of(&home);
    let (ada, grace) = (both.first.sign_in("ada").await, both.other().sign_in("grace").await);
    let short = json!({ "approvalExpirySeconds": 1, "reason": "a test" });
    assert_eq!(both.first.by_hand(&ada, "loopiq_update_organization", short).await.0, 200);
    let looks = async |action: &str, most: usize| {
        let address = format!("{}/api/v1/actions/{action}", both.first.url);
        let mut looked = 0;
        while looked < most {
            let shown: Value = ada.0.get(&address).send().await.unwrap().json().await.unwrap();
            if shown["status"] == "expired" {
                break;
            }
            looked += 1;
        }
        looked
    };
    // So many looks a clock of one second lasts here; the approvals come about then. Afterwards at once, or when it is
    // over, until both ends have been seen.
    let lasts = looks(&both.proposed("As long as it lasts").await, usize::MAX).await;
    let mut seen = BTreeMap::from([("executed", 0), ("expired", 0)]);
    let mut round = 0;
    while round < ROUNDS || seen.values().any(|times| *times == 0) {
        assert!(round < ROUNDS * 10, "only one end is ever reached: {seen:?}");
        let title = format!("In time {round}");
        let action = both.proposed(&title).await;
        let before = match (round < ROUNDS, seen["executed"]) {
            (true, _) => (lasts + round).saturating_sub(ROUNDS),
            (false, 0) => 0,
            (false, _) => usize::MAX,
        };
        looks(&action, before).await;
        round += 1;
        let (decided, _) = tokio::join!(both.other().decide(&grace, &action, "approve"), looks(&action, 1));
        let decided = decided.unwrap();
        assert!(decided.0 == 200 || is_late(&decided), "{decided:?}");
        let recorded = both.recorded(&action).await;
        let ended = ["executed", "expired"].map(|kind| recorded.get(kind).copied().unwrap_or(0));
        assert_eq!(ended, if decided.0 == 200 { [1, 0] } else { [0, 1] }, "{recorded:?}");
        assert_eq!(both.stories(&title).await, usize::from(decided.0 == 200));
        *seen.entry(if decided.0 == 200 { "executed" } else { "expired" }).or_default() += 1;
    }
}

async fn two_of_a_quorum_are_both_counted(home: Home) {
    let both = Both::of(&home);
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let strict = shown[0]["text"].as_str().unwrap().replace(
        "@id(\"ordinary-write\")\n@approval(\"confirm\")",
        "@id(\"two\")\n@approval(\"quorum\")\n@minimum(\"2\")",
    );
    let file = home.folder.path().with_extension("two.cedar");
    std::fs::write(&file, strict).unwrap();
    home.administer(&[
        "policy",
        "publish",
        file.to_str().unwrap(),
        "--org",
        "acme",
        "--email",
        "ada@acme.example",
        "--reason",
        "two",
    ]);
    let (grace, ada) = (both.first.sign_in("grace").await, both.other().sign_in("ada").await);
    for round in 0..ROUNDS {
        let title = format!("Together {round}");
        let action = both.proposed(&title).await;
        let (one, other) = tokio::join!(
            both.first.decide(&grace, &action, "approve"),
            both.other().decide(&ada, &action, "approve"),
        );
        let mut answers = [one.unwrap(), other.unwrap()];
        // Who met the other in the middle tries again, as they are told to.
        for (answer, (server, session)) in
            answers.iter_mut().zip([(&both.first, &grace), (both.other(), &ada)])
        {
            if answer.0 != 200 {
                assert!(is_late(answer), "{answer:?}");
                *answer = server.decide(session, &action, "approve").await.unwrap();
            }
        }
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        let recorded = both.recorded(&action).await;
        assert_eq!(
            (recorded.get("approved"), recorded.get("executed")),
            (Some(&2), Some(&1)),
            "{recorded:?}"
        );
        assert_eq!(both.stories(&title).await, 1);
    }
}

async fn of_two_changes_of_one_record_one_is_made(home: Home) {
    let both = Both::of(&home);
    let (grace, linus) = (both.first.sign_in("grace").await, both.other().sign_in("linus").await);
    let item = json!({ "type": "story", "title": "Contended", "teamId": "backend", "reason": "it is due" });
    let (_, made) = both.first.by_hand_at_once(&grace, "loopiq_create_work_item", item).await;
    let item = &made["created"][0]["id"];
    let token = both.first.token("linus", "acme");
    let read = async || {
        let asked = json!({ "workItemId": item });
        let (error, found) = both.first.call(&http(), &token, "loopiq_get_work_item", asked).await;
        assert!(!error, "{found}");
        found["workItem"].clone()
    };
    for round in 0..ROUNDS {
        let before = read().await;
        let mut waiting = Vec::new();
        for side in ["left", "right"] {
            let change = json!({
                "workItemId": item, "version": before["version"], "changes": { "title": format!("{side} {round}") },
                "reason": "it is due",
            });
            let (_, proposed) = both.first.call(&http(), &token, "loopiq_update_work_item", change).await;
            waiting
                .push(proposed["action"]["id"].as_str().unwrap_or_else(|| panic!("{proposed}")).to_owned());
        }
        let (left, right) = tokio::join!(
            both.first.decide(&grace, &waiting[0], "approve"),
            both.other().decide(&linus, &waiting[1], "approve"),
        );
        let mut answers = [left.unwrap().1, right.unwrap().1];
        // Being noted as out of date by the other may come between reading and approving; then one looks again.
        for (answer, (server, session, action)) in
            answers.iter_mut().zip([(&both.first, &grace, &waiting[0]), (both.other(), &linus, &waiting[1])])
        {
            if answer["status"].is_number() {
                *answer = server.decide(session, action, "approve").await.unwrap().1;
            }
        }
        let made = answers.iter().position(|answer| answer["status"] == "executed");
        let made = made.unwrap_or_else(|| panic!("{answers:?}"));
        let other = &answers[1 - made];
        let stands = (&other["status"], &other["failure"]["code"]);
        assert_eq!(stands, (&json!("failed"), &json!("stale_preview")), "{answers:?}");
        let after = read().await;
        let title = format!("{} {round}", ["left", "right"][made]);
        let version = before["version"].as_i64().unwrap() + 1;
        assert_eq!((&after["title"], &after["version"]), (&json!(title), &json!(version)), "{after}");
        for (index, action) in waiting.iter().enumerate() {
            let recorded = both.recorded(action).await;
            let ended = ["executed", "failed"].map(|kind| recorded.get(kind).copied().unwrap_or(0));
            assert_eq!(ended, if index == made { [1, 0] } else { [0, 1] }, "{recorded:?}");
        }
    }
}

async fn of_two_teams_of_one_key_one_is_made(home: Home) {
    let both = Both::of(&home);
    let (one, other) = (both.first.sign_in("ada").await, both.other().sign_in("ada").await);
    let tool = "loopiq_create_team";
    for round in 0..ROUNDS {
        let key = format!("team-{round}");
        let team = |name: &str| json!({ "name": format!("{name} {round}"), "key": key, "reason": "we grow" });
        let (left, right) = tokio::join!(
            both.first.by_hand(&one, tool, team("Left")),
            both.other().by_hand(&other, tool, team("Right")),
        );
        let made = [&left, &right].iter().filter(|answer| answer.1["status"] == "executed").count();
        assert_eq!(made, 1, "{left:?} {right:?}");
        let token = both.first.token("ada", "acme");
        let (_, teams) = both.first.call(&http(), &token, "loopiq_list_teams", json!({})).await;
        let of_key =
            teams["items"].as_array().unwrap().iter().filter(|team| team["key"] == json!(key)).count();
        assert_eq!(of_key, 1, "{teams}");
    }
}
