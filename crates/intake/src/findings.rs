//! Findings of one report: each with an identity that lasts from report to report, as many as the bound allows. Of
//! too many the most severe stay, so that a thousand notes cannot push a critical one out.

use std::collections::{BTreeMap, HashMap};

use domain::digest::Digest;
use domain::severity::Severity;

use crate::FindingDraft;
use crate::limits::{FINDINGS_MAX, TEXT_BYTES_READ_MAX};

#[derive(Default)]
pub struct Findings {
    /// In the order of the file, by number, within each severity.
    kept: BTreeMap<Severity, Vec<(usize, FindingDraft)>>,
    counted: BTreeMap<Severity, i64>,
    total: usize,
    repeats: HashMap<Digest, u32>,
}

impl Findings {
    /// Counts one finding. True while there is room for it: a draft is made and [`keep`](Self::keep) called only then,
    /// because making one costs more than counting.
    pub fn count(&mut self, severity: Severity) -> bool {
        self.total += 1;
        *self.counted.entry(severity).or_insert(0) += 1;
        self.kept.get(&severity).is_none_or(|drafts| drafts.len() < FINDINGS_MAX)
    }

    /// Keeps the finding that was counted last. `identity` is what makes it the same problem in the next report; its
    /// place among the others is not part of that, only further ones of the same identity are numbered.
    pub fn keep(&mut self, identity: &[&str], mut draft: FindingDraft) {
        let base = fingerprint(identity);
        let repeat = self.repeats.entry(base).or_insert(0);
        *repeat += 1;
        draft.external_id = if *repeat == 1 { base.to_string() } else { format!("{base}-{repeat}") };
        self.kept.entry(draft.severity).or_default().push((self.total, draft));
    }

    pub fn of(&self, severity: Severity) -> i64 {
        self.counted.get(&severity).copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether there is one that bad, kept or not.
    pub fn any_at_least(&self, severity: Severity) -> bool {
        self.counted.range(severity..).any(|(_, count)| *count > 0)
    }

    /// All findings by severity, kept or not, as metrics.
    pub fn add_severities(&self, metrics: &mut BTreeMap<&'static str, i64>) {
        for severity in Severity::ALL {
            metrics.insert(severity.as_str(), self.of(severity));
        }
    }

    /// The findings in the order of the file, and whether some were left out.
    pub fn into_bounded(self) -> (Vec<FindingDraft>, bool) {
        let mut numbered: Vec<_> = self.kept.into_values().rev().flatten().take(FINDINGS_MAX).collect();
        numbered.sort_by_key(|(number, _)| *number);
        let truncated = self.total > numbered.len();
        (numbered.into_iter().map(|(_, draft)| draft).collect(), truncated)
    }
}

/// Digest over the beginnings of the parts, each after its length, so that parts do not run together.
fn fingerprint(parts: &[&str]) -> Digest {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let mut fed: Vec<&[u8]> = Vec::with_capacity(parts.len() * 2);
    for (length, part) in lengths.iter().zip(parts) {
        fed.push(length);
        fed.push(part.as_bytes().get(..TEXT_BYTES_READ_MAX).unwrap_or(part.as_bytes()));
    }
    Digest::of_parts(&fed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(severity: Severity, title: &str) -> FindingDraft {
        FindingDraft {
            external_id: String::new(),
            rule: "rule".to_owned(),
            title: title.to_owned(),
            severity,
            location: None,
            component: None,
        }
    }

    #[test]
    fn of_too_many_the_most_severe_stay_in_the_order_of_the_file() {
        let mut findings = Findings::default();
        for number in 0..FINDINGS_MAX + 10 {
            let severity = if number % 1000 == 999 { Severity::Critical } else { Severity::Low };
            if findings.count(severity) {
                findings.keep(&[&number.to_string()], draft(severity, &number.to_string()));
            }
        }
        assert_eq!(findings.of(Severity::Critical), 5);
        let (kept, truncated) = findings.into_bounded();
        assert!(truncated);
        assert_eq!(kept.len(), FINDINGS_MAX);
        assert_eq!(kept.iter().filter(|f| f.severity == Severity::Critical).count(), 5);
        assert!(kept.is_sorted_by_key(|f| f.title.parse::<usize>().unwrap()));
    }

    #[test]
    fn repeated_identities_are_numbered_and_parts_do_not_run_together() {
        let mut findings = Findings::default();
        for identity in [["ab", "c"], ["a", "bc"], ["ab", "c"]] {
            assert!(findings.count(Severity::Low));
            findings.keep(&identity, draft(Severity::Low, "t"));
        }
        let ids: Vec<_> = findings.into_bounded().0.into_iter().map(|f| f.external_id).collect();
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[2], format!("{}-2", ids[0]));
    }
}
