//! Merkle tree hashing of RFC 9162, section 2.1: leaf and node hashes, tree head, inclusion and consistency
//! proofs. Leaves are given as their hashes; nothing here knows what a leaf says or where it is kept.
//!
//! A log that only grows needs no leaves to go on: a [`Frontier`] keeps one hash per complete subtree, at most 64.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Hash of a leaf: `SHA-256(0x00 || bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0x00], bytes])
}

/// As [`leaf_hash`], of a leaf that lies in three parts.
pub fn leaf_hash_of([first, second, third]: [&[u8]; 3]) -> Digest {
    Digest::of_parts(&[&[0x00], first, second, third])
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: Digest, right: Digest) -> Digest {
    Digest::of_parts(&[&[0x01], &left.0, &right.0])
}

/// Root of the tree without leaves: SHA-256 of the empty string.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// Root over leaf hashes (RFC 9162, 2.1.1).
pub fn root(leaves: &[Digest]) -> Digest {
    leaves.iter().copied().collect::<Frontier>().root()
}

/// A complete subtree: the `2^level` leaves from `index * 2^level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subtree {
    pub level: u32,
    pub index: u64,
}

/// The greatest complete subtrees that together are the leaves of a range, from left to right.
pub fn subtrees(range: Range<u64>) -> Vec<Subtree> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let level = at.trailing_zeros().min((range.end - at).ilog2());
        found.push(Subtree { level, index: at >> level });
        at += 1 << level;
    }
    found
}

/// The right edge of a growing tree (a compact range from leaf 0): enough to append and to say the root.
///
/// INVARIANT: there is one hash per set bit of the size, the greatest subtree first. Reading one back checks it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "StoredFrontier")]
pub struct Frontier {
    size: u64,
    hashes: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFrontier {
    size: u64,
    hashes: Vec<Digest>,
}

/// A stored frontier whose number of hashes does not belong to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frontier has {hashes} hashes, which is wrong for {size} leaves")]
pub struct FrontierError {
    pub size: u64,
    pub hashes: usize,
}

impl TryFrom<StoredFrontier> for Frontier {
    type Error = FrontierError;
    fn try_from(stored: StoredFrontier) -> Result<Frontier, FrontierError> {
        Frontier::from_parts(stored.size, stored.hashes)
    }
}

impl Frontier {
    pub fn new() -> Frontier {
        Frontier::default()
    }

    /// A frontier from what [`Frontier::size`] and [`Frontier::hashes`] gave.
    ///
    /// # Errors
    /// When the number of hashes does not belong to the size.
    pub fn from_parts(size: u64, hashes: Vec<Digest>) -> Result<Frontier, FrontierError> {
        if hashes.len() == size.count_ones() as usize {
            Ok(Frontier { size, hashes })
        } else {
            Err(FrontierError { size, hashes: hashes.len() })
        }
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, the greatest first.
    pub fn hashes(&self) -> &[Digest] {
        &self.hashes
    }

    /// Adds one leaf by its hash.
    pub fn append(&mut self, leaf: Digest) {
        self.append_each(leaf, |_, _| {});
    }

    /// Adds one leaf, and tells the subtrees that it completes, the smallest (the leaf itself) first.
    pub fn append_each(&mut self, leaf: Digest, completed: impl FnMut(Subtree, Digest)) {
        self.grow(0, leaf, completed);
    }

    /// Adds a complete subtree by its root. False, and nothing is added, where a subtree of this size cannot begin.
    pub fn append_subtree(&mut self, level: u32, root: Digest) -> bool {
        let fits = level < u64::BITS && self.size.trailing_zeros() >= level;
        if fits {
            self.grow(level, root, |_, _| {});
        }
        fits
    }

    fn grow(&mut self, level: u32, root: Digest, mut completed: impl FnMut(Subtree, Digest)) {
        let (mut at, mut hash) = (Subtree { level, index: self.size >> level }, root);
        completed(at, hash);
        for _ in 0..(self.size >> level).trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(left, hash);
            }
            at = Subtree { level: at.level + 1, index: at.index >> 1 };
            completed(at, hash);
        }
        self.hashes.push(hash);
        self.size += 1 << level;
    }

    /// Root of the tree with the leaves so far.
    pub fn root(&self) -> Digest {
        self.hashes
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(left, right))
            .unwrap_or_else(empty_root)
    }
}

impl FromIterator<Digest> for Frontier {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Frontier {
        let mut frontier = Frontier::new();
        for leaf in leaves {
            frontier.append(leaf);
        }
        frontier
    }
}

/// Both sides of a tree of two or more leaves: the left one has the greatest power of two below their number.
fn split(leaves: &[Digest]) -> Option<(&[Digest], &[Digest])> {
    if leaves.len() < 2 {
        return None;
    }
    leaves.split_at_checked(leaves.len().next_power_of_two() / 2)
}

/// Proof that the leaf at `index` (from 0) is in the tree (RFC 9162, 2.1.3.1), the lowest sibling first. `None`
/// when there is no such leaf.
pub fn inclusion_proof(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    let mut proof = Vec::new();
    let (mut rest, mut at) = (leaves, index);
    while let Some((left, right)) = split(rest) {
        if at < left.len() {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            at -= left.len();
            rest = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that `leaf` (a leaf hash) is at `index` in the tree of `size` leaves with `root`
/// (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: Digest, index: u64, size: u64, proof: &[Digest], root: Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(*sibling, hash);
            climb_to_right_child(&mut node, &mut last);
        } else {
            hash = node_hash(hash, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Climbs where a node on the right edge has no sibling, until it is a right child or at the left edge.
fn climb_to_right_child(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

/// Proof that the tree of the first `first` leaves is a prefix of the tree of all of them (RFC 9162, 2.1.4.1).
/// Empty when `first` is 0 or all leaves; `None` when there are fewer leaves than that.
pub fn consistency_proof(leaves: &[Digest], first: usize) -> Option<Vec<Digest>> {
    if first > leaves.len() {
        return None;
    }
    if first == 0 {
        return Some(Vec::new());
    }
    let mut proof = Vec::new();
    let (mut rest, mut wanted, mut known) = (leaves, first, true);
    while wanted < rest.len() {
        let Some((left, right)) = split(rest) else { break };
        if wanted <= left.len() {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            wanted -= left.len();
            rest = right;
            known = false;
        }
    }
    if !known {
        proof.push(root(rest));
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that the tree of `first` leaves with `first_root` is a prefix of the tree of `second`
/// leaves with `second_root` (RFC 9162, 2.1.4.2). The empty tree is a prefix of every tree.
pub fn verify_consistency(
    first: u64,
    second: u64,
    first_root: Digest,
    second_root: Digest,
    proof: &[Digest],
) -> bool {
    if first > second {
        return false;
    }
    if first == second {
        return proof.is_empty() && first_root == second_root && (first != 0 || first_root == empty_root());
    }
    if first == 0 {
        return proof.is_empty() && first_root == empty_root();
    }
    // A complete first tree is itself the first node of the path, and is left out of the proof.
    let complete = first.is_power_of_two().then_some(first_root);
    let mut path = complete.into_iter().chain(proof.iter().copied());
    let Some(start) = path.next() else { return false };
    let (mut node, mut last) = (first - 1, second - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (start, start);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, old);
            new = node_hash(sibling, new);
            climb_to_right_child(&mut node, &mut last);
        } else {
            new = node_hash(new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == first_root && new == second_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Inputs and roots of the classic certificate transparency test tree, by size.
    const LEAVES: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn known_leaves() -> Vec<Digest> {
        LEAVES.iter().map(|bytes| leaf_hash(bytes)).collect()
    }

    fn hex(proof: Option<Vec<Digest>>) -> Option<Vec<String>> {
        proof.map(|hashes| hashes.iter().map(ToString::to_string).collect())
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn leaves_strategy() -> impl Strategy<Value = Vec<Digest>> {
        prop::collection::vec(any::<[u8; 4]>().prop_map(|bytes| leaf_hash(&bytes)), 1..70)
    }

    /// The definition of RFC 9162 2.1.1, written down once more.
    fn root_by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => *one,
            more => {
                let mut k = 1;
                while k * 2 < more.len() {
                    k *= 2;
                }
                let (left, right) = more.split_at(k);
                node_hash(root_by_definition(left), root_by_definition(right))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_known_tree() {
        let leaves = known_leaves();
        for (size, wanted) in ROOTS.iter().enumerate() {
            let some: Vec<Digest> = leaves.iter().take(size).copied().collect();
            assert_eq!(root(&some).to_string(), *wanted, "size {size}");
        }
    }

    #[test]
    fn inclusion_proofs_are_those_of_the_known_tree() {
        let leaves = known_leaves();
        assert_eq!(
            hex(inclusion_proof(&leaves, 0)),
            Some(strings(&[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]))
        );
        assert_eq!(
            hex(inclusion_proof(&leaves, 5)),
            Some(strings(&[
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]))
        );
        assert_eq!(inclusion_proof(&leaves, 8), None);
        assert_eq!(inclusion_proof(&[], 0), None);
    }

    #[test]
    fn consistency_proofs_are_those_of_the_known_tree() {
        let leaves = known_leaves();
        assert_eq!(
            hex(consistency_proof(&leaves, 1)),
            Some(strings(&[
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]))
        );
        assert_eq!(
            hex(consistency_proof(&leaves, 6)),
            Some(strings(&[
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]))
        );
        let five: Vec<Digest> = leaves.iter().take(5).copied().collect();
        assert_eq!(
            hex(consistency_proof(&five, 2)),
            Some(strings(&[
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]))
        );
        assert_eq!(consistency_proof(&leaves, 9), None);
        assert_eq!(consistency_proof(&leaves, 8), Some(Vec::new()));
    }

    #[test]
    fn every_small_tree_proves_every_leaf_and_every_prefix() {
        for size in 0..=33_u64 {
            let leaves: Vec<Digest> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let whole = root(&leaves);
            assert_eq!(whole, root_by_definition(&leaves));
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = inclusion_proof(&leaves, index);
                let index = index as u64;
                assert!(proof.is_some_and(|p| verify_inclusion(*leaf, index, size, &p, whole)));
            }
            for first in 0..=size {
                let prefix: Vec<Digest> = leaves.iter().take(first as usize).copied().collect();
                let proof = consistency_proof(&leaves, first as usize);
                let before = root(&prefix);
                assert!(
                    proof.is_some_and(|p| verify_consistency(first, size, before, whole, &p)),
                    "{first} of {size}"
                );
            }
        }
    }

    #[test]
    fn a_leaf_is_not_a_node() {
        let (left, right) = (leaf_hash(b"l"), leaf_hash(b"r"));
        let mut bytes = left.0.to_vec();
        bytes.extend(right.0);
        assert_ne!(leaf_hash(&bytes), node_hash(left, right));
    }

    #[test]
    fn a_frontier_of_the_wrong_length_is_refused() {
        let text = serde_json::json!({ "size": 3, "hashes": [empty_root()] });
        assert!(serde_json::from_value::<Frontier>(text).is_err());
        assert!(Frontier::from_parts(u64::MAX, vec![empty_root(); 64]).is_ok());
    }

    proptest! {
        #[test]
        fn a_frontier_agrees_with_the_definition_and_survives_storage(leaves in leaves_strategy(), cut in 0_usize..70) {
            let mut frontier: Frontier = leaves.iter().take(cut).copied().collect();
            let text = serde_json::to_string(&frontier)?;
            frontier = serde_json::from_str(&text)?;
            for leaf in leaves.iter().skip(cut) {
                frontier.append(*leaf);
            }
            prop_assert_eq!(frontier.size(), leaves.len() as u64);
            prop_assert_eq!(frontier.root(), root_by_definition(&leaves));
        }

        #[test]
        fn an_altered_inclusion_proof_fails(leaves in leaves_strategy(), at in any::<prop::sample::Index>(), bit in 0_usize..256, which in any::<prop::sample::Index>()) {
            let index = at.index(leaves.len());
            let size = leaves.len() as u64;
            let whole = root(&leaves);
            let leaf = leaves.get(index).copied().unwrap_or_else(empty_root);
            let proof = inclusion_proof(&leaves, index).unwrap_or_default();
            let index = index as u64;
            prop_assert!(verify_inclusion(leaf, index, size, &proof, whole));
            let flip = |digest: Digest| {
                let mut bytes = digest.0;
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                Digest(bytes)
            };
            prop_assert!(!verify_inclusion(flip(leaf), index, size, &proof, whole));
            prop_assert!(!verify_inclusion(leaf, index, size, &proof, flip(whole)));
            prop_assert!(!verify_inclusion(leaf, size, size, &proof, whole));
            let mut longer = proof.clone();
            longer.push(whole);
            prop_assert!(!verify_inclusion(leaf, index, size, &longer, whole));
            if !proof.is_empty() {
                let mut altered = proof.clone();
                let place = which.index(altered.len());
                if let Some(hash) = altered.get_mut(place) {
                    *hash = flip(*hash);
                }
                prop_assert!(!verify_inclusion(leaf, index, size, &altered, whole));
                let shorter: Vec<Digest> = proof.iter().skip(1).copied().collect();
                prop_assert!(!verify_inclusion(leaf, index, size, &shorter, whole));
            }
        }

        #[test]
        fn a_rewritten_prefix_is_not_consistent(leaves in leaves_strategy(), cut in any::<prop::sample::Index>(), place in any::<prop::sample::Index>()) {
            let first = cut.index(leaves.len()) + 1;
            let mut rewritten: Vec<Digest> = leaves.iter().take(first).copied().collect();
            let place = place.index(first);
            if let Some(leaf) = rewritten.get_mut(place) {
                *leaf = leaf_hash(b"something else entirely");
            }
            let proof = consistency_proof(&leaves, first).unwrap_or_default();
            let (first, size) = (first as u64, leaves.len() as u64);
            prop_assert!(!verify_consistency(first, size, root(&rewritten), root(&leaves), &proof));
            prop_assert!(!verify_consistency(size + 1, size, root(&leaves), root(&leaves), &proof));
        }

        #[test]
        fn foreign_proofs_never_verify(size in 0_u64..200, index in 0_u64..200, first in 0_u64..200, proof in prop::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..10)) {
            let (leaf, whole) = (leaf_hash(b"leaf"), leaf_hash(b"root"));
            prop_assert!(!verify_inclusion(leaf, index, size, &proof, whole));
            prop_assert!(!verify_consistency(first, size, leaf, whole, &proof));
        }
    }
}
