//! Merkle tree hashing of RFC 9162, section 2.1: leaf and node hashes, tree head, inclusion and consistency
//! proofs.

use crate::digest::Digest;

/// Hash of a leaf: `SHA-256(0x00 || bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0x00], bytes])
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: Digest, right: Digest) -> Digest {
    Digest::of_parts(&[&[0x01], &left.0, &right.0])
}
