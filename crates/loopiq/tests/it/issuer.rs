//! An issuer in the hands of a test, which can sign what no honest one would, and a visitor who goes where a browser would be
//! sent. The honest one is `tests-tools/oidc`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::routing::{get, post};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A key that signs, with its public half.
#[derive(Clone)]
pub struct Key {
    signing: EncodingKey,
    public: Jwk,
    id: String,
}

impl Key {
    pub fn fresh(id: &str) -> Key {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signing = EncodingKey::from_ec_der(&pair.serialize_der());
        let mut public = Jwk::from_encoding_key(&signing, Algorithm::ES256).unwrap();
        public.common.key_id = Some(id.to_owned());
        Key { signing, public, id: id.to_owned() }
    }

    /// The public half, as a set of keys.
    pub fn set(&self) -> Value {
        json!({ "keys": [self.public] })
    }

    pub fn header(&self) -> Header {
        Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::ES256) }
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header(), claims)
    }

    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.signing).unwrap()
    }

    /// The same claims under a shared secret that everybody knows: the public key.
    pub fn confused(&self, claims: &Value) -> String {
        let secret = serde_json::to_vec(&self.public).unwrap();
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&secret).unwrap()).unwrap()
    }

    /// The same claims without any signature.
    pub fn unsigned(&self, claims: &Value) -> String {
        let signed = self.sign(claims);
        let payload = signed.split('.').nth(1).unwrap();
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{payload}.")
    }
}

/// What the issuer answers now.
struct Answers {
    keys: Vec<Jwk>,
    token: Value,
    metadata: Value,
}

pub struct Issuer {
    pub url: String,
    answers: Arc<Mutex<Answers>>,
    /// How often its keys were asked for.
    pub asked: Arc<AtomicU32>,
    _running: JoinSet<()>,
}

impl Issuer {
    pub async fn start(keys: &[&Key]) -> Issuer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"], "scopes_supported": ["openid", "email"],
        });
        let keys = keys.iter().map(|key| key.public.clone()).collect();
        let answers = Arc::new(Mutex::new(Answers { keys, token: json!({}), metadata }));
        let asked = Arc::new(AtomicU32::new(0));
        let (one, two, three, count) = (answers.clone(), answers.clone(), answers.clone(), asked.clone());
        let metadata = move || async move { Json(one.lock().unwrap().metadata.clone()) };
        let keys = move || async move {
            count.fetch_add(1, Ordering::Relaxed);
            Json(JwkSet { keys: two.lock().unwrap().keys.clone() })
        };
        let token = move || async move { Json(three.lock().unwrap().token.clone()) };
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token));
        let serving = axum::serve(listener, app).into_future();
        let mut running = JoinSet::new();
        running.spawn(async move { serving.await.unwrap() });
        Issuer { url, answers, asked, _running: running }
    }

    /// Publishes these keys from now on.
    pub fn publish(&self, keys: &[&Key]) {
        self.answers.lock().unwrap().keys = keys.iter().map(|key| key.public.clone()).collect();
    }

    /// Announces a member of its metadata.
    pub fn announce(&self, name: &str, value: Value) {
        self.answers.lock().unwrap().metadata[name] = value;
    }

    /// Gives this ID token for the next codes.
    pub fn give(&self, id_token: &str) {
        self.answers.lock().unwrap().token = json!({ "access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": id_token });
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "an issuer outside has a clock of its own")]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

/// What came back to a visitor who stays where they are led.
#[derive(Debug)]
pub struct Landed {
    pub status: u16,
    pub url: Url,
    pub body: String,
    /// Where it leads on.
    pub to: Option<Url>,
}

/// Somebody with cookies, each for its host and port.
pub struct Visitor {
    http: Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

fn place(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(0))
}

impl Visitor {
    pub fn new() -> Visitor {
        Visitor {
            http: Client::builder().redirect(Policy::none()).build().unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    /// The cookies for a place, as a header.
    pub fn cookie(&self, url: &Url) -> String {
        let held = self.cookies.get(&place(url));
        let pairs = held.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, url: Url, form: Option<String>) -> Landed {
        let request = match form {
            None => self.http.get(url.clone()),
            Some(body) => {
                let form = self.http.post(url.clone()).body(body);
                form.header("content-type", "application/x-www-form-urlencoded")
            }
        };
        let answer = request.header(COOKIE, self.cookie(&url)).send().await.unwrap();
        let kept = self.cookies.entry(place(&url)).or_default();
        for line in answer.headers().get_all(SET_COOKIE) {
            let (name, value) = line.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                kept.remove(name);
            } else {
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = answer.headers().get(LOCATION).map(|to| url.join(to.to_str().unwrap()).unwrap());
        Landed { status: answer.status().as_u16(), body: answer.text().await.unwrap(), url, to }
    }

    /// Asks once.
    pub async fn get(&mut self, url: &str) -> Landed {
        self.send(Url::parse(url).unwrap(), None).await
    }

    /// Sends a form, then goes where that leads.
    pub async fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Landed {
        let mut form = Url::parse("http://form").unwrap();
        form.query_pairs_mut().extend_pairs(fields);
        let landed = self.send(Url::parse(url).unwrap(), Some(form.query().unwrap().to_owned())).await;
        self.led(landed).await
    }

    /// Goes where it is led.
    pub async fn follow(&mut self, url: &str) -> Landed {
        let landed = self.get(url).await;
        self.led(landed).await
    }

    async fn led(&mut self, mut landed: Landed) -> Landed {
        for _ in 0..20 {
            let Some(to) = landed.to.clone() else { return landed };
            landed = self.send(to, None).await;
        }
        panic!("led in circles: {}", landed.url)
    }
}

/// A parameter of a query.
pub fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap_or_else(|| panic!("{name} in {url}")).1.into_owned()
}
