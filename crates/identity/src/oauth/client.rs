//! Clients: programs that ask to be let in. Three kinds: those that register themselves (RFC 7591), those whose id is the
//! address of a document about them (Client ID Metadata Documents), and machines that an administrator has made.

use std::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use domain::agent::AgentStatus;
use domain::digest::Digest;
use domain::id::{AgentId, OrgId};
use domain::oauth::{
    CLIENT_NAME_CHARS_MAX, Client, ClientAuthentication, ClientKind, ErrorCode, Machine, REDIRECTS_MAX,
    is_redirect_uri,
};
use domain::record::RecordType;
use domain::refusal::Refusal;
use domain::webhook::check_url;
use serde::Deserialize;
use serde_json::Value;

use super::{DOCUMENT_SECONDS, MACHINES_MAX, OAuthError, UNUSED_CLIENT_DAYS, UNUSED_CLIENTS_MAX, assertion};
use crate::fetch::Outgoing;
use crate::{Actor, AuthError, Identity, base62};

/// What a client says of itself when it registers, or in its document. Members this server has no use for are ignored
/// (RFC 7591, 2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Registration {
    client_id: Option<String>,
    client_name: Option<String>,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
}

/// A client that has registered itself, with its secret, which is shown once.
#[derive(Debug)]
pub struct Registered {
    pub client: Client,
    pub secret: Option<String>,
}

/// What a client sends to prove who it is (RFC 6749, 2.3; RFC 7523, 2.2).
#[derive(Debug, Default, Clone, Copy)]
pub struct Presented<'a> {
    pub id: Option<&'a str>,
    /// By `Authorization: Basic` or in the form.
    pub secret: Option<&'a str>,
    pub assertion: Option<&'a str>,
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, description)
}

pub(super) const fn unknown_client() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "the client is not known here, or has not proved who it is; remove the server from the client and add it again",
    )
}

impl Registration {
    /// The client that is described, under an id.
    fn client(self, id: String, kind: ClientKind, at: domain::time::Timestamp) -> Result<Client, OAuthError> {
        let only = |list: &Option<Vec<String>>, wanted: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|word| word == wanted))
        };
        if !only(&self.grant_types, "authorization_code") || !only(&self.response_types, "code") {
            return Err(invalid("grant_types must have authorization_code, and response_types code"));
        }
        let authentication = match self.token_endpoint_auth_method.as_deref() {
            None => ClientAuthentication::None,
            Some(word) => ClientAuthentication::parse(word)
                .ok_or(invalid("token_endpoint_auth_method is none of those that the metadata names"))?,
        };
        if authentication == ClientAuthentication::PrivateKeyJwt && self.jwks.is_none() {
            return Err(invalid("private_key_jwt needs keys in jwks, or in a document at jwks_uri"));
        }
        // Some clients name addresses for several systems at once; those that are none are left out.
        let redirect_uris: Vec<String> =
            self.redirect_uris.into_iter().filter(|uri| is_redirect_uri(uri)).take(REDIRECTS_MAX).collect();
        if redirect_uris.is_empty() {
            return Err(OAuthError::new(
                ErrorCode::InvalidRedirectUri,
                "redirect_uris must have an address with https, of the own machine, or of a scheme of the client's own",
            ));
        }
        let name: String = self.client_name.unwrap_or_default();
        let name: String = name.chars().filter(|c| !c.is_control()).take(CLIENT_NAME_CHARS_MAX).collect();
        let refreshes =
            self.grant_types.as_ref().is_some_and(|list| list.iter().any(|word| word == "refresh_token"));
        Ok(Client {
            id,
            kind,
            name: if name.trim().is_empty() { "A client without a name".into() } else { name.trim().into() },
            redirect_uris,
            authentication,
            secret_hash: None,
            keys: self.jwks,
            refreshes,
            machine: None,
            created_at: at,
            good_until: at,
        })
    }
}

impl Identity {
    /// Registers a client that asks for it (RFC 7591).
    ///
    /// # Errors
    /// `invalid_client_metadata`, `invalid_redirect_uri`; `temporarily_unavailable` when too many have registered.
    pub async fn register_client(
        &self,
        asked: Registration,
        address: Option<IpAddr>,
    ) -> Result<Registered, OAuthError> {
        let now = self.now();
        let too_many =
            OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many clients register; try again later");
        if let Some(address) = address
            && self.parts.registrations.attempt(&address.to_string(), now).is_err()
        {
            return Err(too_many);
        }
        let directory = self.parts.store.directory();
        if directory.unused_clients(now.plus_seconds(-UNUSED_CLIENT_DAYS * 86_400)).await?
            >= UNUSED_CLIENTS_MAX
        {
            return Err(too_many);
        }
        if asked.jwks_uri.is_some() {
            return Err(invalid(
                "keys are taken in jwks; a client with a document of its own may name jwks_uri there",
            ));
        }
        let id = format!("cli_{}", base62::encode(&self.random::<16>(), 22));
        let mut client = asked.client(id, ClientKind::Registered, now)?;
        let secret = match client.authentication {
            ClientAuthentication::SecretBasic | ClientAuthentication::SecretPost => {
                Some(BASE64URL_NOPAD.encode(&self.random::<32>()))
            }
            ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => None,
        };
        client.secret_hash = secret.as_ref().map(|secret| Digest::of(secret.as_bytes()));
        directory.insert_client(&client).await?;
        Ok(Registered { client, secret })
    }

    /// The client of an id; one whose id is the address of a document is read there, and again from time to time.
    ///
    /// # Errors
    /// `invalid_client` for one that is not known, or whose document cannot be read or says something else.
    pub async fn client(&self, id: &str) -> Result<Client, OAuthError> {
        let known = self.parts.store.directory().client(id).await?;
        // Only where the operator lets identity ask anywhere is a document found without https.
        if !id.starts_with("https://") && !id.starts_with("http://") {
            return known.ok_or(unknown_client());
        }
        if let Some(known) = known.filter(|known| self.now() < known.good_until) {
            return Ok(known);
        }
        let client = self.read_client(id).await?;
        self.parts.store.directory().put_client(&client).await?;
        Ok(client)
    }

    /// Reads a client's document. Whatever is wrong with it is told in the same words: what an address inside answers is
    /// nobody's business.
    async fn read_client(&self, id: &str) -> Result<Client, OAuthError> {
        let unreadable = || {
            OAuthError::new(
                ErrorCode::InvalidClient,
                "the client's document cannot be read, or does not describe this client",
            )
        };
        let path = id.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        let dots = |path: &str| path.split('/').any(|part| part == "." || part == "..");
        if path.is_none_or(|path| path.is_empty() || dots(path)) || check_url("client_id", id, true).is_err()
        {
            return Err(unreadable());
        }
        let (document, fresh) = self.read_document(id).await.ok_or_else(unreadable)?;
        let mut asked: Registration = serde_json::from_value(document).map_err(|_| unreadable())?;
        if asked.client_id.as_deref() != Some(id) {
            return Err(unreadable());
        }
        if asked.jwks.is_none()
            && let Some(uri) = asked.jwks_uri.take()
        {
            asked.jwks = Some(self.read_document(&uri).await.ok_or_else(unreadable)?.0);
        }
        let mut client = asked.client(id.to_owned(), ClientKind::Document, self.now())?;
        client.good_until = self.now().plus_seconds(fresh);
        // There is nobody who could have told the document a secret.
        match client.authentication {
            ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => Ok(client),
            ClientAuthentication::SecretBasic | ClientAuthentication::SecretPost => Err(unreadable()),
        }
    }

    /// A document, and for how many seconds it may be kept.
    async fn read_document(&self, url: &str) -> Option<(Value, i64)> {
        let answer = self.parts.fetch.fetch(Outgoing::get(url)).await.ok()?;
        let document = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
        let (least, most) = DOCUMENT_SECONDS;
        Some((document, answer.fresh_seconds.unwrap_or(most).clamp(least, most)))
    }

    /// The client that speaks at the token endpoint, proven as it has registered.
    ///
    /// # Errors
    /// `invalid_client`.
    pub async fn proven_client(&self, presented: Presented<'_>) -> Result<Client, OAuthError> {
        if let Some(assertion) = presented.assertion {
            return self.client_by_assertion(assertion, presented.id).await;
        }
        let client = self.client(presented.id.ok_or(unknown_client())?).await?;
        let proven = match (client.authentication, &client.secret_hash, presented.secret) {
            (ClientAuthentication::None, _, None) => true,
            // Registered with a secret, it may send it by either way; some clients choose the other one.
            (
                ClientAuthentication::SecretBasic | ClientAuthentication::SecretPost,
                Some(hash),
                Some(secret),
            ) => *hash == Digest::of(secret.as_bytes()),
            _ => false,
        };
        if proven { Ok(client) } else { Err(unknown_client()) }
    }

    /// Makes a client for a machine, which acts as an agent does: for a person, within what both may. It proves itself by its
    /// own keys where they are given (recommended), else by a secret that is shown once.
    ///
    /// # Errors
    /// `validation_failed` for keys that are none; `not_found` for an agent that is not there or not active.
    pub async fn create_machine_client(
        &self,
        owner: &Actor,
        name: &str,
        agent: AgentId,
        keys: Option<Value>,
    ) -> Result<Registered, AuthError> {
        let refused = |refusal| AuthError::Refused(refusal);
        let org = self.parts.store.org(owner.organization.id).await?;
        let found = org.reader().agent(agent).await?.filter(|agent| agent.status == AgentStatus::Active);
        found.ok_or_else(|| refused(Refusal::not_found("agent")))?;
        if keys.as_ref().is_some_and(|keys| !assertion::are_keys(keys)) {
            let what = "must be a JSON Web Key Set with a public key for EdDSA, ES256, RS256 or PS256";
            return Err(refused(Refusal::invalid("keys", what)));
        }
        let secret = keys.is_none().then(|| BASE64URL_NOPAD.encode(&self.random::<32>()));
        let now = self.now();
        let client = Client {
            id: format!("cli_{}", base62::encode(&self.random::<16>(), 22)),
            kind: ClientKind::Machine,
            name: name.trim().to_owned(),
            redirect_uris: Vec::new(),
            authentication: if keys.is_some() {
                ClientAuthentication::PrivateKeyJwt
            } else {
                ClientAuthentication::SecretBasic
            },
            secret_hash: secret.as_ref().map(|secret| Digest::of(secret.as_bytes())),
            keys,
            refreshes: false,
            machine: Some(Machine {
                organization_id: owner.organization.id,
                user_id: owner.user_id,
                agent_id: agent,
            }),
            created_at: now,
            good_until: now,
        };
        let noted = (RecordType::Agent, agent.to_string());
        self.note(owner.organization.id, Some(owner.user_id), "create_machine_client", noted).await?;
        self.parts.store.directory().insert_client(&client).await?;
        Ok(Registered { client, secret })
    }

    /// Machines' clients of an organization.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn machine_clients(&self, organization: OrgId) -> Result<Vec<Client>, store::Fault> {
        self.parts.store.directory().clients_of(organization, MACHINES_MAX).await
    }

    /// Takes a machine's client away: it is let in no longer from the next call on.
    ///
    /// # Errors
    /// `not_found` for a client that is no machine's of this organization.
    pub async fn remove_machine_client(&self, by: &Actor, client: &str) -> Result<(), AuthError> {
        let directory = self.parts.store.directory();
        let found = directory.client(client).await?.and_then(|client| client.machine);
        let found = found.filter(|of| of.organization_id == by.organization.id);
        let found = found.ok_or_else(|| AuthError::Refused(Refusal::not_found("client")))?;
        directory.delete_client(client, self.now()).await?;
        let noted = (RecordType::Agent, found.agent_id.to_string());
        self.note(by.organization.id, Some(by.user_id), "remove_machine_client", noted).await
    }
}
