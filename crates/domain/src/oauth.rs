//! OAuth 2.1 as this server speaks it, without storage and without HTTP: scopes, clients and where they may be answered,
//! proof keys, the resources that access tokens are for, and grants, by which a person has let a client in.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{AgentId, IdentityProviderId, OrgId, TeamId, TokenId, UserId};
use crate::permission::{Permission as P, Permissions};
use crate::time::Timestamp;

crate::words! {
    /// What a person lets a client do for them. Administration is in none of them: no client administers.
    Scope {
        Read = "loopiq:read",
        /// Implies [`Scope::Read`].
        Write = "loopiq:write",
        /// To be let in for longer than one access token; says nothing about what may be done.
        OfflineAccess = "offline_access",
    }
}

const READ: Permissions = Permissions::of(&[
    P::McpAccess,
    P::AiUse,
    P::TeamsRead,
    P::ReleasesRead,
    P::CertificationsRead,
    P::EvidenceRead,
    P::RisksRead,
    P::WorkItemsRead,
    P::ApprovalsRead,
    P::AuditRead,
]);

const WRITE: Permissions = READ.union(Permissions::of(&[
    P::AiRunActions,
    P::ReleasesManage,
    P::CertificationsSubmit,
    P::EvidenceAttach,
    P::EvidenceRefresh,
    P::RisksPropose,
    P::WorkItemsCreate,
    P::WorkItemsUpdate,
    P::RemediationCreate,
    P::RollbackDecide,
]));

impl Scope {
    /// The permissions it lets through, of those the person holds.
    pub const fn permissions(self) -> Permissions {
        match self {
            Scope::Read => READ,
            Scope::Write => WRITE,
            Scope::OfflineAccess => Permissions::NONE,
        }
    }

    /// What a person is told that the client may do.
    pub const fn sentence(self) -> &'static str {
        match self {
            Scope::Read => "Read releases, certifications, evidence, gaps and work items you may read",
            Scope::Write => {
                "Propose changes in your name; each still needs the approval that your organization asks for"
            }
            Scope::OfflineAccess => "Stay connected until you or an administrator end it",
        }
    }
}

/// The scopes a text names, each once and in order; words this server does not know are left out (RFC 6749, 3.3).
pub fn scopes_of(text: &str) -> Vec<Scope> {
    let named = |scope: &&Scope| text.split(' ').any(|word| word == scope.as_str());
    Scope::ALL.iter().filter(named).copied().collect()
}

/// Scopes as a text.
pub fn scope_text(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

/// What all of them let through.
pub fn permissions_of(scopes: &[Scope]) -> Permissions {
    scopes.iter().fold(Permissions::NONE, |all, scope| all.union(scope.permissions()))
}

crate::words! {
    /// Error codes of the protocol (RFC 6749, 4.1.2.1 and 5.2; RFC 7591, 3.2.2; RFC 8707, 2).
    ErrorCode {
        InvalidRequest = "invalid_request", InvalidClient = "invalid_client", InvalidGrant = "invalid_grant",
        UnauthorizedClient = "unauthorized_client", UnsupportedGrantType = "unsupported_grant_type",
        UnsupportedResponseType = "unsupported_response_type", InvalidScope = "invalid_scope",
        InvalidTarget = "invalid_target", AccessDenied = "access_denied", ServerError = "server_error",
        TemporarilyUnavailable = "temporarily_unavailable", LoginRequired = "login_required",
        InvalidRedirectUri = "invalid_redirect_uri", InvalidClientMetadata = "invalid_client_metadata",
        InvalidToken = "invalid_token",
    }
}

/// Why a client gets nothing. The sentence is ours alone: it never repeats what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    pub code: ErrorCode,
    pub description: &'static str,
}

impl Denied {
    pub const fn new(code: ErrorCode, description: &'static str) -> Denied {
        Denied { code, description }
    }
}

crate::words! {
    /// Where a client comes from.
    ClientKind {
        /// It has registered itself (RFC 7591).
        Registered = "registered",
        /// Its id is the address of a document about it (Client ID Metadata Documents).
        Document = "document",
        /// A program without a person in front of it, made by an administrator.
        Machine = "machine",
    }
}

crate::words! {
    /// How a client proves at the token endpoint who it is.
    ClientAuthentication {
        None = "none", SecretBasic = "client_secret_basic", SecretPost = "client_secret_post",
        PrivateKeyJwt = "private_key_jwt",
    }
}

/// For whom a client of kind [`ClientKind::Machine`] acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    pub organization_id: OrgId,
    pub user_id: UserId,
    pub agent_id: AgentId,
}

/// A program that may ask people to let it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    pub id: String,
    pub kind: ClientKind,
    /// What it calls itself. Nobody has checked it.
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub authentication: ClientAuthentication,
    /// SHA-256 of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<Digest>,
    /// Its public keys (RFC 7517), where it signs assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<serde_json::Value>,
    /// Whether it has said that it uses refresh tokens.
    #[serde(default)]
    pub refreshes: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    pub created_at: Timestamp,
    /// When its document has to be read again.
    pub good_until: Timestamp,
}

/// The longest redirect address.
pub const REDIRECT_CHARS_MAX: usize = 2_000;
/// Redirect addresses of one client.
pub const REDIRECTS_MAX: usize = 20;
/// The longest name of a client.
pub const CLIENT_NAME_CHARS_MAX: usize = 100;

/// The parts of an address that matter here. The rest begins with the path.
struct Address<'a> {
    scheme: &'a str,
    host: &'a str,
    rest: &'a str,
}

impl Address<'_> {
    fn of(text: &str) -> Option<Address<'_>> {
        let (scheme, after) = text.split_once(':')?;
        let Some(after) = after.strip_prefix("//") else {
            return Some(Address { scheme, host: "", rest: after });
        };
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (authority, rest) = after.split_at_checked(end)?;
        let host = match authority.strip_prefix('[') {
            Some(number) => authority.get(..number.find(']')? + 2)?,
            None => authority.split(':').next()?,
        };
        let port = authority.get(host.len()..)?;
        let fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        fits.then_some(Address { scheme, host, rest })
    }

    fn is_loopback(&self) -> bool {
        self.scheme == "http" && is_loopback(self.host)
    }
}

/// Whether a host is this very machine, by the names that RFC 8252, 7.3, and browsers know.
pub fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Schemes that are no way back to a program.
const NO_WAY_BACK: [&str; 12] = [
    "javascript",
    "data",
    "file",
    "vbscript",
    "blob",
    "about",
    "ftp",
    "ws",
    "wss",
    "mailto",
    "tel",
    "view-source",
];

/// Whether a client may be answered at an address: by https anywhere, by http on the person's own machine, or by a
/// scheme of its own (RFC 8252, 7). No fragment (RFC 6749, 3.1.2), no name or password.
pub fn is_redirect_uri(uri: &str) -> bool {
    let plain = uri.len() <= REDIRECT_CHARS_MAX
        && uri
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'#' | b'*'));
    let Some(address) = Address::of(uri).filter(|_| plain) else { return false };
    let named = !address.host.is_empty() && !address.host.contains('@');
    match address.scheme {
        "https" => named,
        "http" => named && address.is_loopback(),
        own => {
            own.starts_with(|c: char| c.is_ascii_lowercase())
                && own.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b))
                && !NO_WAY_BACK.contains(&own)
        }
    }
}

/// Whether an address is one that the client has named: the same to the letter, or, on the person's own machine, the same
/// but for the port, which a native program learns when it starts (RFC 8252, 7.3).
pub fn redirect_matches(named: &str, asked: &str) -> bool {
    if named == asked {
        return true;
    }
    match (Address::of(named), Address::of(asked)) {
        (Some(named), Some(asked)) => {
            let same = |a: &str, b: &str| a == b || (a.len() + b.len() == 1 && (a == "/" || b == "/"));
            named.is_loopback()
                && asked.is_loopback()
                && named.host == asked.host
                && same(named.rest, asked.rest)
        }
        _ => false,
    }
}

/// Where an answer goes, as a person is told: the host, or that it is a program on their machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Host(String),
    /// A program on the person's own machine, which any other program there could pretend to be.
    ThisMachine,
    /// A program that has registered a scheme with the person's system.
    Program(String),
}

/// Where an answer to this address goes.
pub fn destination(uri: &str) -> Destination {
    match Address::of(uri) {
        Some(address) if address.is_loopback() => Destination::ThisMachine,
        Some(address) if address.scheme == "https" => Destination::Host(address.host.to_owned()),
        Some(address) => Destination::Program(address.scheme.to_owned()),
        None => Destination::Program(String::new()),
    }
}

/// What a content security policy calls the place an answer goes to.
pub fn source_of(uri: &str) -> Option<String> {
    let address = Address::of(uri)?;
    if address.host.is_empty() || !matches!(address.scheme, "http" | "https") {
        return Some(format!("{}:", address.scheme));
    }
    let start = uri.len().checked_sub(address.rest.len())?;
    uri.get(..start).map(str::to_owned)
}

/// Whether a text is a proof key's challenge by S256, the only method taken: 32 bytes in base64url (RFC 7636, 4.2).
pub fn is_challenge(text: &str) -> bool {
    BASE64URL_NOPAD.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == 32)
}

/// Whether a verifier is the one the challenge was made from (RFC 7636, 4.6). Both are looked at whole: what is compared is
/// a hash, so that the time it takes tells nothing of use.
pub fn verifier_matches(challenge: &str, verifier: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && BASE64URL_NOPAD.encode(&Digest::of(verifier.as_bytes()).0) == challenge
}

/// Something of this server that an access token is for (RFC 8707).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The endpoint at `/mcp` and at `/`, and the HTTP API.
    Main,
    /// `/mcp/readonly`.
    Readonly,
    /// `/t/{slug}/mcp`.
    Organization(String),
}

impl Resource {
    /// Which resource an address names. Clients write the same one in several ways (scheme and host in capitals, a slash at
    /// the end, the default port, the address of the server alone); anything else is none of ours.
    pub fn parse(base: &str, text: &str) -> Option<Resource> {
        let path = canonical(text)?.strip_prefix(canonical(base)?.as_str())?.to_owned();
        match path.strip_suffix('/').unwrap_or(&path) {
            "" | "/mcp" => Some(Resource::Main),
            "/mcp/readonly" => Some(Resource::Readonly),
            other => {
                let slug = other.strip_prefix("/t/")?.strip_suffix("/mcp")?;
                crate::org::valid_slug(slug).then(|| Resource::Organization(slug.to_owned()))
            }
        }
    }

    /// Its path; the server's address goes before it.
    pub fn path(&self) -> String {
        match self {
            Resource::Main => "/mcp".into(),
            Resource::Readonly => "/mcp/readonly".into(),
            Resource::Organization(slug) => format!("/t/{slug}/mcp"),
        }
    }

    /// What a token for it says in `aud`. The main one is called by two names, because clients mix them.
    pub fn audiences(&self, base: &str) -> Vec<String> {
        match self {
            Resource::Main => vec![base.to_owned(), format!("{base}/mcp")],
            other => vec![format!("{base}{}", other.path())],
        }
    }

    /// Whether a token for `audiences` is good here. One for the main resource is good at the others too, which show less
    /// of the same; never the other way round.
    pub fn accepts(&self, base: &str, audiences: &[String]) -> bool {
        let any = |resource: &Resource| resource.audiences(base).iter().any(|name| audiences.contains(name));
        any(self) || any(&Resource::Main)
    }
}

/// An address with scheme and host in lower case, without a default port and without a slash at the end of the host.
fn canonical(text: &str) -> Option<String> {
    if text.len() > REDIRECT_CHARS_MAX || text.contains('#') {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let authority = authority.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = authority.strip_suffix(port).unwrap_or(&authority);
    let path = if path == "/" { "" } else { path };
    (!authority.is_empty() && !authority.contains('@')).then(|| format!("{scheme}://{authority}{path}"))
}

/// What a person has allowed a client: to act for them in one organization. Its id stands in the log wherever a token's
/// would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub id: TokenId,
    pub client_id: String,
    pub client_name: String,
    pub organization_id: OrgId,
    pub user_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The identity provider by whose word the client is let in, where the person was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<IdentityProviderId>,
    /// The team that lists default to, in place of the one the person has selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    pub scopes: Vec<Scope>,
    /// What its tokens say in `aud`.
    pub audiences: Vec<String>,
    /// Where the client is answered, as the person was shown.
    pub redirect_uri: String,
    /// Whether the client gets refresh tokens.
    pub refreshes: bool,
    pub created_at: Timestamp,
    /// Ends whatever happens.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_clients_may_be_answered() {
        for good in [
            "https://claude.ai/api/mcp/auth_callback",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
            "http://localhost:8787/callback",
            "http://localhost/callback",
            "http://[::1]:9/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "com.example.app:/oauth",
        ] {
            assert!(is_redirect_uri(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https:///x",
            "https://user@evil.example/",
            "http://evil.example/callback",
            "http://127.0.0.1.evil.example/",
            "http://localhost:99999/",
            "https://a.example/#fragment",
            "https://*.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "JavaScript:alert(1)",
            "https://a.example/\\evil",
            "https://a.example/ x",
            "no-scheme",
        ] {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
    }

    #[test]
    fn the_port_is_free_on_the_persons_own_machine_and_nowhere_else() {
        for (named, asked, fits) in [
            ("http://localhost/callback", "http://localhost:51234/callback", true),
            ("http://127.0.0.1:1/", "http://127.0.0.1:2", true),
            ("http://localhost/callback", "http://127.0.0.1:51234/callback", false),
            ("http://localhost/callback", "http://localhost:51234/callback/", false),
            ("http://localhost/callback", "http://localhost:51234/callback?x=1", false),
            ("http://localhost/callback", "http://localhost.evil.example:1/callback", false),
            ("http://localhost/callback", "http://localhost:1@evil.example/callback", false),
            ("https://a.example/cb", "https://a.example:444/cb", false),
            ("https://a.example/cb", "https://a.example/cb", true),
            ("https://a.example/cb", "https://a.example/cb/", false),
        ] {
            assert_eq!(redirect_matches(named, asked), fits, "{named} {asked}");
        }
    }

    #[test]
    fn one_resource_by_all_the_names_clients_give_it() {
        let base = "https://h.example";
        for main in
            ["https://h.example", "https://h.example/", "HTTPS://H.example:443/mcp", "https://h.example/mcp/"]
        {
            assert_eq!(Resource::parse(base, main), Some(Resource::Main), "{main}");
        }
        assert_eq!(Resource::parse(base, "https://h.example/mcp/readonly"), Some(Resource::Readonly));
        let acme = Resource::Organization("acme".into());
        assert_eq!(Resource::parse(base, "https://h.example/t/acme/mcp"), Some(acme.clone()));
        for other in [
            "https://h.example.evil.example/mcp",
            "https://h.example@evil.example/mcp",
            "http://h.example/mcp",
            "https://h.example/mcp#x",
            "https://h.example/mcp?x",
            "https://h.example/other",
            "https://h.example/t//mcp",
            "/mcp",
        ] {
            assert_eq!(Resource::parse(base, other), None, "{other}");
        }
        let main = Resource::Main.audiences(base);
        assert!(Resource::Readonly.accepts(base, &main) && acme.accepts(base, &main));
        assert!(!Resource::Main.accepts(base, &Resource::Readonly.audiences(base)));
        assert!(!Resource::Organization("globex".into()).accepts(base, &acme.audiences(base)));
    }

    #[test]
    fn a_verifier_fits_its_challenge_alone() {
        // The example of RFC 7636, appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_challenge(challenge) && verifier_matches(challenge, verifier));
        assert!(!verifier_matches(challenge, challenge), "the challenge itself proves nothing");
        assert!(!verifier_matches(challenge, "short") && !is_challenge("short"));
    }

    #[test]
    fn to_write_is_to_read_and_nobody_administers() {
        let (read, write) = (Scope::Read.permissions(), Scope::Write.permissions());
        assert_eq!(read.union(write), write);
        for permission in [P::UsersManage, P::OrganizationManage, P::ApprovalsDecide, P::ApprovalsBreakGlass]
        {
            assert!(!write.contains(permission), "{permission}");
        }
        assert_eq!(scopes_of("openid loopiq:write loopiq:read x"), [Scope::Read, Scope::Write]);
        assert_eq!(scope_text(&[Scope::Read, Scope::OfflineAccess]), "loopiq:read offline_access");
    }
}
