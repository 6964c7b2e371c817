//! Notes, checkpoints, tiles and proofs, judged by other people's implementations: `signed_note`, `tlog_tiles` and
//! `ct-merkle` must read what is written here and come to the same hashes, and the other way round.

use std::collections::HashMap;

use data_encoding::BASE64;
use domain::checkpoint::{self, Checkpoint};
use domain::digest::Digest;
use domain::id::OrgId;
use domain::merkle::{self, Frontier};
use domain::note::{Algorithm, Note, NoteError, Sign, SignatureLine, VerifierKey, Verify};
use domain::passkey::PublicKey;
use domain::tile::{self, HEIGHT, Plan, Tile, Tiles};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::*;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, TileHashReader, TileReader};

/// Ed25519 by a library that the product does not use.
pub struct Dalek(SigningKey);

impl Dalek {
    pub fn new(seed: u8) -> Dalek {
        Dalek(SigningKey::from_bytes(&[seed; 32]))
    }
    pub fn key(&self, name: &str, algorithm: Algorithm) -> Result<VerifierKey, NoteError> {
        VerifierKey::new(name, algorithm, self.public())
    }
}
impl Sign for Dalek {
    fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}
pub struct Check;
impl Verify for Check {
    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(public).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
        })
    }
    /// In place of keys: a hash of what is signed counts as its signature.
    fn verify_passkey(&self, _: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        signature == Digest::of(message).0
    }
}

/// The note and the key of the tests of golang.org/x/mod/sumdb/note.
const PUBLISHED_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PUBLISHED_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
/// The example of c2sp.org/tlog-cosignature.
const COSIGNED: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

#[test]
fn published_notes_and_keys_are_read_as_they_are_meant() {
    let key = VerifierKey::parse(PUBLISHED_KEY).unwrap();
    assert_eq!((key.name(), key.id()), ("PeterNeumann", 0xc74f_20a3));
    assert_eq!(key.to_string(), PUBLISHED_KEY);
    // The key of the Go checksum database.
    let go = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    assert_eq!(VerifierKey::parse(go).unwrap().to_string(), go);

    let note = Note::parse(PUBLISHED_NOTE).unwrap();
    assert_eq!(note.to_string(), PUBLISHED_NOTE);
    assert_eq!(note.verify(std::slice::from_ref(&key), &Check), Ok(vec![&key]));
    let altered = Note::parse(&PUBLISHED_NOTE.replace("answer", "problem")).unwrap();
    let wrong = NoteError::WrongSignature { name: "PeterNeumann".into(), id: 0xc74f_20a3 };
    assert_eq!(altered.verify(std::slice::from_ref(&key), &Check), Err(wrong));
    assert_eq!(note.verify(&[], &Check), Err(NoteError::NoKnownKey));
}

#[test]
fn the_published_checkpoint_is_read_with_its_cosignature() {
    let (checkpoint, note) = Checkpoint::read(COSIGNED).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), note.text());
    assert_eq!(note.to_string(), COSIGNED);
    assert_eq!(note.signatures[1].timestamp(), Some(1_679_315_147));
    let other = tlog_tiles::Checkpoint::from_bytes(note.text().as_bytes()).unwrap();
    assert_eq!((other.size(), other.hash().0), (checkpoint.size, checkpoint.root.0));
}

#[test]
fn another_implementation_verifies_what_is_signed_here_and_the_other_way_round() {
    let (origin, dalek) = ("loopiq.example.com/log/org_1", Dalek::new(7));
    let text = Checkpoint { origin: origin.into(), size: 3, root: Digest::of(b"root") }.to_string();
    let line = SignatureLine::sign(&text, origin, &dalek).unwrap();
    let mut note = Note::new(text.clone(), vec![line]).unwrap();
    let key = dalek.key(origin, Algorithm::Ed25519).unwrap();

    let theirs = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&key.to_string()).unwrap();
    let (verified, rest) = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), rest.len()), (1, 0));

    let secret = [&[1_u8][..], &[7; 32]].concat();
    let secret = format!("PRIVATE+KEY+{origin}+{:08x}+{}", key.id(), BASE64.encode(&secret));
    let mut theirs = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&StandardSigner::new(&secret).unwrap()]).unwrap();
    let theirs = Note::parse(&String::from_utf8(theirs.to_bytes()).unwrap()).unwrap();
    assert_eq!(theirs, note, "Ed25519 signs the same text to the same bytes");

    // A witness adds its line; each key sees its own.
    let witness = Dalek::new(8);
    note.signatures.push(SignatureLine::cosign(&text, "witness.example", 1_700_000_000, &witness).unwrap());
    let witness = witness.key("witness.example", Algorithm::Cosignature).unwrap();
    let known = [key, witness.clone()];
    assert_eq!(note.verify(&known, &Check).unwrap().len(), 2);
    assert_eq!(VerifierKey::parse(&witness.to_string()), Ok(witness));
    // Another time is another statement.
    let shown = note.signatures[1].to_string();
    let (head, signature) = shown.rsplit_once(' ').unwrap();
    let mut bytes = BASE64.decode(signature.as_bytes()).unwrap();
    bytes[4 + 7] ^= 1;
    let later = note.to_string().replace(&shown, &format!("{head} {}", BASE64.encode(&bytes)));
    let wrong = Note::parse(&later).unwrap().verify(&known, &Check);
    assert!(matches!(wrong, Err(NoteError::WrongSignature { name, .. }) if name == "witness.example"));
}

#[test]
fn what_is_not_a_note_a_key_or_a_checkpoint_is_refused() {
    let long = format!("{}\n\n\u{2014} a AAAAAAA=\n", "a".repeat(70_000));
    for bad in [
        "",
        "\n",
        "text",
        "text\n",
        "text\n\n",
        "text\n\n\u{2014} a b\n",
        "a\rb\n\n\u{2014} a AAAAAAA=\n",
        long.as_str(),
    ] {
        assert_eq!(Note::parse(bad), Err(NoteError::Malformed), "{bad:?}");
    }
    let truncated = PUBLISHED_KEY.strip_suffix('W').unwrap();
    let other_id = PUBLISHED_KEY.replace("c74f20a3", "c74f20a4");
    for bad in
        ["", "a+b", truncated, other_id.as_str(), "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    {
        assert_eq!(VerifierKey::parse(bad), Err(NoteError::MalformedKey), "{bad:?}");
    }
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for bad in [
        "o\n1\n",
        &format!("o\n01\n{root}\n"),
        &format!("o\n-1\n{root}\n"),
        &format!("\n1\n{root}\n"),
        "o\n1\nAAAA\n",
    ] {
        assert_eq!(Checkpoint::parse(bad), Err(NoteError::Malformed), "{bad:?}");
    }
    assert_eq!(Checkpoint::parse(&format!("o\n0\n{root}\nmore\n")).unwrap().size, 0);
}

#[test]
fn the_name_of_a_log_is_a_host_and_an_organization() {
    let id = OrgId::from_uuid(uuid::Uuid::nil());
    for (url, host) in [
        ("https://loopiq.example.com", "loopiq.example.com"),
        ("http://127.0.0.1:8484", "127.0.0.1"),
        ("http://[::1]:8484/below", "[::1]"),
        ("", "localhost"),
    ] {
        let name = checkpoint::origin(url, id);
        assert_eq!(name, format!("{host}/log/{id}"));
        assert!(Dalek::new(1).key(&name, Algorithm::Ed25519).is_ok());
    }
}

/// A log in memory, as tiles.
struct Log {
    leaves: Vec<Digest>,
    /// Hashes by level of tiles.
    levels: Vec<Vec<Digest>>,
    frontier: Frontier,
}

impl Log {
    fn of(size: u64) -> Log {
        let mut log = Log { leaves: Vec::new(), levels: vec![Vec::new(); 4], frontier: Frontier::new() };
        for n in 0..size {
            let leaf = merkle::leaf_hash(&n.to_be_bytes());
            log.leaves.push(leaf);
            log.frontier.append_each(leaf, |part, hash| {
                if part.level % HEIGHT == 0 {
                    let level = &mut log.levels[(part.level / HEIGHT) as usize];
                    assert_eq!(part.index, level.len() as u64);
                    level.push(hash);
                }
            });
        }
        log
    }
    fn tile(&self, tile: Tile) -> Vec<Digest> {
        let positions = tile.positions();
        let level = self.levels.get(tile.level as usize).map(Vec::as_slice).unwrap_or_default();
        level.get(positions.start as usize..positions.end as usize).unwrap_or_default().to_vec()
    }
    fn answer(&self, plan: &Plan) -> Vec<Digest> {
        let mut tiles = Tiles::default();
        for tile in plan.tiles() {
            tiles.insert(tile, self.tile(tile));
            assert!(tiles.has(tile));
        }
        plan.answer(&tiles).unwrap_or_default()
    }
    fn root(&self, size: u64) -> Digest {
        merkle::root(&self.leaves[..size as usize])
    }
}

impl TileReader for Log {
    fn height(&self) -> u8 {
        HEIGHT as u8
    }
    fn read_tiles(&self, wanted: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let ours = |theirs: &tlog_tiles::Tile| Tile {
            level: theirs.level().into(),
            index: theirs.level_index(),
            width: theirs.width() as u16,
        };
        Ok(wanted.iter().map(|theirs| tile::encode_hashes(&self.tile(ours(theirs)))).collect())
    }
    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

fn hashes(theirs: Vec<Hash>) -> Vec<Digest> {
    theirs.into_iter().map(|hash| Digest(hash.0)).collect()
}

#[test]
fn proofs_from_tiles_are_those_of_two_other_implementations() {
    // Around the places where a tile, and a tile of tiles, is full.
    let log = Log::of(65_536 + 300);
    let mut theirs = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    let mut pushed = 0_u64;
    for size in [1, 2, 255, 256, 257, 511, 513, 1_000, 65_535, 65_536, 65_537, 65_836] {
        while pushed < size {
            theirs.push(pushed.to_be_bytes().to_vec());
            pushed += 1;
        }
        let root = log.root(size);
        assert_eq!(theirs.root().as_bytes().as_slice(), &root.0);
        let mut tiles = Tiles::default();
        let head = Plan::head(size);
        head.tiles().into_iter().for_each(|t| tiles.insert(t, log.tile(t)));
        assert_eq!(head.frontier(&tiles).unwrap().root(), root);
        let reader = TileHashReader::new(size, Hash(root.0), &log);
        for index in [0, size / 2, size.saturating_sub(2), size - 1] {
            let proof = log.answer(&Plan::inclusion(index, size).unwrap());
            assert_eq!(
                proof,
                hashes(tlog_tiles::prove_record(size, index, &reader).unwrap()),
                "{index} of {size}"
            );
            let bytes = ct_merkle::InclusionProof::try_from_bytes(tile::encode_hashes(&proof)).unwrap();
            theirs.root().verify_inclusion(&index.to_be_bytes().to_vec(), index, &bytes).unwrap();
            assert!(merkle::verify_inclusion(log.leaves[index as usize], index, size, &proof, root));
        }
        for first in [1, size / 3 + 1, size.saturating_sub(1).max(1), size] {
            let proof = log.answer(&Plan::consistency(first, size).unwrap());
            assert!(
                merkle::verify_consistency(first, size, log.root(first), root, &proof),
                "{first} of {size}"
            );
            assert_eq!(
                proof,
                merkle::consistency_proof(&log.leaves[..size as usize], first as usize).unwrap()
            );
            let old = ct_merkle::RootHash::<sha2::Sha256>::new(log.root(first).0.into(), first);
            let bytes = ct_merkle::ConsistencyProof::try_from_bytes(tile::encode_hashes(&proof)).unwrap();
            theirs.root().verify_consistency(&old, &bytes).unwrap();
        }
    }
    assert_eq!(Plan::inclusion(5, 5), None);
    assert_eq!(Plan::consistency(6, 5), None);
}

#[test]
fn a_tree_has_the_tiles_that_the_specification_counts() {
    // The example of c2sp.org/tlog-tiles.
    let wide = |level, index| Tile::of_tree(70_000, level, index).map(|tile| tile.width);
    assert_eq!([wide(0, 272), wide(0, 273), wide(0, 274)], [Some(256), Some(112), None]);
    assert_eq!([wide(1, 0), wide(1, 1), wide(2, 0), wide(3, 0)], [Some(256), Some(17), Some(1), None]);
    assert_eq!(Tile::of_tree(256, 1, 0).map(|tile| tile.width), Some(1));
    for size in [1, 255, 256, 257, 70_000, 16_777_216] {
        for theirs in tlog_tiles::Tile::new_tiles(8, 0, size) {
            let ours = Tile::of_tree(size, theirs.level().into(), theirs.level_index()).unwrap();
            assert_eq!(u32::from(ours.width), theirs.width());
        }
    }
    assert_eq!(tile::index_path(1_234_067, 256), "x001/x234/067");
    let mut bundle = Vec::new();
    assert!(tile::push_entry(&mut bundle, b"ab") && !tile::push_entry(&mut bundle, &vec![0; 65_536]));
    assert_eq!(bundle, [0, 2, b'a', b'b']);
    for bad in [
        "",
        "0",
        "0/",
        "0/1",
        "0/0001",
        "0/x000/001",
        "00/001",
        "64/001",
        "0/001.p/0",
        "0/001.p/256",
        "0/001.p/01",
        "0/x001/2",
    ] {
        assert_eq!(Tile::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn a_proof_can_be_carried_away_as_text() {
    let (log, dalek, origin) = (Log::of(300), Dalek::new(3), "a.example/log");
    let text = Checkpoint { origin: origin.into(), size: 300, root: log.root(300) }.to_string();
    let note = Note::new(text.clone(), vec![SignatureLine::sign(&text, origin, &dalek).unwrap()]).unwrap();
    for (index, size) in [(299, 300), (0, 300), (0, 1)] {
        let hashes = log.answer(&Plan::inclusion(index, size).unwrap());
        let proof = checkpoint::proof_text(index, &hashes, &note);
        assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nindex "));
        let (read, of, checkpoint, signed) = checkpoint::read_proof(&proof).unwrap();
        assert_eq!((read, of, checkpoint.size, &signed), (index, hashes, 300, &note));
    }
}

proptest! {
    #[test]
    fn tile_paths_are_those_of_another_implementation(level in 0_u8..63, index in 0..1_u64 << 48, width in 1_u16..=256) {
        let path = Tile { level: level.into(), index, width }.to_string();
        let theirs = tlog_tiles::Tile::new(8, level, index, width.into(), false).path();
        prop_assert_eq!(&format!("tile/8/{path}"), &theirs);
        prop_assert_eq!(Tile::parse(&path), Some(Tile { level: level.into(), index, width }));
    }

    #[test]
    fn what_is_read_is_written_the_same(text in "\\PC{0,40}", lines in "[ -~\u{2014}\n/]{0,80}") {
        for note in [text.clone(), format!("{text}\n\n{lines}"), format!("{text}\n\n\u{2014} a AAAAAAA=\n")] {
            if let Ok(read) = Note::parse(&note) {
                prop_assert_eq!(read.to_string(), note);
            }
        }
        if let Some(read) = Tile::parse(&lines) {
            prop_assert_eq!(read.to_string(), lines);
        }
    }

    /// A log that is sealed in any steps has the same hashes as one that is sealed at once, also from its middle.
    #[test]
    fn a_frontier_goes_on_where_it_stopped(first in 0_u64..600, more in 0_u64..600) {
        let (size, leaf) = (first + more, |n: u64| merkle::leaf_hash(&n.to_be_bytes()));
        let (before, whole) = (Log::of(first), Log::of(size));
        let mut tiles = Tiles::default();
        let plan = Plan::head(first);
        plan.tiles().into_iter().for_each(|t| tiles.insert(t, before.tile(t)));
        let mut frontier = plan.frontier(&tiles).ok_or_else(|| TestCaseError::fail("a tile is missing"))?;
        let mut completed = HashMap::new();
        for n in first..size {
            frontier.append_each(leaf(n), |part, hash| { completed.insert(part, hash); });
        }
        prop_assert_eq!(&frontier, &whole.frontier);
        for (part, hash) in completed.into_iter().filter(|(part, _)| part.level == HEIGHT) {
            prop_assert_eq!(whole.levels[1][part.index as usize], hash);
        }
        // What lies around a range is enough to come to the root from the range alone.
        let mut around = Frontier::new();
        let parts = merkle::subtrees(0..first).into_iter().map(|part| (part.level, before.frontier.clone()));
        for ((level, frontier), at) in parts.zip(0..) {
            prop_assert!(around.append_subtree(level, frontier.hashes()[at]));
        }
        (first..size).for_each(|n| around.append(leaf(n)));
        prop_assert_eq!(around.root(), whole.root(size));
        prop_assert_eq!(around.append_subtree(10, leaf(0)), size % 1_024 == 0);
        prop_assert_eq!(tile::decode_hashes(&tile::encode_hashes(&whole.leaves)), Some(whole.leaves));
    }
}
