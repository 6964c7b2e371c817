//! Every page of the console in a real browser: on a desk, a tablet and a phone, by day and by night, judged by an
//! accessibility checker; with hostile text in everything that is imported; on paper; and the palette by its keys. The
//! pictures of the documents are taken here too.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use crate::browser::{assert_clean, follow};
use crate::devtools::Browser;
use crate::oauth::program;
use crate::pages::places;
use crate::server::{CREATE, Server, binary, http, tool};

/// Widths of a desk, a tablet and a phone, in CSS pixels; a desk and a phone are judged.
const WIDTHS: [(u32, bool); 3] = [(1440, true), (768, false), (390, true)];

/// What the checker judges by: WCAG 2.2, levels A and AA, with what it takes over from 2.0 and 2.1.
const RULES: &str = "wcag2a,wcag2aa,wcag21a,wcag21aa,wcag22aa";

/// The checker, as npm brings it.
fn checker() -> String {
    std::fs::read_to_string(Path::new(&tool("LOOPIQ_TEST_NPM")).join("axe-core/axe.min.js")).unwrap()
}

/// What the checker finds wrong on the page as it is shown: the rule, and where.
fn violations(browser: &mut Browser, checker: &str) -> Vec<String> {
    if browser.ask("typeof window.axe") == "undefined" {
        browser.ask(&format!("{checker}; 0"));
    }
    let rules = json!(RULES.split(',').collect::<Vec<_>>());
    let options = json!({ "runOnly": { "type": "tag", "values": rules }, "resultTypes": ["violations"] });
    let found = browser.wait_for(&format!("axe.run(document, {options}).then(found => found.violations)"));
    let each = found.as_array().unwrap().iter();
    each.flat_map(|violation| {
        let rule = format!("{} ({})", violation["id"], violation["help"]);
        violation["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(move |node| format!("{rule}: {} {}", node["html"], node["failureSummary"]))
    })
    .collect()
}

#[tokio::test]
async fn every_page_is_accessible_and_fits_every_screen_by_day_and_by_night() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let places = places(&server).await;
    let checker = checker();
    let mut browser = Browser::open();
    let mut wrong = Vec::new();
    let mut look = |browser: &mut Browser, route: &str| {
        let mut grounds = Vec::new();
        for scheme in ["light", "dark"] {
            for (width, judged) in WIDTHS {
                browser.show(width, scheme);
                let over =
                    browser.ask(&format!("document.documentElement.scrollWidth - {width}")).as_i64().unwrap();
                if over > 0 {
                    wrong.push(format!("{route} at {width}, {scheme}: {over} px too wide"));
                }
                if judged {
                    let found = violations(browser, &checker);
                    wrong.extend(found.iter().map(|found| format!("{route} at {width}, {scheme}: {found}")));
                }
            }
            grounds.push(browser.ask("getComputedStyle(document.body).backgroundColor"));
        }
        assert_ne!(grounds[0], grounds[1], "{route} by day and by night");
    };
    browser.visit(&format!("{}/app/login", server.url));
    look(&mut browser, "/app/login");
    follow(&mut browser, &server, "ada", &format!("{}/app/approvals", server.url));
    // What is not there is said in the browser's log, which is all right only for what is not there.
    for place in places.iter().filter(|place| place.route != "/app/no-such-page") {
        browser.show(1440, "light");
        assert_eq!(browser.visit(&format!("{}{}", server.url, place.path)), 200, "{}", place.route);
        look(&mut browser, &place.route);
    }
    browser.show(1440, "light");
    assert_eq!(browser.visit(&program(&server).await.asks(&server, &[])), 200, "where a client is let in");
    look(&mut browser, "/authorize");
    // What opens over a page.
    browser.show(1440, "light");
    browser.visit(&format!("{}/app", server.url));
    browser.key("k", 2);
    browser.type_here("release");
    browser.until("document.querySelectorAll('dialog.palette [role=option]').length > 3");
    look(&mut browser, "the palette");
    assert_eq!(wrong, Vec::<String>::new());
    assert_clean(&browser, &server);
}

#[tokio::test]
async fn the_palette_finds_by_keys_and_is_a_page_without_script() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let mut browser = Browser::open();
    follow(&mut browser, &server, "grace", &format!("{}/app/releases", server.url));
    assert_eq!(browser.not_installable(), json!([]));
    browser.key("k", 2);
    assert_eq!(browser.ask("document.activeElement.getAttribute('role')"), "combobox");
    browser.type_here("backend-v1.0");
    let chosen = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))";
    browser.until(&format!("{chosen}?.textContent.includes('backend-v1.0-GCN')"));
    browser.key("ArrowUp", 0);
    browser.key("ArrowDown", 0);
    assert_eq!(browser.load(|browser| browser.key("Enter", 0)), 200);
    assert!(browser.text().contains("backend-v1.0-GCN"), "{}", browser.address());
    assert!(!browser.address().contains("/app/search"), "{}", browser.address());
    browser.key("k", 2);
    browser.key("Escape", 0);
    assert_eq!(browser.ask("document.querySelector('dialog.palette').open"), false);
    browser.key("k", 2);
    browser.type_here("propose ex");
    browser.until(
        "document.querySelector('dialog.palette').textContent.includes('Propose an exception') || \
        document.querySelector('dialog.palette').textContent.includes('Nothing found')",
    );
    assert_clean(&browser, &server);

    let mut plain = Browser::open();
    plain.without_script();
    follow(&mut plain, &server, "grace", &format!("{}/app/approvals", server.url));
    let link = plain.ask("document.querySelector('a[data-palette]').href");
    assert_eq!(plain.visit(link.as_str().unwrap()), 200);
    plain.write("Find", "approvals");
    assert_eq!(plain.press("Search"), 200);
    assert!(plain.text().contains("What waits for a decision"), "{}", plain.text());
    let links = plain.ask("[...document.querySelectorAll('#results a')].map(a => a.href)");
    assert!(links.as_array().unwrap().contains(&json!(format!("{}/app/approvals", server.url))), "{links}");
    assert_clean(&plain, &server);
}

#[tokio::test]
async fn what_is_chosen_is_rejected_together_with_script_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    for script in [true, false] {
        let linus = server.token("linus", "acme");
        for title in ["First", "Second"] {
            let mut package = server.package(&http(), &linus, &format!("{title}, script {script}")).await;
            package["allowDuplicate"] = json!(true);
            server.call(&http(), &linus, CREATE, package).await;
        }
        let mut browser = Browser::open();
        if !script {
            browser.without_script();
        }
        follow(&mut browser, &server, "grace", &format!("{}/app/approvals", server.url));
        browser.ask("[...document.querySelectorAll('input.choose')].forEach(box => box.click())");
        browser.write("Reject those that are chosen, because", "Split them by team");
        assert_eq!(browser.press("Reject chosen"), 200);
        assert!(browser.text().contains("2 of 2 rejected"), "{}", browser.text());
        assert_clean(&browser, &server);
    }
}

/// Text that would run where it is taken for markup, wherever it stands.
const HOSTILE: &str = "\"'></script></title></textarea><img src=x onerror=ran(1)><svg onload=ran(2)><script>ran(3)</script>{{7*7}}";

/// Reports with hostile text in every field that is read, each with the control it is evidence for.
fn hostile_reports() -> [(&'static str, &'static str, String); 4] {
    let (h, x) = (json!(HOSTILE), HOSTILE.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"));
    let sarif = json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": h, "version": h, "semanticVersion": h, "rules": [
            { "id": h, "shortDescription": { "text": h }, "defaultConfiguration": { "level": "error" }, "helpUri": "javascript:ran(4)",
              "properties": { "security-severity": "9.8" } }] } },
        "artifacts": [{ "location": { "uri": format!("javascript:ran(5)//{HOSTILE}") } }],
        "results": [
            { "ruleId": h, "ruleIndex": 0, "level": "error", "message": { "text": h }, "fingerprints": { HOSTILE: h },
              "locations": [{ "physicalLocation": { "artifactLocation": { "uri": h }, "region": { "startLine": 1 } },
                              "logicalLocations": [{ "fullyQualifiedName": h, "name": h }] }] },
            { "ruleId": h, "level": "error", "message": { "text": format!("other {HOSTILE}") }, "partialFingerprints": { "a": h },
              "locations": [{ "physicalLocation": { "artifactLocation": { "index": 0 } } }] },
        ],
    }] });
    let bom = json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": h, "version": 1,
        "metadata": { "tools": { "components": [{ "type": "application", "name": h, "version": h }] },
                      "component": { "type": "application", "bom-ref": h, "name": h, "version": h, "purl": h } },
        "components": [{ "type": "library", "bom-ref": "c1", "name": h, "version": h, "purl": format!("pkg:npm/{HOSTILE}") }],
        "vulnerabilities": [{ "id": h, "description": h, "ratings": [{ "severity": "critical", "score": 9.8 }],
                              "affects": [{ "ref": "c1" }] }],
    });
    let junit = format!(
        "<testsuites name=\"{x}\"><testsuite name=\"{x}\" tests=\"2\" failures=\"1\" errors=\"1\" hostname=\"{x}\" package=\"{x}\" timestamp=\"{x}\">\
         <properties><property name=\"{x}\" value=\"{x}\"/></properties>\
         <testcase classname=\"{x}\" name=\"{x}\" file=\"{x}\"><failure type=\"{x}\" message=\"{x}\">{x}</failure></testcase>\
         <testcase classname=\"a\" name=\"{x}\"><error type=\"{x}\" message=\"{x}\">{x}</error><system-out>{x}</system-out></testcase>\
         </testsuite></testsuites>"
    );
    let names = json!({ "bomFormat": "CycloneDX", "specVersion": "1.4", "version": 1,
        "metadata": { "tools": [{ "name": h, "version": h }] }, "components": [] });
    [
        ("SAST-SCAN", "report.sarif", sarif.to_string()),
        ("DEPENDENCY-SCAN", "bom.json", bom.to_string()),
        ("TEST-INTEGRATION", "junit.xml", junit),
        ("SBOM", "older.json", names.to_string()),
    ]
}

/// Hostile text by every way that a member has: names, titles, reasons.
async fn hostile_records(server: &Server) {
    let (ada, linus) = (server.sign_in("ada").await, server.token("linus", "acme"));
    let h = |longest: usize| HOSTILE.chars().take(longest).collect::<String>();
    for (tool, arguments) in [
        ("loopiq_create_team", json!({ "name": h(190), "key": "hostile" })),
        (
            "loopiq_add_member",
            json!({ "email": "h@acme.example", "displayName": h(190), "access": { "roles": ["viewer"], "permissions": ["teams:read"] } }),
        ),
        (
            "loopiq_register_agent",
            json!({ "name": h(190), "description": h(400), "permissions": ["releases:read"], "mutationPolicy": "read_only" }),
        ),
        ("loopiq_issue_token", json!({ "label": h(100) })),
        ("loopiq_set_webhook", json!({ "url": "https://hooks.example.com/x", "description": h(190) })),
        ("loopiq_update_organization", json!({ "name": h(190) })),
    ] {
        let mut arguments = arguments;
        arguments["reason"] = json!(HOSTILE);
        let (status, answer) = server.by_hand(&ada, tool, arguments).await;
        assert_eq!(status, 200, "{tool}: {answer}");
    }
    let release = json!({ "name": h(100), "releaseVersion": h(50), "targetEnvironment": h(50), "teamId": "backend", "reason": HOSTILE });
    let (status, answer) = server.by_hand(&ada, "loopiq_create_release", release).await;
    assert!(status == 200 || status == 422, "{answer}");
    let mut package = server.package(&http(), &linus, &h(190)).await;
    package["reason"] = json!(HOSTILE);
    package["parent"]["description"] = json!(HOSTILE);
    package["allowDuplicate"] = json!(true);
    let (error, answer) = server.call(&http(), &linus, CREATE, package).await;
    assert!(!error, "{answer}");
}

#[tokio::test]
async fn nothing_that_is_imported_runs_on_any_page() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let ada = server.token("ada", "acme");
    for (control, name, report) in hostile_reports() {
        let address = format!("{}/api/v1/releases/backend-v1.0-GCN/evidence?control={control}", server.url);
        // The name of the file is hostile as well.
        let file = format!("{}{name}", HOSTILE.replace('"', "%22"));
        let body = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\r\n{report}\r\n--limit--\r\n"
        );
        let form = http().post(&address).bearer_auth(&ada).body(body);
        let pushed = form.header("Content-Type", "multipart/form-data; boundary=limit").send().await.unwrap();
        let status = pushed.status().as_u16();
        assert!(matches!(status, 200 | 201), "{control}: {}", pushed.text().await.unwrap());
    }
    hostile_records(&server).await;
    let mut places: Vec<String> = places(&server).await.into_iter().map(|place| place.path).collect();
    let grace = server.token("grace", "acme");
    let everything = json!({ "release": "backend-v1.0-GCN", "limit": 100 });
    let (_, evidence) = server.call(&http(), &grace, "loopiq_list_evidence", everything).await;
    let evidence = evidence["items"].as_array().unwrap().iter();
    let hostile = evidence.filter(|piece| piece.to_string().contains("onerror"));
    places.extend(hostile.map(|piece| format!("/app/evidence/{}", piece["id"].as_str().unwrap())));
    let (_, actions) = server.call(&http(), &grace, "loopiq_list_actions", json!({ "limit": 100 })).await;
    let ids = actions["items"].as_array().unwrap().iter().map(|action| action["id"].as_str().unwrap());
    places.extend(ids.map(|id| format!("/app/actions/{id}")));
    places.push("/app/search?q=img".into());
    places.push(format!("/app/search?q={}", "%22%3E%3Cimg%20src%3Dx%20onerror%3Dran(6)%3E"));
    places.push("/app/audit?kind=all&action=%22%3E%3Cimg%20src%3Dx%20onerror%3Dran(7)%3E".into());
    places.push("/app/members?q=%22%3E%3Cimg%20src%3Dx%20onerror%3Dran(8)%3E".into());

    let mut browser = Browser::open();
    follow(&mut browser, &server, "ada", &format!("{}/app/approvals", server.url));
    let mut shown = 0;
    for path in places.iter().filter(|path| *path != "/app/no-such-page") {
        let status = browser.visit(&format!("{}{path}", server.url));
        assert_eq!(status, 200, "{path}");
        // Nothing has become an element, and no address leads to script.
        let made = browser.ask(
            "[...document.querySelectorAll('img, iframe, object, embed, base, main script, [onerror], [onload], \
              a[href^=\"javascript:\" i], svg[onload], form[action^=\"javascript:\" i]')].map(made => made.outerHTML)",
        );
        assert_eq!(made, json!([]), "{path}");
        if browser.ask("document.documentElement.textContent.includes('onerror=ran')") == true {
            shown += 1;
        }
    }
    assert!(shown > 15, "the text is on many pages, as text: {shown}");
    // The palette shows what was found as text as well.
    browser.key("k", 2);
    browser.type_here("img");
    browser.until("document.querySelector('dialog.palette [role=status]').textContent !== ''");
    assert_eq!(browser.ask("document.querySelectorAll('dialog.palette img').length"), 0);
    assert_clean(&browser, &server);
}

#[tokio::test]
async fn a_certification_is_whole_on_paper() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let token = server.token("grace", "acme");
    let wanted = json!({ "release": "backend-v1.0-GCN" });
    let (_, found) = server.call(&http(), &token, "loopiq_get_release_certification", wanted).await;
    let id = found["certification"]["id"].as_str().unwrap();
    let address = format!("{}/app/certifications/{id}", server.url);
    let mut browser = Browser::open();
    browser.without_script();
    follow(&mut browser, &server, "grace", &address);
    browser.on_paper(true);
    let seen = |browser: &mut Browser, what: &str| {
        browser.ask(&format!("[...document.querySelectorAll('{what}')].some(part => part.checkVisibility())"))
    };
    for gone in [".bar", ".nav", ".foot", "form", ".menu", "button"] {
        assert_eq!(seen(&mut browser, gone), false, "{gone} is not printed");
    }
    // What is folded on the screen is unfolded, without script.
    let folded = browser.ask(
        "[...document.querySelectorAll('main details.fold')].filter(fold => fold.lastElementChild.getBoundingClientRect().height < 10).length",
    );
    assert_eq!(folded, 0);
    let foot = browser.ask("document.querySelector('.printed').innerText");
    let foot = foot.as_str().unwrap();
    assert!(foot.contains(&address) && foot.contains("UTC") && foot.contains("Acme"), "{foot}");
    assert!(browser.printed().starts_with(b"%PDF"));
    assert_clean(&browser, &server);
}

/// Another site: one page, for whoever asks. Its port.
fn another_site(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.read(&mut [0; 4096]));
            let length = page.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            drop(write!(stream, "{head}Content-Length: {length}\r\n\r\n{page}"));
        }
    });
    port
}

#[tokio::test]
async fn no_other_site_decides_a_card_or_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let proposal = crate::browser::proposed(&server, &http()).await;
    let (id, digest) =
        (proposal["action"]["id"].as_str().unwrap(), proposal["action"]["digest"].as_str().unwrap());
    let card = format!("{}/app/actions/{id}", server.url);
    // Everything that a stranger could know of the card, in a form of their own and with a frame over it.
    let page = format!(
        "<!doctype html><title>Prizes</title><iframe src='{card}'></iframe>\
         <form method='post' action='{card}/approve'><input type='hidden' name='digest' value='{digest}'>\
         <input type='hidden' name='csrf' value='guessed'><button>Win a prize</button></form>\
         <script>fetch('{card}/approve', {{ method: 'POST', mode: 'no-cors', credentials: 'include', \
         headers: {{ 'Content-Type': 'application/x-www-form-urlencoded' }}, body: 'csrf=guessed&digest={digest}' }})</script>"
    );
    let port = another_site(page);
    let mut browser = Browser::open();
    follow(&mut browser, &server, "grace", &card);
    assert_eq!(browser.visit(&format!("http://localhost:{port}/")), 200);
    let refused =
        |complaint: &String| complaint.contains("frame-ancestors") || complaint.contains("X-Frame-Options");
    assert!(browser.complaints().iter().any(refused), "the frame stays empty: {:?}", browser.complaints());
    // Whether or not the browser sends the cookie along, the press decides nothing.
    browser.press("Win a prize");
    assert!(!browser.text().contains("Done: it ran once"), "{}", browser.text());
    // Nor does a request that has the cookie and the session's own token, when it says that it comes from elsewhere.
    let (session, csrf) = server.sign_in("grace").await;
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let asked = session.post(format!("{card}/approve")).header(name, value);
        let asked = asked.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = asked.body(format!("csrf={csrf}&digest={digest}")).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let token = server.token("linus", "acme");
    let (_, found) = server.call(&http(), &token, "loopiq_get_action", json!({ "actionId": id })).await;
    assert_eq!(found["action"]["status"], "pending_approval");
}

/// Pictures of the documents: name, person, width, scheme, page.
const PICTURES: [(&str, &str, u32, &str, &str); 8] = [
    ("home", "grace", 1440, "light", "/app"),
    ("release", "grace", 1440, "light", "/app/releases/{release}"),
    ("certification", "grace", 1440, "light", "/app/certifications/{certification}"),
    ("approval", "grace", 1440, "light", "/app/actions/{waiting}"),
    ("approval-phone", "grace", 390, "dark", "/app/actions/{waiting}"),
    ("release-phone", "grace", 390, "light", "/app/releases/{release}"),
    ("access", "ada", 1440, "light", "/app/access?member=linus%40acme.example"),
    ("audit-dark", "ada", 1440, "dark", "/app/audit/3"),
];

/// Bytes of a picture in the documents.
const PICTURE_BYTES_MAX: usize = 150_000;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "cargo xtask images says where the pictures go")]
async fn pictures_of_the_main_pages_can_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let places = places(&server).await;
    let mut browser = Browser::open();
    let mut signed_in = "";
    for (name, person, width, scheme, route) in PICTURES {
        if person != signed_in {
            browser.forget_cookies();
            follow(&mut browser, &server, person, &format!("{}/app/approvals", server.url));
            signed_in = person;
        }
        browser.show(width, scheme);
        let place = places.iter().find(|place| place.route == route).unwrap();
        assert_eq!(browser.visit(&format!("{}{}", server.url, place.path)), 200, "{name}");
        let picture = browser.picture();
        assert!(
            picture.len() > 5_000 && picture.len() <= PICTURE_BYTES_MAX,
            "{name} has {} bytes",
            picture.len()
        );
        if let Some(folder) = std::env::var_os("LOOPIQ_IMAGES") {
            std::fs::write(Path::new(&folder).join(format!("{name}.webp")), picture).unwrap();
        }
    }
    assert_clean(&browser, &server);
}
