//! How the audit log grew, told by its signed heads: how many records each part of a period ended with, and how many
//! heads were signed in it.

use domain::period::Period;
use domain::permission::Permission;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::SignedHeads;

use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};

/// Get how the audit log grew over time, and when its heads were signed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// How far back; default month.
    pub period: Option<Period>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Part {
    /// When the part begins.
    pub start: Timestamp,
    /// Records under the newest head that had been signed by its end.
    pub signed: u64,
    /// Heads signed in it.
    pub heads: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub period: Period,
    /// The oldest first.
    pub parts: Vec<Part>,
    /// Records in the log now, those that no head covers yet included.
    pub records: u64,
}

impl Say for Out {
    fn say(&self) -> String {
        let signed = self.parts.last().map_or(0, |part| part.signed);
        format!("{} records, {signed} of them under a signed head.", self.records)
    }
    fn returned(&self) -> u32 {
        self.parts.len() as u32
    }
}

pub struct GetLogGrowth;

impl Query for GetLogGrowth {
    const CARD: Card = Card {
        name: "loopiq_get_log_growth",
        title: "Get the growth of the audit log",
        permission: Some(Permission::AuditRead),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let period = input.period.unwrap_or(Period::Month);
        let start = period.start(cx.now);
        let before = cx.reader.signed_size_before(start).await?;
        let heads = cx.reader.signed_heads(start, period.part()).await?;
        let records = u64::try_from(cx.reader.audit_size().await?).unwrap_or(0);
        Ok(Out { period, parts: parts(period.starts(cx.now), before, &heads), records })
    }
}

/// Every part has a size: that of the last head before its end.
fn parts(starts: impl Iterator<Item = Timestamp>, before: u64, heads: &[SignedHeads]) -> Vec<Part> {
    let mut signed = before;
    starts
        .map(|start| {
            let found = heads.iter().find(|h| h.start == start);
            signed = found.map_or(signed, |h| h.size.max(signed));
            Part { start, signed, heads: found.map_or(0, |h| h.heads) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_heads_keeps_the_size_of_the_one_before() {
        let heads = [SignedHeads { start: Timestamp(2), size: 40, heads: 3 }];
        let found = parts((1..=3).map(Timestamp), 7, &heads);
        let told: Vec<(u64, u32)> = found.iter().map(|p| (p.signed, p.heads)).collect();
        assert_eq!(told, [(7, 0), (40, 3), (40, 0)]);
    }
}
