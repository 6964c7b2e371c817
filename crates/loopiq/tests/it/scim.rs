//! An outside directory keeps the people of an organization in step over SCIM 2.0, with requests as Entra ID and Okta send
//! them: it adds, changes, and above all ends access at once, on every node.

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_person_comes_changes_and_goes_as_entra_sends_it
    a_person_comes_and_goes_as_okta_sends_it
    whoever_the_directory_switches_off_is_out_by_the_next_call_on_every_node
    groups_are_roles_and_their_members_come_and_go
    only_a_token_made_for_it_and_only_its_own_organization
    what_cannot_be_done_is_said_in_the_words_of_the_protocol
    of_two_changes_of_one_version_one_is_made
    a_rule_of_approval_holds_the_directory_back_until_a_person_agrees
}

const MEDIA: &str = "application/scim+json";
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What a directory holds in hand.
struct Directory {
    http: Client,
    base: String,
    token: String,
}

/// An answer of this protocol.
#[derive(Debug)]
struct Answer {
    status: u16,
    etag: Option<String>,
    location: Option<String>,
    retry_after: Option<String>,
    body: Value,
}

impl Answer {
    /// The resource, of a request that was granted.
    fn fine(self) -> Value {
        assert!([200, 201].contains(&self.status), "{self:?}");
        self.body
    }

    fn refused(&self, status: u16, kind: Option<&str>) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error", "{self:?}");
        assert_eq!(self.body["status"], json!(status.to_string()), "{self:?}");
        assert_eq!(self.body["scimType"].as_str(), kind, "{self:?}");
        assert!(self.body["detail"].as_str().unwrap().len() > 10, "{self:?}");
    }
}

impl Directory {
    fn of(server: &Server, token: &str) -> Directory {
        Directory { http: http(), base: format!("{}/scim/v2", server.url), token: token.to_owned() }
    }

    /// A directory of acme, with a token that may give these permissions besides.
    fn new(home: &Home, server: &Server, scopes: &[&str]) -> Directory {
        Directory::of(server, &token(home, "acme", "ada@acme.example", scopes))
    }

    /// The same directory at another node.
    fn at(&self, server: &Server) -> Directory {
        Directory::of(server, &self.token)
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>, if_match: Option<&str>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("Content-Type", MEDIA).body(body.to_string());
        }
        if let Some(tag) = if_match {
            request = request.header("If-Match", tag);
        }
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, media) = (answer.status().as_u16(), header("content-type"));
        let (etag, location, retry_after) = (header("etag"), header("location"), header("retry-after"));
        let text = answer.text().await.unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            assert_eq!(media.as_deref(), Some(MEDIA), "{path}: {text}");
            serde_json::from_str(&text).unwrap()
        };
        Answer { status, etag, location, retry_after, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body), None).await
    }

    async fn patch(&self, path: &str, operations: Value) -> Answer {
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.ask("PATCH", path, Some(body), None).await
    }

    /// The one resource that a filter finds, or none.
    async fn find(&self, kind: &str, filter: &str) -> Option<Value> {
        let found = self.get(&format!("/{kind}?filter={}", encoded(filter))).await.fine();
        assert_eq!(found["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:ListResponse");
        assert!(found["totalResults"].as_u64().unwrap() < 2, "{found}");
        found["Resources"].as_array().unwrap().first().cloned()
    }

    async fn user(&self, email: &str) -> Value {
        let found = self.find("Users", &format!("userName eq \"{email}\"")).await;
        found.unwrap_or_else(|| panic!("{email} is there"))
    }
}

/// A text in a query string.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"))
}

fn token(home: &Home, organization: &str, email: &str, scopes: &[&str]) -> String {
    let mut arguments = vec!["token", "issue", "--org", organization, "--email", email];
    for scope in ["users:manage"].iter().chain(scopes) {
        arguments.extend(["--scope", *scope]);
    }
    home.administer(&arguments)[0]["token"].as_str().unwrap().to_owned()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

/// How Entra ID describes somebody new.
fn entra(email: &str, external: &str) -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE],
        "externalId": external,
        "userName": email,
        "active": true,
        "displayName": "Neo Anderson",
        "emails": [{ "primary": true, "type": "work", "value": email }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Thomas Anderson", "familyName": "Anderson", "givenName": "Thomas" },
        "roles": [],
        "title": "Analyst",
        ENTERPRISE: { "department": "Zion", "employeeNumber": "1" },
    })
}

async fn a_person_comes_changes_and_goes_as_entra_sends_it(home: Home) {
    let server = Server::demo(&home);
    let directory = Directory::new(&home, &server, &[]);
    // The test of the connection asks for somebody who is not there.
    assert!(directory.find("Users", "userName eq \"d1b7e7a8-0000-4000-8000-000000000000\"").await.is_none());
    let made = directory.post("/Users", entra("Neo@acme.example", "5b1e-neo")).await;
    assert_eq!((made.status, made.etag.as_deref()), (201, Some("W/\"1\"")), "{made:?}");
    let id = text(&made.body, "id").to_owned();
    assert!(
        id.starts_with("usr_")
            && made.location.as_deref().unwrap().ends_with(&format!("/scim/v2/Users/{id}"))
    );
    let user = directory.get(&format!("/Users/{id}")).await.fine();
    assert_eq!(user, made.body);
    for (pointer, expected) in [
        ("/userName", json!("neo@acme.example")),
        ("/externalId", json!("5b1e-neo")),
        ("/displayName", json!("Neo Anderson")),
        ("/name/givenName", json!("Thomas")),
        ("/name/familyName", json!("Anderson")),
        ("/active", json!(true)),
        ("/emails/0/value", json!("neo@acme.example")),
        ("/groups/0/display", json!("viewer")),
        ("/meta/resourceType", json!("User")),
    ] {
        assert_eq!(user.pointer(pointer), Some(&expected), "{pointer} of {user}");
    }
    assert_eq!(user["groups"].as_array().unwrap().len(), 1, "{user}");
    directory.post("/Users", entra("NEO@acme.example", "other")).await.refused(409, Some("uniqueness"));
    directory.post("/Users", entra("trin@acme.example", "5b1e-neo")).await.refused(409, Some("uniqueness"));
    let again = directory.find("Users", "externalId eq \"5b1e-neo\" and active eq true").await.unwrap();
    assert_eq!(again["id"], json!(id));

    let path = format!("/Users/{id}");
    let changed = directory
        .patch(
            &path,
            json!([
                { "op": "Replace", "path": "displayName", "value": "Neo" },
                { "op": "Add", "path": "name.givenName", "value": "Thomas A." },
                { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "neo@acme.example" },
                { "op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Nebuchadnezzar" },
                { "op": "Replace", "path": "title", "value": "The One" },
            ]),
        )
        .await
        .fine();
    assert_eq!(
        (&changed["displayName"], &changed["name"]["givenName"], &changed["meta"]["version"]),
        (&json!("Neo"), &json!("Thomas A."), &json!("W/\"2\"")),
        "{changed}"
    );
    let same =
        directory.patch(&path, json!([{ "op": "Replace", "path": "displayName", "value": "Neo" }])).await;
    assert_eq!(same.etag.as_deref(), Some("W/\"2\""), "nothing to change, nothing changed");
    // Switched off, on and off within a minute: each happens, none is taken for a repeat of an earlier one.
    for (value, active) in [("False", false), ("True", true), ("False", false)] {
        let operations = json!([{ "op": "Replace", "path": "active", "value": value }]);
        assert_eq!(directory.patch(&path, operations).await.fine()["active"], json!(active));
    }
    let off = directory.user("neo@acme.example").await;
    assert_eq!((&off["active"], &off["groups"]), (&json!(false), &json!([])), "still to be found: {off}");

    // Deleted: gone for the directory, kept in the organization; and who comes again is the same person.
    assert_eq!(directory.ask("DELETE", &path, None, None).await.status, 204);
    directory.get(&path).await.refused(404, None);
    directory.ask("DELETE", &path, None, None).await.refused(404, None);
    assert!(directory.find("Users", "userName eq \"neo@acme.example\"").await.is_none());
    let ada = server.sign_in("ada").await;
    let (_, members) = server.by_hand(&ada, "loopiq_list_members", json!({ "status": "inactive" })).await;
    assert!(members.to_string().contains(&id), "{members}");
    let back = directory.post("/Users", entra("neo@acme.example", "5b1e-neo")).await;
    assert_eq!((back.status, &back.body["id"], &back.body["active"]), (201, &json!(id), &json!(true)));

    // Who did it, by which door, stands in the log, as for everybody else.
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    let by_directory: Vec<&Value> =
        log["items"].as_array().unwrap().iter().filter(|item| item["channel"] == "scim").collect();
    let done = |tool: &str| {
        by_directory.iter().filter(|item| item["tool"] == tool && item["kind"] == "executed").count()
    };
    assert_eq!(
        (done("loopiq_add_member"), done("loopiq_set_member_status"), done("loopiq_update_member")),
        (1, 5, 2),
        "{log}"
    );
}

async fn a_person_comes_and_goes_as_okta_sends_it(home: Home) {
    let server = Server::demo(&home);
    let directory = Directory::new(&home, &server, &[]);
    let filter = encoded("userName eq \"trinity@acme.example\"");
    let none = directory.get(&format!("/Users?filter={filter}&startIndex=1&count=100")).await.fine();
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(0), &json!([])));
    let made = directory
        .post(
            "/Users",
            json!({
                "schemas": [CORE], "userName": "trinity@acme.example",
                "name": { "givenName": "Trinity", "familyName": "Moss" },
                "emails": [{ "primary": true, "value": "trinity@acme.example", "type": "work" }],
                "displayName": "Trinity Moss", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
                "groups": [], "password": "1mz050nq-never-kept", "active": true,
            }),
        )
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    assert!(!made.body.to_string().contains("1mz050nq"));
    let path = format!("/Users/{}", text(&made.body, "id"));
    let mut whole = made.body.clone();
    whole["name"]["familyName"] = json!("M.");
    whole["displayName"] = json!("Trinity M.");
    let put = directory.ask("PUT", &path, Some(whole.clone()), None).await.fine();
    assert_eq!((&put["displayName"], &put["name"]["familyName"]), (&json!("Trinity M."), &json!("M.")));
    let off = json!([{ "op": "replace", "value": { "active": false } }]);
    assert_eq!(directory.patch(&path, off).await.fine()["active"], json!(false));
    whole["active"] = json!(true);
    assert_eq!(directory.ask("PUT", &path, Some(whole), None).await.fine()["active"], json!(true));

    // Pages, and parts of resources.
    let all = directory.get("/Users?count=2").await.fine();
    let total = all["totalResults"].as_u64().unwrap();
    assert_eq!((all["itemsPerPage"].as_u64(), all["startIndex"].as_u64()), (Some(2), Some(1)));
    let rest = directory.get(&format!("/Users?startIndex=3&count={total}")).await.fine();
    assert_eq!(rest["Resources"].as_array().unwrap().len() as u64, total - 2);
    assert!(rest["Resources"].as_array().unwrap().iter().all(|user| user["id"] != all["Resources"][1]["id"]));
    let none = directory.get("/Users?count=0&startIndex=-3").await.fine();
    assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(total), &json!([])));
    let few = directory.get(&format!("{path}?attributes=userName,name.givenName")).await.fine();
    let mut names: Vec<&String> = few.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["id", "name", "schemas", "userName"]);
    assert_eq!(few["name"], json!({ "givenName": "Trinity" }));
    let without = directory.get(&format!("{path}?excludedAttributes=groups,emails.type")).await.fine();
    assert!(without.get("groups").is_none() && without["emails"][0].get("type").is_none(), "{without}");

    for (path, id) in [
        ("/ServiceProviderConfig", None),
        ("/ResourceTypes", None),
        ("/ResourceTypes/User", Some("User")),
        ("/Schemas", None),
        (
            "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group",
            Some("urn:ietf:params:scim:schemas:core:2.0:Group"),
        ),
    ] {
        let told = directory.get(path).await.fine();
        assert_eq!(told["id"].as_str(), id, "{told}");
    }
    assert_eq!(directory.get("/ServiceProviderConfig").await.fine()["patch"]["supported"], json!(true));
    directory.get("/Schemas/urn:none").await.refused(404, None);
    directory.get("/Bulk").await.refused(404, None);
    directory.ask("PUT", "/Users", Some(json!({})), None).await.refused(405, None);
}

async fn whoever_the_directory_switches_off_is_out_by_the_next_call_on_every_node(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let there = other.as_ref().unwrap_or(&server);
    let directory = Directory::new(&home, &server, &[]);
    let grace = server.token("grace", "acme");
    let session = there.sign_in("grace").await;
    let answered = async |node: &Server| {
        let by_token =
            http().get(format!("{}/api/v1/me", node.url)).bearer_auth(&grace).send().await.unwrap();
        let by_session = session.0.get(format!("{}/api/v1/releases", node.url)).send().await.unwrap();
        (by_token.status().as_u16(), by_session.status().as_u16())
    };
    for node in [&server, there] {
        assert_eq!(answered(node).await, (200, 200));
    }
    let user = directory.user("grace@acme.example").await;
    let path = format!("/Users/{}", text(&user, "id"));
    let off = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
    assert_eq!(directory.patch(&path, off).await.fine()["active"], json!(false));
    for node in [there, &server] {
        assert_eq!(answered(node).await, (401, 403), "neither token nor session");
    }
    // Back by the other node: with what she held, as far as the token may give it.
    let on = json!([{ "op": "Replace", "path": "active", "value": true }]);
    let refused = directory.at(there).patch(&path, on.clone()).await;
    refused.refused(403, None);
    assert!(text(&refused.body, "detail").contains("nobody grants what they do not hold"), "{refused:?}");
    let wide = Directory::new(
        &home,
        there,
        &[
            "mcp:access",
            "ai:use",
            "teams:read",
            "releases:read",
            "releases:manage",
            "certifications:read",
            "certifications:submit",
            "evidence:read",
            "evidence:attach",
            "evidence:refresh",
            "risks:read",
            "work_items:read",
            "work_items:create",
            "work_items:update",
            "remediation:create",
            "approvals:read",
            "approvals:decide",
        ],
    );
    assert_eq!(wide.patch(&path, on).await.fine()["active"], json!(true));
    assert_eq!(answered(&server).await.0, 200);

    // The directory that ends its own person's access ends itself; and somebody always administers.
    let ada = directory.user("ada@acme.example").await;
    let path = format!("/Users/{}", text(&ada, "id"));
    let last = directory.ask("DELETE", &path, None, None).await;
    last.refused(400, Some("invalidValue"));
    assert!(text(&last.body, "detail").contains("nobody else administers"), "{last:?}");
}

async fn groups_are_roles_and_their_members_come_and_go(home: Home) {
    let server = Server::demo(&home);
    let contributor = ["mcp:access", "work_items:create", "work_items:update", "evidence:attach"];
    let reads = [
        "teams:read",
        "releases:read",
        "certifications:read",
        "evidence:read",
        "risks:read",
        "work_items:read",
        "approvals:read",
    ];
    let scopes: Vec<&str> = contributor.iter().chain(&reads).copied().collect();
    let directory = Directory::new(&home, &server, &scopes);
    let name = encoded("displayName eq \"team/backend/contributor\"");
    let found = directory.get(&format!("/Groups?excludedAttributes=members&filter={name}")).await.fine();
    assert_eq!(found["totalResults"], json!(1), "{found}");
    let group = &found["Resources"][0];
    assert!(group.get("members").is_none(), "{group}");
    let path = format!("/Groups/{}", text(group, "id"));
    let vic = text(&directory.user("vic@acme.example").await, "id").to_owned();
    let rita = text(&directory.user("rita@acme.example").await, "id").to_owned();
    let members = |group: &Value| -> Vec<String> {
        let list = group["members"].as_array().unwrap().iter();
        list.map(|member| text(member, "value").to_owned()).collect()
    };

    // Entra ID adds and removes so.
    let add = json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": vic }, { "value": rita }] }]);
    let both = members(&directory.patch(&path, add.clone()).await.fine());
    assert!(both.contains(&vic) && both.contains(&rita), "{both:?}");
    assert_eq!(members(&directory.patch(&path, add).await.fine()), both, "twice is once");
    let vics = server.token("vic", "acme");
    let (error, context) = server.call(&http(), &vics, "loopiq_get_context", json!({})).await;
    assert!(!error, "a contributor has access over MCP: {context}");
    let groups = directory.user("vic@acme.example").await["groups"].to_string();
    assert!(groups.contains("team/backend/contributor") && groups.contains("\"viewer\""), "{groups}");
    let remove = json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": vic }] }]);
    assert!(!members(&directory.patch(&path, remove).await.fine()).contains(&vic));
    let (error, _) = server.call(&http(), &vics, "loopiq_get_context", json!({})).await;
    assert!(error, "what the group gave is over by the next call");
    // And so does Okta.
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{rita}\"]") }]);
    let left = members(&directory.patch(&path, remove).await.fine());
    assert!(!left.contains(&rita), "{left:?}");
    let put = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": text(group, "id"),
        "displayName": "team/backend/contributor", "members": [{ "value": vic, "display": "vic" }],
    });
    assert_eq!(
        members(&directory.ask("PUT", &path, Some(put), None).await.fine()),
        std::slice::from_ref(&vic)
    );
    let tag = directory.get(&path).await.etag.unwrap();
    let none =
        json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "members", "value": [] }] });
    let stale = directory.ask("PATCH", &path, Some(none.clone()), Some("W/\"0000000000000000\"")).await;
    stale.refused(412, None);
    assert!(members(&directory.ask("PATCH", &path, Some(none), Some(&tag)).await.fine()).is_empty());

    // More than its token holds a directory gives to nobody; and everybody keeps a role.
    let admins = json!([{ "op": "add", "path": "members", "value": [{ "value": vic }] }]);
    directory.patch("/Groups/organization_admin", admins).await.refused(403, None);
    let viewers = json!([{ "op": "remove", "path": format!("members[value eq \"{vic}\"]") }]);
    directory.patch("/Groups/viewer", viewers).await.refused(400, Some("invalidValue"));
    let stranger = json!([{ "op": "add", "path": "members", "value": [{ "value": "usr_none" }] }]);
    directory.patch(&path, stranger).await.refused(400, Some("invalidValue"));
    let renamed = json!([{ "op": "replace", "path": "displayName", "value": "emperors" }]);
    directory.patch(&path, renamed).await.refused(400, Some("mutability"));
    let new =
        json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "emperors" });
    directory.post("/Groups", new).await.refused(403, None);
    directory.ask("DELETE", &path, None, None).await.refused(403, None);
    directory.get("/Groups/emperors").await.refused(404, None);
}

async fn only_a_token_made_for_it_and_only_its_own_organization(home: Home) {
    let server = Server::demo(&home);
    let directory = Directory::new(&home, &server, &[]);
    let globex = Directory::of(&server, &token(&home, "globex", "max@globex.example", &[]));
    let vic = text(&directory.user("vic@acme.example").await, "id").to_owned();
    let path = format!("/Users/{vic}");
    globex.get(&path).await.refused(404, None);
    globex.ask("DELETE", &path, None, None).await.refused(404, None);
    globex
        .patch(&path, json!([{ "op": "replace", "path": "active", "value": false }]))
        .await
        .refused(404, None);
    assert!(globex.find("Users", "userName eq \"vic@acme.example\"").await.is_none());
    let all = globex.get("/Users").await.fine().to_string();
    assert!(!all.contains("vic@acme.example") && all.contains("max@globex.example"));
    assert_eq!(
        globex.get(&path).await.body,
        globex.get("/Users/usr_none").await.body,
        "foreign and absent are one answer"
    );
    // One person of two organizations is ended in one of them.
    let dana = text(&globex.user("dana@consult.example").await, "id").to_owned();
    let danas = (server.token("dana", "acme"), server.token("dana", "globex"));
    assert_eq!(globex.ask("DELETE", &format!("/Users/{dana}"), None, None).await.status, 204);
    let me = async |token: &str| {
        http()
            .get(format!("{}/api/v1/me", server.url))
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((me(&danas.0).await, me(&danas.1).await), (200, 401));

    // Every other credential is turned away: none, a session, a token that was not narrowed, narrowed to something else,
    // and one of somebody who manages nobody.
    let reads = home.administer(&[
        "token",
        "issue",
        "--org",
        "acme",
        "--email",
        "ada@acme.example",
        "--scope",
        "releases:read",
    ]);
    for (token, status) in [
        ("liq_nonsense", 401),
        (server.token("ada", "acme").as_str(), 403),
        (reads[0]["token"].as_str().unwrap(), 403),
        (token(&home, "acme", "vic@acme.example", &[]).as_str(), 403),
    ] {
        let stranger = Directory::of(&server, token);
        stranger.get("/Users").await.refused(status, None);
        stranger.post("/Users", entra("eve@acme.example", "eve")).await.refused(status, None);
        stranger.get("/ServiceProviderConfig").await.refused(status, None);
    }
    let (session, csrf) = server.sign_in("ada").await;
    let address = format!("{}/scim/v2/Users", server.url);
    assert_eq!(session.get(&address).send().await.unwrap().status(), 401);
    let posted = session.post(&address).header("X-CSRF-Token", csrf).header("Content-Type", MEDIA).body("{}");
    assert_eq!(posted.send().await.unwrap().status(), 401);
    let issued = home.administer(&["token", "list", "--org", "acme"]);
    for own in issued.iter().filter(|token| token["scopes"] == json!(["users:manage"])) {
        home.administer(&["token", "revoke", "--org", "acme", own["id"].as_str().unwrap()]);
    }
    directory.get("/Users").await.refused(401, None);

    // And slowed down like everybody else.
    drop(server);
    let mut home = home;
    home.settings.push(("LOOPIQ_WRITES_PER_MINUTE", "2".to_owned()));
    let server = Server::demo(&home);
    let directory = Directory::new(&home, &server, &[]);
    let mut last = None;
    for n in 0..4 {
        last = Some(directory.post("/Users", entra(&format!("n{n}@acme.example"), &n.to_string())).await);
    }
    let last = last.unwrap();
    last.refused(429, None);
    assert!(last.retry_after.unwrap().parse::<u32>().unwrap() > 0);
}

async fn what_cannot_be_done_is_said_in_the_words_of_the_protocol(home: Home) {
    let server = Server::demo(&home);
    let directory = Directory::new(&home, &server, &[]);
    let path = format!("/Users/{}", text(&directory.user("vic@acme.example").await, "id"));
    for filter in ["userName co \"v\"", "userName eq", "(((((", "title eq \"x\"", &"a".repeat(5_000)] {
        let refused = directory.get(&format!("/Users?filter={}", encoded(filter))).await;
        refused.refused(400, Some("invalidFilter"));
    }
    directory.get("/Users?count=many").await.refused(400, Some("invalidValue"));
    for (operation, kind) in [
        (json!({ "op": "replace", "path": "userName", "value": "eve@acme.example" }), "mutability"),
        (json!({ "op": "replace", "path": "favouriteColour", "value": "red" }), "invalidPath"),
        (json!({ "op": "remove" }), "noTarget"),
        (json!({ "op": "replace", "path": "active", "value": "perhaps" }), "invalidValue"),
        (json!({ "op": "explode" }), "invalidSyntax"),
    ] {
        directory.patch(&path, json!([operation])).await.refused(400, Some(kind));
    }
    let many = vec![json!({ "op": "replace", "path": "active", "value": true }); 101];
    directory.patch(&path, json!(many)).await.refused(400, Some("tooMany"));
    directory.post("/Users", json!({ "userName": "no address" })).await.refused(400, Some("invalidValue"));
    directory.post("/Users", json!({})).await.refused(400, Some("invalidValue"));
    let send = async |media: &str, body: String| {
        let asked = http().post(format!("{}/Users", directory.base)).bearer_auth(&directory.token);
        let answer = asked.header("Content-Type", media).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["scimType"].clone())
    };
    assert_eq!(send("text/plain", "{}".into()).await.0, 415);
    assert_eq!(send(MEDIA, "{".into()).await.0, 400);
    assert_eq!(send(MEDIA, "[".repeat(5_000)).await.0, 400);
    assert_eq!(send(MEDIA, format!("{{\"x\":\"{}\"}}", "x".repeat(2_000_000))).await.0, 413);
    let plain = send("application/json; charset=utf-8", entra("plain@acme.example", "p").to_string()).await;
    assert_eq!(plain.0, 201, "plain JSON is taken too");
    // Nothing of all that has changed anybody.
    assert_eq!(directory.get(&path).await.etag.as_deref(), Some("W/\"1\""));
}

async fn of_two_changes_of_one_version_one_is_made(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let here = Directory::new(&home, &server, &[]);
    let there = here.at(other.as_ref().unwrap_or(&server));
    let path = format!("/Users/{}", text(&here.user("vic@acme.example").await, "id"));
    let patch = |name: &str| {
        let operation = json!({ "op": "replace", "path": "displayName", "value": name });
        Some(json!({ "schemas": [PATCH], "Operations": [operation] }))
    };
    for round in 0..5 {
        let tag = here.get(&path).await.etag.unwrap();
        let (one, two) = (format!("One {round}"), format!("Two {round}"));
        let (a, b) = tokio::join!(
            here.ask("PATCH", &path, patch(&one), Some(&tag)),
            there.ask("PATCH", &path, patch(&two), Some(&tag)),
        );
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{a:?} {b:?}");
        let shown = there.get(&path).await.fine();
        assert_eq!(shown["displayName"], json!(if a.status == 200 { one } else { two }));
        // Without a version both are made, one after the other.
        let (a, b) = tokio::join!(
            here.ask("PATCH", &path, patch(&format!("Three {round}")), None),
            there.patch(
                &path,
                json!([{ "op": "replace", "path": "externalId", "value": format!("x-{round}") }])
            ),
        );
        assert_eq!((a.status, b.status), (200, 200), "{a:?} {b:?}");
        let shown = here.get(&path).await.fine();
        assert_eq!(
            (&shown["displayName"], &shown["externalId"]),
            (&json!(format!("Three {round}")), &json!(format!("x-{round}")))
        );
    }
    // The same newcomer at once, twice: one person.
    let (a, b) = tokio::join!(
        here.post("/Users", entra("neo@acme.example", "neo")),
        there.post("/Users", entra("neo@acme.example", "neo")),
    );
    let statuses = [a.status, b.status];
    assert!(statuses.contains(&201) && statuses.iter().all(|s| [201, 409].contains(s)), "{a:?} {b:?}");
    assert!(here.find("Users", "userName eq \"neo@acme.example\"").await.is_some());
}

async fn a_rule_of_approval_holds_the_directory_back_until_a_person_agrees(home: Home) {
    let server = Server::demo(&home);
    let directory = Directory::new(&home, &server, &[]);
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let strict = shown[0]["text"].as_str().unwrap().to_owned()
        + "\n@id(\"directory-is-confirmed\")\n@approval(\"confirm\")\n\
           permit (principal, action == LoopIQ::Action::\"loopiq_set_member_status\", resource)\n\
           when { context.surface == \"scim\" };\n";
    let file = home.folder.path().with_extension("cedar");
    std::fs::write(&file, strict).unwrap();
    let path = file.to_str().unwrap();
    let publish =
        ["policy", "publish", path, "--org", "acme", "--email", "ada@acme.example", "--reason", "r"];
    home.administer(&publish);
    let path = format!("/Users/{}", text(&directory.user("vic@acme.example").await, "id"));
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    let ada = server.sign_in("ada").await;
    let waiting = async || {
        let (_, found) =
            server.by_hand(&ada, "loopiq_list_actions", json!({ "status": ["pending_approval"] })).await;
        let items = found["items"].as_array().unwrap();
        items.iter().map(|item| text(item, "id").to_owned()).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        let held = directory.patch(&path, off.clone()).await;
        held.refused(403, None);
        assert!(text(&held.body, "detail").contains("approval"), "{held:?}");
    }
    let actions = waiting().await;
    assert_eq!(actions.len(), 1, "asked twice, it waits once");
    assert_eq!(directory.get(&path).await.fine()["active"], json!(true));
    let (status, done) = server.decide(&ada, &actions[0], "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    assert_eq!(directory.patch(&path, off).await.fine()["active"], json!(false), "and then it is done");
    // What a person has rejected is not asked again by every synchronization.
    let on = json!([{ "op": "replace", "path": "active", "value": true }]);
    directory.patch(&path, on.clone()).await.refused(403, None);
    let (status, _) = server.decide(&ada, &waiting().await[0], "reject").await.unwrap();
    assert_eq!(status, 200);
    let again = directory.patch(&path, on).await;
    again.refused(403, None);
    assert!(text(&again.body, "detail").contains("rejected") && waiting().await.is_empty(), "{again:?}");
}
