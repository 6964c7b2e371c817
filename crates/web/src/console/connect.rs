//! Connecting a client: how, what is in the way for this person in this organization and who can mend it, and which programs
//! are let in already.

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Redirect, Response};
use domain::id::TokenId;
use domain::oauth::{Scope, permissions_of};
use domain::permission::Permission;
use domain::refusal::Refusal;
use engine::Surface;
use identity::AuthError;
use identity::oauth::Connected;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::{form, icon, list, text};
use super::paths;
use super::visit::{Csrf, Page, Posted, Visit};
use crate::State;
use crate::connect::{Program, Way, snippet};

/// `GET /app/connect`.
pub async fn show(Shared(state): Shared<State>, visit: Visit) -> Response {
    let page = page(&state, &visit, None).await;
    visit.answer(page)
}

#[derive(Debug, Deserialize)]
pub struct Ending {
    csrf: String,
    #[serde(default)]
    client: String,
}
impl Csrf for Ending {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/connect`: ends what a client was allowed.
pub async fn end(Shared(state): Shared<State>, posted: Posted<Ending>) -> Response {
    let Posted { visit, form } = posted;
    match ended(&state, &visit, &form.client).await {
        Ok(()) => Redirect::to(paths::CONNECT).into_response(),
        Err(refusal) => {
            let status = crate::problem::status(refusal.code);
            let page = page(&state, &visit, Some(&refusal)).await;
            let mut response = visit.answer(page);
            if response.status().is_success() {
                *response.status_mut() = status;
            }
            response
        }
    }
}

fn manages(visit: &Visit) -> bool {
    visit.actor.rights.allows(Permission::UsersManage, None)
}

async fn ended(state: &State, visit: &Visit, client: &str) -> Result<(), Refusal> {
    let id: TokenId = client.parse().map_err(|_| Refusal::not_found("client"))?;
    state.identity.disconnect_client(&visit.actor, id, manages(visit)).await.map_err(|error| match error {
        AuthError::Refused(refusal) => refusal,
        fault => broken(visit, &fault),
    })
}

fn broken(visit: &Visit, fault: &dyn std::error::Error) -> Refusal {
    crate::access::log(&visit.ids, "connected clients", fault);
    Refusal::internal()
}

/// One thing that has to be so, and who can mend it where it is not.
struct Finding {
    good: bool,
    what: String,
    remedy: &'static str,
}

/// What a client of this person would meet in this organization, in the order in which it would meet it.
async fn diagnosis(state: &State, visit: &Visit) -> Result<Vec<Finding>, Refusal> {
    let actor = &visit.actor;
    let base = state.settings.base();
    let https = state.settings.is_https();
    let scopes = permissions_of(&[Scope::Read, Scope::Write]);
    let client = crate::access::admit(state, actor.as_client(scopes), Surface::Mcp, &visit.ids).await;
    let tools = client.map_err(|_| Refusal::internal())?.tools().len();
    let held = actor.held().allows_somewhere(Permission::McpAccess);
    Ok(vec![
        Finding {
            good: true,
            what: format!("Clients find this server at {base}/mcp, and its sign-in by themselves"),
            remedy: "",
        },
        Finding {
            good: https,
            what: if https {
                "The address is https, as clients on other machines need it".into()
            } else {
                "The address is not https: only clients on the same machine will connect".into()
            },
            remedy: "The operator of this server puts it behind https and sets --public-url.",
        },
        Finding {
            good: actor.organization.mcp_enabled,
            what: if actor.organization.mcp_enabled {
                format!("MCP is switched on for {}", actor.organization.name)
            } else {
                format!(
                    "MCP is switched off for {}: a client connects and sees no tools",
                    actor.organization.name
                )
            },
            remedy: "An administrator of the organization switches it on, under Admin.",
        },
        Finding {
            good: held,
            what: if held {
                "Your roles include MCP access".into()
            } else {
                "Your roles do not include MCP access: a client connects and sees no tools".into()
            },
            remedy: "An administrator gives you a role with mcp:access, or that permission itself.",
        },
        Finding {
            good: tools > 0,
            what: format!("A client you let in would see {tools} tools here"),
            remedy: "What is above has to be mended first; if all is well there, a policy of the organization forbids it.",
        },
    ])
}

async fn page(state: &State, visit: &Visit, refusal: Option<&Refusal>) -> Result<Page, Refusal> {
    let findings = diagnosis(state, visit).await?;
    let mut mine =
        state.identity.clients_of_person(visit.actor.user_id).await.map_err(|f| broken(visit, &f))?;
    // A session may be confined to less than all of the person's organizations.
    mine.retain(|client| visit.organizations.iter().any(|o| o.id == client.grant.organization_id));
    let others = if manages(visit) {
        let here = state.identity.clients_of_organization(visit.actor.organization.id).await;
        let mut here = here.map_err(|f| broken(visit, &f))?;
        here.retain(|client| client.grant.user_id != visit.actor.user_id);
        Some(here)
    } else {
        None
    };
    let base = state.settings.base();
    let body = html! {
        (layout::heading(&[], "Connect a client", html! { "An AI client acts for you, in the organization you choose when you let it in, and never approves anything." }, html! {}))
        @if let Some(refusal) = refusal { (form::refused("Nothing was ended", refusal)) }
        div.columns {
            div {
                (checked(&findings))
                (how(base))
            }
            div.aside {
                (clients("yours", "Let in by you", &mine, visit, false))
                @if let Some(others) = &others { (clients("others", "Let in by others, in this organization", others, visit, true)) }
            }
        }
    };
    Ok(Page { title: "Connect a client".into(), part: Part::None, body, live: None })
}

fn checked(findings: &[Finding]) -> Markup {
    list::panel(
        "checks",
        "What a client of yours would meet",
        None,
        html! {
            div.panel-body {
                ul.plain {
                    @for finding in findings {
                        li {
                            @if finding.good { (icon::CHECK) } @else { (icon::ALERT) }
                            div {
                                @if finding.good { (finding.what) } @else { strong { (finding.what) } }
                                @if !finding.good { p.hint { (finding.remedy) } }
                            }
                        }
                    }
                }
                p.hint { "Wrong organization? Disconnect the client, connect it again and choose the right one; or give it the address of one organization alone, which ends in /t/NAME/mcp." }
                p.hint { "Unauthorized? What a client was allowed ends when you or an administrator end it, and after a year. Sign in again from the client." }
                p.hint { "Records twice? Repeat a call with the same idempotencyKey; what became of it, loopiq_get_action tells." }
                p.hint { "From where the client runs, " code { "loopiq doctor --url …" } " walks the same way." }
            }
        },
    )
}

fn how(base: &str) -> Markup {
    list::panel(
        "how",
        "How",
        None,
        html! {
            @for program in Program::ALL {
                @if let Some(found) = snippet(program, base, Way::SignIn) {
                    details.fold {
                        summary { (program.name()) }
                        p.hint { (found.place) }
                        pre { code { (found.text) } }
                    }
                }
            }
        },
    )
}

fn clients(id: &str, title: &str, connected: &[Connected], visit: &Visit, name_person: bool) -> Markup {
    list::panel(
        id,
        title,
        Some(connected.len() as u32),
        html! {
            @if connected.is_empty() && name_person { (text::empty("None", "Nobody else has let a client in.")) }
            @if connected.is_empty() && !name_person { (text::empty("None yet", "A client sends your browser here, and you choose what it may and where.")) }
            ul.items {
                @for client in connected {
                    li {
                        div.item-top {
                            span.item-title { (client.grant.client_name) }
                            form method="post" action=(paths::CONNECT) {
                                (form::csrf(&visit.csrf))
                                input type="hidden" name="client" value=(client.grant.id);
                                button.button.small { (icon::CROSS) "Disconnect" }
                            }
                        }
                        div.item-meta {
                            @if name_person { span { "For " (client.email) } }
                            span { "In " (client.organization_name) }
                            span { @if client.grant.scopes.contains(&Scope::Write) { "Reads and proposes" } @else { "Only reads" } }
                            span { "Since " (text::time(client.grant.created_at, visit.now)) }
                            @if let Some(at) = client.last_used_at { span { "Last used " (text::time(at, visit.now)) } }
                        }
                    }
                }
            }
        },
    )
}
