//! The stream that open pages listen to: what it says, to whom, and when it ends.

use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use domain::permission::{Permission, Role};
use http_body_util::BodyExt;
use identity::NewMember;
use web::Settings;

use super::world::{PASSWORD, World};
use super::write::sarif;

const ADA: &str = "ada@acme.example";
const GUS: &str = "gus@globex.example";

async fn opened(world: &World, cookie: &str) -> Response {
    world.open("GET", "/app/events", &[("cookie", cookie)], "").await
}

/// What the stream of a person sends.
async fn stream(world: &World, cookie: &str) -> Body {
    let answer = opened(world, cookie).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body()
}

/// The next thing that is sent; `None` at the end.
async fn sent(stream: &mut Body) -> Option<String> {
    let frame = stream.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

/// The length that the next event says.
async fn length(stream: &mut Body) -> i64 {
    let event = sent(stream).await.unwrap_or_else(|| panic!("the stream has ended"));
    let data =
        event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{event}"));
    assert!(event.contains(&format!("id: {data}\n")) && event.ends_with("\n\n"), "{event}");
    data.parse().unwrap()
}

async fn is_quiet(stream: &mut Body) -> bool {
    let mut next = pin!(sent(stream));
    std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await
}

/// New evidence in acme.
async fn changed(world: &World, rule: &str) {
    let bearer = format!("Bearer {}", world.token().await);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sarif+json")];
    world.clock.forward(1);
    let path = format!("/api/v1/releases/R1/evidence?fileName={rule}.sarif");
    let pushed = world.send("POST", &path, &headers, sarif(rule)).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text());
}

#[tokio::test]
async fn it_says_how_long_the_log_is_and_again_after_a_change() {
    let world = World::new().await;
    let (cookie, _) = world.sign_in(ADA).await;
    let answer = opened(&world, &cookie).await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        ["content-type", "cache-control", "x-accel-buffering"].map(header),
        ["text/event-stream", "no-store, no-transform", "no"]
    );
    let page = world.send("GET", "/app", &[("cookie", &cookie)], "").await.text();
    let mut stream = answer.into_body();
    let first = length(&mut stream).await;
    assert!(page.contains(&format!("data-live=\"{first}\"")), "a page says what it shows: {page}");
    assert!(is_quiet(&mut stream).await);
    changed(&world, "R-1").await;
    changed(&world, "R-2").await;
    let second = length(&mut stream).await;
    assert!(second > first);
    assert!(is_quiet(&mut stream).await, "two changes in a moment are one event");
}

#[tokio::test]
async fn compression_leaves_it_alone() {
    let world = World::new().await;
    let (cookie, _) = world.sign_in(ADA).await;
    let headers = [("cookie", cookie.as_str()), ("accept-encoding", "gzip, br")];
    let answer = world.open("GET", "/app/events", &headers, "").await;
    assert_eq!(answer.headers().get("content-encoding"), None);
    length(&mut answer.into_body()).await;
}

#[tokio::test]
async fn what_happens_in_another_organization_is_not_heard() {
    let world = World::new().await;
    let (stranger, _) = world.sign_in(GUS).await;
    let mut stream = stream(&world, &stranger).await;
    length(&mut stream).await;
    changed(&world, "R-1").await;
    assert!(is_quiet(&mut stream).await);
    let team = domain::id::TeamId::from_uuid(uuid::Uuid::from_u64_pair(9, 9));
    let created_at = domain::time::Clock::now(&*world.clock);
    let record =
        domain::org::Team { id: team, key: "own".into(), name: "own".into(), created_at, version: 1 };
    let globex = world.identity.organization("globex").await.unwrap();
    let effects = [domain::effect::Effect::CreateTeam { record }];
    world.identity.apply(globex.id, "seed", &effects).await.unwrap();
    length(&mut stream).await;
}

#[tokio::test]
async fn it_ends_with_the_session_before_anything_more_is_told() {
    let world = World::new().await;
    let (cookie, csrf) = world.sign_in(ADA).await;
    let mut stream = stream(&world, &cookie).await;
    length(&mut stream).await;
    let signed = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    let gone = world.send("DELETE", "/api/v1/session", &signed, "").await;
    assert!(gone.status.is_success(), "{}", gone.text());
    changed(&world, "R-1").await;
    assert_eq!(sent(&mut stream).await, None);
    let again = opened(&world, &cookie).await;
    assert_eq!(again.status(), StatusCode::NO_CONTENT, "which tells a browser not to ask again");
}

#[tokio::test]
async fn it_ends_at_a_sign_of_life_when_the_session_became_idle() {
    // No silence at all is borne: a sign of life comes at once.
    let world = World::with(Settings { stream_keep_alive_seconds: 0, ..Settings::default() }).await;
    let (cookie, _) = world.sign_in(ADA).await;
    let mut stream = stream(&world, &cookie).await;
    length(&mut stream).await;
    assert_eq!(sent(&mut stream).await.as_deref(), Some(":\n\n"));
    world.clock.forward(identity::Settings::default().session_idle_seconds + 1);
    assert_eq!(sent(&mut stream).await, None, "nobody did anything, so that the session has ended");
}

#[tokio::test]
async fn it_ends_with_the_membership() {
    let world = World::new().await;
    let acme = world.identity.organization("acme").await.unwrap();
    let new = NewMember {
        email: "vic@acme.example".into(),
        display_name: "Vic".into(),
        roles: vec![Role::Viewer],
        direct_permissions: vec![Permission::ReleasesRead],
        password: Some(PASSWORD.into()),
        ..NewMember::default()
    };
    let vic = world.identity.add_member(acme.id, new).await.unwrap();
    let (cookie, _) = world.sign_in("vic@acme.example").await;
    let mut stream = stream(&world, &cookie).await;
    length(&mut stream).await;
    world.identity.set_member_active(acme.id, &vic.email, false).await.unwrap();
    assert_eq!(sent(&mut stream).await, None);
}

#[tokio::test]
async fn it_ends_when_the_server_stops() {
    let world = World::new().await;
    let (cookie, _) = world.sign_in(ADA).await;
    let mut stream = stream(&world, &cookie).await;
    length(&mut stream).await;
    world.stop.send_replace(true);
    assert_eq!(sent(&mut stream).await, None);
}

#[tokio::test]
async fn places_are_limited_and_free_again_when_a_page_is_closed() {
    let limits = Settings { streams_per_session_max: 1, streams_max: 2, ..Settings::default() };
    let world = World::with(limits).await;
    let mut cookies = Vec::new();
    for email in [ADA, ADA, GUS] {
        cookies.push(world.sign_in(email).await.0);
    }
    let status = async |cookie: &str| {
        let answer = world.send("GET", "/app/events", &[("cookie", cookie)], "").await;
        (answer.status.as_u16(), answer.header("retry-after").to_owned())
    };
    let first = stream(&world, &cookies[0]).await;
    assert_eq!(status(&cookies[0]).await, (429, "30".into()), "one for each session");
    let second = stream(&world, &cookies[1]).await;
    assert_eq!(status(&cookies[2]).await, (503, "30".into()), "two together");
    let counted = world.send("GET", "/metrics", &[], "").await.text();
    assert!(counted.contains("loopiq_event_streams 2\n"), "{counted}");
    drop(first);
    drop(second);
    drop(stream(&world, &cookies[2]).await);
    let counted = world.send("GET", "/metrics", &[], "").await.text();
    assert!(counted.contains("loopiq_event_streams 0\n"), "{counted}");
}

#[tokio::test]
async fn a_page_that_looks_by_itself_does_not_keep_its_session_awake() {
    let idle = identity::Settings::default().session_idle_seconds;
    for (headers, status) in
        [(vec![("loopiq-unattended", "1")], StatusCode::SEE_OTHER), (vec![], StatusCode::OK)]
    {
        let world = World::new().await;
        let (cookie, _) = world.sign_in(ADA).await;
        let mut headers = headers;
        headers.push(("cookie", cookie.as_str()));
        world.clock.forward(idle - 60);
        assert_eq!(world.send("GET", "/app", &headers, "").await.status, StatusCode::OK);
        world.identity.flush().await.unwrap();
        world.clock.forward(120);
        assert_eq!(world.send("GET", "/app", &headers, "").await.status, status);
    }
}
