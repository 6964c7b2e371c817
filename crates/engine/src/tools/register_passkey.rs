//! Plans a passkey of the caller's, by which they will sign approvals that a policy wants signed. The console's page about
//! passkeys speaks to the authenticator; never offered over MCP, and to no token.

use domain::effect::Effect;
use domain::passkey::Passkey;
use domain::refusal::{Code, Refusal};
use identity::passkey::{Owner, Registered};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::decide::no_passkeys_here;
use crate::limits;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Register a passkey of your own, to sign approvals with. From then on the log proves which approvals you signed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// What you call it, for example the device it lies on.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What the browser answered when it made the passkey (RegistrationResponseJSON of WebAuthn).
    pub response: Map<String, Value>,
}

/// Everything the plan relies on.
pub struct Facts {
    registered: Registered,
    existing: Vec<Passkey>,
}

pub struct RegisterPasskey;

impl Command for RegisterPasskey {
    const CARD: Card = Card {
        name: "loopiq_register_passkey",
        title: "Register a passkey",
        permission: None,
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        // A passkey is proof of a person; a program that could register one would be one.
        if !cx.actor.credential.is_person() {
            return Err(Refusal::new(
                Code::Forbidden,
                "registering a passkey needs a person's browser session",
                "Sign in to the console and open Passkeys.",
            )
            .into());
        }
        let party = cx.passkeys.ok_or_else(no_passkeys_here)?;
        let answer = Value::Object(input.response.clone());
        let registered = party.registered(owner(cx), &answer)?;
        Ok(Facts { registered, existing: cx.reader.passkeys().await? })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let name = input.name.trim();
        if name.is_empty() || name.chars().count() > limits::PASSKEY_NAME_CHARS_MAX {
            return Err(Refusal::invalid("name", "must have 1 to 100 characters"));
        }
        let id = facts.registered.key.thumbprint().map_err(|_| Refusal::internal())?;
        if facts.existing.iter().any(|known| known.id == id) {
            return Err(Refusal::invalid("response", "is of a passkey that is registered already"));
        }
        let own = facts.existing.iter().filter(|known| known.user_id == asked.by.user_id);
        if own.count() >= limits::PASSKEYS_MAX {
            return Err(Refusal::invalid(
                "response",
                "would be one too many: a person has at most 10 passkeys",
            ));
        }
        let record = Passkey {
            id,
            user_id: asked.by.user_id,
            email: asked.by.email.clone(),
            name: name.to_owned(),
            key: facts.registered.key.clone(),
            credential: facts.registered.credential.clone(),
            created_at: asked.now,
            version: 1,
        };
        Ok(Plan {
            summary: format!("New passkey of {}", record.email),
            effects: vec![Effect::RegisterPasskey { record }],
            ..Plan::default()
        })
    }
}

/// For whom the caller's passkeys are made.
pub(crate) fn owner<'a>(cx: &'a Cx<'_>) -> Owner<'a> {
    Owner {
        organization: cx.organization.id,
        organization_name: &cx.organization.name,
        user: cx.actor.user_id,
        email: &cx.actor.email,
    }
}
