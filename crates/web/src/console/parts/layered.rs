//! Places boxes in columns and leads lines between them: the layered drawing of Sugiyama, in its simplest form. Each
//! column is ordered by the mean place of what its boxes hang on, back and forth, and the order with the fewest crossings
//! is kept; then each column moves as close as it can to what it hangs on, without changing its order. A line over
//! several columns keeps a narrow lane in each column that it passes, so that it runs through no box.
//!
//! Pure, and the same for the same boxes and lines, in whatever order they are handed in.

use std::collections::BTreeSet;

/// What is to be placed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item<'a> {
    /// Columns that nobody stands in take no room.
    pub column: usize,
    /// Stands higher when it is smaller, where nothing else decides.
    pub rank: u8,
    /// Unlike any other's; decides last.
    pub name: &'a str,
}

/// The upper left corner of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub x: i32,
    pub y: i32,
}

/// Where a line goes: from `from` to `to` and straight through the lanes between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it was handed in.
    pub edge: usize,
    /// In pairs, from left to right: where the line leaves something and where it arrives. One pair that leaves and
    /// arrives on the same side is a bow beside one column.
    pub points: Vec<(i32, i32)>,
}

/// A drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// As the items were handed in.
    pub places: Vec<Place>,
    pub lines: Vec<Line>,
    /// Columns that are used, with where they begin.
    pub columns: Vec<(usize, i32)>,
    pub width: i32,
    pub height: i32,
}

pub const BOX_WIDTH: i32 = 163;
pub const BOX_HEIGHT: i32 = 52;
/// Room of a box with what keeps it from the next.
const ROW: i32 = 62;
/// Room of a line that passes a column.
const LANE: i32 = 16;
/// From column to column.
const COLUMN: i32 = 191;
const MARGIN: i32 = 8;
/// Room above the boxes, for the names of the columns.
const TOP: i32 = 34;
/// The boxes of the first columns stay near the top, where the eye starts.
const ROOT_COLUMNS: usize = 2;
const ROOT_TOP_MAX: f64 = 3.0 * ROW as f64;
/// Times that the columns are put in order, and moved, from left to right and back. More changes nothing that is seen.
const ROUNDS: usize = 6;

/// A box or a lane, as the columns know it.
#[derive(Debug, Clone)]
struct Slot {
    column: usize,
    /// The item, unless it is a lane.
    item: Option<usize>,
    /// Middle of its room, once that is known.
    middle: f64,
    left: Vec<usize>,
    right: Vec<usize>,
    /// Boxes of the same column it is tied to.
    beside: Vec<usize>,
}

impl Slot {
    fn room(&self) -> f64 {
        f64::from(if self.item.is_some() { ROW } else { LANE })
    }
}

/// Slots, and the slots of each column from top to bottom.
struct Columns {
    slots: Vec<Slot>,
    columns: Vec<Vec<usize>>,
}

/// Draws items and the edges between them, by their places in the lists. Edges of an item with itself, and to what is not
/// there, are left out; of several between the same two items the first is drawn.
pub fn draw(items: &[Item<'_>], edges: &[(usize, usize)]) -> Drawing {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|i| items.get(*i));
    let mut standing = vec![0; items.len()];
    for (slot, &item) in order.iter().enumerate() {
        if let Some(place) = standing.get_mut(item) {
            *place = slot;
        }
    }
    let used: Vec<usize> = items.iter().map(|i| i.column).collect::<BTreeSet<_>>().into_iter().collect();
    let mut drawn = Columns::of(items, &order, &used);
    let chains = drawn.tie(edges, &standing);
    drawn.put_in_order();
    drawn.move_together(&used);

    let x = |column: usize| MARGIN + i32::try_from(column).unwrap_or(0) * COLUMN;
    let top = drawn.slots.iter().map(|s| s.middle - s.room() / 2.0).fold(f64::MAX, f64::min);
    let middle = |slot: &Slot| TOP + (slot.middle - top).round() as i32;
    let mut places = vec![Place { x: 0, y: 0 }; items.len()];
    for slot in &drawn.slots {
        if let Some(place) = slot.item.and_then(|item| places.get_mut(item)) {
            *place = Place { x: x(slot.column), y: middle(slot) - BOX_HEIGHT / 2 };
        }
    }
    let lines = chains
        .into_iter()
        .map(|(edge, chain)| {
            let slots: Vec<&Slot> = chain.iter().filter_map(|s| drawn.slots.get(*s)).collect();
            let points = slots.windows(2).filter_map(|pair| match pair {
                [a, b] if a.column == b.column => {
                    let side = x(a.column) + BOX_WIDTH;
                    Some([(side, middle(a)), (side, middle(b))])
                }
                [a, b] => Some([(x(a.column) + BOX_WIDTH, middle(a)), (x(b.column), middle(b))]),
                _ => None,
            });
            Line { edge, points: points.flatten().collect() }
        })
        .collect();
    let lowest = drawn.slots.iter().map(|s| middle(s) + s.room() as i32 / 2).max().unwrap_or(TOP);
    Drawing {
        places,
        lines,
        width: x(used.len().saturating_sub(1)) + BOX_WIDTH + MARGIN * 3,
        height: lowest + MARGIN,
        columns: used.iter().enumerate().map(|(column, kind)| (*kind, x(column))).collect(),
    }
}

impl Columns {
    fn of(items: &[Item<'_>], order: &[usize], used: &[usize]) -> Columns {
        let mut columns = vec![Vec::new(); used.len()];
        let mut slots = Vec::with_capacity(order.len());
        for &item in order {
            let kind = items.get(item).map_or(0, |i| i.column);
            let column = used.iter().position(|u| *u == kind).unwrap_or(0);
            if let Some(list) = columns.get_mut(column) {
                list.push(slots.len());
            }
            slots.push(Slot {
                column,
                item: Some(item),
                middle: 0.0,
                left: Vec::new(),
                right: Vec::new(),
                beside: Vec::new(),
            });
        }
        Columns { slots, columns }
    }

    /// Ties slots by edges, with lanes where an edge passes columns. Returns what each edge goes through, from left to
    /// right; `standing` is the slot of each item.
    fn tie(&mut self, edges: &[(usize, usize)], standing: &[usize]) -> Vec<(usize, Vec<usize>)> {
        let column = |drawn: &Columns, slot: usize| drawn.slots.get(slot).map_or(0, |s| s.column);
        let mut wanted: Vec<(usize, usize, usize)> = edges
            .iter()
            .enumerate()
            .filter_map(|(edge, (a, b))| {
                let (a, b) = (*standing.get(*a)?, *standing.get(*b)?);
                let turned = (column(self, a), a) > (column(self, b), b);
                let (left, right) = if turned { (b, a) } else { (a, b) };
                (left != right).then_some((left, right, edge))
            })
            .collect();
        wanted.sort_unstable();
        wanted.dedup_by_key(|(left, right, _)| (*left, *right));
        let mut chains = Vec::with_capacity(wanted.len());
        for (left, right, edge) in wanted {
            let mut chain = vec![left];
            for passed in column(self, left) + 1..column(self, right) {
                let lane = self.slots.len();
                self.slots.push(Slot {
                    column: passed,
                    item: None,
                    middle: 0.0,
                    left: Vec::new(),
                    right: Vec::new(),
                    beside: Vec::new(),
                });
                if let Some(list) = self.columns.get_mut(passed) {
                    list.push(lane);
                }
                chain.push(lane);
            }
            chain.push(right);
            for pair in chain.windows(2) {
                let [a, b] = *pair else { continue };
                let same = column(self, a) == column(self, b);
                if let Some(slot) = self.slots.get_mut(a) {
                    if same { &mut slot.beside } else { &mut slot.right }.push(b);
                }
                if let Some(slot) = self.slots.get_mut(b) {
                    if same { &mut slot.beside } else { &mut slot.left }.push(a);
                }
            }
            chains.push((edge, chain));
        }
        chains
    }

    /// Where each slot stands in its column.
    fn ranks(&self) -> Vec<usize> {
        let mut ranks = vec![0; self.slots.len()];
        for column in &self.columns {
            for (rank, &slot) in column.iter().enumerate() {
                if let Some(place) = ranks.get_mut(slot) {
                    *place = rank;
                }
            }
        }
        ranks
    }

    /// Lines that cross, counted pair by pair: there are few between two columns.
    fn crossings(&self) -> usize {
        let ranks = self.ranks();
        let rank = |slot: usize| ranks.get(slot).copied().unwrap_or(0);
        let mut crossings = 0;
        for column in &self.columns {
            let lines: Vec<(usize, usize)> = column
                .iter()
                .filter_map(|slot| self.slots.get(*slot).map(|s| (rank(*slot), &s.right)))
                .flat_map(|(from, right)| right.iter().map(move |to| (from, rank(*to))))
                .collect();
            for (at, (from, to)) in lines.iter().enumerate() {
                let after = lines.iter().skip(at + 1);
                crossings += after.filter(|(f, t)| (f > from && t < to) || (f < from && t > to)).count();
            }
        }
        crossings
    }

    /// Whether a slot hangs on anything of another column. What does not stands by its fellow in its own.
    fn is_tied(&self, slot: usize) -> bool {
        self.slots.get(slot).is_some_and(|s| !s.left.is_empty() || !s.right.is_empty())
    }

    /// Orders the columns by barycentres, back and forth, and keeps the best order that was seen.
    fn put_in_order(&mut self) {
        let (mut best, mut fewest) = (self.columns.clone(), self.crossings());
        for round in 0..ROUNDS * 2 {
            if fewest == 0 {
                break;
            }
            let rightwards = round % 2 == 0;
            for step in 0..self.columns.len() {
                let at = if rightwards { step } else { self.columns.len() - 1 - step };
                let ranks = self.ranks();
                let rank = |slot: &usize| ranks.get(*slot).copied().unwrap_or(0) as f64;
                let mean = |near: &[usize]| {
                    (!near.is_empty()).then(|| near.iter().map(rank).sum::<f64>() / near.len() as f64)
                };
                let wish = |slot: &usize| {
                    let found = self.slots.get(*slot);
                    let found = found.and_then(|s| mean(if rightwards { &s.left } else { &s.right }));
                    found.unwrap_or_else(|| rank(slot))
                };
                let Some(column) = self.columns.get(at) else { continue };
                let (tied, loose): (Vec<usize>, Vec<usize>) = column.iter().partition(|s| self.is_tied(**s));
                let mut wishes: Vec<(f64, usize)> = tied.into_iter().map(|s| (wish(&s), s)).collect();
                wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut ordered: Vec<usize> = wishes.into_iter().map(|(_, slot)| slot).collect();
                for slot in loose {
                    let beside = self.slots.get(slot).map(|s| s.beside.as_slice()).unwrap_or_default();
                    let fellow = ordered.iter().position(|other| beside.contains(other));
                    let place = fellow.map(|at| if ordered.get(at) < Some(&slot) { at + 1 } else { at });
                    ordered.insert(place.unwrap_or(ordered.len()), slot);
                }
                if let Some(column) = self.columns.get_mut(at) {
                    *column = ordered;
                }
            }
            let crossings = self.crossings();
            if crossings < fewest {
                (best, fewest) = (self.columns.clone(), crossings);
            }
        }
        self.columns = best;
    }

    /// Moves the slots of each column, in their order, as close as possible to what they hang on; the first columns at
    /// last, because they are held near the top of the others.
    fn move_together(&mut self, used: &[usize]) {
        let last = self.columns.len();
        for column in 0..last {
            self.settle(column, |_, _| (0.0, 1.0));
        }
        for round in 0..ROUNDS {
            for step in 0..last {
                let column = if round % 2 == 0 { step } else { last - 1 - step };
                self.settle(column, wish);
            }
        }
        let top = self.slots.iter().map(|s| s.middle).fold(f64::MAX, f64::min);
        let roots = used.iter().filter(|kind| **kind < ROOT_COLUMNS).count();
        for column in (0..roots).rev() {
            self.settle(column, |slots, slot| {
                let (middle, weight) = wish(slots, slot);
                (middle.min(top + ROOT_TOP_MAX), weight)
            });
        }
    }

    /// Gives the slots of one column the middles nearest to their wishes that keep their order and their room: the
    /// least squares under an order, by putting together neighbours that want past each other.
    fn settle(&mut self, column: usize, wish: impl Fn(&[Slot], &Slot) -> (f64, f64)) {
        let Some(column) = self.columns.get(column) else { return };
        // What a slot wants is told as the shift of the whole column that would give it, so that only order is left.
        let mut blocks: Vec<Block> = Vec::new();
        let mut offsets = Vec::with_capacity(column.len());
        let mut filled = 0.0;
        for slot in column.iter().filter_map(|s| self.slots.get(*s)) {
            let offset = filled + slot.room() / 2.0;
            filled += slot.room();
            offsets.push(offset);
            let (middle, weight) = wish(&self.slots, slot);
            let mut block = Block { shift: middle - offset, weight, slots: 1 };
            while let Some(above) = blocks.pop_if(|above| above.shift > block.shift) {
                let weight = above.weight + block.weight;
                block.shift = (above.shift * above.weight + block.shift * block.weight) / weight;
                block.weight = weight;
                block.slots += above.slots;
            }
            blocks.push(block);
        }
        let shifts = blocks.into_iter().flat_map(|b| std::iter::repeat_n(b.shift.round(), b.slots));
        for ((slot, offset), shift) in column.iter().zip(offsets).zip(shifts) {
            if let Some(slot) = self.slots.get_mut(*slot) {
                slot.middle = offset + shift;
            }
        }
    }
}

/// Neighbours that stand close together because they want past each other.
struct Block {
    shift: f64,
    weight: f64,
    slots: usize,
}

/// How much a slot's wish counts that hangs on nothing of another column: it comes along.
const LOOSE_WEIGHT: f64 = 0.01;

/// The mean of what a slot hangs on, which is where it would like to be, and how much that counts.
fn wish(slots: &[Slot], slot: &Slot) -> (f64, f64) {
    let mean = |near: &mut dyn Iterator<Item = &usize>| {
        let near: Vec<f64> = near.filter_map(|near| slots.get(*near).map(|s| s.middle)).collect();
        (!near.is_empty()).then(|| near.iter().sum::<f64>() / near.len() as f64)
    };
    match mean(&mut slot.left.iter().chain(&slot.right)) {
        Some(mean) => (mean, 1.0),
        None => (mean(&mut slot.beside.iter()).unwrap_or(slot.middle), LOOSE_WEIGHT),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    type Made = (Vec<(usize, u8)>, Vec<(usize, usize)>);

    fn any_graph() -> impl Strategy<Value = Made> {
        let items = prop::collection::vec((0_usize..6, 0_u8..3), 1..80);
        let edges = prop::collection::vec((any::<Index>(), any::<Index>()), 0..120);
        (items, edges).prop_map(|(items, edges)| {
            let many = items.len();
            let edges = edges.into_iter().map(|(a, b)| (a.index(many), b.index(many))).collect();
            (items, edges)
        })
    }

    fn named(items: &[(usize, u8)]) -> Vec<(usize, u8, String)> {
        items.iter().enumerate().map(|(n, (column, rank))| (*column, *rank, format!("n{n:03}"))).collect()
    }

    fn items(named: &[(usize, u8, String)]) -> Vec<Item<'_>> {
        named.iter().map(|(column, rank, name)| Item { column: *column, rank: *rank, name }).collect()
    }

    proptest! {
        #[test]
        fn no_two_boxes_overlap_and_every_line_joins_its_boxes((made, edges) in any_graph()) {
            let named = named(&made);
            let drawing = draw(&items(&named), &edges);
            let places = &drawing.places;
            for (at, a) in places.iter().enumerate() {
                prop_assert!(a.x >= 0 && a.x + BOX_WIDTH <= drawing.width);
                prop_assert!(a.y >= TOP && a.y + BOX_HEIGHT <= drawing.height);
                for b in places.iter().skip(at + 1) {
                    let apart = (a.x - b.x).abs() >= BOX_WIDTH || (a.y - b.y).abs() >= BOX_HEIGHT;
                    prop_assert!(apart, "{a:?} {b:?}");
                }
            }
            let wanted: BTreeSet<(usize, usize)> =
                edges.iter().filter(|(a, b)| a != b).map(|(a, b)| (*a.min(b), *a.max(b))).collect();
            let found: BTreeSet<(usize, usize)> = drawing
                .lines
                .iter()
                .map(|line| edges[line.edge])
                .map(|(a, b)| (a.min(b), a.max(b)))
                .collect();
            prop_assert_eq!(&found, &wanted);
            prop_assert_eq!(drawing.lines.len(), wanted.len());
            for line in &drawing.lines {
                let (a, b) = edges[line.edge];
                let mut ends = [places[a], places[b]];
                ends.sort_by_key(|p| p.x);
                let middle = |p: Place| p.y + BOX_HEIGHT / 2;
                let (first, last) = (line.points[0], line.points[line.points.len() - 1]);
                if ends[0].x == ends[1].x {
                    let heights = BTreeSet::from([first.1, last.1]);
                    prop_assert_eq!(heights, BTreeSet::from(ends.map(middle)));
                    prop_assert!(first.0 == ends[0].x + BOX_WIDTH && last.0 == first.0);
                    continue;
                }
                prop_assert_eq!(first, (ends[0].x + BOX_WIDTH, middle(ends[0])));
                prop_assert_eq!(last, (ends[1].x, middle(ends[1])));
                // Where it passes a column, it passes between the boxes.
                for lane in line.points[1..line.points.len() - 1].chunks(2) {
                    let (from, to) = (lane[0], lane[1]);
                    prop_assert_eq!(from.1, to.1);
                    for p in places.iter().filter(|p| p.x == from.0) {
                        prop_assert!(from.1 < p.y || from.1 > p.y + BOX_HEIGHT, "{line:?} runs through {p:?}");
                    }
                }
            }
        }

        #[test]
        fn the_order_they_come_in_changes_nothing((made, edges) in any_graph(), turn in any::<Index>()) {
            let straight = named(&made);
            let drawing = draw(&items(&straight), &edges);
            let by = turn.index(made.len());
            let mut turned = straight.clone();
            turned.rotate_left(by);
            turned.reverse();
            let moved = |n: usize| turned.iter().position(|t| t.2 == straight[n].2).unwrap();
            let mut again: Vec<(usize, usize)> = edges.iter().map(|(a, b)| (moved(*b), moved(*a))).collect();
            again.reverse();
            let other = draw(&items(&turned), &again);
            for (n, place) in drawing.places.iter().enumerate() {
                prop_assert_eq!(place, &other.places[moved(n)]);
            }
            let points = |d: &Drawing| d.lines.iter().map(|l| l.points.clone()).collect::<Vec<_>>();
            prop_assert_eq!(points(&drawing), points(&other));
            prop_assert_eq!((drawing.width, drawing.height), (other.width, other.height));
        }
    }

    #[test]
    fn what_belongs_together_stands_together_and_nothing_crosses() {
        let mut made = vec![(0, 0), (1, 0)];
        let mut edges = vec![(1, 0)];
        for n in 0..20 {
            made.extend([(2, 0), (3, 0)]);
            edges.push((1, 2 + 2 * n));
            // Each piece of evidence is for a control far from its own place.
            edges.push((3 + 2 * n, 2 + 2 * (19 - n)));
        }
        let named = named(&made);
        let drawing = draw(&items(&named), &edges);
        assert_eq!(drawing.places[3].y, drawing.places[2 + 2 * 19].y, "evidence stands beside its control");
        let top = drawing.places.iter().map(|p| p.y).min().unwrap();
        assert!(f64::from(drawing.places[0].y - top) <= ROOT_TOP_MAX, "the release stays near the top");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let drawing = draw(&[], &[(0, 1)]);
        assert!(drawing.places.is_empty() && drawing.lines.is_empty() && drawing.height > 0);
    }
}
