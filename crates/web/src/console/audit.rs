//! The audit log: what was recorded, newest first, and the proof that a record is in it.

use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::audit::AuditKind;
use domain::id::ActionId;
use domain::refusal::{Code, Refusal};
use domain::time::Timestamp;
use engine::log::{Consistency, Inclusion};
use engine::tools::list_audit_records::Item;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::table::{cell, lead, pager, table};
use super::parts::{card, form, icon, list, pill, text};
use super::visit::{Page, Visit, id_in_path};
use super::{data, over_time, paths};
use crate::download;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    kind: String,
    action: String,
    from: String,
    to: String,
    cursor: String,
    /// Records under a checkpoint that the visitor has kept.
    since: String,
    period: String,
}

/// `GET /app/audit`.
pub async fn show(visit: Visit, Query(filter): Query<Filter>) -> Response {
    let page = page(&visit, &filter).await;
    visit.answer(page)
}

/// A day that a browser sends, as the moment it begins or ends.
fn moment(day: &str, clock: &str) -> Option<Timestamp> {
    let text = if day.len() == 10 { format!("{day}T{clock}Z") } else { return None };
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

fn wanted<'a>(filter: &Filter, cursor: &'a str, limit: Option<u32>) -> data::Recorded<'a> {
    data::Recorded {
        kinds: kinds(&filter.kind),
        action: filter.action.trim().parse::<ActionId>().ok(),
        from: moment(&filter.from, "00:00:00"),
        to: moment(&filter.to, "23:59:59.999999"),
        cursor,
        subject: None,
        limit,
    }
}

/// Records that one export has at most, and how many are read at once.
const EXPORTED_MAX: usize = 5_000;
const EXPORTED_AT_ONCE: u32 = 100;

/// `GET /app/audit/export`: the records that the filter leaves, newest first, one JSON value a line.
pub async fn export(visit: Visit, Query(filter): Query<Filter>) -> Response {
    match exported(&visit, &filter).await {
        Ok(lines) => {
            let headers = [
                (header::CONTENT_TYPE, "application/x-ndjson"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, lines).into_response()
        }
        Err(refusal) => visit.answer(Err(refusal)),
    }
}

/// `GET /app/audit/bundle`: the whole log, to be verified without this server.
pub async fn bundle(visit: Visit) -> Response {
    match visit.engine.log_bundle(visit.caller()).await {
        Ok(bundle) => download::log_bundle(bundle),
        Err(refusal) => visit.answer(Err(refusal)),
    }
}

async fn exported(visit: &Visit, filter: &Filter) -> Result<String, Refusal> {
    let mut lines = String::new();
    let mut count = 0;
    let mut cursor = String::new();
    loop {
        let found = data::records(visit, &wanted(filter, &cursor, Some(EXPORTED_AT_ONCE))).await?;
        for item in &found.items {
            lines.push_str(&serde_json::to_string(item).map_err(|_| Refusal::internal())?);
            lines.push('\n');
        }
        count += found.items.len();
        match found.next {
            Some(next) if count < EXPORTED_MAX => cursor = next,
            _ => return Ok(lines),
        }
    }
}

async fn page(visit: &Visit, filter: &Filter) -> Result<Page, Refusal> {
    let wanted = wanted(filter, &filter.cursor, None);
    let found = data::records(visit, &wanted).await?;
    // Nothing is signed in the first seconds of an organization.
    let head = match visit.engine.log_checkpoint(visit.caller()).await {
        Ok(note) => Some(note),
        Err(refusal) if refusal.code == Code::NotFound => None,
        Err(refusal) => return Err(refusal),
    };
    let grown = grown(visit, filter.since.trim()).await?;
    let growth = over_time::log(visit, &filter.period).await?;
    let next = found.next.as_deref().map(|cursor| {
        paths::with_query(
            paths::AUDIT,
            &[
                ("kind", &filter.kind),
                ("action", &filter.action),
                ("from", &filter.from),
                ("to", &filter.to),
                ("cursor", cursor),
            ],
        )
    });
    let export = paths::with_query(
        paths::EXPORT,
        &[("kind", &filter.kind), ("action", &filter.action), ("from", &filter.from), ("to", &filter.to)],
    );
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Audit log",
            html! { "Every decision, write, refusal and read. Records are only added; each is proven by the signed head." }, html! {
                a.button href=(paths::BUNDLE) download title="All records with their proofs; verify them with loopiq audit verify" { "Export the log with proofs" }
            }))
        (filters(filter))
        (list::panel_with("records", "Records", Some(found.total), html! {
            @if !found.items.is_empty() { a href=(export) download { "Export" @if found.total as usize > EXPORTED_MAX { " the newest " (EXPORTED_MAX) } } }
        }, html! {
            @if found.items.is_empty() { (text::empty("No record fits", "Choose another kind or period.")) }
            @else {
                (rows(visit, &found.items))
                (pager(found.items.len(), found.total, filter.cursor.is_empty(), next))
            }
        }))
        (growth)
        (checkpoint(head.as_deref()))
        (since(filter, &grown))
    };
    Ok(Page { title: "Audit log".into(), part: Part::Administration, body, live: None })
}

/// The word for all kinds in an address.
const EVERYTHING: &str = "all";

/// Which kinds are shown. Reads are many, and looking at the log makes more of them.
fn kinds(word: &str) -> Vec<AuditKind> {
    match AuditKind::parse(word) {
        Some(kind) => vec![kind],
        None if word == EVERYTHING => Vec::new(),
        None => AuditKind::ALL.iter().copied().filter(|kind| *kind != AuditKind::Read).collect(),
    }
}

fn filters(filter: &Filter) -> Markup {
    let every = AuditKind::ALL.iter().map(|kind| (kind.to_string(), pill::human(kind.as_str())));
    let kinds: Vec<(String, String)> =
        std::iter::once((EVERYTHING.into(), "Everything".into())).chain(every).collect();
    html! {
        form.filters method="get" action=(paths::AUDIT) {
            (form::select("Kind", "kind", "Everything but reads", &kinds, &filter.kind))
            div.field { label for="filter-from" { "From" } input type="date" id="filter-from" name="from" value=(filter.from); }
            div.field { label for="filter-to" { "To" } input type="date" id="filter-to" name="to" value=(filter.to); }
            div.field { label for="filter-action" { "Action" } input id="filter-action" name="action" value=(filter.action) placeholder="act_…" autocomplete="off"; }
            button.button { (icon::SEARCH) "Show" }
        }
    }
}

fn tone(kind: AuditKind) -> Tone {
    match kind {
        AuditKind::Executed | AuditKind::Approved => Tone::Good,
        AuditKind::BrokenGlass | AuditKind::Failed => Tone::Bad,
        AuditKind::Denied
        | AuditKind::Rejected
        | AuditKind::SignInFailed
        | AuditKind::Warned
        | AuditKind::Erased => Tone::Warn,
        AuditKind::Proposed | AuditKind::Administered => Tone::Info,
        _ => Tone::Quiet,
    }
}

/// What a record is about, in words.
fn what(item: &Item) -> String {
    let name = item.tool.as_deref().unwrap_or("session");
    engine::tools::find(name).map_or_else(|| pill::human(name), |tool| tool.card.title.to_owned())
}

fn rows(visit: &Visit, items: &[Item]) -> Markup {
    let rows = items
        .iter()
        .map(|item| {
            let title = html! {
                a href=(paths::audit_record(item.sequence)) { (what(item)) }
                @if let Some(reason) = &item.reason { span.sub { (reason) } }
            };
            let who = html! {
                @if let Some(email) = &item.email { (email) } @else { span.muted { "the server" } }
                @if item.agent_id.is_some() { " " span.tag { "by an agent" } }
            };
            let about = html! { @if let Some(id) = item.action_id { a href=(paths::action(id)) { "Action" } } };
            (
                None,
                vec![
                    lead(title),
                    cell("What", html! { (pill::toned(tone(item.kind), &pill::human(item.kind.as_str()))) @if let Some(code) = item.code { br; code.small { (code) } } }),
                    cell("Who", who),
                    cell("When", text::brief_time(item.recorded_at, visit.now)),
                    cell("About", about),
                ],
            )
        })
        .collect();
    table("Audit records", &["Record", "What", "Who", "When", "About"], rows)
}

fn checkpoint(head: Option<&str>) -> Markup {
    list::panel(
        "checkpoint",
        "The signed head",
        None,
        html! {
            div.panel-body {
                @match head {
                    Some(note) => {
                        p { "Keep this note somewhere else: a log that was altered, or cut off before it, no longer fits it." }
                        pre tabindex="0" { (note) }
                        p.hint { "Check everything without this server: " code { "loopiq audit export" } " writes a proof bundle, " code { "loopiq audit verify" } " checks it offline." }
                    }
                    None => p.muted { "Nothing has been signed yet; the first head is signed within seconds." }
                }
            }
        },
    )
}

/// What is said of an earlier checkpoint.
enum Grown {
    Unasked,
    /// It is no number of records that have been signed.
    Unknown,
    Proven(Consistency),
}

async fn grown(visit: &Visit, since: &str) -> Result<Grown, Refusal> {
    if since.is_empty() {
        return Ok(Grown::Unasked);
    }
    let Ok(first) = since.parse() else { return Ok(Grown::Unknown) };
    match visit.engine.log_consistency(visit.caller(), first).await {
        Ok(proof) => Ok(Grown::Proven(proof)),
        Err(refusal) if refusal.code == Code::NotFound => Ok(Grown::Unknown),
        Err(refusal) => Err(refusal),
    }
}

fn since(filter: &Filter, grown: &Grown) -> Markup {
    list::panel(
        "since",
        "Proof since a checkpoint",
        None,
        html! {
            div.panel-body {
                p { "That the records under a checkpoint you have kept are the beginning of the log as it is signed now." }
                form.filters method="get" action={ (paths::AUDIT) "#since" } {
                    div.field {
                        label for="since-size" { "Records under your checkpoint (its second line)" }
                        input id="since-size" name="since" inputmode="numeric" value=(filter.since) autocomplete="off";
                    }
                    button.button { "Prove" }
                }
                @match grown {
                    Grown::Unasked => {}
                    Grown::Unknown => p role="status" { "No checkpoint of so many records has been signed. Take the number from the second line of yours." }
                    Grown::Proven(proof) => {
                        dl.facts {
                            dt { "From" } dd { (text::count(proof.first as usize, "record")) }
                            dt { "To" } dd { (text::count(proof.size as usize, "record")) }
                            dt { "Root" } dd { (text::copyable("root", proof.root)) }
                        }
                        details.fold open { summary { (text::count(proof.hashes.len(), "node")) " (RFC 9162, 2.1.4.1)" } pre tabindex="0" { @for hash in &proof.hashes { (hash) "\n" } } }
                        details.fold { summary { "The signed head" } pre tabindex="0" { (proof.checkpoint) } }
                    }
                }
            }
        },
    )
}

/// `GET /app/audit/{sequence}`.
pub async fn record(visit: Visit, Path(sequence): Path<String>) -> Response {
    let page = record_page(&visit, &sequence).await;
    visit.answer(page)
}

async fn record_page(visit: &Visit, sequence: &str) -> Result<Page, Refusal> {
    let sequence: u64 = id_in_path(sequence, "audit record")?;
    let item = data::record(visit, sequence).await?;
    let proof = match visit.engine.log_inclusion(visit.caller(), sequence).await {
        Ok(proof) => Some(proof),
        Err(refusal) if refusal.code == Code::NotFound => None,
        Err(refusal) => return Err(refusal),
    };
    let title = format!("Record {sequence}: {}", what(&item));
    let crumbs = [("Administration", paths::ADMINISTRATION.into()), ("Audit log", paths::AUDIT.into())];
    let body = html! {
        (layout::heading(&crumbs, &title, html! {
            (pill::toned(tone(item.kind), &pill::human(item.kind.as_str())))
            (text::time(item.recorded_at, visit.now))
        }, html! {}))
        div.columns {
            div {
                (facts(&item))
                (proven(proof.as_ref(), &item))
            }
            div.aside {
                (list::panel("verify", "Check it yourself", None, html! {
                    div.panel-body {
                        p { "The leaf hash is SHA-256 over a zero byte and the record as it is stored. With the siblings below it gives the root that the signed head names (RFC 9162, 2.1.3)." }
                        p { code { "loopiq audit verify" } " does that, and more, for a whole bundle and without this server." }
                    }
                }))
            }
        }
    };
    Ok(Page { title, part: Part::Administration, body, live: None })
}

fn facts(item: &Item) -> Markup {
    let named = |title: &str, references: &[domain::audit::AuditReference]| {
        html! {
            @if !references.is_empty() {
                dt { (title) }
                dd { ul { @for reference in references {
                    @let href = paths::record(reference.record_type, &reference.id, None, None);
                    li {
                        (pill::human(reference.record_type.as_str())) " "
                        @if let Some(href) = href { a href=(href) { (reference.id) } } @else { span.mono { (reference.id) } }
                    }
                } } }
            }
        }
    };
    list::panel(
        "facts",
        "What was recorded",
        None,
        html! {
            div.panel-body {
                @if let Some(reason) = &item.reason { div { p.hint { "Reason given" } p.quote { (reason) } } }
                dl.facts {
                    dt { "Who" }
                    dd { @if let Some(email) = &item.email { (email) } @else { "the server" } @if let Some(agent) = item.agent_id { " by the agent " (text::copyable("agent id", agent)) } }
                    dt { "By way of" } dd { (card::channel(item.channel)) }
                    @if let Some(tool) = &item.tool { dt { "Command" } dd { code { (tool) } } }
                    @if let Some(code) = item.code { dt { "Refused with" } dd { code { (code) } } }
                    @if let Some(returned) = item.returned { dt { "Records returned" } dd { (returned) } }
                    @if let Some(id) = item.action_id { dt { "Action" } dd { a href=(paths::action(id)) { (id) } } }
                    @if let Some(digest) = &item.action_digest { dt { "Action digest" } dd { (text::copyable("action digest", digest)) } }
                    (named("Created", &item.created))
                    (named("Updated", &item.updated))
                    dt { "Request" } dd { (text::copyable("request id", &item.request_id)) }
                    dt { "Trace" } dd { (text::copyable("trace id", &item.trace_id)) }
                }
            }
        },
    )
}

fn proven(proof: Option<&Inclusion>, item: &Item) -> Markup {
    list::panel(
        "proof",
        "Proof that it is in the log",
        None,
        html! {
            div.panel-body {
                dl.facts {
                    dt { "Position" } dd { (item.sequence) }
                    dt { "Leaf hash" } dd { (text::copyable("leaf hash", item.leaf_hash)) }
                    @if let Some(proof) = proof {
                        dt { "Under a head of" } dd { (text::count(proof.size as usize, "record")) }
                        dt { "Root" } dd { (text::copyable("root", proof.root)) }
                    }
                }
                @match proof {
                    Some(proof) => {
                        details.fold { summary { (text::count(proof.hashes.len(), "sibling")) ", from the leaf upwards" } pre tabindex="0" { @for hash in &proof.hashes { (hash) "\n" } } }
                        details.fold { summary { "The signed head" } pre tabindex="0" { (proof.checkpoint) } }
                        details.fold { summary { "All of it as one file (tlog-proof)" } pre tabindex="0" { (proof.proof) } }
                    }
                    None => p.muted { "It lies beyond the newest signed head; that is signed within seconds. Load this page again." }
                }
            }
        },
    )
}
