//! The tree of a log as tiles (c2sp.org/tlog-tiles): 256 neighbouring hashes of one height, eight levels apart. A tile is
//! full or is at the right edge; full ones never change. From tiles every hash, head and proof of RFC 9162 can be had, by
//! reading one tile for each eight levels: [`Plan`] says which ones, [`Tiles`] answers once they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use crate::checkpoint::decimal;
use crate::digest::Digest;
use crate::merkle::{self, Frontier, Subtree};

/// Hashes of a full tile.
pub const WIDTH: u64 = 256;
/// Levels of the tree between a tile and the one above.
pub const HEIGHT: u32 = 8;
/// Bytes of an entry at most: its length is written in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// One tile: `width` hashes from `index * 256` on, each over `256^level` leaves. Shown as the path it is found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    pub level: u32,
    pub index: u64,
    /// 1 to 256.
    pub width: u16,
}

/// Number of hashes a tree of `size` leaves has at a level of tiles.
pub const fn hashes_at(size: u64, level: u32) -> u64 {
    match size.checked_shr(level * HEIGHT) {
        Some(count) => count,
        None => 0,
    }
}

impl Tile {
    /// The tile as a tree of `size` leaves has it; `None` when it has none there.
    pub fn of_tree(size: u64, level: u32, index: u64) -> Option<Tile> {
        let start = index.checked_mul(WIDTH)?;
        let width = hashes_at(size, level).checked_sub(start).filter(|width| *width > 0)?;
        Some(Tile { level, index, width: u16::try_from(width.min(WIDTH)).ok()? })
    }

    /// Positions of its hashes at its level.
    pub fn positions(&self) -> Range<u64> {
        let start = self.index * WIDTH;
        start..start + u64::from(self.width)
    }

    /// Reads `<level>/<index>[.p/<width>]`, an index being `x001/x234/067`.
    pub fn parse(path: &str) -> Option<Tile> {
        let (level, rest) = path.split_once('/')?;
        let level = decimal(level).filter(|level| *level < 64)?;
        let (index, width) = parse_index(rest)?;
        Some(Tile { level: u32::try_from(level).ok()?, index, width })
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, index_path(self.index, self.width))
    }
}

/// `x001/x234/067`, and `.p/5` after it when the tile or bundle is not full.
pub fn index_path(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    if u64::from(width) < WIDTH { format!("{path}.p/{width}") } else { path }
}

/// What [`index_path`] writes: index and width.
pub fn parse_index(path: &str) -> Option<(u64, u16)> {
    let (index, width) = match path.split_once(".p/") {
        Some((index, width)) => (index, decimal(width).filter(|w| (1..WIDTH).contains(w))?),
        None => (path, WIDTH),
    };
    let mut number: u64 = 0;
    let mut parts = index.split('/').peekable();
    while let Some(part) = parts.next() {
        let digits = if parts.peek().is_some() { part.strip_prefix('x')? } else { part };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        number = number.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    let width = u16::try_from(width).ok()?;
    // One path for one tile: no superfluous `x000` in front.
    (index_path(number, width) == path).then_some((number, width))
}

/// The bytes of a tile.
pub fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile's bytes.
pub fn decode_hashes(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (hashes, rest) = bytes.as_chunks();
    rest.is_empty().then(|| hashes.iter().copied().map(Digest).collect())
}

/// Adds an entry to the bytes of a bundle: its length in 16 bits, and itself. False when it is too long for that.
#[must_use]
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// What must be read to answer questions about a tree: ranges of leaves whose roots are wanted, and the tiles in which
/// their subtrees are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    size: u64,
    ranges: Vec<Range<u64>>,
}

impl Plan {
    /// For the head of the first `size` leaves.
    pub fn head(size: u64) -> Plan {
        Plan { size, ranges: merkle::subtrees(0..size).into_iter().map(leaves_of).collect() }
    }

    /// For the roots of some subtrees of the first `size` leaves.
    pub fn subtrees(size: u64, subtrees: &[Subtree]) -> Plan {
        Plan { size, ranges: subtrees.iter().copied().map(leaves_of).collect() }
    }

    /// For the proof that leaf `index` is among the first `size` (RFC 9162, 2.1.3.1); `None` when it is not.
    pub fn inclusion(index: u64, size: u64) -> Option<Plan> {
        if index >= size {
            return None;
        }
        let (mut low, mut high) = (0, size);
        let mut ranges = Vec::new();
        while high - low > 1 {
            let middle = low + left_side(high - low);
            if index < middle {
                ranges.push(middle..high);
                high = middle;
            } else {
                ranges.push(low..middle);
                low = middle;
            }
        }
        ranges.reverse();
        Some(Plan { size, ranges })
    }

    /// For the proof that the first `first` leaves are a prefix of the first `second` (RFC 9162, 2.1.4.1); `None` when
    /// there are more of the former.
    pub fn consistency(first: u64, second: u64) -> Option<Plan> {
        if first > second {
            return None;
        }
        let (mut low, mut high, mut known) = (0, second, true);
        let mut ranges = Vec::new();
        while first > 0 && first < high {
            let middle = low + left_side(high - low);
            if first <= middle {
                ranges.push(middle..high);
                high = middle;
            } else {
                ranges.push(low..middle);
                low = middle;
                known = false;
            }
        }
        if first > 0 && !known {
            ranges.push(low..high);
        }
        ranges.reverse();
        Some(Plan { size: second, ranges })
    }

    /// The tiles that hold the answer, as the tree of the plan's size has them.
    pub fn tiles(&self) -> BTreeSet<Tile> {
        let parts = self.ranges.iter().cloned().flat_map(merkle::subtrees);
        parts.filter_map(|part| Tile::of_tree(self.size, place(part).0, place(part).1)).collect()
    }

    /// One root for each range; `None` when a tile is missing or too short.
    pub fn answer(&self, tiles: &Tiles) -> Option<Vec<Digest>> {
        self.ranges.iter().cloned().map(|range| tiles.root(range)).collect()
    }

    /// The right edge, for a plan made by [`Plan::head`].
    pub fn frontier(&self, tiles: &Tiles) -> Option<Frontier> {
        Frontier::from_parts(self.size, self.answer(tiles)?).ok()
    }
}

/// Leaves on the left side of a tree: the greatest power of two below their number, which is two or more.
const fn left_side(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

const fn leaves_of(part: Subtree) -> Range<u64> {
    part.index << part.level..(part.index + 1) << part.level
}

/// Where a subtree is found: level and index of its tile, first hash within it, and how many hashes it is over.
const fn place(part: Subtree) -> (u32, u64, usize, usize) {
    let (level, within) = (part.level / HEIGHT, part.level % HEIGHT);
    let first = part.index << within;
    (level, first / WIDTH, (first % WIDTH) as usize, 1 << within)
}

/// Tiles that have been read.
#[derive(Debug, Clone, Default)]
pub struct Tiles(BTreeMap<(u32, u64), Vec<Digest>>);

impl Tiles {
    pub fn insert(&mut self, tile: Tile, hashes: Vec<Digest>) {
        self.0.insert((tile.level, tile.index), hashes);
    }

    pub fn has(&self, tile: Tile) -> bool {
        let hashes = self.0.get(&(tile.level, tile.index));
        hashes.is_some_and(|hashes| hashes.len() >= usize::from(tile.width))
    }

    /// Root over a range of leaves that is a node of some tree; `None` when a tile is missing or too short.
    pub fn root(&self, range: Range<u64>) -> Option<Digest> {
        let parts: Option<Vec<Digest>> =
            merkle::subtrees(range).into_iter().map(|part| self.subtree(part)).collect();
        parts?.into_iter().rev().reduce(|right, left| merkle::node_hash(left, right))
    }

    fn subtree(&self, part: Subtree) -> Option<Digest> {
        let (level, index, first, count) = place(part);
        let hashes = self.0.get(&(level, index))?.get(first..first + count)?;
        Some(merkle::root(hashes))
    }
}
