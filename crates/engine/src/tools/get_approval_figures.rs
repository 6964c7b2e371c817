//! How proposed actions were decided over time: approved, rejected, expired; how long decisions took. Who may manage the
//! organization also sees it by person: somebody who approves everything within seconds does not read what they approve.

use std::collections::BTreeMap;

use domain::audit::AuditKind;
use domain::id::UserId;
use domain::period::Period;
use domain::permission::Permission;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::DecisionTaken;

use crate::field::{Field, hide};
use crate::limits;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};

/// Get how proposed actions were decided over time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// How far back; default month.
    pub period: Option<Period>,
}

/// How often it was decided in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Tally {
    /// Approvals by people; several where an action needs several.
    pub approved: u32,
    pub rejected: u32,
    /// Taken back by who had asked.
    pub withdrawn: u32,
    /// Nobody decided in time.
    pub expired: u32,
    /// Approved past the rules.
    pub broken_glass: u32,
    /// Approved by a rule because nobody decided.
    pub by_rule: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Part {
    /// When the part begins.
    pub start: Timestamp,
    #[serde(flatten)]
    pub tally: Tally,
}

/// One person's decisions on what others, or they themselves, had asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Decider {
    pub user_id: UserId,
    /// Where they are or were a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub decisions: u32,
    /// Approvals of a hundred decisions, rounded down.
    pub approved_percent: u32,
    /// Half of the decisions took no longer, from the proposal on.
    pub median_seconds: i64,
    /// Fields that a policy keeps from you.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub period: Period,
    /// The oldest first.
    pub parts: Vec<Part>,
    pub total: Tally,
    /// Half of all decisions by people took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<i64>,
    /// By person, most decisions first; only for who may manage the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<Vec<Decider>>,
    /// Whether there were more decisions than figures are computed from; the oldest are left out.
    pub truncated: bool,
}

impl Say for Out {
    fn say(&self) -> String {
        let t = &self.total;
        format!(
            "In the last {}: {} approved, {} rejected, {} withdrawn, {} expired, {} past the rules, {} by a rule.",
            self.period, t.approved, t.rejected, t.withdrawn, t.expired, t.broken_glass, t.by_rule
        )
    }
    fn returned(&self) -> u32 {
        self.parts.len() as u32
    }
}

pub struct GetApprovalFigures;

impl Query for GetApprovalFigures {
    const CARD: Card = Card {
        name: "loopiq_get_approval_figures",
        title: "Get figures on approvals",
        permission: Some(Permission::AuditRead),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let period = input.period.unwrap_or(Period::Month);
        let decisions = cx.reader.decisions(period.start(cx.now), limits::DECISIONS_MAX).await?;
        let truncated = decisions.len() >= limits::DECISIONS_MAX as usize;
        let mut parts: Vec<Part> =
            period.starts(cx.now).map(|start| Part { start, tally: Tally::default() }).collect();
        let mut total = Tally::default();
        for decision in &decisions {
            total.count(decision);
            let start = period.start_of_part(decision.at);
            if let Some(part) = parts.iter_mut().find(|part| part.start == start) {
                part.tally.count(decision);
            }
        }
        let people = if cx.rights.allows(Permission::OrganizationManage, None) {
            let members = cx.members().await?;
            let mut people = deciders(&decisions);
            for person in &mut people {
                let member = members.iter().find(|member| member.user_id == person.user_id);
                person.email = member.map(|member| member.email.clone());
                let shown = cx.actor.shows(Field::AuditEmail, None);
                hide(shown, Field::AuditEmail, &mut person.email, &mut person.hidden);
            }
            Some(people)
        } else {
            None
        };
        let taken = decisions.iter().filter(|d| is_judgement(d)).map(seconds).collect();
        Ok(Out { period, parts, total, median_seconds: median(taken), people, truncated })
    }
}

impl Tally {
    fn count(&mut self, decision: &DecisionTaken) {
        let counter = match decision.kind {
            AuditKind::Approved if decision.by.is_none() => &mut self.by_rule,
            AuditKind::Approved => &mut self.approved,
            AuditKind::Rejected if decision.by == decision.requester => &mut self.withdrawn,
            AuditKind::Rejected => &mut self.rejected,
            AuditKind::BrokenGlass => &mut self.broken_glass,
            _ => &mut self.expired,
        };
        *counter += 1;
    }
}

/// Whether a person judged what was asked: not the clock, not a rule, and not a requester who changed their mind.
fn is_judgement(decision: &DecisionTaken) -> bool {
    let withdrawn = decision.kind == AuditKind::Rejected && decision.by == decision.requester;
    decision.by.is_some() && decision.kind != AuditKind::Expired && !withdrawn
}

fn seconds(decision: &DecisionTaken) -> i64 {
    decision.at.seconds_since(decision.proposed_at)
}

/// The lower of the two in the middle, where there are two.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

fn deciders(decisions: &[DecisionTaken]) -> Vec<Decider> {
    let mut by: BTreeMap<UserId, Vec<&DecisionTaken>> = BTreeMap::new();
    for decision in decisions.iter().filter(|d| is_judgement(d)) {
        if let Some(person) = decision.by {
            by.entry(person).or_default().push(decision);
        }
    }
    let mut people: Vec<Decider> = by
        .into_iter()
        .map(|(user_id, taken)| {
            let approved = taken.iter().filter(|d| d.kind != AuditKind::Rejected).count();
            Decider {
                user_id,
                email: None,
                decisions: taken.len() as u32,
                approved_percent: (approved * 100 / taken.len().max(1)) as u32,
                median_seconds: median(taken.iter().map(|d| seconds(d)).collect()).unwrap_or(0),
                hidden: Vec::new(),
            }
        })
        .collect();
    people.sort_by_key(|person| std::cmp::Reverse(person.decisions));
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u128) -> UserId {
        UserId::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn taken(kind: AuditKind, by: Option<u128>, seconds: i64) -> DecisionTaken {
        let proposed_at = Timestamp(1_795_000_000_000_000);
        let at = proposed_at.plus_seconds(seconds);
        DecisionTaken { kind, by: by.map(user), at, requester: Some(user(1)), proposed_at }
    }

    #[test]
    fn decisions_are_told_apart_by_who_took_them() {
        use AuditKind as K;
        let decisions = [
            taken(K::Approved, Some(2), 5),
            taken(K::Approved, Some(2), 9),
            taken(K::Rejected, Some(2), 700),
            taken(K::BrokenGlass, Some(3), 60),
            taken(K::Approved, None, 3_600),
            taken(K::Rejected, Some(1), 1),
            taken(K::Expired, None, 86_400),
        ];
        let mut total = Tally::default();
        for decision in &decisions {
            total.count(decision);
        }
        let wanted =
            Tally { approved: 2, rejected: 1, withdrawn: 1, expired: 1, broken_glass: 1, by_rule: 1 };
        assert_eq!(total, wanted);
        let people: Vec<(UserId, u32, u32, i64)> = deciders(&decisions)
            .into_iter()
            .map(|p| (p.user_id, p.decisions, p.approved_percent, p.median_seconds))
            .collect();
        assert_eq!(people, [(user(2), 3, 66, 9), (user(3), 1, 100, 60)]);
        assert_eq!(median(Vec::new()), None);
    }
}
