//! A double-entry ledger: every entry moves an amount from one account to another and is chained to the entry
//! before it by its SHA-256 digest. Amounts are whole cents.

pub mod export;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// One movement of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub from: String,
    pub to: String,
    pub cents: i64,
    pub digest: String,
}

/// Why an entry was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NotPositive,
    SameAccount,
}

/// All entries in order.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    /// Appends an entry.
    ///
    /// # Errors
    /// When the amount is not positive or both accounts are the same.
    pub fn post(&mut self, from: &str, to: &str, cents: i64) -> Result<&Entry, Refusal> {
        if cents <= 0 {
            return Err(Refusal::NotPositive);
        }
        if from == to {
            return Err(Refusal::SameAccount);
        }
        let digest = digest(self.head(), from, to, cents);
        let at = self.entries.len();
        self.entries.push(Entry { from: from.into(), to: to.into(), cents, digest });
        Ok(&self.entries[at])
    }

    /// The digest of the newest entry, or nothing for an empty ledger.
    #[must_use]
    pub fn head(&self) -> &str {
        self.entries.last().map_or("", |entry| &entry.digest)
    }

    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What every account holds. The balances add up to zero.
    #[must_use]
    pub fn balances(&self) -> BTreeMap<&str, i64> {
        let mut all = BTreeMap::new();
        for entry in &self.entries {
            *all.entry(entry.from.as_str()).or_default() -= entry.cents;
            *all.entry(entry.to.as_str()).or_default() += entry.cents;
        }
        all
    }

    /// Whether every digest follows from the entry before it.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let mut previous = "";
        self.entries.iter().all(|entry| {
            let expected = digest(previous, &entry.from, &entry.to, entry.cents);
            previous = &entry.digest;
            expected == entry.digest
        })
    }
}

/// The fee for an amount, in basis points, rounded half to even as the contract says.
#[must_use]
pub fn fee(cents: i64, basis_points: i64) -> i64 {
    let exact = cents * basis_points;
    let (whole, rest) = (exact.div_euclid(10_000), exact.rem_euclid(10_000));
    whole + i64::from(rest > 5_000 || (rest == 5_000 && whole % 2 != 0))
}

fn digest(previous: &str, from: &str, to: &str, cents: i64) -> String {
    let mut hash = Sha256::new();
    for part in [previous, from, to, &cents.to_string()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.post("cash", "rent", 120_000).unwrap();
        ledger.post("sales", "cash", 300_050).unwrap();
        ledger
    }

    #[test]
    fn balances_add_up_to_zero() {
        assert_eq!(sample().balances().values().sum::<i64>(), 0);
    }

    #[test]
    fn a_balance_is_what_came_in_less_what_went_out() {
        assert_eq!(sample().balances()["cash"], 180_050);
    }

    #[test]
    fn an_amount_of_nothing_is_refused() {
        assert_eq!(Ledger::default().post("a", "b", 0), Err(Refusal::NotPositive));
    }

    #[test]
    fn an_account_cannot_pay_itself() {
        assert_eq!(Ledger::default().post("a", "a", 1), Err(Refusal::SameAccount));
    }

    #[test]
    fn a_changed_amount_breaks_the_chain() {
        let mut ledger = sample();
        ledger.entries[0].cents += 1;
        assert!(!ledger.is_intact());
    }

    #[test]
    fn fees_round_half_to_even() {
        assert_eq!([fee(50, 100), fee(150, 100), fee(250, 100)], [0, 2, 2]);
    }

    #[test]
    fn a_long_ledger_stays_intact() {
        let mut ledger = Ledger::default();
        for n in 1..=500 {
            ledger.post("left", "right", n).unwrap();
        }
        assert!(ledger.is_intact());
    }
}
