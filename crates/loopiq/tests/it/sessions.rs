//! Where people are signed in: they see it and end it themselves, and who manages people ends what works in their
//! organization. Over with the next request, on every node.

use reqwest::Client;
use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_person_sees_and_ends_their_own_sessions
    an_administrator_ends_a_members_session_in_their_organization_alone
}

const FIREFOX: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 <b>secret-build</b>";

/// Signs in from a browser that says this of itself.
async fn from_browser(server: &Server, name: &str, user_agent: &str) -> (Client, String) {
    let (email, password) = server.credentials(name);
    let asked = http().post(format!("{}/api/v1/session", server.url)).header("User-Agent", user_agent);
    let answer = asked.json(&json!({ "email": email, "password": password })).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    let headers = [(reqwest::header::COOKIE, cookie.parse().unwrap())].into_iter().collect();
    let client = Client::builder()
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    (client, body["csrfToken"].as_str().unwrap().to_owned())
}

async fn listed(server: &Server, session: &(Client, String)) -> Vec<Value> {
    let answer = session.0.get(format!("{}/api/v1/sessions", server.url)).send().await.unwrap();
    let listed: Value = answer.json().await.unwrap();
    listed["items"].as_array().unwrap_or_else(|| panic!("a list: {listed}")).clone()
}

async fn is_in(server: &Server, session: &(Client, String)) -> bool {
    session.0.get(format!("{}/api/v1/me", server.url)).send().await.unwrap().status() == 200
}

async fn end(server: &Server, session: &(Client, String), id: &Value) -> u16 {
    let address = format!("{}/api/v1/sessions/{}", server.url, id.as_str().unwrap());
    session.0.delete(address).header("X-CSRF-Token", &session.1).send().await.unwrap().status().as_u16()
}

/// A form on the page of sessions.
async fn press(server: &Server, session: &(Client, String), which: &str) -> reqwest::Response {
    let form = format!("csrf={}&session={which}", session.1);
    let asked =
        session.0.post(format!("{}/app/sessions", server.url)).header("Sec-Fetch-Site", "same-origin");
    asked.header("Content-Type", "application/x-www-form-urlencoded").body(form).send().await.unwrap()
}

async fn a_person_sees_and_ends_their_own_sessions(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let there = other.as_ref().unwrap_or(&server);
    let here = from_browser(&server, "grace", FIREFOX).await;
    let phone = from_browser(there, "grace", "curl/8.5.0").await;
    let vic = server.sign_in("vic").await;
    let own = listed(&server, &here).await;
    assert_eq!(own.len(), 2, "{own:?}");
    assert_eq!(
        (&own[1]["browser"], &own[1]["current"], &own[1]["organization"]),
        (&json!("Firefox on Linux"), &json!(true), &json!("acme")),
        "{own:?}"
    );
    assert_eq!(own[0]["current"], json!(false));
    assert!(own[0]["createdAt"].is_string() && own[0]["lastSeenAt"].is_string());
    let page = here.0.get(format!("{}/app/sessions", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Firefox on Linux") && page.contains("This one") && !page.contains("secret-build"));
    assert!(page.contains("Sessions") && !page.contains("Of other people"), "she manages nobody");

    // Nobody ends a stranger's, nobody without the token against forged requests, no program any.
    assert_eq!(end(&server, &vic, &own[0]["id"]).await, 404);
    let forged = here.0.delete(format!("{}/api/v1/sessions/{}", server.url, own[0]["id"].as_str().unwrap()));
    assert_eq!(forged.send().await.unwrap().status(), 403);
    let by_token =
        http().get(format!("{}/api/v1/sessions", server.url)).bearer_auth(server.token("grace", "acme"));
    assert_eq!(by_token.send().await.unwrap().status(), 403);
    assert_eq!(press(&server, &here, "ses_none").await.status(), 404);
    assert!(is_in(there, &phone).await);

    assert_eq!(end(&server, &here, &own[0]["id"]).await, 204);
    assert!(!is_in(there, &phone).await && is_in(&server, &here).await, "over with the next request");
    assert_eq!(end(&server, &here, &own[0]["id"]).await, 404, "there is none any more");

    // All others by one button; and this one.
    let others = [server.sign_in("grace").await, there.sign_in("grace").await];
    assert_eq!(press(&server, &here, "others").await.status(), 303);
    for session in &others {
        assert!(!is_in(there, session).await);
    }
    assert!(is_in(&server, &here).await && is_in(&server, &vic).await);
    let this = listed(&server, &here).await[0]["id"].clone();
    let answer = press(&server, &here, this.as_str().unwrap()).await;
    let to = answer.headers()["location"].to_str().unwrap();
    assert_eq!((answer.status().as_u16(), to), (303, "/app/login"));
    assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert!(!is_in(there, &here).await);

    // Each end stands in the log of the organization it worked in.
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    let out = log["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "signed_out").count();
    assert_eq!(out, 4, "{log}");
}

async fn an_administrator_ends_a_members_session_in_their_organization_alone(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let there = other.as_ref().unwrap_or(&server);
    let (ada, max, grace) =
        (server.sign_in("ada").await, server.sign_in("max").await, there.sign_in("grace").await);
    let dana = there.sign_in("dana").await;
    let (_, listed) = server.by_hand(&ada, "loopiq_list_sessions", json!({})).await;
    let of =
        |email: &str| listed["items"].as_array().unwrap().iter().find(|item| item["email"] == email).cloned();
    let graces = of("grace@acme.example").unwrap_or_else(|| panic!("{listed}"));
    assert!(of("max@globex.example").is_none(), "of another organization: {listed}");
    assert_eq!(of("ada@acme.example").unwrap()["current"], json!(true));
    let page = ada.0.get(format!("{}/app/sessions", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Of other people") && page.contains("grace@acme.example"), "{page}");

    let wanted = json!({ "session": graces["id"], "reason": "her laptop was stolen" });
    let (status, _) = server.by_hand(&max, "loopiq_end_session", wanted.clone()).await;
    assert_eq!(status, 404, "another organization's");
    let (status, _) = server.by_hand(&grace, "loopiq_list_sessions", json!({})).await;
    assert_eq!(status, 403, "she manages nobody");
    let (status, done) = server.by_hand(&ada, "loopiq_end_session", wanted).await;
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    assert!(!is_in(there, &grace).await && !is_in(&server, &grace).await);
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    assert!(log.to_string().contains("loopiq_end_session"), "{log}");

    // Somebody of two organizations, who has gone to work in the other one since, is not reached from here any more.
    let danas = of("dana@consult.example").expect("she works in acme at first");
    let select = dana.0.post(format!("{}/api/v1/organizations/globex/select", there.url));
    assert_eq!(select.header("X-CSRF-Token", &dana.1).send().await.unwrap().status(), 200);
    let wanted = json!({ "session": danas["id"], "reason": "she is elsewhere" });
    assert_eq!(server.by_hand(&ada, "loopiq_end_session", wanted.clone()).await.0, 404);
    assert!(is_in(there, &dana).await);
    assert_eq!(server.by_hand(&max, "loopiq_end_session", wanted).await.0, 200);
    assert!(!is_in(there, &dana).await);
}
