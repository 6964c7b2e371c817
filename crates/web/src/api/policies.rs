//! Trying a draft of policies. Reading and publishing them goes by tools; a trial changes nothing and is no record.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use domain::refusal::Refusal;
use engine::draft::{self, Tried};
use engine::what_if::Period;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::Access;
use crate::problem::Problem;
use crate::{State, body};

/// Days of the past that a draft can be asked about.
const DAYS_MAX: i64 = 366;

/// A draft, and what it is tried on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The policies, in Cedar.
    text: String,
    /// A file of tests, in TOML.
    #[serde(default)]
    tests: String,
    /// How many days of the past it is asked about; 30 when absent.
    #[serde(default = "month")]
    #[schemars(range(min = 1, max = 366))]
    days: i64,
}

const fn month() -> i64 {
    30
}

/// `POST /api/v1/policies/draft`.
pub async fn try_draft(Shared(state): Shared<State>, request: Request) -> Result<Json<Tried>, Problem> {
    let (parts, body): (_, Body) = request.into_parts();
    let access = Access::find(&state, &parts).await?;
    let refused = |refusal| Problem::new(refusal, &access.ids);
    let Trial { text, tests, days } = body::json(&state, &parts.headers, body, &access.ids).await?;
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(refused(Refusal::invalid("days", "must be 1 to 366")));
    }
    // Asking about the past is work, as a write is.
    state.rate.write(&access.actor).map_err(refused)?;
    let now = state.clock.now();
    let period = Period { from: now.plus_seconds(-days * 86_400), to: now };
    let tried =
        state.engine.try_policies(access.caller(), draft::Draft { text: &text, tests: &tests, period });
    tried.await.map(Json).map_err(refused)
}
