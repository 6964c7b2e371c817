//! Signing in with a passkey instead of the password. A passkey is one of an organization (`docs/decisions/0006`), so the
//! session works in that organization alone, and ends when the passkey is removed there. What has to be signed is drawn for each
//! sign-in and sealed into what the browser keeps; it is good once and not for long. Whoever asks for an e-mail is given names
//! of passkeys in any case, so that nothing tells who has an account, or a passkey.

use std::net::IpAddr;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use domain::org::{OrgStatus, Organization, User, UserStatus};
use domain::passkey::Passkey;
use domain::time::Timestamp;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use crate::passkey::credential_id;
use crate::session::Way;
use crate::{AuthError, Browser, Credential, Identity, NewSession};

/// How long a person may take with their authenticator.
pub(crate) const PASSKEY_SECONDS_MAX: i64 = 300;
/// Organizations of one person whose passkeys are looked for.
const ORGANIZATIONS_MAX: usize = 100;
/// Lengths that names of real passkeys have, in bytes: made-up ones have one of them.
const NAME_BYTES: [usize; 4] = [16, 20, 32, 64];

/// What a browser is asked for somebody who wants to sign in.
#[derive(Debug, Clone)]
pub struct PasskeyAsked {
    /// `PublicKeyCredentialRequestOptionsJSON`.
    pub options: Value,
    /// The origin of the pages on which passkeys work.
    pub origin: String,
    /// What the browser keeps, so that only it can bring the answer. A secret.
    pub browser: String,
    pub seconds: i64,
}

/// What is signed. It begins as nothing else that passkeys sign does, so that no sign-in can pass for an approval.
fn challenge(begun: &str) -> Digest {
    Digest::of(format!("loopiq sign-in\n{begun}\n").as_bytes())
}

impl Identity {
    /// A text under the secret that all nodes share, hashed twice as an HMAC does.
    async fn passkey_seal(&self, text: &str) -> Result<Digest, store::Fault> {
        let fresh = self.random::<32>();
        let secret = self.parts.store.directory().secret("passkey-sign-in", fresh).await?;
        let inner = Digest::of_parts(&[&secret, text.as_bytes()]);
        Ok(Digest::of_parts(&[&secret, &inner.0]))
    }

    /// The passkeys by which somebody can sign in, each with its organization.
    async fn sign_in_passkeys(
        &self,
        email: &str,
    ) -> Result<Option<(User, Vec<(Organization, Passkey)>)>, AuthError> {
        let directory = self.parts.store.directory();
        let Some(user) = directory.user_by_email(email).await? else { return Ok(None) };
        let mut held = Vec::new();
        for organization in directory.organizations_of(user.id).await?.into_iter().take(ORGANIZATIONS_MAX) {
            if organization.status == OrgStatus::Active {
                let org = self.parts.store.org(organization.id).await?;
                let passkeys = org.reader().passkeys_of(user.id).await?;
                held.extend(passkeys.into_iter().map(|passkey| (organization.clone(), passkey)));
            }
        }
        Ok(Some((user, held)).filter(|(user, _)| user.status == UserStatus::Active))
    }

    /// Names that look like one of a passkey, always the same for an e-mail.
    async fn made_up(&self, email: &str) -> Result<Vec<u8>, store::Fault> {
        let seal =
            async |half| self.passkey_seal(&format!("{half}\n{}\n", email.trim().to_lowercase())).await;
        let (one, other) = (seal("one").await?, seal("other").await?);
        let length = NAME_BYTES.iter().cycle().nth(usize::from(other.0[0])).copied().unwrap_or(32);
        let mut name = [one.0, other.0].concat();
        name.truncate(length);
        Ok(name)
    }

    /// What a browser is asked, whoever it is for.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] where passkeys cannot be used; `rate_limited`.
    pub async fn ask_for_passkey(
        &self,
        email: &str,
        address: Option<IpAddr>,
    ) -> Result<PasskeyAsked, AuthError> {
        let party = self.passkeys().ok_or(AuthError::Invalid)?;
        self.may_begin(address)?;
        let held = self.sign_in_passkeys(email).await?.map(|(_, held)| held).unwrap_or_default();
        let names = held.iter().map(|(_, passkey)| credential_id(passkey)).collect::<Result<Vec<_>, _>>()?;
        let made_up = self.made_up(email).await?;
        let names = if names.is_empty() { vec![made_up] } else { names };
        let ends = self.now().plus_seconds(PASSKEY_SECONDS_MAX);
        let drawn = format!("{}.{}", ends.0, BASE64URL_NOPAD.encode(&self.random::<32>()));
        let seal = BASE64URL_NOPAD.encode(&self.passkey_seal(&drawn).await?.0);
        let browser = format!("{drawn}.{seal}");
        Ok(PasskeyAsked {
            options: party.sign_in(&challenge(&browser), &names),
            origin: party.origin().to_owned(),
            browser,
            seconds: PASSKEY_SECONDS_MAX,
        })
    }

    /// Signs a person in by what their authenticator signed. `kept` is what the browser kept since it was asked.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for everything that is not a signature by a passkey of an active member, drawn for this sign-in
    /// and not used before; `rate_limited` after too many of that.
    pub async fn sign_in_by_passkey(
        &self,
        email: &str,
        kept: Option<&str>,
        answer: &Value,
        browser: Browser<'_>,
    ) -> Result<NewSession, AuthError> {
        let party = self.passkeys().ok_or(AuthError::Invalid)?;
        self.attempt(email, browser.address)?;
        let challenge = self.drawn_once(kept.ok_or(AuthError::Invalid)?).await?;
        let (user, held) = self.sign_in_passkeys(email).await?.ok_or(AuthError::Invalid)?;
        let passkeys: Vec<Passkey> = held.iter().map(|(_, passkey)| passkey.clone()).collect();
        let confirmed = party.confirmed(&challenge, &passkeys, answer).map_err(|_| AuthError::Invalid)?;
        let used = held.into_iter().find(|(_, passkey)| passkey.id == confirmed.passkey.id);
        let organization = Arc::new(used.ok_or(AuthError::Invalid)?.0);
        let member = self.member(&user, Arc::clone(&organization), Credential::Local).await?;
        member.ok_or(AuthError::Invalid)?;
        self.was_no_guess(email, browser.address);
        let way = Way::Passkey(organization.id, &confirmed);
        let session = self.open_session(user, browser.user_agent, way).await?;
        self.end_earlier(browser.earlier).await?;
        Ok(session)
    }

    /// What a browser that kept this was asked to sign. Good once, whatever comes of it.
    async fn drawn_once(&self, kept: &str) -> Result<Digest, AuthError> {
        let (drawn, seal) = kept.rsplit_once('.').ok_or(AuthError::Invalid)?;
        let seal = BASE64URL_NOPAD.decode(seal.as_bytes()).map_err(|_| AuthError::Invalid)?;
        let ends = drawn.split_once('.').and_then(|(ends, _)| ends.parse().ok()).map(Timestamp);
        let ours = bool::from(self.passkey_seal(drawn).await?.0.ct_eq(&seal));
        let ends = ends.filter(|ends| ours && self.now() < *ends).ok_or(AuthError::Invalid)?;
        let challenge = challenge(kept);
        if self.parts.store.directory().take_assertion(&challenge, ends).await? {
            Ok(challenge)
        } else {
            Err(AuthError::Invalid)
        }
    }
}
