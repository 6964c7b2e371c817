//! What has changed from one release to another: gaps and blockers that are new, gone, and still there. Gaps are the same
//! when they are of the same control, blockers when their provider calls them so.

use std::collections::BTreeMap;

use domain::certification::Readiness;
use domain::evaluation::is_unsettled;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::release::Release;
use domain::severity::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{FindingFilter, GapFilter, Page, ReleaseFilter};

use crate::card::team_ref;
use crate::limits;
use crate::resolve::{self, Names};
use crate::state::all_pages;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::{BlockerView, GapView, ReleaseRef, TeamRef};

/// Compare the unsettled evidence gaps and provider blockers of a release with those of another.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Release (id or name).
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
    /// Release (id or name) to compare it with. Default: the one before it of the same team.
    #[schemars(length(min = 1, max = 200))]
    pub with: Option<String>,
}

/// One kind of thing, by what has become of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Difference<T> {
    /// Only in the release.
    pub new: Vec<T>,
    /// Only in the one it is compared with. Where the release has settled it, as it is there; else as it was.
    pub gone: Vec<T>,
    /// In both, as it is in the release.
    pub still: Vec<T>,
    pub new_count: u32,
    pub gone_count: u32,
    pub still_count: u32,
}

/// A release with how ready it is, where that is known and may be seen.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Side {
    pub release: ReleaseRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub of: Side,
    pub with: Side,
    pub gaps: Difference<GapView>,
    pub blockers: Difference<BlockerView>,
    /// Whether lists were cut; the counts are whole.
    pub truncated: bool,
    pub url: String,
    #[serde(skip)]
    team: Option<TeamRef>,
}

impl Say for Out {
    fn say(&self) -> String {
        let (gaps, blockers) = (&self.gaps, &self.blockers);
        format!(
            "{} compared with {}: gaps {} new, {} gone, {} still there; blockers {} new, {} gone, {} still there.",
            self.of.release.name,
            self.with.release.name,
            gaps.new_count,
            gaps.gone_count,
            gaps.still_count,
            blockers.new_count,
            blockers.gone_count,
            blockers.still_count
        )
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        let (gaps, blockers) = (&self.gaps, &self.blockers);
        let lists = [gaps.new.len(), gaps.gone.len(), gaps.still.len()];
        let others = [blockers.new.len(), blockers.gone.len(), blockers.still.len()];
        lists.into_iter().chain(others).sum::<usize>() as u32
    }
}

pub struct CompareReleases;

impl Query for CompareReleases {
    const CARD: Card = Card {
        name: "loopiq_compare_releases",
        title: "Compare releases",
        permission: Some(Permission::EvidenceRead),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let release = resolve::release(cx, &input.release, Permission::EvidenceRead).await?;
        let other = match &input.with {
            Some(reference) => resolve::release(cx, reference, Permission::EvidenceRead).await?,
            None => before(cx, &release).await?,
        };
        let (gaps, were) = (gaps(cx, &release).await?, self::gaps(cx, &other).await?);
        let (blockers, stood) = (blockers(cx, &release).await?, self::blockers(cx, &other).await?);
        let (gaps, gaps_cut) =
            difference(were, gaps, |g| is_unsettled(g.status), |g| (g.severity, g.control.code.as_str()));
        let (blockers, blockers_cut) =
            difference(stood, blockers, |b| is_unsettled(b.status), |b| (b.severity, b.title.as_str()));
        let team = team_ref(cx, Some(release.team_id)).await?;
        Ok(Out {
            url: format!("{}/difference?with={}", cx.links.release(release.id), other.id),
            of: side(cx, release).await?,
            with: side(cx, other).await?,
            gaps,
            blockers,
            truncated: gaps_cut || blockers_cut,
            team,
        })
    }
}

/// The release of the same team that was made before this one.
async fn before(cx: &Cx<'_>, release: &Release) -> Result<Release, Stop> {
    let filter = ReleaseFilter { team: Some(release.team_id), ..ReleaseFilter::default() };
    let id = release.id.to_string();
    let found = cx.reader.releases(filter, Page { limit: 1, after: Some(&id) }).await?;
    found.items.into_iter().next().ok_or_else(|| Refusal::not_found("earlier release of the team").into())
}

async fn side(cx: &Cx<'_>, release: Release) -> Result<Side, Stop> {
    let certification = if cx.rights.allows(Permission::CertificationsRead, Some(release.team_id)) {
        resolve::current_certification(cx, release.id).await?
    } else {
        None
    };
    Ok(Side {
        release: ReleaseRef { id: release.id, name: release.name },
        readiness: certification.map(|(certification, _)| certification.readiness),
    })
}

/// All gaps of a release, settled ones included, by their controls; of several of one control the one that is worst off.
async fn gaps(cx: &Cx<'_>, release: &Release) -> Result<BTreeMap<String, GapView>, Stop> {
    let filter = || GapFilter { release: Some(release.id), ..GapFilter::default() };
    let mut found = all_pages!(|page| cx.reader.gaps(filter(), page));
    found.sort_by_key(|gap| std::cmp::Reverse(gap.status));
    let names = Names::default().with_controls(cx).await?;
    let of = ReleaseRef { id: release.id, name: release.name.clone() };
    let view = |gap| {
        let view = GapView::new(gap, names.control(gap.control_id), of.clone(), cx.links);
        (gap.control_id.to_string(), view)
    };
    Ok(found.iter().map(view).collect())
}

/// All blockers of a release, settled ones included, by what their provider calls them.
async fn blockers(cx: &Cx<'_>, release: &Release) -> Result<BTreeMap<String, BlockerView>, Stop> {
    let filter =
        || FindingFilter { release: Some(release.id), blocking: Some(true), ..FindingFilter::default() };
    let found = all_pages!(|page| cx.reader.findings(filter(), page));
    let of = ReleaseRef { id: release.id, name: release.name.clone() };
    let view = |finding: &domain::certification::Finding| {
        (format!("{}\n{}", finding.provider, finding.external_id), BlockerView::new(cx, finding, of.clone()))
    };
    Ok(found.iter().map(view).collect())
}

/// What has become of what there was. The worst comes first in each list; whether one was cut is told beside.
fn difference<T>(
    were: BTreeMap<String, T>,
    mut are: BTreeMap<String, T>,
    unsettled: impl Fn(&T) -> bool,
    order: impl for<'a> Fn(&'a T) -> (Severity, &'a str),
) -> (Difference<T>, bool) {
    let (mut new, mut gone, mut still) = (Vec::new(), Vec::new(), Vec::new());
    for (key, was) in were.into_iter().filter(|(_, was)| unsettled(was)) {
        match are.remove(&key) {
            Some(is) if unsettled(&is) => still.push(is),
            Some(settled) => gone.push(settled),
            None => gone.push(was),
        }
    }
    new.extend(are.into_values().filter(|is| unsettled(is)));
    let mut cut = false;
    for list in [&mut new, &mut gone, &mut still] {
        list.sort_by(|a, b| {
            let ((worse, a), (other, b)) = (order(a), order(b));
            other.cmp(&worse).then_with(|| a.cmp(b))
        });
        cut |= list.len() > limits::DIFFERENCE_ITEMS_MAX;
    }
    let count = |list: &Vec<T>| list.len() as u32;
    let (new_count, gone_count, still_count) = (count(&new), count(&gone), count(&still));
    for list in [&mut new, &mut gone, &mut still] {
        list.truncate(limits::DIFFERENCE_ITEMS_MAX);
    }
    (Difference { new, gone, still, new_count, gone_count, still_count }, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Thing(&'static str, bool, Severity, u8);

    fn release(things: &[Thing]) -> BTreeMap<String, Thing> {
        things.iter().map(|thing| (thing.0.to_owned(), thing.clone())).collect()
    }

    #[test]
    fn each_thing_is_new_gone_or_still_there_the_worst_first() {
        let was = |name, open| Thing(name, open, Severity::High, 0);
        let is = |name, open, severity| Thing(name, open, severity, 1);
        let before = release(&[
            was("absent", true),
            was("back", false),
            was("never", false),
            was("settled", true),
            was("still", true),
        ]);
        let now = release(&[
            is("back", true, Severity::Low),
            is("first", true, Severity::Critical),
            is("also first", true, Severity::Critical),
            is("settled", false, Severity::High),
            is("settled at once", false, Severity::High),
            is("still", true, Severity::High),
        ]);
        let (found, cut) = difference(before, now, |thing| thing.1, |thing| (thing.2, thing.0));
        let names = |list: &[Thing]| list.iter().map(|thing| (thing.0, thing.3)).collect::<Vec<_>>();
        assert_eq!(names(&found.new), [("also first", 1), ("first", 1), ("back", 1)]);
        assert_eq!(names(&found.gone), [("absent", 0), ("settled", 1)]);
        assert_eq!(names(&found.still), [("still", 1)]);
        assert_eq!((found.new_count, found.gone_count, found.still_count, cut), (3, 2, 1, false));
    }
}
