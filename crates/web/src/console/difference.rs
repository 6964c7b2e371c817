//! Two releases beside each other: what is new, what is gone, what is still there.

use axum::extract::{Path, Query};
use axum::response::Response;
use domain::id::ReleaseId;
use domain::refusal::Refusal;
use engine::tools::compare_releases::{Difference, Out, Side};
use engine::view::{BlockerView, GapView};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::chart::{self, Flow};
use super::parts::layout::{self, Part};
use super::parts::{form, icon, list, pill, readiness, text};
use super::visit::{Page, Visit};
use super::{data, paths};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    with: String,
}

/// `GET /app/releases/{id}/difference`; `with` names the other release, the one before by default.
pub async fn show(visit: Visit, Path(reference): Path<String>, Query(chosen): Query<Chosen>) -> Response {
    let page = page(&visit, &reference, &chosen).await;
    visit.answer(page)
}

async fn page(visit: &Visit, reference: &str, chosen: &Chosen) -> Result<Page, Refusal> {
    let live = visit.live().await;
    let detail = data::release(visit, reference).await?;
    let release = &detail.release;
    let found = data::difference(visit, &release.id.to_string(), &chosen.with).await;
    // Only that there is nothing before it is no reason for another page.
    let found = if chosen.with.is_empty() { data::optional(found)? } else { Some(found?) };
    let others = data::releases(visit, &data::Wanted::default()).await?;
    let options: Vec<(String, String)> = others
        .items
        .iter()
        .filter(|other| other.id != release.id)
        .map(|other| (other.id.to_string(), other.name.clone()))
        .collect();
    let with = found.as_ref().map(|out| out.with.release.id.to_string()).unwrap_or_default();
    let here = paths::difference(release.id);
    let crumbs =
        [("Releases", paths::RELEASES.to_owned()), (release.name.as_str(), paths::release(release.id))];
    let title = match &found {
        Some(out) => format!("{} compared with {}", release.name, out.with.release.name),
        None => format!("{} compared", release.name),
    };
    let body = html! {
        (layout::heading(&crumbs, &title, html! { "Open gaps and blockers: what came, what went, what stayed." }, html! {}))
        form.filters method="get" action=(here) {
            (form::select("Compare with", "with", "The release before", &options, &with))
            button.button { (icon::SEARCH) "Compare" }
        }
        @match &found {
            Some(out) => (compared(visit, out)),
            None => (list::panel("none", "Nothing to compare with", None, text::empty("No earlier release of this team", "Choose any other release above."))),
        }
    };
    Ok(Page { title, part: Part::Releases, body, live })
}

fn compared(visit: &Visit, out: &Out) -> Markup {
    let flow = |gone, still, new| Flow { gone, still, new };
    let (gaps, blockers) = (&out.gaps, &out.blockers);
    let now = visit.now;
    html! {
        div.pair {
            (list::panel("gaps-flow", "Gaps", None, picture(out, "Gaps", flow(gaps.gone_count, gaps.still_count, gaps.new_count))))
            (list::panel("blockers-flow", "Blockers", None, picture(out, "Blockers", flow(blockers.gone_count, blockers.still_count, blockers.new_count))))
        }
        (section("new", "New", "Nothing new", "Whatever is open was open before.", gaps.new_count + blockers.new_count, html! {
            (list::gaps(&gaps.new, now)) (list::blockers(&blockers.new, now))
        }))
        (section("still", "Still there", "Nothing stayed", "Nothing that was open before is open here.", gaps.still_count + blockers.still_count, html! {
            (list::gaps(&gaps.still, now)) (list::blockers(&blockers.still, now))
        }))
        (section("gone", "Gone", "Nothing went", "Whatever was open before is open here too.", gaps.gone_count + blockers.gone_count, html! {
            (gone_gaps(gaps)) (gone_blockers(blockers))
        }))
        @if out.truncated { p.hint { "The lists are cut; the numbers are whole." } }
    }
}

fn picture(out: &Out, title: &str, flow: Flow) -> Markup {
    html! {
        div.panel-body {
            @if flow.gone + flow.still + flow.new == 0 { (text::empty("None", "Neither release has any that is open.")) }
            @else {
                div.flow-ends { (side(&out.with)) (side(&out.of)) }
                (chart::flow(title, flow))
            }
        }
    }
}

fn side(side: &Side) -> Markup {
    html! {
        div {
            a href=(paths::release(side.release.id)) { (side.release.name) }
            @if let Some(found) = side.readiness { div { (readiness::bar(found)) } }
        }
    }
}

fn section(id: &str, title: &str, empty: &str, hint: &str, count: u32, body: Markup) -> Markup {
    list::panel(
        id,
        title,
        Some(count),
        html! { @if count == 0 { (text::empty(empty, hint)) } @else { (body) } },
    )
}

/// What has gone is told in one line each: how it was settled, or that it does not occur any more.
fn gone_gaps(gaps: &Difference<GapView>) -> Markup {
    html! {
        ul.items {
            @for gap in &gaps.gone {
                li.good { div.item-top { span.item-title { (gap.control.code) " · " (gap.control.title) } (ending(gap.status)) } }
            }
        }
    }
}

fn gone_blockers(blockers: &Difference<BlockerView>) -> Markup {
    html! {
        ul.items {
            @for blocker in &blockers.gone {
                li.good {
                    div.item-top { span.item-title { (blocker.title) } (ending(blocker.status)) }
                    div.item-meta { span { (blocker.provider) } span.mono { (blocker.rule) } }
                }
            }
        }
    }
}

fn ending(status: domain::certification::GapStatus) -> Markup {
    use domain::certification::GapStatus as S;
    match status {
        S::Open | S::InRemediation => pill::toned(pill::Tone::Good, "Not found any more"),
        settled => pill::pill(settled.as_str()),
    }
}

/// A link to the comparison, for the page of a release.
pub fn link(id: ReleaseId) -> Markup {
    html! { a href=(paths::difference(id)) { "What changed since the release before" } }
}
