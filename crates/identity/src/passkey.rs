//! Passkeys by WebAuthn: what a browser is asked, and what its answer is worth. Nothing is kept here between the two halves of
//! a ceremony: what has to be signed follows from what it is for, so that any node can take the answer.

use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use domain::id::{OrgId, UserId};
use domain::passkey::{Assertion, Curve, Passkey, PublicKey};
use domain::refusal::{Code, Refusal};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::Fault;
use webauthn_rs::Webauthn;
use webauthn_rs::prelude::{
    COSEKey, COSEKeyType, ECDSACurve, Passkey as Credential, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, WebauthnBuilder, WebauthnError,
};

/// This service as passkeys know it: one origin, whose host they are bound to.
pub struct RelyingParty {
    webauthn: Webauthn,
    origin: String,
    host: String,
}

/// For whom a passkey is made.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub organization: OrgId,
    pub organization_name: &'a str,
    pub user: UserId,
    pub email: &'a str,
}

impl Owner<'_> {
    /// What a browser is asked to register under: the same each time, since nothing is signed by it (an attestation of
    /// "none" carries no signature, WebAuthn Level 3, 8.7). Its first half names the person to the authenticator, which
    /// keeps one passkey for each organization.
    fn challenge(&self) -> Digest {
        Digest::of(format!("loopiq passkey\n{}\n{}\n", self.organization, self.user).as_bytes())
    }

    fn handle(&self) -> Uuid {
        let mut half = [0; 16];
        half.copy_from_slice(self.challenge().0.split_at(16).0);
        Uuid::from_bytes(half)
    }
}

/// A passkey that was made, as far as its authenticator says.
#[derive(Debug)]
pub struct Registered {
    pub key: PublicKey,
    /// What has to be kept for later confirmations.
    pub credential: Value,
}

/// An approval that was signed.
#[derive(Debug)]
pub struct Confirmed {
    pub assertion: Assertion,
    /// The passkey that signed, as it was read.
    pub passkey: Passkey,
    /// What is to be kept of it now, where that differs: one version later.
    pub now: Option<Passkey>,
}

impl RelyingParty {
    /// For the address people use. None where passkeys cannot be used: WebAuthn knows hosts by name and needs https, but
    /// for `localhost`, as which an address of this machine is taken (WebAuthn Level 3, 5.1.3 and 13.4.9).
    pub fn of(public_url: &str) -> Option<RelyingParty> {
        let mut url = Url::parse(public_url).ok()?;
        let here = url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "[::1]" | "localhost"));
        if here {
            url.set_host(Some("localhost")).ok()?;
        }
        if url.scheme() != "https" && !here {
            return None;
        }
        let host = url.domain()?.to_owned();
        let webauthn = WebauthnBuilder::new(&host, &url).ok()?.rp_name("LoopIQ").build().ok()?;
        Some(RelyingParty { webauthn, origin: url.origin().ascii_serialization(), host })
    }

    /// The origin of the pages on which passkeys work.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What a browser is asked to sign `challenge` with by one of these credentials, for somebody who is not known yet: nothing in
    /// it tells passkeys from what only looks like them (WebAuthn Level 3, 14.6.2).
    pub fn sign_in(&self, challenge: &Digest, credentials: &[Vec<u8>]) -> Value {
        let named = |id: &Vec<u8>| json!({ "type": "public-key", "id": BASE64URL_NOPAD.encode(id) });
        json!({
            "challenge": encoded(challenge),
            "rpId": self.host,
            "timeout": crate::by_passkey::PASSKEY_SECONDS_MAX * 1_000,
            "allowCredentials": credentials.iter().map(named).collect::<Vec<_>>(),
            "userVerification": "required",
        })
    }

    /// What a browser is asked to make a passkey (`PublicKeyCredentialCreationOptionsJSON`).
    ///
    /// # Errors
    /// A bug.
    pub fn registration(&self, owner: Owner<'_>, existing: &[Passkey]) -> Result<Value, Fault> {
        let known = existing.iter().map(credential).collect::<Result<Vec<_>, _>>()?;
        let known = known.iter().map(|credential| credential.cred_id().clone()).collect();
        let name = format!("{} ({})", owner.email, owner.organization_name);
        let started = self.webauthn.start_passkey_registration(owner.handle(), &name, &name, Some(known));
        let (options, _) = started.map_err(|_| Fault::Bug("a registration can be started"))?;
        asked(&options, &owner.challenge())
    }

    /// Takes a browser's answer to [`RelyingParty::registration`].
    ///
    /// # Errors
    /// `validation_failed`.
    pub fn registered(&self, owner: Owner<'_>, answer: &Value) -> Result<Registered, Refusal> {
        let refused = || {
            Refusal::invalid(
                "response",
                "must be what a browser answers when it makes a passkey for this page",
            )
        };
        let answer: RegisterPublicKeyCredential = read(answer).ok_or_else(refused)?;
        let started =
            self.webauthn.start_passkey_registration(owner.handle(), owner.email, owner.email, None);
        let (_, state) = started.map_err(|_| Refusal::internal())?;
        let state: PasskeyRegistration =
            under(&state, "rs", &owner.challenge()).ok_or_else(Refusal::internal)?;
        let made = self.webauthn.finish_passkey_registration(&answer, &state).map_err(|_| refused())?;
        let key = public_key(made.get_public_key()).ok_or_else(refused)?;
        let credential = serde_json::to_value(&made).map_err(|_| Refusal::internal())?;
        Ok(Registered { key, credential })
    }

    /// What a browser is asked to sign `challenge` with one of the person's passkeys
    /// (`PublicKeyCredentialRequestOptionsJSON`).
    ///
    /// # Errors
    /// A bug.
    pub fn confirmation(&self, challenge: &Digest, passkeys: &[Passkey]) -> Result<Value, Fault> {
        let known = passkeys.iter().map(credential).collect::<Result<Vec<_>, _>>()?;
        let started = self.webauthn.start_passkey_authentication(&known);
        let (options, _) = started.map_err(|_| Fault::Bug("a confirmation can be started"))?;
        asked(&options, challenge)
    }

    /// Takes a browser's answer to [`RelyingParty::confirmation`].
    ///
    /// # Errors
    /// `approval_not_granted` when it is not a signature of `challenge` by one of these passkeys in the hands of its
    /// owner, or when the counter of the authenticator shows that there is a copy of it.
    pub fn confirmed(
        &self,
        challenge: &Digest,
        passkeys: &[Passkey],
        answer: &Value,
    ) -> Result<Confirmed, Refusal> {
        let signed: PublicKeyCredential = read(answer).ok_or_else(not_confirmed)?;
        let known = passkeys.iter().map(credential).collect::<Result<Vec<_>, _>>();
        let known = known.map_err(|_| Refusal::internal())?;
        let (_, state) = self.webauthn.start_passkey_authentication(&known).map_err(|_| not_confirmed())?;
        let state: PasskeyAuthentication = under(&state, "ast", challenge).ok_or_else(Refusal::internal)?;
        let result =
            self.webauthn.finish_passkey_authentication(&signed, &state).map_err(|error| match error {
                WebauthnError::CredentialPossibleCompromise => perhaps_copied(),
                _ => not_confirmed(),
            })?;
        let mut used = passkeys.iter().zip(known).filter(|(_, known)| known.cred_id() == result.cred_id());
        let (passkey, mut credential) = used.next().ok_or_else(not_confirmed)?;
        let changed = credential.update_credential(&result) == Some(true);
        let now = if changed {
            let credential = serde_json::to_value(&credential).map_err(|_| Refusal::internal())?;
            Some(Passkey { credential, version: passkey.version + 1, ..passkey.clone() })
        } else {
            None
        };
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let assertion = Assertion {
            key: passkey.key.clone(),
            authenticator_data: encode(signed.response.authenticator_data.as_ref()),
            client_data_json: encode(signed.response.client_data_json.as_ref()),
            signature: encode(signed.response.signature.as_ref()),
        };
        Ok(Confirmed { assertion, passkey: passkey.clone(), now })
    }
}

fn not_confirmed() -> Refusal {
    Refusal::new(
        Code::ApprovalNotGranted,
        "the signature is not of this approval by one of your passkeys",
        "Load the card again and approve with a passkey that is registered under Passkeys.",
    )
}

fn perhaps_copied() -> Refusal {
    Refusal::new(
        Code::ApprovalNotGranted,
        "the passkey has counted further than this signature says: there may be a copy of it",
        "Sign again. If that is refused too, remove the passkey under Passkeys and register another one.",
    )
}

fn read<T: DeserializeOwned>(answer: &Value) -> Option<T> {
    T::deserialize(answer).ok()
}

/// The name of a passkey between browser and authenticator.
///
/// # Errors
/// A bug.
pub(crate) fn credential_id(passkey: &Passkey) -> Result<Vec<u8>, Fault> {
    Ok(credential(passkey)?.cred_id().clone())
}

fn credential(passkey: &Passkey) -> Result<Credential, Fault> {
    read(&passkey.credential).ok_or(Fault::Bug("a stored credential is one"))
}

/// The options a browser is given, with our challenge in place of the library's.
fn asked(options: &impl serde::Serialize, challenge: &Digest) -> Result<Value, Fault> {
    let mut options = serde_json::to_value(options)?;
    let options = options.get_mut("publicKey").ok_or(Fault::Bug("options are for a public key"))?;
    *options.get_mut("challenge").ok_or(Fault::Bug("options have a challenge"))? = encoded(challenge);
    Ok(options.take())
}

/// The library's state of a ceremony, with our challenge in place of its own. Its checks stay the library's.
fn under<S: serde::Serialize + DeserializeOwned>(state: &S, inner: &str, challenge: &Digest) -> Option<S> {
    let mut state = serde_json::to_value(state).ok()?;
    *state.get_mut(inner)?.get_mut("challenge")? = encoded(challenge);
    read(&state)
}

fn encoded(challenge: &Digest) -> Value {
    json!(BASE64URL_NOPAD.encode(&challenge.0))
}

/// The key as we keep it; the library offers browsers nothing but ES256 and RS256.
fn public_key(key: &COSEKey) -> Option<PublicKey> {
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    match &key.key {
        COSEKeyType::EC_EC2(key) if key.curve == ECDSACurve::SECP256R1 => {
            Some(PublicKey::Ec { crv: Curve::P256, x: encode(&key.x), y: encode(&key.y) })
        }
        COSEKeyType::RSA(key) => Some(PublicKey::Rsa { n: encode(&key.n), e: encode(&key.e) }),
        _ => None,
    }
}
