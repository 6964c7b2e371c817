//! The language model of the organization's assistant: which one, its limits, and its key, which is never shown again.

use axum::response::{IntoResponse, Redirect, Response};
use domain::model::{ModelProvider, ModelSettings};
use domain::permission::Permission;
use domain::refusal::Refusal;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::{form, list, text};
use super::paths;
use super::visit::{Csrf, Page, Posted, Visit};

/// The command whose place is this page.
pub const SET: &str = "loopiq_set_model";

/// `GET /app/model`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit, None).await;
    visit.answer(page)
}

#[derive(Deserialize)]
pub struct NewKey {
    csrf: String,
    #[serde(default)]
    key: String,
}
impl Csrf for NewKey {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/model/key`.
pub async fn keep_key(posted: Posted<NewKey>) -> Response {
    let Posted { visit, form } = posted;
    match visit.engine.set_model_key(visit.caller(), &form.key).await {
        Ok(()) => Redirect::to(paths::MODEL).into_response(),
        Err(refusal) => {
            let page = page(&visit, Some(&refusal)).await;
            visit.answer_refused(page, &refusal)
        }
    }
}

async fn page(visit: &Visit, refusal: Option<&Refusal>) -> Result<Page, Refusal> {
    let manages = Permission::IntegrationsManage;
    if !visit.actor.rights.allows(manages, None) {
        return Err(Refusal::forbidden(manages));
    }
    let model = visit.actor.organization.model.as_deref();
    let has_key = visit.engine.has_model_key(visit.caller()).await?;
    let left = match model {
        Some(model) => visit.engine.model_tokens_left(visit.caller(), model).await?,
        None => 0,
    };
    let lead = "What Helix answers with, where it is switched on. Without one it answers by fixed rules.";
    let change = html! {
        a.button.primary href=(paths::command(SET, &[])) { @if model.is_some() { "Change" } @else { "Choose a language model" } }
    };
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Language model", html! { (lead) }, change))
        @if let Some(refusal) = refusal { (form::refused("The key was not kept", refusal)) }
        @match model {
            None => { (text::empty("None yet", "Helix answers by fixed rules, which need none.")) }
            Some(model) => { (chosen(visit, model, has_key, left)) }
        }
    };
    Ok(Page { title: "Language model".into(), part: Part::Administration, body, live: None })
}

/// As people know it.
const fn speaks(provider: ModelProvider) -> &'static str {
    match provider {
        ModelProvider::OpenAiCompatible => "OpenAI's chat completions, as local servers do too",
        ModelProvider::Anthropic => "Anthropic's messages",
    }
}

fn chosen(visit: &Visit, model: &ModelSettings, has_key: bool, left: i64) -> Markup {
    let (tone, state) = match (model.enabled, visit.actor.organization.ai_enabled) {
        (true, true) => (Tone::Good, "In use"),
        (true, false) => (Tone::Warn, "AI is switched off"),
        (false, _) => (Tone::Quiet, "Switched off"),
    };
    let kept = if has_key {
        "A key is kept, sealed, and good for this address alone."
    } else {
        "No key is kept. Local servers mostly need none."
    };
    list::panel_with(
        "model",
        &model.model,
        None,
        html! { (pill::toned(tone, state)) },
        html! {
            div.panel-body.stack {
                dl.facts {
                    dt { "Speaks" } dd { (speaks(model.provider)) }
                    dt { "Address" } dd { (model.base_url) }
                    dt { "Tool calls for one question" } dd { (model.steps_max) }
                    dt { "Tokens it may write for one question" } dd { (model.output_tokens_max) }
                    dt { "Tokens in a day (UTC)" } dd { (model.tokens_per_day_max) ", of which " (left) " are left today" }
                }
                p.hint { "What people ask, and what the tools return to them, is sent to this address. It is used by people with the permission ai:use." }
                form.stack method="post" action=(paths::MODEL_KEY) {
                    (form::csrf(&visit.csrf))
                    div.field {
                        label for="model-key" { "New key" }
                        input id="model-key" type="password" name="key" required maxlength="1000" autocomplete="off" aria-describedby="model-key-hint";
                        span.hint id="model-key-hint" { (kept) " It is never shown again." }
                    }
                    button.button { "Keep the key" }
                }
            }
        },
    )
}
