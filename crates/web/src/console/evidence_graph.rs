//! The evidence graph of a certification on a page of its own, and in small on the pages of the certification and its
//! release. Both are the same question; the small one asks for fewer boxes, and what is settled makes room first.

use axum::extract::Path;
use axum::response::Response;
use domain::id::CertificationId;
use domain::refusal::Refusal;
use engine::limits::GRAPH_NODES_MAX;
use maud::{Markup, html};

use super::data::{self, Certified, Graph};
use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::{form, graph, list, pill, text};
use super::paths;
use super::visit::{Page, Visit, id_in_path};

/// The most boxes of the small picture, which somebody takes in at one look.
const OVERVIEW_NODES_MAX: u32 = 28;

/// `GET /app/certifications/{id}/graph`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = page(&visit, &id).await;
    visit.answer(page)
}

async fn page(visit: &Visit, id: &str) -> Result<Page, Refusal> {
    let live = visit.live().await;
    let id: CertificationId = id_in_path(id, "certification")?;
    let graph = data::graph(visit, id, GRAPH_NODES_MAX).await?;
    let Certified { certification, .. } = data::certification(visit, id).await?;
    let crumbs = [
        ("Releases", paths::RELEASES.to_owned()),
        (certification.release.name.as_str(), paths::release(certification.release.id)),
        (certification.title.as_str(), paths::certification(id)),
    ];
    let body = html! {
        (layout::heading(&crumbs, "Evidence graph", html! {
            (pill::pill(certification.readiness.verdict.as_str()))
            span { (text::count(graph.records as usize, "record")) " and how they hang together. A box leads to its record." }
        }, html! {}))
        (list::panel("graph", "Picture", None, html! { (pictured("graph", &graph)) (graph::legend()) }))
        (list::panel("list", "The same as a list", Some(graph.records), graph::as_list(&graph.nodes, &graph.edges)))
    };
    Ok(Page { title: format!("Evidence graph of {}", certification.title), part: Part::Releases, body, live })
}

fn pictured(name: &str, graph: &Graph) -> Markup {
    html! {
        @if graph.truncated {
            div.panel-body { (form::note(Tone::Warn, None, "Not everything is drawn", html! { p { "There is more than a picture can show. The pages of the certification and the release list everything." } })) }
        } @else if graph.records as usize > graph.nodes.len() {
            p.graph-note.hint { "A stack stands for several records of one state and leads to their list." }
        }
        (graph::picture(name, &graph.nodes, &graph.edges))
    }
}

/// The graph in small, as a panel; nothing for those who may not see it.
pub async fn overview(visit: &Visit, id: CertificationId) -> Result<Markup, Refusal> {
    let Some(graph) = data::optional(data::graph(visit, id, OVERVIEW_NODES_MAX).await)? else {
        return Ok(html! {});
    };
    Ok(list::panel_with(
        "graph",
        "Evidence graph",
        Some(graph.records),
        html! { a href=(paths::graph(id)) { "Every box, and as a list" } },
        pictured("overview", &graph),
    ))
}
