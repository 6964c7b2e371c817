//! What a log signs about itself, in the forms of C2SP: the tree head (c2sp.org/tlog-checkpoint), and the proof that one
//! record is under it (c2sp.org/tlog-proof).

use std::fmt;

use data_encoding::BASE64;

use crate::digest::Digest;
use crate::id::OrgId;
use crate::note::{Note, NoteError};

/// A tree head: the first `size` records of the log `origin` hash to `root`. Shown as the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, and of its key.
    pub origin: String,
    pub size: u64,
    pub root: Digest,
}

impl Checkpoint {
    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`]. Lines after the third are allowed and passed over.
    pub fn parse(text: &str) -> Result<Checkpoint, NoteError> {
        let bad = || NoteError::Malformed;
        let body = text.strip_suffix('\n').ok_or_else(bad)?;
        let mut lines = body.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let (origin, size, root) = next()
            .zip(next())
            .zip(next())
            .map(|((origin, size), root)| (origin, size, root))
            .ok_or_else(bad)?;
        if lines.any(str::is_empty) {
            return Err(bad());
        }
        let root = BASE64.decode(root.as_bytes()).map_err(|_| bad())?;
        Ok(Checkpoint {
            origin: origin.to_owned(),
            size: decimal(size).ok_or_else(bad)?,
            root: Digest(root.try_into().map_err(|_| bad())?),
        })
    }

    /// Reads a whole signed checkpoint; whether the signatures are right is another question.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn read(note: &str) -> Result<(Checkpoint, Note), NoteError> {
        let note = Note::parse(note)?;
        Ok((Checkpoint::parse(note.text())?, note))
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root.0))
    }
}

/// A decimal number without leading zeroes.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// The name of an organization's log: the server's host, without scheme and port, and the organization. It is decided
/// once, when the log gets its first key, and stays when the host changes.
pub fn origin(public_url: &str, organization: OrgId) -> String {
    let authority = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let host: String = host.chars().filter(|c| c.is_ascii_graphic() && *c != '+').collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    format!("{host}/log/{organization}")
}

/// The proof that the record at `index` is under a signed checkpoint, as text that other tools read.
pub fn proof_text(index: u64, hashes: &[Digest], checkpoint: &Note) -> String {
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {index}\n");
    for hash in hashes {
        text.push_str(&BASE64.encode(&hash.0));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&checkpoint.to_string());
    text
}

/// What [`proof_text`] says: index, hashes, and the checkpoint.
///
/// # Errors
/// [`NoteError::Malformed`].
pub fn read_proof(text: &str) -> Result<(u64, Vec<Digest>, Checkpoint, Note), NoteError> {
    let bad = || NoteError::Malformed;
    let (head, note) = text.split_once("\n\n").ok_or_else(bad)?;
    let mut lines = head.split('\n');
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err(bad());
    }
    let mut lines = lines.skip_while(|line| line.starts_with("extra "));
    let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
    let hash = |line: &str| Some(Digest(BASE64.decode(line.as_bytes()).ok()?.try_into().ok()?));
    let hashes: Option<Vec<Digest>> = lines.map(hash).collect();
    let (checkpoint, note) = Checkpoint::read(note)?;
    Ok((index.ok_or_else(bad)?, hashes.ok_or_else(bad)?, checkpoint, note))
}
