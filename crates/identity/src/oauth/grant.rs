//! Grants: what a person has allowed a client in one organization. Whoever holds an access token is let in only while the
//! grant stands, and with the rights that the person has at that moment; so that ending a grant, a membership or an account
//! ends everything with the next call, on every node.

use std::sync::Arc;

use domain::agent::AgentStatus;
use domain::digest::Digest;
use domain::id::{OrgId, TeamId, TokenId, UserId};
use domain::oauth::{
    Client, ErrorCode, Grant, Machine, Resource, Scope, permissions_of, redirect_matches, scope_text,
    scopes_of, verifier_matches,
};
use domain::org::{OrgStatus, Organization, Team, User, UserStatus};
use domain::permission::Permission;
use domain::record::RecordType;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use serde_json::{Value, json};
use store::{CodeRecord, GrantLookup, RefreshRecord, Standing};

use super::keys::Claims;
use super::{CODE_SECONDS, GRANT_DAYS, OAuthError, REFRESH_DAYS, REFRESH_GRACE_SECONDS, UNUSED_CLIENT_DAYS};
use crate::{Actor, AuthError, Credential, Identity, SessionActor, base62, tenancy};

/// Characters of a code or a refresh token, after what it begins with.
const SECRET_CHARS: usize = 43;
const CODE_PREFIX: &str = "liqc_";
const REFRESH_PREFIX: &str = "liqr_";
/// Codes that nobody has redeemed are forgotten, with what they were for, after so long.
const UNREDEEMED_SECONDS: i64 = 3_600;

/// What a client asks a person for, checked.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub client: Client,
    pub redirect_uri: String,
    pub scopes: Vec<Scope>,
    pub resource: Resource,
    /// Of the client's proof key.
    pub challenge: String,
}

/// What a client gets.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: String,
    pub expires_in: i64,
    pub refresh_token: Option<String>,
    pub scope: String,
}

/// A client that is let in somewhere, as people are shown it.
#[derive(Debug, Clone)]
pub struct Connected {
    pub grant: Grant,
    pub email: String,
    pub organization_slug: String,
    pub organization_name: String,
    pub last_used_at: Option<Timestamp>,
}

impl From<GrantLookup> for Connected {
    fn from(found: GrantLookup) -> Connected {
        Connected {
            email: found.user.email,
            organization_slug: found.organization.slug,
            organization_name: found.organization.name,
            last_used_at: found.last_used_at,
            grant: found.grant,
        }
    }
}

const fn invalid_grant(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, description)
}

/// Codes and refresh tokens are told apart from each other and from everything else by how they begin.
fn secret_digest(text: &str, prefix: &str) -> Option<Digest> {
    let rest = text.strip_prefix(prefix)?;
    (rest.len() == SECRET_CHARS && base62::is_base62(rest)).then(|| Digest::of(text.as_bytes()))
}

impl Identity {
    /// The address by which this server is known as an issuer.
    pub fn issuer(&self) -> &str {
        &self.parts.settings.public_url
    }

    /// Keeps what a person allows a client, and makes the code by which the client gets it.
    ///
    /// # Errors
    /// `not_found` for an organization the person does not belong to, or a team it does not have.
    pub async fn allow_client(
        &self,
        session: &SessionActor,
        wanted: &Wanted,
        organization: &str,
        team: Option<TeamId>,
    ) -> Result<String, AuthError> {
        let absent = |noun| AuthError::Refused(Refusal::not_found(noun));
        let named = session.organizations.iter().find(|o| o.slug == organization);
        let organization = Arc::new(named.cloned().ok_or_else(|| absent("organization"))?);
        let credential = Credential::Session { id: session.session_id };
        let actor = self.member(&session.user, Arc::clone(&organization), credential).await?;
        actor.ok_or_else(|| absent("organization"))?;
        if let Some(team) = team {
            let org = self.parts.store.org(organization.id).await?;
            org.reader().team(team).await?.ok_or_else(|| absent("team"))?;
        }
        let now = self.now();
        let code = format!("{CODE_PREFIX}{}", base62::encode(&self.random::<32>(), SECRET_CHARS));
        let grant = Grant {
            id: TokenId::from_uuid(self.parts.ids.next()),
            client_id: wanted.client.id.clone(),
            client_name: wanted.client.name.clone(),
            organization_id: organization.id,
            user_id: session.user.id,
            agent_id: None,
            provider_id: None,
            team_id: team,
            scopes: wanted.scopes.clone(),
            audiences: wanted.resource.audiences(self.issuer()),
            redirect_uri: wanted.redirect_uri.clone(),
            refreshes: wanted.client.refreshes || wanted.scopes.contains(&Scope::OfflineAccess),
            created_at: now,
            expires_at: now.plus_seconds(GRANT_DAYS * 86_400),
        };
        let record = CodeRecord {
            hash: Digest::of(code.as_bytes()),
            grant_id: grant.id,
            client_id: grant.client_id.clone(),
            redirect_uri: grant.redirect_uri.clone(),
            challenge: wanted.challenge.clone(),
            expires_at: now.plus_seconds(CODE_SECONDS),
            used_at: None,
        };
        // Recorded first: a record of what then did not come about is better than the other way round.
        let noted = (RecordType::Token, grant.id.to_string());
        self.note(organization.id, Some(session.user.id), "allow_client", noted).await?;
        self.parts.store.directory().insert_grant(&grant, &record).await?;
        Ok(code)
    }

    /// Gives a client its tokens for a code (RFC 6749, 4.1.3; RFC 7636, 4.5). A code that comes twice is in wrong hands:
    /// what it was for ends.
    ///
    /// # Errors
    /// `invalid_grant`, `invalid_target`.
    pub async fn redeem_code(
        &self,
        client: &Client,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: &str,
        resource: Option<&str>,
    ) -> Result<Tokens, OAuthError> {
        let refused = || invalid_grant("the code is not known, has run out or was redeemed already");
        let directory = self.parts.store.directory();
        let hash = secret_digest(code, CODE_PREFIX).ok_or_else(refused)?;
        let found = directory.code(&hash).await?.filter(|found| found.client_id == client.id);
        let found = found.ok_or_else(refused)?;
        if found.used_at.is_some() {
            self.end_for_reuse(found.grant_id, "authorization_code_reused").await?;
            return Err(refused());
        }
        let now = self.now();
        // OAuth 2.1 no longer asks for the address here; a client that sends it sends the same one.
        if now >= found.expires_at || redirect_uri.is_some_and(|uri| uri != found.redirect_uri) {
            return Err(refused());
        }
        if !verifier_matches(&found.challenge, verifier) {
            return Err(invalid_grant("code_verifier does not fit the code_challenge"));
        }
        let grant = self.grant_in_force(found.grant_id).await?.ok_or_else(refused)?;
        self.check_target(&grant, resource)?;
        let refresh = grant
            .refreshes
            .then(|| format!("{REFRESH_PREFIX}{}", base62::encode(&self.random::<32>(), SECRET_CHARS)));
        let record = refresh.as_ref().map(|token| self.refresh_record(&grant, token));
        if !directory.redeem_code(&found, record.as_ref(), now).await? {
            self.end_for_reuse(found.grant_id, "authorization_code_reused").await?;
            return Err(refused());
        }
        self.tokens(&grant, &grant.scopes, refresh).await
    }

    /// Gives a client new tokens for its refresh token, which gets a successor (OAuth 2.1, 4.3.1). Within the grace the same
    /// token gets the same successor; one that comes later than that is in two hands, and everything ends.
    ///
    /// # Errors
    /// `invalid_grant`, `invalid_scope`, `invalid_target`.
    pub async fn refresh_tokens(
        &self,
        client: &Client,
        token: &str,
        scope: Option<&str>,
        resource: Option<&str>,
    ) -> Result<Tokens, OAuthError> {
        let refused = || invalid_grant("the refresh token is not known, has run out or was ended");
        let directory = self.parts.store.directory();
        let hash = secret_digest(token, REFRESH_PREFIX).ok_or_else(refused)?;
        let found = directory.refresh(&hash).await?.ok_or_else(refused)?;
        let grant = self.grant_in_force(found.grant_id).await?.ok_or_else(refused)?;
        let now = self.now();
        if grant.client_id != client.id || now >= found.expires_at {
            return Err(refused());
        }
        self.check_target(&grant, resource)?;
        let scopes = match scope {
            None => grant.scopes.clone(),
            Some(text) => {
                let asked = scopes_of(text);
                if asked.is_empty() || asked.iter().any(|scope| !grant.scopes.contains(scope)) {
                    return Err(OAuthError::new(ErrorCode::InvalidScope, "no wider scope than was allowed"));
                }
                asked
            }
        };
        let successor = self.successor(token).await?;
        let record = self.refresh_record(&grant, &successor);
        if found.rotated_at.is_none() && directory.rotate_refresh(&hash, &record, now).await? {
            return self.tokens(&grant, &scopes, Some(successor)).await;
        }
        // Somebody has been here with it before, perhaps this very moment.
        let rotated_at = directory.refresh(&hash).await?.and_then(|again| again.rotated_at).unwrap_or(now);
        let next = directory.refresh(&record.hash).await?;
        let next_is_new = next.is_some_and(|next| next.rotated_at.is_none());
        if next_is_new && now < rotated_at.plus_seconds(REFRESH_GRACE_SECONDS) {
            return self.tokens(&grant, &scopes, Some(successor)).await;
        }
        self.end_for_reuse(grant.id, "refresh_token_reused").await?;
        Err(refused())
    }

    /// Lets a machine in, without a person (RFC 6749, 4.4). There is no refresh token: it can ask again.
    ///
    /// # Errors
    /// `unauthorized_client`, `invalid_scope`, `invalid_target`.
    pub async fn admit_machine(
        &self,
        client: &Client,
        scopes: Vec<Scope>,
        resource: &Resource,
    ) -> Result<Tokens, OAuthError> {
        let refused = OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "the client is not one of a machine; an administrator makes those with `loopiq client create`",
        );
        let Some(Machine { organization_id, user_id, agent_id }) = client.machine.clone() else {
            return Err(refused);
        };
        let now = self.now();
        let grant = Grant {
            id: TokenId::from_uuid(self.parts.ids.next()),
            client_id: client.id.clone(),
            client_name: client.name.clone(),
            organization_id,
            user_id,
            agent_id: Some(agent_id),
            provider_id: None,
            team_id: None,
            scopes: scopes.into_iter().filter(|scope| *scope != Scope::OfflineAccess).collect(),
            audiences: resource.audiences(self.issuer()),
            redirect_uri: String::new(),
            refreshes: false,
            created_at: now,
            expires_at: now.plus_seconds(self.parts.settings.access_token_seconds),
        };
        if grant.scopes.is_empty() {
            return Err(OAuthError::new(
                ErrorCode::InvalidScope,
                "none of the scopes is one that this server has",
            ));
        }
        self.parts.store.directory().insert_active_grant(&grant).await?;
        self.tokens(&grant, &grant.scopes, None).await
    }

    /// Ends what a token belongs to (RFC 7009): a client that hands in one of its tokens is let in no longer. A token that
    /// is not known, or is somebody else's, is as good as ended.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn revoke_by_client(&self, client: &Client, token: &str) -> Result<(), OAuthError> {
        let directory = self.parts.store.directory();
        let grant = if let Some(hash) = secret_digest(token, REFRESH_PREFIX) {
            directory.refresh(&hash).await?.map(|found| found.grant_id)
        } else {
            self.claims_of(token).await.ok().and_then(|claims| claims.grant.parse().ok())
        };
        let Some(grant) = grant else { return Ok(()) };
        let found = directory.grant(grant).await?.filter(|found| found.grant.client_id == client.id);
        if let Some(found) = found.filter(|found| found.revoked_at.is_none()) {
            self.end_grant(&found.grant, "disconnect_client").await?;
        }
        Ok(())
    }

    /// What a token is, for a client that asks about its own (RFC 7662, 2.2); of any other it learns that it is not active.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn introspect(&self, client: &Client, token: &str) -> Result<Value, OAuthError> {
        let inactive = json!({ "active": false });
        if let Some(hash) = secret_digest(token, REFRESH_PREFIX) {
            let Some(found) = self.parts.store.directory().refresh(&hash).await? else { return Ok(inactive) };
            let grant =
                self.grant_in_force(found.grant_id).await?.filter(|grant| grant.client_id == client.id);
            let lives = found.rotated_at.is_none() && self.now() < found.expires_at;
            return Ok(grant.filter(|_| lives).map_or(inactive, |grant| {
                json!({
                    "active": true, "client_id": grant.client_id, "scope": scope_text(&grant.scopes),
                    "sub": grant.user_id, "iss": self.issuer(), "exp": found.expires_at.0.div_euclid(1_000_000),
                })
            }));
        }
        let Ok(claims) = self.claims_of(token).await else { return Ok(inactive) };
        let Ok(id) = claims.grant.parse() else { return Ok(inactive) };
        let grant = self.grant_in_force(id).await?.filter(|grant| grant.client_id == client.id);
        Ok(grant.map_or(inactive, |_| {
            json!({
                "active": true, "token_type": "Bearer", "client_id": claims.client_id, "scope": claims.scope,
                "sub": claims.sub, "iss": claims.iss, "aud": claims.aud, "exp": claims.exp, "iat": claims.iat,
                "jti": claims.jti, "tenant": claims.tenant,
            })
        }))
    }

    /// Recognises whoever holds an access token of this server, with rights read afresh. `header` and `path` are what the
    /// request says about the organization; they may agree with the token, never overrule it.
    ///
    /// # Errors
    /// [`AuthError::Invalid`], [`AuthError::Expired`], [`AuthError::Revoked`]; [`AuthError::Audience`] for a token that is
    /// for something else; `tenant_mismatch`.
    pub(crate) async fn by_access_token(
        &self,
        token: &str,
        header: Option<&str>,
        path: Option<&str>,
        resource: &Resource,
    ) -> Result<Actor, AuthError> {
        let claims = self.claims_of(token).await?;
        if !resource.accepts(self.issuer(), &claims.aud) {
            return Err(AuthError::Audience);
        }
        let id: TokenId = claims.grant.parse().map_err(|_| AuthError::Invalid)?;
        let found = self.parts.store.directory().grant(id).await?.ok_or(AuthError::Revoked)?;
        let now = self.now();
        if found.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        if found.activated_at.is_none() || found.grant.client_id != claims.client_id {
            return Err(AuthError::Invalid);
        }
        if now >= found.grant.expires_at {
            return Err(AuthError::Expired);
        }
        if found.user.status != UserStatus::Active || found.organization.status != OrgStatus::Active {
            return Err(AuthError::Invalid);
        }
        if !self.is_vouched_for(found.grant.provider_id, &found.user).await? {
            return Err(AuthError::Revoked);
        }
        tenancy::agree(&found.organization, header, path).map_err(AuthError::Refused)?;
        let org = self.parts.store.org(found.organization.id).await?;
        let standing = org.reader().standing(found.user.id).await?;
        let mut standing = standing.filter(Standing::is_active).ok_or(AuthError::Invalid)?;
        if found.grant.team_id.is_some() {
            standing.membership.selected_team = found.grant.team_id;
        }
        self.used().grants.insert(id, now);
        let scopes = permissions_of(&scopes_of(&claims.scope));
        let person =
            Actor::new(found.user, Arc::new(found.organization), standing, scopes, Credential::Client(id));
        let Some(agent) = found.grant.agent_id else { return Ok(person) };
        let agent = org.reader().agent(agent).await?.filter(|agent| agent.status == AgentStatus::Active);
        Ok(person.through(agent.ok_or(AuthError::Revoked)?))
    }

    /// Clients that are let in for a person, in every organization.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn clients_of_person(&self, person: UserId) -> Result<Vec<Connected>, store::Fault> {
        let found = self.parts.store.directory().grants_of_user(person).await?;
        Ok(self.still(found))
    }

    /// Clients that are let in to an organization, whoever has allowed them.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn clients_of_organization(&self, organization: OrgId) -> Result<Vec<Connected>, store::Fault> {
        let found = self.parts.store.directory().grants_of_organization(organization).await?;
        Ok(self.still(found))
    }

    fn still(&self, found: Vec<GrantLookup>) -> Vec<Connected> {
        let now = self.now();
        found.into_iter().filter(|found| now < found.grant.expires_at).map(Connected::from).collect()
    }

    /// Ends what `by` has allowed, or, in the organization they work in, what `may_others` says they may end for others.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn disconnect_client(
        &self,
        by: &Actor,
        grant: TokenId,
        may_others: bool,
    ) -> Result<(), AuthError> {
        let found = self.parts.store.directory().grant(grant).await?;
        let theirs = |found: &GrantLookup| {
            found.user.id == by.user_id || (may_others && found.organization.id == by.organization.id)
        };
        let found = found.filter(|found| found.revoked_at.is_none() && theirs(found));
        let found = found.ok_or_else(|| AuthError::Refused(Refusal::not_found("client")))?;
        self.parts.store.directory().revoke_grant(grant, self.now()).await?;
        let organization = found.organization.id;
        let noted = (RecordType::Token, grant.to_string());
        self.note(organization, Some(by.user_id), "disconnect_client", noted).await
    }

    /// What can still be used of a grant, as far as the directory knows.
    async fn grant_in_force(&self, grant: TokenId) -> Result<Option<Grant>, store::Fault> {
        let found = self.parts.store.directory().grant(grant).await?;
        let now = self.now();
        let found = found.filter(|found| found.revoked_at.is_none() && now < found.grant.expires_at).filter(
            |found| found.user.status == UserStatus::Active && found.organization.status == OrgStatus::Active,
        );
        let Some(found) = found else { return Ok(None) };
        let stands = self.is_vouched_for(found.grant.provider_id, &found.user).await?;
        Ok(stands.then_some(found.grant))
    }

    /// What was asked at the token endpoint must be what was allowed (RFC 8707, 2.2).
    fn check_target(&self, grant: &Grant, resource: Option<&str>) -> Result<(), OAuthError> {
        let Some(resource) = resource else { return Ok(()) };
        let asked = Resource::parse(self.issuer(), resource);
        if asked.is_some_and(|asked| asked.audiences(self.issuer()) == grant.audiences) {
            return Ok(());
        }
        Err(OAuthError::new(ErrorCode::InvalidTarget, "the resource is not the one that was allowed"))
    }

    fn refresh_record(&self, grant: &Grant, token: &str) -> RefreshRecord {
        let now = self.now();
        RefreshRecord {
            hash: Digest::of(token.as_bytes()),
            grant_id: grant.id,
            created_at: now,
            expires_at: now.plus_seconds(REFRESH_DAYS * 86_400).min(grant.expires_at),
            rotated_at: None,
        }
    }

    /// The one successor of a refresh token. It follows from the token and from a secret that all nodes share, so that a
    /// client that asks twice gets the same, and none has to be kept in clear. Hashed twice, as an HMAC does.
    async fn successor(&self, token: &str) -> Result<String, store::Fault> {
        let fresh = self.random::<32>();
        let secret = self.parts.store.directory().secret("oauth-refresh", fresh).await?;
        let inner = Digest::of_parts(&[&secret, token.as_bytes()]);
        let outer = Digest::of_parts(&[&secret, &inner.0]);
        Ok(format!("{REFRESH_PREFIX}{}", base62::encode(&outer.0, SECRET_CHARS)))
    }

    pub(super) async fn tokens(
        &self,
        grant: &Grant,
        scopes: &[Scope],
        refresh_token: Option<String>,
    ) -> Result<Tokens, OAuthError> {
        let now = self.now().0.div_euclid(1_000_000);
        let expires_in = self.parts.settings.access_token_seconds;
        let scope = scope_text(scopes);
        let claims = Claims {
            iss: self.issuer().to_owned(),
            sub: grant.user_id.to_string(),
            aud: grant.audiences.clone(),
            exp: now + expires_in,
            iat: now,
            jti: self.parts.ids.next().to_string(),
            client_id: grant.client_id.clone(),
            scope: scope.clone(),
            tenant: grant.organization_id.to_string(),
            grant: grant.id.to_string(),
        };
        Ok(Tokens { access_token: self.sign(&claims).await?, expires_in, refresh_token, scope })
    }

    async fn end_grant(&self, grant: &Grant, operation: &str) -> Result<(), OAuthError> {
        self.parts.store.directory().revoke_grant(grant.id, self.now()).await?;
        let noted = (RecordType::Token, grant.id.to_string());
        match self.note(grant.organization_id, Some(grant.user_id), operation, noted).await {
            Err(AuthError::Fault(fault)) => Err(fault.into()),
            _ => Ok(()),
        }
    }

    async fn end_for_reuse(&self, grant: TokenId, operation: &str) -> Result<(), OAuthError> {
        let found = self.parts.store.directory().grant(grant).await?;
        if let Some(found) = found.filter(|found| found.revoked_at.is_none()) {
            self.end_grant(&found.grant, operation).await?;
        }
        Ok(())
    }

    /// Forgets codes, tokens and clients that are of no use any more.
    ///
    /// # Errors
    /// A fault of storage.
    pub(crate) async fn forget_oauth(&self) -> Result<(), store::Fault> {
        let now = self.now();
        let unredeemed = now.plus_seconds(-UNREDEEMED_SECONDS);
        let unused = now.plus_seconds(-UNUSED_CLIENT_DAYS * 86_400);
        self.parts.store.directory().forget_oauth(now, unredeemed, unused).await
    }

    /// The teams a person sees in an organization; nothing where they are no active member.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn teams_seen_by(
        &self,
        person: &User,
        organization: &Organization,
    ) -> Result<Option<Vec<Team>>, store::Fault> {
        let member = self.member(person, Arc::new(organization.clone()), Credential::Local).await?;
        let Some(member) = member else { return Ok(None) };
        let mut teams = self.parts.store.org(organization.id).await?.reader().teams(None).await?;
        teams.retain(|team| member.rights.allows(Permission::TeamsRead, Some(team.id)));
        Ok(Some(teams))
    }

    /// Whether a client may be answered at an address, by what it has named.
    pub fn answers_at(client: &Client, redirect_uri: &str) -> bool {
        client.redirect_uris.iter().any(|named| redirect_matches(named, redirect_uri))
    }
}
