//! Opaque page cursors: the store's position, sealed so that a client can neither read meaning into it nor forge
//! it, and bound to organization, tool and filters, so that it cannot be carried to another list.

use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use domain::id::OrgId;
use domain::refusal::Refusal;

const TAG_BYTES: usize = 16;

/// Seals and opens cursors with a key that all processes on one storage share.
pub struct Cursors {
    key: [u8; 32],
}

impl Cursors {
    pub fn new(key: [u8; 32]) -> Cursors {
        Cursors { key }
    }

    fn tag(&self, organization: OrgId, list: &str, position: &[u8]) -> Digest {
        // Keyed hash with a fixed-length prefix and length-delimited parts; SHA-256 over key‖…‖key resists the
        // length extension that a bare prefix would allow.
        let length = (list.len() as u64).to_be_bytes();
        Digest::of_parts(&[
            &self.key,
            organization.uuid().as_bytes(),
            &length,
            list.as_bytes(),
            position,
            &self.key,
        ])
    }

    /// `list` names the tool and a digest of its filters.
    pub fn seal(&self, organization: OrgId, list: &str, position: &str) -> String {
        let tag = self.tag(organization, list, position.as_bytes());
        let mut bytes = tag.0.get(..TAG_BYTES).unwrap_or_default().to_vec();
        bytes.extend_from_slice(position.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// # Errors
    /// `validation_failed` for anything that was not sealed for this list.
    pub fn open(&self, organization: OrgId, list: &str, cursor: &str) -> Result<String, Refusal> {
        let bad =
            || Refusal::invalid("cursor", "must be the nextCursor of an earlier page of this same list");
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| bad())?;
        let (tag, position) = bytes.split_at_checked(TAG_BYTES).ok_or_else(bad)?;
        let expected = self.tag(organization, list, position);
        if expected.0.get(..TAG_BYTES) != Some(tag) {
            return Err(bad());
        }
        String::from_utf8(position.to_vec()).map_err(|_| bad())
    }
}
