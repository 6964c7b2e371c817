//! Connecting a client, as the person who does it sees it: the page, and the five cases of trouble, each told with who can
//! mend it.

use serde_json::{Value, json};

use crate::devtools::Browser;
use crate::oauth::{access, program};
use crate::server::{Home, Server, on_both_engines};

on_both_engines! {
    a_person_connects_in_the_browser_and_disconnects_there
    the_doctor_names_what_is_wrong_and_who_mends_it
}

async fn a_person_connects_in_the_browser_and_disconnects_there(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let mut browser = Browser::open();
    // As the client sends it: signed out at first.
    assert_eq!(browser.visit(&editor.asks(&server, &[])), 200);
    let (email, password) = server.credentials("dana");
    browser.write("E-mail", &email);
    browser.write("Password", &password);
    assert_eq!(browser.press("Sign in"), 200);
    let text = browser.text();
    for words in ["Let Editor in?", "this computer", "Propose changes in your name", "Acme", "Globex"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // Let in by the form of this very page; the browser would follow to where nobody listens.
    let dana = server.sign_in("dana").await;
    let code = editor.code(&server, &dana, &[]).await;
    let tokens = editor.redeems(&server, &code, &[]).await.1;
    let (_, context) =
        server.call(&crate::server::http(), access(&tokens), "loopiq_get_context", json!({})).await;
    assert_eq!(context["context"]["organization"]["slug"], "acme", "{context}");

    assert_eq!(browser.visit(&format!("{}/app/connect", server.url)), 200);
    let text = browser.text();
    assert!(text.contains("Editor") && text.contains("Reads and proposes"), "{text}");
    assert!(text.contains("MCP is switched on for Acme"), "{text}");
    assert_eq!(browser.press("Disconnect"), 200);
    assert!(browser.text().contains("None yet"), "{}", browser.text());
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(
        crate::oauth::asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0,
        401,
        "with the next call"
    );

    // An administrator sees and ends what others have let in, in their organization alone.
    editor.connects(&server, "grace", &[]).await;
    let (ada, max) = (server.sign_in("ada").await, server.sign_in("max").await);
    let page = ada.0.get(format!("{}/app/connect", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("For grace@acme.example"), "{page}");
    let listed = home.administer(&["client", "list", "--org", "acme"]);
    let id = listed.iter().find(|client| client["email"] == "grace@acme.example").unwrap()["id"].clone();
    let end = async |who: &(reqwest::Client, String)| {
        let address = format!("{}/api/v1/clients/{}", server.url, id.as_str().unwrap());
        who.0.delete(address).header("X-CSRF-Token", &who.1).send().await.unwrap().status().as_u16()
    };
    assert_eq!(end(&max).await, 404, "foreign is absent");
    assert_eq!(end(&server.sign_in("linus").await).await, 404, "somebody else's is absent");
    assert_eq!(end(&ada).await, 204);
    assert_eq!(end(&ada).await, 404);
}

/// What the doctor said: each check with whether it was good, and the last line's remedy.
fn doctor(home: &Home, url: &str, token: &str) -> (bool, Vec<Value>) {
    let done = home_command(home, url, token);
    let text = String::from_utf8(done.stdout).unwrap();
    (done.status.success(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn home_command(home: &Home, url: &str, token: &str) -> std::process::Output {
    let mut command = std::process::Command::new(crate::server::binary());
    command.args(["doctor", "--json", "--url", url]).env("LOOPIQ_TOKEN", token);
    command.current_dir(home.folder.path()).output().unwrap()
}

async fn the_doctor_names_what_is_wrong_and_who_mends_it(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let last = |(good, said): (bool, Vec<Value>)| {
        assert!(!good, "{said:?}");
        said.last().unwrap().clone()
    };
    // All is well, with what the token says of itself and nothing that could be used.
    let tokens = editor.connects(&server, "grace", &[]).await;
    let (good, said) = doctor(&home, &server.url, access(&tokens));
    assert!(good, "{said:?}");
    let checks: Vec<&str> = said.iter().map(|check| check["check"].as_str().unwrap()).collect();
    let all =
        ["reachable", "challenge", "metadata", "authorization_server", "claims", "token", "tools", "tenant"];
    assert_eq!(checks, all);
    let text = format!("{said:?}");
    assert!(text.contains("loopiq:read loopiq:write") && !text.contains(access(&tokens)), "{text}");
    assert!(said.last().unwrap()["detail"].as_str().unwrap().contains("organization acme"));
    // Cannot connect.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let told = last(doctor(&home, &closed, ""));
    assert!(told["check"] == "reachable" && told["remedy"].as_str().unwrap().contains("network"), "{told}");
    // By a name that is not the one people use: sign-in would fail.
    let told = last(doctor(&home, &server.url.replace("127.0.0.1", "localhost"), ""));
    assert!(told["check"] == "metadata" && told["remedy"].as_str().unwrap().contains("operator"), "{told}");
    // Unauthorized.
    let told = last(doctor(&home, &server.url, "eyJhbGciOiJFZERTQSJ9.e30.AAAA"));
    assert!(told["check"] == "token" && told["detail"].as_str().unwrap().contains("not valid"), "{told}");
    // No tools: the role, then the switch of the organization.
    let told = last(doctor(&home, &server.url, &server.token("vic", "acme")));
    assert!(told["check"] == "tools" && told["detail"].as_str().unwrap().contains("mcp:access"), "{told}");
    home.administer(&["org", "set", "acme", "--mcp", "off"]);
    let told = last(doctor(&home, &server.url, access(&tokens)));
    assert!(told["check"] == "tools" && told["detail"].as_str().unwrap().contains("switched off"), "{told}");
    let grace = server.sign_in("grace").await;
    let page = grace.0.get(format!("{}/app/connect", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("MCP is switched off for Acme") && page.contains("An administrator"), "{page}");
}
