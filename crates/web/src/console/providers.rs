//! The identity providers of the organization, what each has to be told of this service, and the client secret of each.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use domain::id::IdentityProviderId;
use domain::refusal::Refusal;
use engine::tools::list_identity_providers::{In, Item, ListIdentityProviders};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::{form, list, text};
use super::paths;
use super::visit::{self, Csrf, Page, Posted, Visit};

/// The commands whose place is this page.
pub const SET: &str = "loopiq_set_identity_provider";
pub const REMOVE: &str = "loopiq_remove_identity_provider";

/// `GET /app/identity-providers`.
pub async fn show(visit: Visit) -> Response {
    let page = page(&visit, None).await;
    visit.answer(page)
}

#[derive(Deserialize)]
pub struct NewSecret {
    csrf: String,
    #[serde(default)]
    secret: String,
}
impl Csrf for NewSecret {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/identity-providers/{id}/secret`.
pub async fn keep_secret(Path(id): Path<String>, posted: Posted<NewSecret>) -> Response {
    let Posted { visit, form } = posted;
    let kept = match visit::id_in_path::<IdentityProviderId>(&id, "identity provider") {
        Ok(id) => visit.engine.set_client_secret(visit.caller(), id, &form.secret).await,
        Err(refusal) => Err(refusal),
    };
    match kept {
        Ok(()) => Redirect::to(paths::PROVIDERS).into_response(),
        Err(refusal) => {
            let page = page(&visit, Some(&refusal)).await;
            visit.answer_refused(page, &refusal)
        }
    }
}

async fn page(visit: &Visit, refusal: Option<&Refusal>) -> Result<Page, Refusal> {
    let found = visit.ask::<ListIdentityProviders>(In::default()).await?;
    let lead = "Services of your company through which people sign in, instead of by a password here.";
    let add = html! { a.button.primary href=(paths::command(SET, &[])) { "Add an identity provider" } };
    let body = html! {
        (layout::heading(&[("Administration", paths::ADMINISTRATION.into())], "Identity providers", html! { (lead) }, add))
        @if let Some(refusal) = refusal { (form::refused("The client secret was not kept", refusal)) }
        @if found.items.is_empty() { (text::empty("None yet", "People sign in by the password that they have here.")) }
        @for item in &found.items { (listed(item, visit)) }
    };
    Ok(Page { title: "Identity providers".into(), part: Part::Administration, body, live: None })
}

fn listed(item: &Item, visit: &Visit) -> Markup {
    let provider = &item.provider;
    let id = provider.id.to_string();
    let (tone, state) = if provider.enabled { (Tone::Good, "Enabled") } else { (Tone::Quiet, "Disabled") };
    let secret =
        if item.has_client_secret { "A client secret is kept." } else { "No client secret is kept." };
    list::panel_with(
        &id,
        &provider.name,
        None,
        html! {
            (pill::toned(tone, state))
            a.button.small href=(paths::command(SET, &[("providerId", &id)])) { "Change" }
            a.button.small href=(paths::command(REMOVE, &[("providerId", &id)])) { "Remove" }
        },
        html! {
            div.panel-body.stack {
                div.item-meta { span { "Id" } (text::copyable("id", &id)) }
                div.item-meta { span { "Issuer" } (text::copyable("issuer", &provider.issuer)) }
                div.item-meta { span { "Redirect address to be entered there" } (text::copyable("redirect address", &item.redirect_url)) }
                div.item-meta { span { "Speaks for " (provider.domains.join(", ")) } }
                div.item-meta {
                    span { @if provider.create_members { "Makes members" } @else { "Signs in members only" } }
                    span { (text::count(provider.group_roles.len(), "mapped group")) }
                    span { @if provider.accept_access_tokens { "Access tokens are accepted" } @else { "Access tokens are refused" } }
                    @if provider.accept_identity_assertions { span { "Lets clients in for its people" } }
                }
                form.stack method="post" action=(format!("{}/{id}/secret", paths::PROVIDERS)) {
                    (form::csrf(&visit.csrf))
                    div.field {
                        label for=(format!("secret-{id}")) { "New client secret" }
                        input id=(format!("secret-{id}")) type="password" name="secret" required maxlength="1000" autocomplete="off";
                        span.hint { (secret) " It is never shown again." }
                    }
                    button.button { "Keep the client secret" }
                }
            }
        },
    )
}
