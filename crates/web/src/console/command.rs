//! Any governed command that has no page of its own, as a form made from its schema: filled in, previewed, proposed. The
//! same door as every other client's: what comes of it is an action with its card.

use axum::extract::{Path, RawQuery, State as Shared};
use axum::response::{IntoResponse, Redirect, Response};
use domain::action::Channel;
use domain::digest::Digest;
use domain::id::ActionId;
use domain::refusal::{Code, FieldDetail, Refusal};
use engine::{Caller, Effects, Tool};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::arguments::{self, Field, Kind};
use super::parts::fields::{Filled, fields};
use super::parts::layout::{self, Part};
use super::parts::pill::Tone;
use super::parts::{form, icon, list, text};
use super::visit::{Page, Posted, Sent, Visit};
use super::{data, passkeys, paths};
use crate::State;

/// What stands in the form besides the tool's own arguments.
const REASON: &str = "reason";
const KEY: &str = "idempotencyKey";
const GIVEN: &str = "given";
const STEP: &str = "step";
const PREVIEWED: &str = "previewed";
/// Arguments of an earlier action that a form has no fields for, carried along as they were.
const REST: &str = "rest";

/// A form on its way: what it is filled with and what was answered last.
struct Draft<'a> {
    tool: &'static Tool,
    fields: Vec<Field>,
    values: &'a [(String, String)],
    given: Vec<String>,
    key: String,
    refusal: Option<Refusal>,
    preview: Option<Value>,
    /// Names the arguments that were previewed.
    previewed: String,
}

fn tool(visit: &Visit, name: &str) -> Result<&'static Tool, Refusal> {
    let tool = engine::tools::find(name).filter(|tool| !tool.is_read());
    let tool = tool.ok_or_else(|| Refusal::not_found("page"))?;
    if visit.actor.permits(&tool.card) {
        return Ok(tool);
    }
    Err(tool.card.permission.map_or_else(|| Refusal::not_found("page"), Refusal::forbidden))
}

/// `GET /app/do/{tool}?argument=value&…`, or `?again={action}` with the arguments of an earlier action.
pub async fn show(visit: Visit, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    // Only an authenticator can fill its form.
    if name == passkeys::REGISTER {
        return Redirect::to(paths::PASSKEYS).into_response();
    }
    let page = page(&visit, &name, query.as_deref().unwrap_or_default()).await;
    visit.answer(page)
}

async fn page(visit: &Visit, name: &str, query: &str) -> Result<Page, Refusal> {
    let tool = tool(visit, name)?;
    let fields = arguments::fields(tool.input_schema());
    let mut values = crate::body::query_pairs(query);
    if let Some(again) = values.iter().find(|(name, _)| name == "again").map(|(_, id)| id.clone()) {
        let earlier: ActionId = again.parse().map_err(|_| Refusal::not_found("action"))?;
        values = earlier_values(visit, &fields, tool, earlier).await?;
    }
    let draft = Draft {
        given: values.iter().map(|(name, _)| name.clone()).collect(),
        tool,
        fields,
        values: &values,
        // One form, one write: sent twice, it is the same proposal.
        key: format!("form-{}", visit.ids.request_id),
        refusal: None,
        preview: None,
        previewed: String::new(),
    };
    framed(visit, &draft).await
}

/// The arguments of an earlier action of the same tool; versions that have moved on are left for the tool to find out.
async fn earlier_values(
    visit: &Visit,
    fields: &[Field],
    tool: &Tool,
    id: ActionId,
) -> Result<Vec<(String, String)>, Refusal> {
    let card = data::action(visit, id).await?.card;
    if card.tool != tool.name() {
        return Err(Refusal::not_found("action"));
    }
    let payload: Map<String, Value> = serde_json::from_str(card.payload.get()).unwrap_or_default();
    let mut values = arguments::fill(fields, &payload);
    values.push((REASON.to_owned(), card.reason));
    let rest = arguments::without_fields(fields, payload);
    if !rest.is_empty() {
        values.push((REST.to_owned(), Value::Object(rest).to_string()));
    }
    Ok(values)
}

/// `POST /app/do/{tool}`: the preview, or with `step=propose` the proposal.
pub async fn send(Shared(state): Shared<State>, Path(name): Path<String>, posted: Posted<Sent>) -> Response {
    let Posted { visit, form: sent } = posted;
    let tool = match tool(&visit, &name) {
        Ok(tool) => tool,
        Err(refusal) => return visit.answer(Err(refusal)),
    };
    if let Err(refusal) = state.rate.write(&visit.actor) {
        return visit.answer(Err(refusal));
    }
    let fields = arguments::fields(tool.input_schema());
    let mut wanted = arguments::read(&fields, &sent.0);
    if let Ok(Value::Object(rest)) = serde_json::from_str(sent.get(REST)) {
        wanted.extend(arguments::without_fields(&fields, rest));
    }
    wanted.insert("reason".into(), json!(sent.get(REASON)));
    let fingerprint = Digest::of_json(&wanted).map(|digest| digest.to_string()).unwrap_or_default();
    // What is proposed is what was previewed: a field changed since is previewed first.
    let propose = sent.get(STEP) == "propose" && sent.get(PREVIEWED) == fingerprint;
    wanted.insert("dryRun".into(), json!(!propose));
    if propose {
        wanted.insert("idempotencyKey".into(), json!(sent.get(KEY)));
    }
    let answer = call(&visit, tool, &wanted).await;
    let mut draft = Draft {
        tool,
        fields,
        given: sent.get(GIVEN).split(' ').map(str::to_owned).collect(),
        key: sent.get(KEY).to_owned(),
        values: &sent.0,
        refusal: None,
        preview: None,
        previewed: fingerprint,
    };
    match answer {
        Ok(done) if propose => proposed(&visit, tool, &done),
        Ok(preview) => {
            draft.preview = Some(preview);
            let page = framed(&visit, &draft).await;
            visit.answer(page)
        }
        Err(refusal) if refusal.code == Code::Internal => visit.answer(Err(refusal)),
        Err(refusal) => {
            draft.refusal = Some(refusal.clone());
            let page = framed(&visit, &draft).await;
            visit.answer_refused(page, &refusal)
        }
    }
}

/// A write runs to its end, whether or not the browser waits for it.
pub async fn call(visit: &Visit, tool: &'static Tool, wanted: &Map<String, Value>) -> Result<Value, Refusal> {
    let arguments: Box<RawValue> = to_raw_value(wanted).map_err(|_| Refusal::internal())?;
    let (engine, actor, ids) = (visit.engine.clone(), visit.actor.clone(), visit.ids.clone());
    let run = async move {
        let caller = Caller { actor: &actor, channel: Channel::Helix, ids: &ids };
        engine.call(caller, tool.name(), &arguments).await
    };
    let answer = visit.tasks.finish(run).await.and_then(Result::ok).ok_or_else(Refusal::internal)?;
    let json: Value = serde_json::from_str(&answer.json).map_err(|_| Refusal::internal())?;
    if answer.is_error { Err(refusal_of(&json)) } else { Ok(json) }
}

/// The refusal that an error answer tells of.
fn refusal_of(answer: &Value) -> Refusal {
    #[derive(Deserialize)]
    struct Told {
        code: Code,
        message: String,
        remedy: String,
        #[serde(default)]
        details: Vec<FieldDetail>,
    }
    let told = answer.get("error").cloned().and_then(|error| serde_json::from_value::<Told>(error).ok());
    told.map_or_else(Refusal::internal, |told| {
        let mut refusal = Refusal::new(told.code, told.message, told.remedy);
        refusal.details = told.details;
        refusal
    })
}

/// Leads to the card of what was proposed. A secret is shown first, because it is shown only now.
fn proposed(visit: &Visit, tool: &Tool, done: &Value) -> Response {
    let id = done.pointer("/action/id").and_then(Value::as_str).and_then(|id| id.parse::<ActionId>().ok());
    let Some(id) = id else { return visit.answer(Err(Refusal::internal())) };
    let Some(secret) = done.get("secret").and_then(Value::as_str) else {
        return Redirect::to(&paths::action(id)).into_response();
    };
    let waits = done.get("status").and_then(Value::as_str) != Some("executed");
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], tool.card.title, html! {}, html! {}))
        (form::note(Tone::Good, Some("status"), "Copy the secret now: it is not shown again", html! {
            p { (text::copyable("secret", secret)) }
            @if waits { p { "It is good for nothing before the action has been approved." } }
            p { a href=(paths::action(id)) { "Go to the action" } }
        }))
    };
    visit.answer(Ok(Page { title: tool.card.title.to_owned(), part: Part::Administration, body, live: None }))
}

async fn framed(visit: &Visit, draft: &Draft<'_>) -> Result<Page, Refusal> {
    let tool = draft.tool;
    let teams = data::optional(data::teams(visit).await)?.unwrap_or_default();
    let body = html! {
        (layout::heading(&[], tool.card.title, html! { (tool.description()) }, html! {}))
        @if let Some(refusal) = &draft.refusal { (form::refused("It cannot be done like this", refusal)) }
        div.columns {
            div {
                (list::panel("arguments", "What is wanted", None, html! {
                    form.panel-body.stack method="post" action=(paths::command(tool.name(), &[])) {
                        (form::csrf(&visit.csrf))
                        input type="hidden" name=(KEY) value=(draft.key);
                        input type="hidden" name=(PREVIEWED) value=(draft.previewed);
                        input type="hidden" name=(GIVEN) value=(draft.given.join(" "));
                        (fields(&draft.fields, &filled(draft, &teams)))
                        (carried(value(draft, REST)))
                        div.field {
                            label for="field-reason" { "Why?" }
                            textarea id="field-reason" name=(REASON) required maxlength="2000" aria-describedby="field-reason-hint" { (value(draft, REASON)) }
                            span.hint id="field-reason-hint" { "Whoever approves it reads this, and it stands in the audit log." }
                        }
                        (buttons(draft))
                    }
                }))
            }
            div.aside { (beside(draft)) }
        }
    };
    Ok(Page { title: tool.card.title.to_owned(), part: part(tool), body, live: None })
}

fn part(tool: &Tool) -> Part {
    if tool.card.effects == Effects::Administration { Part::Administration } else { Part::None }
}

fn filled<'a>(draft: &'a Draft<'_>, teams: &'a [engine::view::TeamView]) -> Filled<'a> {
    Filled {
        values: draft.values,
        wrong: draft.refusal.as_ref().map_or(&[], |refusal| refusal.details.as_slice()),
        teams,
        given: &draft.given,
    }
}

fn value<'a>(draft: &'a Draft<'_>, name: &str) -> &'a str {
    draft.values.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text.as_str())
}

/// What is carried along unchanged.
fn carried(rest: &str) -> Markup {
    let pretty = serde_json::from_str::<Value>(rest).and_then(|rest| serde_json::to_string_pretty(&rest));
    html! {
        @if let Ok(pretty) = pretty {
            input type="hidden" name=(REST) value=(rest);
            details.fold { summary { "Carried over unchanged" } pre tabindex="0" { (pretty) } }
        }
    }
}

fn buttons(draft: &Draft<'_>) -> Markup {
    let at_once = draft.preview.as_ref().is_some_and(runs_at_once);
    html! {
        div.buttons {
            @if draft.preview.is_some() {
                button.button.primary name=(STEP) value="propose" {
                    (icon::CHECK) @if at_once { "Do it" } @else { "Propose it" }
                }
            }
            button class=(if draft.preview.is_some() { "button" } else { "button primary" }) name=(STEP) value="preview" { (icon::SEARCH) @if draft.preview.is_some() { "Preview again" } @else { "Preview" } }
        }
    }
}

fn runs_at_once(preview: &Value) -> bool {
    preview.pointer("/preview/requirement/minimumApprovers").and_then(Value::as_u64) == Some(0)
}

/// The preview, or what comes next.
fn beside(draft: &Draft<'_>) -> Markup {
    let Some(preview) = &draft.preview else {
        return list::panel(
            "next",
            "How it goes on",
            None,
            html! {
                div.panel-body {
                    p { "The preview shows exactly what would change and who must approve it. Nothing is changed before that." }
                    @if draft.fields.iter().any(|field| matches!(field.kind, Kind::Several(_) | Kind::Lines)) {
                        p.hint { "Fields that may be left empty say so; what is left empty is left as it is." }
                    }
                }
            },
        );
    };
    let effects = preview.get("effects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let said =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let approvers = preview.pointer("/preview/approvers").and_then(Value::as_str).unwrap_or_default();
    let notes = preview.get("notes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list::panel(
        "preview",
        "What would change",
        Some(effects.len() as u32),
        html! {
            div.panel-body.diff {
                p { @if runs_at_once(preview) { "It runs at once: no approval is asked for." } @else { (approvers) } }
                @for note in notes { p.hint { (said(note, "text")) } }
                @for effect in effects {
                    div.change {
                        div.change-head {
                            span class={ "op " (said(effect, "operation")) } { (text::capital(&said(effect, "operation"))) " " (said(effect, "recordType").replace('_', " ")) }
                            span.item-title { (said(effect, "title")) }
                        }
                        dl.facts {
                            @for change in effect.get("changes").and_then(Value::as_array).into_iter().flatten() {
                                dt { (text::words(&said(change, "field"))) }
                                dd {
                                    @if change.get("from").is_some_and(Value::is_string) { del.from { (said(change, "from")) } " → " ins.to { (said(change, "to")) } }
                                    @else { (said(change, "to")) }
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// A link to the form of a command, where the visitor may use it.
pub fn link(visit: &Visit, tool: &str, given: &[(&str, &str)]) -> Option<(&'static str, String)> {
    let tool = engine::tools::find(tool)?;
    visit.actor.permits(&tool.card).then(|| (tool.card.title, paths::command(tool.name(), given)))
}

/// A menu of such links, for the head of a page; nothing when there are none.
pub fn menu(links: impl IntoIterator<Item = Option<(&'static str, String)>>) -> Markup {
    let links: Vec<(&str, String)> = links.into_iter().flatten().collect();
    html! {
        @if !links.is_empty() {
            details.menu.change-menu {
                summary.button { (icon::EDIT) "Propose a change" (icon::CHEVRON) }
                nav.menu-panel aria-label="Changes" { @for (title, href) in &links { a href=(href) { (title) } } }
            }
        }
    }
}
