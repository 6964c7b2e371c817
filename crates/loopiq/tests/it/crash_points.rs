//! Every place at which a crash could come between two steps of storage, one after the other: the process ends there as by
//! a power cut and is started again. Afterwards whoever was cut off repeats what they did. Checked: everything happened
//! exactly once, the log verifies, nothing is left half done.

use std::collections::BTreeMap;

use reqwest::Client;
use serde_json::{Value, json};

use crate::audit_log::{export, faults};
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_crash_at_any_step_loses_nothing_and_doubles_nothing
}

const CREATE_ITEM: &str = "loopiq_create_work_item";
const UPDATE_ITEM: &str = "loopiq_update_work_item";

/// The places every write passes once. The statements between them are counted until there is no further one.
const PLACES: [&str; 5] = ["received", "begun", "applied", "committed", "told"];

/// More than any write of these stories has.
const STATEMENTS_MAX: usize = 60;

/// The people, signed in.
struct People {
    linus: String,
    grace: (Client, String),
    ada: (Client, String),
}

impl People {
    /// Nobody, when the process is gone already: what an earlier story has left may be what it dies of.
    async fn of(server: &Server) -> Option<People> {
        let (grace, ada) = tokio::join!(server.try_sign_in("grace"), server.try_sign_in("ada"));
        Some(People { linus: server.token("linus", "acme"), grace: grace?, ada: ada? })
    }
}

/// What somebody does until it is done. Each step may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Story {
    /// Asked for by a program, approved by two people.
    ByTwo,
    Rejected,
    /// Approved on a preview that is no longer true.
    Stale,
    /// A member with a new account, which is made before, and told to the directory afterwards.
    Member,
    /// A statement, whose words are kept beside the records.
    Statement,
    /// Nobody decides.
    Expired,
}

impl Story {
    /// Kinds of writes that it makes one after the other, as the store knows them.
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Story::ByTwo => &["proposed", "approved", "executed"],
            Story::Rejected => &["rejected"],
            Story::Stale => &["failed"],
            Story::Member => {
                &["executed", "directory::INSERT_USER", "directory::ADD_MEMBER", "directory_change::APPLIED"]
            }
            Story::Statement => &["blob"],
            Story::Expired => &["expired"],
        }
    }

    /// How the action ends.
    fn end(self) -> &'static str {
        match self {
            Story::ByTwo | Story::Member | Story::Statement => "executed",
            Story::Rejected => "rejected",
            Story::Stale => "failed",
            Story::Expired => "expired",
        }
    }

    /// Goes as far as the process lives; the action at its end.
    async fn tell(self, server: &Server, people: &People, name: &str) -> Option<String> {
        let http = http();
        let item = |title: &str| json!({ "type": "story", "title": title, "teamId": "backend", "reason": "to be done", "idempotencyKey": format!("item-{title}") });
        match self {
            Story::ByTwo | Story::Rejected | Story::Expired => {
                let action = proposed(server, &http, people, CREATE_ITEM, item(name)).await?;
                match self {
                    Story::ByTwo => {
                        server.decide(&people.grace, &action, "approve").await?;
                        server.decide(&people.ada, &action, "approve").await?;
                    }
                    Story::Rejected => drop(server.decide(&people.grace, &action, "reject").await?),
                    _ => ends(server, people, &action).await?,
                }
                Some(action)
            }
            Story::Stale => {
                let first = format!("{name}-first");
                let made = proposed(server, &http, people, CREATE_ITEM, item(&first)).await?;
                server.decide(&people.grace, &made, "approve").await?;
                server.decide(&people.ada, &made, "approve").await?;
                let made = shown(server, people, &made).await?["created"][0]["id"].clone();
                let change = |to: &str| {
                    json!({
                        "workItemId": made, "version": 1, "changes": { "description": to }, "reason": "it is late",
                        "idempotencyKey": format!("{to}-{name}"),
                    })
                };
                let one = proposed(server, &http, people, UPDATE_ITEM, change("change-one")).await?;
                let two = proposed(server, &http, people, UPDATE_ITEM, change("change-two")).await?;
                for action in [&one, &two] {
                    server.decide(&people.grace, action, "approve").await?;
                }
                Some(two)
            }
            Story::Member => {
                let wanted = json!({
                    "email": address(name), "displayName": name, "access": { "roles": ["viewer"], "teamRoles": [], "permissions": ["teams:read"] },
                    "reason": "she joins", "idempotencyKey": format!("member-{name}"),
                });
                let answer = try_by_hand(server, &people.ada, "loopiq_add_member", wanted).await?;
                assert!(answer["error"].is_null() && answer["code"].is_null(), "{answer}");
                answer["action"]["id"].as_str().map(str::to_owned)
            }
            Story::Statement => {
                let wanted = json!({
                    "release": "backend-v1.0-GCN", "title": name, "controlId": "code-review", "type": "code_review",
                    "result": "pass", "content": format!("It was looked at: {name}."), "reason": "on paper",
                    "idempotencyKey": format!("statement-{name}"),
                });
                let action = proposed(server, &http, people, "loopiq_attach_evidence", wanted).await?;
                server.decide(&people.grace, &action, "approve").await?;
                Some(action)
            }
        }
    }
}

fn address(name: &str) -> String {
    format!("{}@acme.example", name.to_lowercase())
}

/// Proposes, or finds what became of the same proposal before.
async fn proposed(
    server: &Server,
    http: &Client,
    people: &People,
    tool: &str,
    wanted: Value,
) -> Option<String> {
    let (error, answer) = server.try_call(http, &people.linus, tool, wanted).await?;
    assert!(!error, "{answer}");
    answer["action"]["id"].as_str().map(str::to_owned)
}

async fn try_by_hand(server: &Server, who: &(Client, String), tool: &str, wanted: Value) -> Option<Value> {
    let asked = who.0.post(format!("{}/api/v1/tools/{tool}", server.url)).header("X-CSRF-Token", &who.1);
    asked.json(&wanted).send().await.ok()?.json().await.ok()
}

async fn shown(server: &Server, people: &People, action: &str) -> Option<Value> {
    let address = format!("{}/api/v1/actions/{action}", server.url);
    people.ada.0.get(address).send().await.ok()?.json().await.ok()
}

/// Looks at an action until its clock has run out.
async fn ends(server: &Server, people: &People, action: &str) -> Option<()> {
    while shown(server, people, action).await?["status"] != "expired" {}
    Some(())
}

/// Two of these people must approve new work items; whatever else, one.
fn publishes_rules(home: &Home) {
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let text = shown[0]["text"].as_str().unwrap().to_owned()
        + "@id(\"items-by-two\")\n@approval(\"quorum\")\n@minimum(\"2\")
permit (principal, action == LoopIQ::Action::\"loopiq_create_work_item\", resource);";
    let file = crate::audit_log::beside(home, "by-two.cedar");
    std::fs::write(&file, text).unwrap();
    let who = ["--org", "acme", "--email", "ada@acme.example", "--reason", "Two pairs of eyes"];
    let done = home.command(&["policy", "publish", file.to_str().unwrap()]).args(who).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Starts a process that dies at a place, tells a story to it, and says whether it died.
async fn dies(home: &Home, story: Story, at: &str, name: &str) -> bool {
    let Some(mut server) = Server::demo_that_dies(home, at) else { return true };
    let told = match People::of(&server).await {
        Some(people) => story.tell(&server, &people, name).await,
        None => None,
    };
    // What is carried over or noted after the answer may still be on its way: the process is asked to end in good order.
    !server.ends_well() || told.is_none()
}

async fn a_crash_at_any_step_loses_nothing_and_doubles_nothing(home: Home) {
    Server::demo(&home).stop();
    publishes_rules(&home);

    let mut names: BTreeMap<String, Story> = BTreeMap::new();
    let mut crashes = BTreeMap::new();
    for story in [Story::ByTwo, Story::Rejected, Story::Stale, Story::Member, Story::Statement] {
        crash_everywhere(&home, story, &mut names, &mut crashes).await;
    }
    let server = Server::demo(&home);
    let people = People::of(&server).await.unwrap();
    told_to_their_ends(&server, &people, &names).await;
    // The clock of one second comes last, so that it ends nothing else.
    let short = json!({ "approvalExpirySeconds": 1, "reason": "a test" });
    assert_eq!(server.by_hand(&people.ada, "loopiq_update_organization", short).await.0, 200);
    server.stop();
    crash_everywhere(&home, Story::Expired, &mut names, &mut crashes).await;
    let server = Server::demo(&home);
    let people = People::of(&server).await.unwrap();
    told_to_their_ends(&server, &people, &names).await;

    // Each kind of write was cut off at each of its places.
    let reached = |kind: &str| crashes.get(kind).copied().unwrap_or(0);
    // On PostgreSQL the statements of a write are on their way together, so that nothing comes between them.
    let least = PLACES.len() + usize::from(home.database.is_none());
    let carried = &Story::Member.kinds()[1..];
    for kind in ["proposed", "approved", "executed", "rejected", "failed", "expired"].iter().chain(carried) {
        assert!(reached(kind) >= least, "{kind}: {crashes:?}");
    }
    assert_eq!(reached("blob"), 2, "{crashes:?}");

    nothing_is_doubled_or_left(&server, &people, &names).await;
    for name in names.keys().filter(|name| name.starts_with("Member-") && name.ends_with("-committed")) {
        assert_eq!(organizations_of(&home, &server, name).await, 1, "the directory was told of {name}");
    }
    server.stop();
    let bundle = export(&home, "crashed.bundle");
    assert_eq!(faults(&bundle, &[]), [""; 0]);
    assert!(home.command(&["doctor"]).output().unwrap().status.success());
}

async fn crash_everywhere(
    home: &Home,
    story: Story,
    names: &mut BTreeMap<String, Story>,
    crashes: &mut BTreeMap<&'static str, usize>,
) {
    for kind in story.kinds() {
        for place in PLACES {
            let name = format!("{story:?}-{}-{place}", kind.replace("::", "."));
            if dies(home, story, &format!("{kind}/{place}/1"), &name).await {
                *crashes.entry(kind).or_insert(0) += 1;
            } else {
                assert_eq!(*kind, "blob", "{name}: the process lived on");
            }
            // A statement that is given later would make this one's preview untrue.
            if story == Story::Statement {
                let server = Server::demo(home);
                let one = BTreeMap::from([(name.clone(), story)]);
                told_to_their_ends(&server, &People::of(&server).await.unwrap(), &one).await;
            }
            names.insert(name, story);
        }
        for statement in 1_usize.. {
            let name = format!("{story:?}-{}-statement-{statement}", kind.replace("::", "."));
            let died = dies(home, story, &format!("{kind}/step/{statement}"), &name).await;
            if !died {
                break;
            }
            names.insert(name, story);
            assert!(statement < STATEMENTS_MAX, "{story:?}: {kind} has no end");
            *crashes.entry(kind).or_insert(0) += 1;
        }
    }
}

/// Everybody repeats what they did, and finds it done.
async fn told_to_their_ends(server: &Server, people: &People, names: &BTreeMap<String, Story>) {
    for (name, story) in names {
        let action =
            story.tell(server, people, name).await.unwrap_or_else(|| panic!("{name} can be repeated"));
        let ended = shown(server, people, &action).await.unwrap();
        assert_eq!(ended["status"], story.end(), "{name}: {ended}");
    }
}

/// How many organizations a new member reaches.
async fn organizations_of(home: &Home, server: &Server, name: &str) -> usize {
    let made = home.administer(&["user", "password", "--email", &address(name)]);
    let (session, _) = server.enter(&address(name), made[0]["password"].as_str().unwrap()).await.unwrap();
    let me = session.get(format!("{}/api/v1/me", server.url)).send().await.unwrap();
    let me: Value = me.json().await.unwrap();
    me["organizations"].as_array().map_or(0, Vec::len)
}

/// All records of a list, page by page.
async fn all(server: &Server, who: &(Client, String), tool: &str, mut asked: Value) -> Vec<Value> {
    let mut found = Vec::new();
    loop {
        let (status, page) = server.by_hand(who, tool, asked.clone()).await;
        assert_eq!(status, 200, "{page}");
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => asked["cursor"] = json!(next),
            None => return found,
        }
    }
}

async fn nothing_is_doubled_or_left(server: &Server, people: &People, names: &BTreeMap<String, Story>) {
    let items = all(server, &people.grace, "loopiq_list_work_items", json!({ "limit": 100 })).await;
    let evidence = json!({ "release": "backend-v1.0-GCN", "includeSuperseded": true, "limit": 100 });
    let evidence = all(server, &people.grace, "loopiq_list_evidence", evidence).await;
    let members = all(server, &people.ada, "loopiq_list_members", json!({})).await;
    let times =
        |list: &[Value], field: &str, name: &str| list.iter().filter(|one| one[field] == name).count();
    for (name, story) in names {
        let made = match story {
            Story::ByTwo => (times(&items, "title", name), 1),
            Story::Stale => (times(&items, "title", &format!("{name}-first")), 1),
            Story::Rejected | Story::Expired => (times(&items, "title", name), 0),
            Story::Member => (times(&members, "email", &address(name)), 1),
            Story::Statement => (times(&evidence, "title", name), 1),
        };
        assert_eq!(made.0, made.1, "{name}");
    }
    let waiting = json!({ "status": ["pending_approval", "approved"], "limit": 100 });
    let waiting = all(server, &people.ada, "loopiq_list_actions", waiting).await;
    assert_eq!(waiting, Vec::<Value>::new(), "nothing is left half done");
}
