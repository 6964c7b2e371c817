//! One world for these tests: two organizations, a person in each, tokens, a release with a certification; the clock
//! moves by hand, ids count.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use domain::certification::{Certification, CertificationStatus, Readiness, Verdict};
use domain::effect::Effect;
use domain::id::{CertificationId, Ids, ReleaseId, TeamId};
use domain::org::Team;
use domain::permission::{Permission, Role};
use domain::release::{Release, ReleaseStatus};
use domain::time::{Clock, Timestamp};
use engine::Engine;
use http_body_util::BodyExt;
use identity::{Identity, NewMember, TokenRequest};
use serde_json::{Value, json};
use store::{Entropy, Store};
use testkit::postgres::{APP, Database, OWNER};
use tokio::sync::watch;
use tower::ServiceExt;
use web::{Settings, Tasks};

pub const PASSWORD: &str = "correct horse battery";
pub const MODERN: &str = "2026-07-28";

pub struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
impl Hand {
    pub fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Counter(AtomicU64);
impl Ids for Counter {
    fn next(&self) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(
            0x0190_0000_0000_7000,
            0x8000_0000_0000_0000 | self.0.fetch_add(1, Ordering::SeqCst),
        )
    }
}

#[derive(Default)]
struct Sequence(AtomicU64);
impl Entropy for Sequence {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let n = self.0.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *byte = n.to_be_bytes()[3];
        }
    }
}

pub struct World {
    pub router: Router,
    pub engine: Engine,
    pub identity: Identity,
    pub clock: Arc<Hand>,
    /// Stops the server, as far as open streams are concerned.
    pub stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

/// Release R1 with a certification that collects evidence.
fn under_release(team: TeamId, now: Timestamp) -> (Release, Certification) {
    let id = ReleaseId::from_uuid(uuid::Uuid::from_u64_pair(7, 8));
    let release = Release {
        id,
        name: "R1".into(),
        release_version: "1.0.0".into(),
        team_id: team,
        component_ids: Vec::new(),
        target_environment: "production".into(),
        planned_at: None,
        released_at: None,
        status: ReleaseStatus::InValidation,
        created_at: now,
        created_by: None,
        updated_at: now,
        version: 1,
    };
    let certification = Certification {
        id: CertificationId::from_uuid(uuid::Uuid::from_u64_pair(7, 9)),
        release_id: id,
        team_id: team,
        title: "Certification of R1".into(),
        framework: "release-baseline".into(),
        status: CertificationStatus::CollectingEvidence,
        readiness: Readiness { score: 0, verdict: Verdict::NotReady },
        open_gap_count: 0,
        open_blocker_count: 0,
        accepted_risk_count: 0,
        reviewers: Vec::new(),
        decision: None,
        evidence_refreshed_at: None,
        created_at: now,
        created_by: None,
        updated_at: now,
        version: 1,
    };
    (release, certification)
}

/// A whole answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{} {}", self.status, String::from_utf8_lossy(&self.bytes)))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub async fn new() -> World {
        World::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> World {
        World::made_of(settings, Arc::new(|| Box::pin(async { true }))).await
    }

    pub async fn made_of(settings: Settings, ready: web::Ready) -> World {
        let (folder, entropy) = (tempfile::tempdir().unwrap(), Arc::new(Sequence::default()));
        let store = Store::open(store::Config::new(folder.path()), entropy.clone()).await.unwrap();
        World::over(store, entropy, folder, settings, ready).await
    }

    /// The same world in a database of its own.
    pub async fn on_postgres() -> World {
        let (folder, entropy) = (tempfile::tempdir().unwrap(), Arc::new(Sequence::default()));
        let database = Database::fresh().await;
        let config = |role: &str| store::PostgresConfig {
            url: database.url(role),
            password: None,
            blobs_dir: folder.path().to_owned(),
            bucket: None,
            committers: 2,
            connections_max: 8,
        };
        store::migrate(&config(OWNER), APP, false).await.unwrap();
        let store = Store::connect(config(APP), entropy.clone()).await.unwrap();
        World::over(store, entropy, folder, Settings::default(), Arc::new(|| Box::pin(async { true }))).await
    }

    async fn over(
        store: Store,
        entropy: Arc<Sequence>,
        folder: tempfile::TempDir,
        settings: Settings,
        ready: web::Ready,
    ) -> World {
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000_000)));
        let ids = Arc::new(Counter::default());
        let identity = Identity::new(identity::Parts {
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            entropy: entropy.clone(),
            fetch: Arc::new(identity::fetch::NoFetch),
            settings: identity::Settings::default(),
        });
        let engine = Engine::new(engine::Parts {
            identity: identity.clone(),
            store,
            clock: clock.clone(),
            ids: ids.clone(),
            cursor_key: [7; 32],
            settings: engine::Settings {
                public_url: settings.public_url.clone(),
                ..engine::Settings::default()
            },
        });
        let (stop, stopped) = watch::channel(false);
        let router = web::router(web::Parts {
            engine: engine.clone(),
            identity: identity.clone(),
            clock: clock.clone(),
            ids,
            settings,
            tasks: Tasks::default(),
            stopped,
            ready,
            gauges: Vec::new(),
            model: Arc::new(web::model::NoModel),
        });
        let team = TeamId::from_uuid(uuid::Uuid::from_u64_pair(7, 7));
        let record = Team {
            id: team,
            key: "backend".into(),
            name: "backend".into(),
            created_at: clock.now(),
            version: 1,
        };
        let (release, certification) = under_release(team, clock.now());
        let first = [
            Effect::CreateTeam { record },
            Effect::CreateRelease { record: release },
            Effect::CreateCertification { record: certification },
        ];
        let acme = identity.create_organization("acme", "Acme", &first).await.unwrap();
        let globex = identity.create_organization("globex", "Globex", &[]).await.unwrap();
        for (organization, email) in [(&acme, "ada@acme.example"), (&globex, "gus@globex.example")] {
            let new = NewMember {
                email: email.into(),
                display_name: "Somebody".into(),
                roles: vec![Role::OrganizationAdmin],
                direct_permissions: vec![Permission::ReleasesRead],
                password: Some(PASSWORD.into()),
                ..NewMember::default()
            };
            identity.add_member(organization.id, new).await.unwrap();
        }
        World { router, engine, identity, clock, stop, _folder: folder }
    }

    pub async fn issued(&self) -> identity::IssuedToken {
        let owner = self.identity.local("acme", "ada@acme.example").await.unwrap();
        let request = TokenRequest { label: "test".into(), days: Some(1), ..TokenRequest::default() };
        self.identity.issue_token(&owner, request).await.unwrap()
    }

    pub async fn token(&self) -> String {
        self.issued().await.secret
    }

    /// One more person in acme, who can sign in.
    pub async fn join(&self, email: &str, role: Role) {
        let owner = self.identity.local("acme", "ada@acme.example").await.unwrap();
        let new = NewMember {
            email: email.into(),
            display_name: "Somebody else".into(),
            roles: vec![role],
            direct_permissions: vec![Permission::ReleasesRead],
            password: Some(PASSWORD.into()),
            ..NewMember::default()
        };
        self.identity.add_member(owner.organization.id, new).await.unwrap();
    }

    /// Records put into acme next to the server.
    pub async fn put(&self, effects: &[Effect]) {
        let owner = self.identity.local("acme", "ada@acme.example").await.unwrap();
        self.identity.apply(owner.organization.id, "test", effects).await.unwrap();
    }

    /// Calls a tool; its structured content.
    pub async fn call(&self, token: &str, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.modern(token, "/mcp", "tools/call", params).await.json();
        assert!(answer["error"].is_null(), "{tool}: {answer}");
        answer["result"]["structuredContent"].clone()
    }

    /// Has a person approve an action; the action as it then is.
    pub async fn approve(&self, email: &str, action: &Value) -> Value {
        let (cookie, csrf) = self.sign_in(email).await;
        let path = format!("/api/v1/actions/{}/approve", action.as_str().unwrap());
        self.send("POST", &path, &[("cookie", &cookie), ("x-csrf-token", &csrf)], "").await.json()
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let response = self.open(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// Like [`World::send`], without waiting for the end of the answer.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Response {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header(header::HOST, "127.0.0.1:8484");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }

    /// A request of the stateless revision as a proper client sends it.
    pub async fn modern(&self, token: &str, path: &str, method: &str, mut params: Value) -> Answer {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let bearer = format!("Bearer {token}");
        let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default().to_owned();
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("mcp-protocol-version", MODERN),
            ("mcp-method", method),
        ];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        self.send("POST", path, &headers, body.to_string()).await
    }

    /// A request of a revision with a handshake.
    pub async fn legacy(&self, token: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send("POST", "/mcp", &headers, body.to_string()).await
    }

    /// Signs in and returns cookie and CSRF token.
    pub async fn sign_in(&self, email: &str) -> (String, String) {
        let body = json!({"email": email, "password": PASSWORD}).to_string();
        let answer =
            self.send("POST", "/api/v1/session", &[("content-type", "application/json")], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        (cookie, answer.json()["csrfToken"].as_str().unwrap().to_owned())
    }
}
