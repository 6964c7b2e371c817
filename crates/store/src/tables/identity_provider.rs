//! Identity providers of organizations, who their subjects are here, and sign-ins on their way. All of it lies in the
//! directory: it is asked before anybody is known to belong anywhere.

use domain::digest::Digest;
use domain::id::{IdentityProviderId, OrgId};
use domain::identity_provider::{BegunSignIn, IdentityLink, IdentityProvider};
use domain::org::{Organization, User};
use domain::record::RecordType;
use domain::time::Timestamp;

use super::{document, read_document, statements};
use crate::Directory;
use crate::engine::Database;
use crate::fault::{CommitError, Conflict, Fault};
use crate::sql::{Row, Sql, Value, text};
use crate::write::{Miss, Write};

statements! {
    PUT = "insert into identity_provider (id, organization_id, issuer, enabled, version, document)
        values (?1, ?2, ?3, ?4, ?5, ?6)
        on conflict (id) do update set issuer = excluded.issuer, enabled = excluded.enabled, version = excluded.version,
        document = excluded.document where identity_provider.version < excluded.version";
    CLEAR_DOMAINS = "delete from identity_provider_domain where provider_id = ?1";
    ADD_DOMAIN = "insert into identity_provider_domain (domain, provider_id) values (?1, ?2)";
    OF_ORGANIZATION = "select document from identity_provider where organization_id = ?1 order by id";
    ONE = "select p.document, o.document from identity_provider p join organization o on o.id = p.organization_id
        where p.id = ?1";
    ANY = "select id from identity_provider where enabled = 1 limit 1";
    BY_DOMAIN = "select p.document, o.document from identity_provider_domain d
        join identity_provider p on p.id = d.provider_id join organization o on o.id = p.organization_id
        where d.domain = ?1 and p.enabled = 1 order by o.slug, p.id";
    BY_ISSUER = "select p.document, o.document from identity_provider p
        join organization o on o.id = p.organization_id where p.issuer = ?1 and p.enabled = 1 order by o.slug, p.id";
    PUT_LINK = "insert into identity_link (organization_id, link_key, user_id, version, document)
        values (?1, ?2, ?3, ?4, ?5)
        on conflict (organization_id, link_key) do update set user_id = excluded.user_id, version = excluded.version,
        document = excluded.document where identity_link.version < excluded.version";
    LINK = "select l.document, u.document from identity_link l join app_user u on u.id = l.user_id
        where l.organization_id = ?1 and l.link_key = ?2";
    BEGIN = "insert into begun_sign_in (state, browser, provider_id, nonce, pkce_verifier, next, expires_at)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    BEGUN = "select state, browser, provider_id, nonce, pkce_verifier, next, expires_at from begun_sign_in
        where state = ?1";
    TAKE = "delete from begun_sign_in where state = ?1";
    DELETE_EXPIRED = "delete from begun_sign_in where expires_at <= ?1";
}

/// A provider with the organization it is of, read by one statement.
#[derive(Debug, Clone)]
pub struct ProviderLookup {
    pub provider: IdentityProvider,
    pub organization: Organization,
}

fn read(row: &dyn Row) -> Result<ProviderLookup, Fault> {
    Ok(ProviderLookup { provider: read_document(row, 0)?, organization: read_document(row, 1)? })
}

fn read_begun(row: &dyn Row) -> Result<BegunSignIn, Fault> {
    let digest = |column| Digest::parse(&row.text(column)).ok_or(Fault::Bug("a stored hash is a digest"));
    Ok(BegunSignIn {
        state: digest(0)?,
        browser: digest(1)?,
        provider_id: row.text(2).parse().map_err(|_| Fault::Bug("a stored id is an id"))?,
        nonce: row.text(3),
        pkce_verifier: row.text(4),
        next: row.text(5),
        expires_at: Timestamp(row.int(6)),
    })
}

/// The name under which the client secret of a provider is kept.
fn secret_name(provider: &IdentityProvider) -> String {
    format!("identity-provider/{}/{}", provider.organization_id, provider.id)
}

impl Directory {
    /// Writes unless a later version is there already.
    async fn put_later(&self, write: Write) -> Result<(), Fault> {
        match self.engine.commit(Database::Directory, write).await {
            // Somebody else has carried it over, and perhaps more.
            Ok(_) | Err(CommitError::Conflict(Conflict::Moved { .. })) => Ok(()),
            Err(CommitError::Conflict(_)) => Err(Fault::Bug("directory writes conflict in one way")),
            Err(CommitError::Fault(fault)) => Err(fault),
        }
    }

    /// Puts a version of a provider in force, unless a later one is. With the last one its client secret goes.
    pub(crate) async fn put_identity_provider(&self, p: &IdentityProvider) -> Result<(), Fault> {
        let mut write = Write::new();
        let params = vec![
            text(p.id),
            text(p.organization_id),
            Value::from(p.issuer.as_str()),
            Value::Int(i64::from(p.is_usable())),
            Value::Int(p.version),
            document(p),
        ];
        write.one(&PUT, params, Miss::Moved(RecordType::IdentityProvider, p.id.to_string()));
        write.any(&CLEAR_DOMAINS, vec![text(p.id)]);
        for domain in p.domains.iter().filter(|_| p.is_usable()) {
            write.any(&ADD_DOMAIN, vec![Value::from(domain.as_str()), text(p.id)]);
        }
        self.put_later(write).await?;
        if p.removed { self.delete_secret(&secret_name(p)).await } else { Ok(()) }
    }

    pub(crate) async fn put_identity_link(&self, link: &IdentityLink) -> Result<(), Fault> {
        let mut write = Write::new();
        let params = vec![
            text(link.organization_id),
            text(link.key),
            text(link.user_id),
            Value::Int(link.version),
            document(link),
        ];
        write.one(&PUT_LINK, params, Miss::Moved(RecordType::IdentityLink, link.key.to_string()));
        self.put_later(write).await
    }

    async fn providers(&self, sql: &Sql, key: Value) -> Result<Vec<ProviderLookup>, Fault> {
        self.rows(sql, &[key], read).await
    }

    /// Providers of an organization, those that are not removed.
    pub async fn identity_providers(&self, organization: OrgId) -> Result<Vec<IdentityProvider>, Fault> {
        let mut found: Vec<IdentityProvider> =
            self.rows(&OF_ORGANIZATION, &[text(organization)], |row| read_document(row, 0)).await?;
        found.retain(|provider| !provider.removed);
        Ok(found)
    }
    /// A provider, usable or not.
    pub async fn identity_provider(&self, id: IdentityProviderId) -> Result<Option<ProviderLookup>, Fault> {
        Ok(self.providers(&ONE, text(id)).await?.into_iter().next())
    }
    /// Whether there is any that can be used.
    pub async fn has_identity_providers(&self) -> Result<bool, Fault> {
        Ok(!self.rows(&ANY, &[], |_| Ok(())).await?.is_empty())
    }
    /// Usable providers that may speak for an e-mail domain.
    pub async fn identity_providers_for(&self, domain: &str) -> Result<Vec<ProviderLookup>, Fault> {
        self.providers(&BY_DOMAIN, Value::from(domain)).await
    }
    /// Usable providers of an issuer, of every organization.
    pub async fn identity_providers_by(&self, issuer: &str) -> Result<Vec<ProviderLookup>, Fault> {
        self.providers(&BY_ISSUER, Value::from(issuer)).await
    }

    /// Who a subject is in an organization, by [`IdentityLink::key`].
    pub async fn identity_link(
        &self,
        organization: OrgId,
        key: &Digest,
    ) -> Result<Option<(IdentityLink, User)>, Fault> {
        let params = [text(organization), text(key)];
        let read = |row: &dyn Row| Ok((read_document(row, 0)?, read_document(row, 1)?));
        Ok(self.rows(&LINK, &params, read).await?.into_iter().next())
    }

    /// Keeps a sign-in that was begun.
    pub async fn begin_sign_in(&self, begun: &BegunSignIn) -> Result<(), Fault> {
        let params = vec![
            text(begun.state),
            text(begun.browser),
            text(begun.provider_id),
            Value::from(begun.nonce.as_str()),
            Value::from(begun.pkce_verifier.as_str()),
            Value::from(begun.next.as_str()),
            Value::Int(begun.expires_at.0),
        ];
        self.one(&BEGIN, params, Fault::Duplicate { what: "state" }).await
    }
    /// Takes a sign-in that was begun: of several that want the same one, one gets it.
    pub async fn take_sign_in(&self, state: &Digest) -> Result<Option<BegunSignIn>, Fault> {
        let Some(begun) = self.rows(&BEGUN, &[text(state)], read_begun).await?.into_iter().next() else {
            return Ok(None);
        };
        match self.one(&TAKE, vec![text(state)], Fault::Moved).await {
            Ok(()) => Ok(Some(begun)),
            Err(Fault::Moved) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
    pub async fn delete_expired_sign_ins(&self, now: Timestamp) -> Result<(), Fault> {
        self.any(&DELETE_EXPIRED, vec![Value::Int(now.0)]).await
    }

    /// The client secret of a provider, where one was given.
    pub async fn client_secret(&self, provider: &IdentityProvider) -> Result<Option<String>, Fault> {
        let found = self.secret_bytes(&secret_name(provider)).await?;
        let text = found.map(String::from_utf8).transpose();
        text.map_err(|_| Fault::Bug("a stored client secret is text"))
    }
    /// Keeps the client secret of a provider; an earlier one is forgotten.
    pub async fn set_client_secret(&self, provider: &IdentityProvider, secret: &str) -> Result<(), Fault> {
        self.keep_secret(&secret_name(provider), secret.as_bytes()).await
    }
}
