//! Signed notes of C2SP (c2sp.org/signed-note): text, and lines with signatures under named keys. Knows the form, the
//! names and the ids of keys; the signature itself is a parameter, so that this stays a matter of hashes.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};

use crate::digest::Digest;
use crate::passkey::PublicKey;

/// Bytes of a note that are looked at; a checkpoint has a few hundred.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Signature lines that are looked at; the format asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;

/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 over the text.
    Ed25519,
    /// A witness's timestamp and Ed25519 over both (c2sp.org/tlog-cosignature, `cosignature/v1`).
    Cosignature,
}

impl Algorithm {
    const fn byte(self) -> u8 {
        match self {
            Algorithm::Ed25519 => 0x01,
            Algorithm::Cosignature => 0x04,
        }
    }
    const fn of_byte(byte: u8) -> Option<Algorithm> {
        match byte {
            0x01 => Some(Algorithm::Ed25519),
            0x04 => Some(Algorithm::Cosignature),
            _ => None,
        }
    }
}

/// Verifies signatures.
pub trait Verify: Sync {
    /// Ed25519 (RFC 8032), as notes are signed.
    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
    /// As the key says: ES256 with a signature in DER, or RS256 (WebAuthn Level 3, 6.5.5).
    fn verify_passkey(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// Signs with one Ed25519 key (RFC 8032).
pub trait Sign {
    fn public(&self) -> [u8; 32];
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// Why something is not a note, a key, or not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("the text is not a signed note")]
    Malformed,
    #[error("the text is not a verifier key of a kind that is known here")]
    MalformedKey,
    /// A line under a known key whose signature is not over this text.
    #[error("the signature of {name}+{id:08x} is wrong")]
    WrongSignature { name: String, id: u32 },
    #[error("no signature is of a known key")]
    NoKnownKey,
}

/// The public side of a key, with its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    id: u32,
    algorithm: Algorithm,
    public: [u8; 32],
}

/// Whether a text can name a key: not empty, no white space, no plus, no control characters.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl VerifierKey {
    /// # Errors
    /// [`NoteError::MalformedKey`] for a name that cannot be one.
    pub fn new(name: &str, algorithm: Algorithm, public: [u8; 32]) -> Result<VerifierKey, NoteError> {
        if !is_name(name) {
            return Err(NoteError::MalformedKey);
        }
        let hash = Digest::of_parts(&[name.as_bytes(), b"\n", &[algorithm.byte()], &public]);
        let [a, b, c, d, ..] = hash.0;
        Ok(VerifierKey { name: name.to_owned(), id: u32::from_be_bytes([a, b, c, d]), algorithm, public })
    }

    /// Reads `<name>+<id>+<base64 of algorithm and key>`, whose id must be the one the key has.
    ///
    /// # Errors
    /// [`NoteError::MalformedKey`].
    pub fn parse(text: &str) -> Result<VerifierKey, NoteError> {
        let bad = || NoteError::MalformedKey;
        // Base64 has a plus of its own; names and ids do not.
        let (name, rest) = text.split_once('+').ok_or_else(bad)?;
        let (id, key) = rest.split_once('+').ok_or_else(bad)?;
        let key = BASE64.decode(key.as_bytes()).map_err(|_| bad())?;
        let (algorithm, public) = key.split_first().ok_or_else(bad)?;
        let algorithm = Algorithm::of_byte(*algorithm).ok_or_else(bad)?;
        let made = VerifierKey::new(name, algorithm, public.try_into().map_err(|_| bad())?)?;
        if HEXLOWER.encode(&made.id.to_be_bytes()) == id { Ok(made) } else { Err(bad()) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
    /// First four bytes of a hash over name, algorithm and key. Tells keys apart; proves nothing.
    pub const fn id(&self) -> u32 {
        self.id
    }
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether a message that is no note was signed by this key; only keys that sign by themselves do so.
    pub fn signed(&self, message: &[u8], signature: &[u8], with: &dyn Verify) -> bool {
        self.algorithm == Algorithm::Ed25519
            && signature.try_into().is_ok_and(|signature| with.verify(&self.public, message, signature))
    }

    /// Whether a line is under this key: name and id.
    fn owns(&self, line: &SignatureLine) -> bool {
        self.id == line.id && self.name == line.name
    }

    fn accepts(&self, text: &str, line: &SignatureLine, with: &dyn Verify) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => line
                .bytes
                .as_slice()
                .try_into()
                .is_ok_and(|signature| with.verify(&self.public, text.as_bytes(), signature)),
            Algorithm::Cosignature => {
                line.timestamp().zip(line.bytes.get(8..).and_then(|rest| rest.try_into().ok())).is_some_and(
                    |(time, signature)| with.verify(&self.public, cosigned(text, time).as_bytes(), signature),
                )
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.byte()];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, BASE64.encode(&key))
    }
}

/// What a witness signs: that it saw this text as the newest at this time (c2sp.org/tlog-cosignature).
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// One signature of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    pub name: String,
    pub id: u32,
    /// What follows the id: 64 bytes of Ed25519, before which a cosignature has eight bytes of time.
    bytes: Vec<u8>,
}

impl SignatureLine {
    /// Signs a text under a name.
    ///
    /// # Errors
    /// [`NoteError::MalformedKey`] for a name that cannot be one.
    pub fn sign(text: &str, name: &str, with: &dyn Sign) -> Result<SignatureLine, NoteError> {
        let key = VerifierKey::new(name, Algorithm::Ed25519, with.public())?;
        Ok(SignatureLine { name: key.name, id: key.id, bytes: with.sign(text.as_bytes()).to_vec() })
    }

    /// Cosigns a text as a witness does.
    ///
    /// # Errors
    /// [`NoteError::MalformedKey`] for a name that cannot be one.
    pub fn cosign(text: &str, name: &str, seconds: u64, with: &dyn Sign) -> Result<SignatureLine, NoteError> {
        let key = VerifierKey::new(name, Algorithm::Cosignature, with.public())?;
        let mut bytes = seconds.to_be_bytes().to_vec();
        bytes.extend_from_slice(&with.sign(cosigned(text, seconds).as_bytes()));
        Ok(SignatureLine { name: key.name, id: key.id, bytes })
    }

    /// When a witness cosigned, in seconds since 1970; of use only for a line of that kind.
    pub fn timestamp(&self) -> Option<u64> {
        self.bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    }

    fn parse(line: &str) -> Option<SignatureLine> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let signature = BASE64.decode(signature.as_bytes()).ok()?;
        let (id, bytes) = signature.split_first_chunk()?;
        let line =
            SignatureLine { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() };
        (is_name(name) && !bytes.is_empty()).then_some(line)
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{DASH}{} {}", self.name, BASE64.encode(&bytes))
    }
}

/// A text with its signatures. Shown as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Ends with a newline.
    text: String,
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// # Errors
    /// [`NoteError::Malformed`] for a text that cannot be signed: it must end with a newline and have no other control
    /// characters.
    pub fn new(text: impl Into<String>, signatures: Vec<SignatureLine>) -> Result<Note, NoteError> {
        let text = text.into();
        if text.ends_with('\n') && is_plain(&text) {
            Ok(Note { text, signatures })
        } else {
            Err(NoteError::Malformed)
        }
    }

    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Note, NoteError> {
        let bad = || NoteError::Malformed;
        if note.len() > NOTE_BYTES_MAX {
            return Err(bad());
        }
        // The text may have empty lines; the last one parts it from the signatures.
        let (text, lines) = note.rsplit_once("\n\n").ok_or_else(bad)?;
        let lines = lines.strip_suffix('\n').ok_or_else(bad)?;
        let signatures: Option<Vec<SignatureLine>> = lines.split('\n').map(SignatureLine::parse).collect();
        let signatures = signatures.filter(|s| s.len() <= SIGNATURES_MAX).ok_or_else(bad)?;
        Note::new(format!("{text}\n"), signatures)
    }

    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The keys of `known` whose signature the note has. Lines of other keys are passed over.
    ///
    /// # Errors
    /// [`NoteError::WrongSignature`] when one under a known key is not over this text, [`NoteError::NoKnownKey`] when
    /// there is none.
    pub fn verify<'a>(
        &self,
        known: &'a [VerifierKey],
        with: &dyn Verify,
    ) -> Result<Vec<&'a VerifierKey>, NoteError> {
        let mut found = Vec::new();
        for line in &self.signatures {
            for key in known.iter().filter(|key| key.owns(line)) {
                if !key.accepts(&self.text, line, with) {
                    return Err(NoteError::WrongSignature { name: line.name.clone(), id: line.id });
                }
                found.push(key);
            }
        }
        if found.is_empty() { Err(NoteError::NoKnownKey) } else { Ok(found) }
    }
}

/// Whether a text has no control characters but newlines.
fn is_plain(text: &str) -> bool {
    !text.bytes().any(|b| b < 0x20 && b != b'\n')
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
