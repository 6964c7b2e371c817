//! Identity against a real store in a temporary folder, with a clock that moves by hand, ids that count, and randomness
//! that repeats.

#![expect(clippy::unwrap_used, clippy::panic, clippy::string_slice, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::audit::{AuditEntry, AuditKind};
use domain::effect::Effect;
use domain::id::{Ids, OrgId, SessionId, TeamId};
use domain::org::{OrgStatus, Organization, Team};
use domain::permission::{Permission, Role, TeamRole};
use domain::refusal::{Code, Refusal};
use domain::time::{Clock, Timestamp};
use identity::admin::OrganizationChange;
use identity::{
    Access, Actor, AuthError, Browser, Identity, NewMember, NewSession, Parts, Settings, TokenRequest,
};
use store::{AuditFilter, Entropy, Page, Store};

const PASSWORD: &str = "correct horse battery";
const ADA: &str = "ada@acme.example";
const DAY: i64 = 86_400;

#[derive(Default)]
struct Hand(AtomicI64);
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
impl Hand {
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Counter(AtomicU64);
impl Ids for Counter {
    fn next(&self) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(1, self.0.fetch_add(1, Ordering::SeqCst))
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

struct World {
    identity: Identity,
    store: Store,
    clock: Arc<Hand>,
    acme: Organization,
    globex: Organization,
    team: TeamId,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand::default());
    clock.forward(1_800_000_000);
    let (ids, entropy) = (Arc::new(Counter::default()), Arc::new(Sequence::default()));
    let store = Store::open(store::Config::new(folder.path()), entropy.clone()).await.unwrap();
    let identity = Identity::new(Parts {
        store: store.clone(),
        clock: clock.clone(),
        ids,
        entropy,
        fetch: Arc::new(identity::fetch::NoFetch),
        settings: Settings::default(),
    });
    let team = TeamId::from_uuid(uuid::Uuid::from_u64_pair(7, 7));
    let record =
        Team { id: team, key: "backend".into(), name: "backend".into(), created_at: clock.now(), version: 1 };
    let acme = identity.create_organization("acme", "Acme", &[Effect::CreateTeam { record }]).await.unwrap();
    let globex = identity.create_organization("globex", "Globex", &[]).await.unwrap();
    let world = World { identity, store, clock, acme, globex, team, _folder: folder };
    world.add(&world.acme, ADA, &[Role::OrganizationAdmin]).await.unwrap();
    world
}

impl World {
    async fn add(&self, to: &Organization, email: &str, roles: &[Role]) -> Result<(), AuthError> {
        let new = NewMember {
            email: email.into(),
            display_name: "Somebody".into(),
            roles: roles.to_vec(),
            direct_permissions: vec![Permission::ReleasesRead],
            password: Some(PASSWORD.into()),
            ..NewMember::default()
        };
        self.identity.add_member(to.id, new).await.map(drop)
    }

    async fn token(&self, organization: &str, email: &str, scopes: &[Permission]) -> identity::IssuedToken {
        let owner = self.identity.local(organization, email).await.unwrap();
        let request =
            TokenRequest { label: "test".into(), scopes: scopes.to_vec(), ..TokenRequest::default() };
        self.identity.issue_token(&owner, request).await.unwrap()
    }

    async fn sign_in(&self, password: &str) -> Result<NewSession, AuthError> {
        let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        self.identity.sign_in(ADA, password, Browser { address, ..Browser::default() }).await
    }

    async fn bearer(&self, secret: &str) -> Result<Actor, AuthError> {
        self.identity.bearer(secret, None, None, &domain::oauth::Resource::Main).await
    }

    async fn audit(&self, organization: OrgId, kinds: &[AuditKind]) -> Vec<AuditEntry> {
        let org = self.store.org(organization).await.unwrap();
        let filter = AuditFilter { kinds, ..AuditFilter::default() };
        let page = org.reader().audit(filter, Page { limit: 100, after: None }).await.unwrap();
        page.items.into_iter().rev().map(|record| record.entry).collect()
    }

    async fn administered(&self, organization: OrgId) -> Vec<String> {
        let found = self.audit(organization, &[AuditKind::Administered]).await;
        found.into_iter().filter_map(|entry| entry.tool).collect()
    }

    /// What the log says of sessions, oldest first: what happened, in which session.
    async fn sessions(&self, organization: OrgId) -> Vec<(AuditKind, Option<SessionId>)> {
        let kinds = [AuditKind::SignedIn, AuditKind::SignedOut, AuditKind::SignInFailed];
        let found = self.audit(organization, &kinds).await;
        found.into_iter().map(|entry| (entry.kind, entry.actor.session_id)).collect()
    }
}

fn refusal<T>(result: Result<T, AuthError>) -> Refusal {
    match result {
        Err(AuthError::Refused(refusal)) => refusal,
        Err(other) => panic!("not a refusal: {other}"),
        Ok(_) => panic!("was allowed"),
    }
}

#[tokio::test]
async fn signing_in_tells_nothing_but_right_or_wrong() {
    let world = world().await;
    let session = world.sign_in(PASSWORD).await.unwrap();
    let seen = world.identity.session(&session.cookie).await.unwrap().unwrap();
    assert_eq!(seen.actor.unwrap().organization.slug, "acme");
    assert!(world.identity.session("not a cookie").await.unwrap().is_none());
    assert!(matches!(world.sign_in("wrong password!").await, Err(AuthError::Invalid)));
    let unknown = world.identity.sign_in("nobody@acme.example", PASSWORD, Browser::default()).await;
    assert!(matches!(unknown, Err(AuthError::Invalid)));
    assert!(matches!(world.sign_in(&"x".repeat(100_000)).await, Err(AuthError::Invalid)));
}

#[tokio::test]
async fn guessing_is_slowed_down_per_email() {
    let world = world().await;
    for _ in 0..10 {
        assert!(matches!(world.sign_in("wrong password!").await, Err(AuthError::Invalid)));
    }
    let refused = refusal(world.sign_in(PASSWORD).await);
    assert_eq!(refused.code, Code::RateLimited);
    assert!((1..=900).contains(&refused.retry_after_seconds.unwrap()));
    world.clock.forward(900);
    world.sign_in(PASSWORD).await.unwrap();
}

#[tokio::test]
async fn sessions_end_by_idleness_and_by_age() {
    let world = world().await;
    let session = world.sign_in(PASSWORD).await.unwrap();
    for _ in 0..23 {
        world.clock.forward(7 * 3_600);
        let seen = world.identity.session(&session.cookie).await.unwrap();
        assert!(seen.is_some());
        let selected = world.identity.select_organization(&seen.unwrap(), "acme").await;
        selected.unwrap(); // must not lengthen the session's life
        world.identity.flush().await.unwrap();
    }
    world.clock.forward(7 * 3_600);
    assert!(world.identity.session(&session.cookie).await.unwrap().is_none(), "seven days have passed");
    let session = world.sign_in(PASSWORD).await.unwrap();
    world.clock.forward(8 * 3_600);
    assert!(world.identity.session(&session.cookie).await.unwrap().is_none(), "eight idle hours have passed");
}

#[tokio::test]
async fn every_session_has_its_own_token_against_forged_requests() {
    let world = world().await;
    let one = world.sign_in(PASSWORD).await.unwrap();
    let two = world.sign_in(PASSWORD).await.unwrap();
    let seen = world.identity.session(&one.cookie).await.unwrap().unwrap();
    assert!(seen.csrf_matches(&one.csrf));
    for wrong in ["", "x", two.csrf.as_str(), &one.csrf[1..]] {
        assert!(!seen.csrf_matches(wrong));
    }
    world.identity.sign_out(&seen).await.unwrap();
    assert!(world.identity.session(&one.cookie).await.unwrap().is_none());
    assert!(world.identity.session(&two.cookie).await.unwrap().is_some());
    world.identity.set_password(ADA, "another long password").await.unwrap();
    assert!(world.identity.session(&two.cookie).await.unwrap().is_none(), "a new password ends all sessions");
    assert!(matches!(world.sign_in(PASSWORD).await, Err(AuthError::Invalid)));
}

#[tokio::test]
async fn selecting_an_organization_needs_membership() {
    let world = world().await;
    let session = world.sign_in(PASSWORD).await.unwrap();
    let seen = world.identity.session(&session.cookie).await.unwrap().unwrap();
    let refused = refusal(world.identity.select_organization(&seen, "globex").await);
    assert_eq!(refused, refusal(world.identity.select_organization(&seen, "absent").await));
    world.add(&world.globex, ADA, &[Role::Viewer]).await.unwrap();
    let seen = world.identity.session(&session.cookie).await.unwrap().unwrap();
    world.identity.select_organization(&seen, "globex").await.unwrap();
    let seen = world.identity.session(&session.cookie).await.unwrap().unwrap();
    assert_eq!(seen.actor.unwrap().organization.slug, "globex");
    let again = world.sign_in(PASSWORD).await.unwrap();
    let seen = world.identity.session(&again.cookie).await.unwrap().unwrap();
    assert_eq!(seen.actor.unwrap().organization.slug, "globex", "the selection is remembered");
}

#[tokio::test]
async fn tokens_expire_are_revoked_and_must_be_whole() {
    let world = world().await;
    let token = world.token("acme", ADA, &[]).await;
    assert!(token.secret.starts_with("liq_") && token.secret.len() == 53);
    let actor = world.bearer(&token.secret).await.unwrap();
    assert!(actor.rights.allows(Permission::OrganizationManage, None) && !actor.credential.is_person());
    for wrong in ["", "liq_", "Bearer x", &token.secret[1..], &token.secret.replace("liq_", "liq_x")] {
        assert!(matches!(world.bearer(wrong).await, Err(AuthError::Invalid)), "{wrong}");
    }
    world.identity.flush().await.unwrap();
    let listed = world.store.directory().tokens(actor.organization.id).await.unwrap();
    assert_eq!(listed.first().and_then(|t| t.last_used_at), Some(world.clock.now()));
    world.clock.forward(90 * DAY - 1);
    world.bearer(&token.secret).await.unwrap();
    world.clock.forward(1);
    assert!(matches!(world.bearer(&token.secret).await, Err(AuthError::Expired)));
    let token = world.token("acme", ADA, &[]).await;
    world.identity.revoke_token(actor.organization.id, token.id).await.unwrap();
    assert!(matches!(world.bearer(&token.secret).await, Err(AuthError::Revoked)));
    for days in [0, 366] {
        let request = TokenRequest { days: Some(days), ..TokenRequest::default() };
        assert_eq!(refusal(world.identity.issue_token(&actor, request).await).code, Code::ValidationFailed);
    }
}

#[tokio::test]
async fn scopes_narrow_and_never_widen() {
    let world = world().await;
    world.add(&world.acme, "vic@acme.example", &[Role::Viewer]).await.unwrap();
    let scopes = [Permission::ReleasesRead, Permission::OrganizationManage];
    let token = world.token("acme", "vic@acme.example", &scopes).await;
    let rights = world.bearer(&token.secret).await.unwrap().rights;
    assert_eq!(rights.everywhere().iter().collect::<Vec<_>>(), [Permission::ReleasesRead]);
}

#[tokio::test]
async fn signals_about_the_organization_may_only_agree() {
    let world = world().await;
    world.add(&world.globex, ADA, &[Role::Viewer]).await.unwrap();
    let token = world.token("acme", ADA, &[]).await;
    let id = world.acme.id.to_string();
    for (header, path) in [(None, None), (Some("acme"), None), (Some(id.as_str()), Some("acme"))] {
        world.identity.bearer(&token.secret, header, path, &domain::oauth::Resource::Main).await.unwrap();
    }
    let other = world.globex.id.to_string();
    for (header, path) in [
        (Some("globex"), None),
        (None, Some("globex")),
        (Some("acme"), Some("globex")),
        (Some(other.as_str()), None),
        (Some("absent"), None),
        (Some(""), None),
    ] {
        let refused =
            refusal(world.identity.bearer(&token.secret, header, path, &domain::oauth::Resource::Main).await);
        assert_eq!(refused.code, Code::TenantMismatch);
    }
}

#[tokio::test]
async fn whatever_is_taken_away_works_no_longer_on_the_next_call() {
    let world = world().await;
    let (acme, vic) = (world.acme.id, "vic@acme.example");
    world.add(&world.acme, vic, &[Role::Viewer]).await.unwrap();
    let token = world.token("acme", vic, &[]).await.secret;
    let session = world.identity.sign_in(vic, PASSWORD, Browser::default()).await.unwrap().cookie;

    let lead = TeamRole { team_id: world.team, role: Role::TeamLead };
    let more = Access { team_roles: vec![lead], ..Access::default() };
    world.identity.grant(acme, vic, &more).await.unwrap();
    let rights = world.bearer(&token).await.unwrap().rights;
    assert!(
        rights.allows(Permission::McpAccess, Some(world.team)) && !rights.allows(Permission::McpAccess, None)
    );
    world.identity.revoke(acme, vic, &more).await.unwrap();
    assert!(!world.bearer(&token).await.unwrap().rights.allows_somewhere(Permission::McpAccess));

    world.identity.set_member_active(acme, vic, false).await.unwrap();
    assert!(matches!(world.bearer(&token).await, Err(AuthError::Invalid)));
    assert!(world.identity.session(&session).await.unwrap().unwrap().actor.is_none());
    world.identity.set_member_active(acme, vic, true).await.unwrap();
    world.bearer(&token).await.unwrap();

    world.identity.set_account_active(vic, false).await.unwrap();
    assert!(matches!(world.bearer(&token).await, Err(AuthError::Invalid)));
    assert!(world.identity.session(&session).await.unwrap().is_none());
    assert!(matches!(
        world.identity.sign_in(vic, PASSWORD, Browser::default()).await,
        Err(AuthError::Invalid)
    ));
    world.identity.set_account_active(vic, true).await.unwrap();

    let suspended =
        OrganizationChange { status: Some(OrgStatus::Suspended), ..OrganizationChange::default() };
    world.identity.change_organization("acme", suspended).await.unwrap();
    assert!(matches!(world.bearer(&token).await, Err(AuthError::Invalid)));
}

#[tokio::test]
async fn a_member_needs_a_role_a_permission_and_a_real_team() {
    let world = world().await;
    let good = NewMember {
        email: "new@acme.example".into(),
        roles: vec![Role::Viewer],
        direct_permissions: vec![Permission::ReleasesRead],
        password: Some(PASSWORD.into()),
        ..NewMember::default()
    };
    let foreign = TeamRole { team_id: TeamId::from_uuid(uuid::Uuid::nil()), role: Role::TeamLead };
    let bad = [
        NewMember { roles: Vec::new(), ..good.clone() },
        NewMember { direct_permissions: Vec::new(), ..good.clone() },
        NewMember { email: "no address".into(), ..good.clone() },
        NewMember { password: Some("short".into()), ..good.clone() },
        NewMember { team_roles: vec![foreign], ..good.clone() },
    ];
    for new in bad {
        let refused = refusal(world.identity.add_member(world.acme.id, new).await);
        assert_eq!(refused.code, Code::ValidationFailed);
    }
    world.identity.add_member(world.acme.id, good.clone()).await.unwrap();
    let twice = refusal(world.identity.add_member(world.acme.id, good).await);
    assert_eq!(twice.code, Code::ValidationFailed);
    let all = Access { permissions: vec![Permission::ReleasesRead], ..Access::default() };
    let refused = refusal(world.identity.revoke(world.acme.id, "new@acme.example", &all).await);
    assert_eq!(refused.code, Code::ValidationFailed);
    assert_eq!(
        refusal(world.identity.create_organization("acme", "Again", &[]).await).code,
        Code::ValidationFailed
    );
    assert_eq!(
        refusal(world.identity.create_organization("A b", "Bad", &[]).await).code,
        Code::ValidationFailed
    );
}

#[tokio::test]
async fn what_the_operator_does_is_recorded() {
    let world = world().await;
    let (acme, vic) = (world.acme.id, "vic@acme.example");
    world.add(&world.acme, vic, &[Role::Viewer]).await.unwrap();
    let more = Access { permissions: vec![Permission::McpAccess], ..Access::default() };
    world.identity.grant(acme, vic, &more).await.unwrap();
    let token = world.token("acme", vic, &[]).await;
    let elsewhere = world.identity.revoke_token(world.globex.id, token.id).await;
    assert_eq!(refusal(elsewhere).code, Code::NotFound, "a token of one organization is none of another");
    world.identity.revoke_token(acme, token.id).await.unwrap();
    let recorded = world.administered(acme).await;
    let expected =
        ["create_organization", "add_member", "add_member", "grant_access", "issue_token", "revoke_token"];
    assert_eq!(recorded, expected);
}

#[tokio::test]
async fn somebody_always_administers_the_organization() {
    let world = world().await;
    let (acme, bob) = (world.acme.id, "bob@acme.example");
    let role = Access { roles: vec![Role::OrganizationAdmin], ..Access::default() };
    let viewer = Access { roles: vec![Role::Viewer], ..Access::default() };
    world.identity.grant(acme, ADA, &viewer).await.unwrap();
    world.add(&world.acme, bob, &[Role::Viewer]).await.unwrap();

    let last = async || {
        for refused in [
            refusal(world.identity.revoke(acme, ADA, &role).await),
            refusal(world.identity.set_member_active(acme, ADA, false).await),
            refusal(world.identity.set_account_active(ADA, false).await),
        ] {
            assert_eq!(refused.code, Code::ValidationFailed);
            assert!(refused.message.contains("nobody else administers"), "{}", refused.message);
            assert!(refused.remedy.contains("organization_admin"), "{}", refused.remedy);
        }
        let members = world.identity.members(acme).await.unwrap();
        assert!(members.iter().any(|m| m.email == ADA && m.roles.contains(&Role::OrganizationAdmin)));
        world.sign_in(PASSWORD).await.unwrap();
    };
    last().await;

    // Somebody who could not sign in is nobody: a closed membership, a closed account.
    world.identity.grant(acme, bob, &role).await.unwrap();
    world.identity.set_member_active(acme, bob, false).await.unwrap();
    last().await;
    world.identity.set_member_active(acme, bob, true).await.unwrap();
    world.identity.set_account_active(bob, false).await.unwrap();
    last().await;
    world.identity.set_account_active(bob, true).await.unwrap();

    // With two, one may go, in any way; and two who depose each other at once do not both succeed.
    world.identity.set_account_active(ADA, false).await.unwrap();
    world.identity.set_account_active(ADA, true).await.unwrap();
    let (one, two) =
        tokio::join!(world.identity.revoke(acme, ADA, &role), world.identity.revoke(acme, bob, &role));
    assert!(one.is_ok() != two.is_ok(), "{} {}", one.is_ok(), two.is_ok());
}

#[tokio::test]
async fn signing_in_and_out_is_recorded_where_the_session_works() {
    let world = world().await;
    let (acme, globex) = (world.acme.id, world.globex.id);
    world.add(&world.globex, ADA, &[Role::Viewer]).await.unwrap();
    let first = world.sign_in(PASSWORD).await.unwrap().cookie;
    let seen = world.identity.session(&first).await.unwrap().unwrap();
    let mut expected = vec![(AuditKind::SignedIn, Some(seen.session_id))];
    assert_eq!(world.sessions(acme).await, expected);

    // The browser signs in again: its earlier session has ended. Another browser's has not.
    let other = world.sign_in(PASSWORD).await.unwrap().cookie;
    let from = |earlier| Browser { earlier: Some(earlier), ..Browser::default() };
    let wrong = world.identity.sign_in(ADA, "wrong password!", from(first.as_str())).await;
    assert!(matches!(wrong, Err(AuthError::Invalid)));
    assert!(world.identity.session(&first).await.unwrap().is_some(), "a failed sign-in ends nothing");
    let second = world.identity.sign_in(ADA, PASSWORD, from(first.as_str())).await.unwrap().cookie;
    assert!(world.identity.session(&first).await.unwrap().is_none());
    let other = world.identity.session(&other).await.unwrap().unwrap();
    let now = world.identity.session(&second).await.unwrap().unwrap();
    expected.push((AuditKind::SignedIn, Some(other.session_id)));
    expected.push((AuditKind::SignedIn, Some(now.session_id)));
    expected.push((AuditKind::SignedOut, Some(seen.session_id)));
    assert_eq!(world.sessions(acme).await, expected);

    world.identity.select_organization(&now, "globex").await.unwrap();
    let now = world.identity.session(&second).await.unwrap().unwrap();
    world.identity.sign_out(&now).await.unwrap();
    assert_eq!(world.sessions(acme).await, expected);
    assert_eq!(world.sessions(globex).await, [(AuditKind::SignedOut, Some(now.session_id))]);
}

#[tokio::test]
async fn guessing_is_recorded_once_a_window() {
    let world = world().await;
    let guess = async |email: &str| {
        for _ in 0..15 {
            drop(world.identity.sign_in(email, "wrong password!", Browser::default()).await);
        }
        world.identity.flush().await.unwrap();
    };
    guess("nobody@acme.example").await;
    assert_eq!(world.sessions(world.acme.id).await, []);
    guess(ADA).await;
    guess(ADA).await;
    let failed = (AuditKind::SignInFailed, None);
    assert_eq!(world.sessions(world.acme.id).await, [failed]);
    world.clock.forward(900);
    guess(ADA).await;
    assert_eq!(world.sessions(world.acme.id).await, [failed, failed]);
    let found = world.audit(world.acme.id, &[AuditKind::SignInFailed]).await;
    assert!(found.iter().all(|entry| entry.actor.user_id.is_none() && entry.code == Some(Code::RateLimited)));
    let ada = world.identity.user(ADA).await.unwrap().id.to_string();
    assert!(found.iter().all(|entry| entry.references.iter().any(|reference| reference.id == ada)));
}
