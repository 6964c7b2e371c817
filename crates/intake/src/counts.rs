//! Counts by name. The names a reader gives are fixed; words of the document that become part of a name are cleaned,
//! cut, and bounded in number, so that a hostile document cannot fill the map with names of its own.

use std::collections::{BTreeMap, HashMap};

use crate::limits::WORDS_MAX;
use crate::text;

/// What stands for a member that is missing, as in `results_by_explicit_level.(absent)`.
pub const ABSENT: &str = "(absent)";
const OTHER: &str = "(other)";

#[derive(Debug, Default)]
pub struct Counts {
    all: BTreeMap<String, i64>,
    words_by_group: HashMap<&'static str, usize>,
}

impl Counts {
    /// Counts that start at zero, so that a reader of the report can tell "none" from "not counted".
    pub fn starting_with(names: &[&str]) -> Counts {
        let all = names.iter().map(|name| ((*name).to_owned(), 0)).collect();
        Counts { all, words_by_group: HashMap::new() }
    }

    pub fn add(&mut self, name: &str, amount: i64) {
        match self.all.get_mut(name) {
            Some(total) => *total = total.saturating_add(amount),
            None => {
                self.all.insert(name.to_owned(), amount);
            }
        }
    }

    pub fn one(&mut self, name: &str) {
        self.add(name, 1);
    }

    pub fn one_if(&mut self, condition: bool, name: &str) {
        self.add(name, i64::from(condition));
    }

    pub fn add_length(&mut self, name: &str, length: usize) {
        self.add(name, i64::try_from(length).unwrap_or(i64::MAX));
    }

    pub fn set(&mut self, name: &str, value: i64) {
        self.all.insert(name.to_owned(), value);
    }

    /// One more under a word of the document.
    pub fn one_by_word(&mut self, group: &'static str, word: &str) {
        let name = format!("{group}.{}", text::word(word));
        if self.all.contains_key(&name) {
            return self.one(&name);
        }
        let words = self.words_by_group.entry(group).or_insert(0);
        if *words >= WORDS_MAX {
            return self.one(&format!("{group}.{OTHER}"));
        }
        *words += 1;
        self.one(&name);
    }

    pub fn find(&self, name: &str) -> Option<i64> {
        self.all.get(name).copied()
    }

    pub fn get(&self, name: &str) -> i64 {
        self.find(name).unwrap_or(0)
    }

    /// The counts of `table` under the names that controls ask for.
    pub fn metrics(&self, table: &[(&'static str, &str)]) -> BTreeMap<&'static str, i64> {
        table.iter().map(|(metric, name)| (*metric, self.get(name))).collect()
    }

    pub fn into_map(self) -> BTreeMap<String, i64> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_document_cannot_fill_the_map() {
        let mut counts = Counts::default();
        for number in 0..10_000 {
            counts.one_by_word("kinds", &format!("kind {number} {}", "x".repeat(500)));
        }
        let all = counts.into_map();
        assert_eq!(all.len(), WORDS_MAX + 1);
        assert_eq!(all.values().sum::<i64>(), 10_000);
        assert!(all.keys().all(|name| name.len() < 80));
    }
}
