//! The two shapes of a tool. A [`Query`] reads through a [`Cx`] of one organization and cannot write at all. A
//! [`Command`] reads facts and plans effects; idempotency, preview, approval, audit and commit are added by the
//! engine, once, for all commands. What clients see of a tool (name, schemas, annotations) is derived from its
//! card and its types, once per process.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use domain::action::Note;
use domain::effect::Effect;
use domain::id::{ActionId, CertificationId, ReleaseId, TeamId};
use domain::org::{Organization, Team};
use domain::permission::{Membership, Permission, Rights};
use domain::record::VersionRead;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use identity::passkey::RelyingParty;
use identity::{Actor, Identity};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{Blobs, Directory, Reader};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::stop::{Fault, Stop};
use crate::view::{Links, TeamRef};
use crate::{Caller, Engine, Settings};

/// How much a write can hurt; decides hints and default approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    /// Reads only.
    Read,
    /// An ordinary write: one person must approve, who may be the requester.
    Write,
    /// A write that always needs a second person.
    SecondPerson,
    /// Running the organization itself: its people, switches and policies. By default without approval.
    Administration,
}

/// What a tool is, in one constant.
#[derive(Debug, Clone, Copy)]
pub struct Card {
    /// `loopiq_<verb>_<noun>`.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Needed to see and to call it. `None`: MCP access alone (the context tool).
    pub permission: Option<Permission>,
    pub effects: Effects,
    /// Whether clients are offered it over MCP, if their rights go that far. What is not is for people and their own
    /// programs, over the console, the HTTP API and the command line, whatever a policy says.
    pub over_mcp: bool,
    /// Raised when arguments or effects change meaning; part of every approval's digest.
    pub version: u32,
}

/// What one call reads through: one organization, one caller, one moment.
pub struct Cx<'a> {
    pub reader: &'a Reader,
    /// Evidence bytes of the same organization.
    pub blobs: &'a Blobs,
    pub directory: &'a Directory,
    pub identity: &'a Identity,
    pub actor: &'a crate::gate::Admitted,
    pub rights: &'a Rights,
    pub organization: &'a Organization,
    pub now: Timestamp,
    pub links: &'a Links,
    pub settings: &'a Settings,
    pub cursors: &'a crate::cursor::Cursors,
    /// None where passkeys cannot be used at the public address.
    pub passkeys: Option<&'a RelyingParty>,
    pub(crate) seen: Seen,
}

/// What a call has read that it asks for again: for its plan, for the policies, for the card.
#[derive(Default)]
pub(crate) struct Seen {
    teams: Mutex<Vec<Team>>,
    members: OnceCell<Arc<Vec<Membership>>>,
}

impl Seen {
    /// Keeps a team that was read by other means than [`Cx::team`].
    pub fn keep(&self, team: &Team) {
        self.teams.lock().unwrap_or_else(PoisonError::into_inner).push(team.clone());
    }
}

impl Cx<'_> {
    /// A team, read once in a call.
    pub(crate) async fn team(&self, id: TeamId) -> Result<Option<Team>, Fault> {
        let found = {
            let teams = self.seen.teams.lock().unwrap_or_else(PoisonError::into_inner);
            teams.iter().find(|team| team.id == id).cloned()
        };
        if found.is_some() {
            return Ok(found);
        }
        let read = self.reader.team(id).await?;
        if let Some(team) = &read {
            self.seen.keep(team);
        }
        Ok(read)
    }

    /// A team with the key by which policies know it.
    pub(crate) async fn team_of(&self, team: Option<TeamId>) -> Result<Option<(TeamId, String)>, Fault> {
        let Some(id) = team else { return Ok(None) };
        Ok(self.team(id).await?.map(|team| (id, team.key)))
    }

    /// All memberships, inactive ones included, read once in a call.
    pub(crate) async fn members(&self) -> Result<Arc<Vec<Membership>>, Fault> {
        let read = || async { Ok::<_, Fault>(self.reader.memberships().await?) };
        self.seen.members.get_or_try_init(read).await.cloned()
    }
}

/// What an answer says besides its fields.
pub trait Say {
    /// Short rendering for readers that ignore structure. Never repeats free text of the caller.
    fn say(&self) -> String;
    /// The team the answer is about, where there is one.
    fn team(&self) -> Option<TeamRef> {
        None
    }
    /// How many records it returns, for the audit record.
    fn returned(&self) -> u32 {
        1
    }
}

/// A tool that reads.
pub trait Query: Send + Sync + 'static {
    const CARD: Card;
    /// Members that concise answers leave out of each of their `items`; where there are some, the tool takes `detail`.
    /// Never `origins` or `hidden`, which say how the rest is to be read.
    const LEFT_OUT: &'static [&'static str] = &[];
    /// Its doc comment is the tool's description, its fields' comments the parameters'.
    type In: DeserializeOwned + JsonSchema + Send;
    type Out: Serialize + JsonSchema + Say + Send;
    fn answer(cx: &Cx<'_>, input: Self::In) -> impl Future<Output = Result<Self::Out, Stop>> + Send;
}

/// What a command wants to do. The preview renders it, the approval binds it, the execution applies it.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub effects: Vec<Effect>,
    /// Every record whose state the plan relies on. Execution fails when one has moved.
    pub versions: Vec<VersionRead>,
    /// Names of records that effects mention only by id.
    pub labels: BTreeMap<String, String>,
    /// One line for lists and cards.
    pub summary: String,
    /// What the caller should know besides: kept with the action and repeated in every answer.
    pub notes: Vec<Note>,
    pub team_id: Option<TeamId>,
    pub release_id: Option<ReleaseId>,
    pub certification_id: Option<CertificationId>,
    /// Shown in the answer to this call and kept nowhere.
    pub secret: Option<String>,
}

/// Who asks, when and why: what a plan is made of besides its facts and arguments.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub by: &'a Actor,
    pub now: Timestamp,
    /// The reason given with the call, trimmed.
    pub reason: &'a str,
}

/// Makes the ids of records to be created.
pub type NewId<'a> = &'a mut dyn FnMut() -> Uuid;

/// A tool that writes.
pub trait Command: Send + Sync + 'static {
    const CARD: Card;
    /// The tool's own arguments. The common ones (`dryRun`, `reason`, `idempotencyKey`, …) are added by the engine.
    type In: DeserializeOwned + JsonSchema + Send + Sync;
    type Facts: Send + Sync;
    /// Refusals that are documented by their own code and must come before the schema's general one.
    ///
    /// # Errors
    /// For example `missing_title`.
    fn screen(_arguments: &Value) -> Result<(), Refusal> {
        Ok(())
    }
    /// Reads what the plan needs, in the caller's organization, checking permission on the way.
    fn facts(cx: &Cx<'_>, input: &Self::In) -> impl Future<Output = Result<Self::Facts, Stop>> + Send;
    /// Pure.
    ///
    /// # Errors
    /// The documented refusals.
    fn plan(
        facts: &Self::Facts,
        input: &Self::In,
        asked: Asked<'_>,
        new_id: NewId<'_>,
    ) -> Result<Plan, Refusal>;
}

/// A rendered answer: the structured object as JSON, and the short text.
#[derive(Debug, Clone)]
pub struct Answer {
    pub json: String,
    pub text: String,
    pub is_error: bool,
    /// The action that waits for people's approval, where that is what the answer says.
    pub waits: Option<ActionId>,
}

pub(crate) type Done = Result<Answer, Stop>;
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A command with its arguments. What all commands share is written once for this, not for each of them.
pub(crate) trait Planner: Send + Sync {
    /// Reads the facts and makes the plan.
    fn plan<'a>(
        &'a self,
        cx: &'a Cx<'a>,
        asked: Asked<'a>,
        new_id: &'a (dyn Fn() -> Uuid + Sync),
    ) -> Later<'a, Result<Plan, Stop>>;
}

struct Ready<C: Command>(C::In);

impl<C: Command> Planner for Ready<C> {
    fn plan<'a>(
        &'a self,
        cx: &'a Cx<'a>,
        asked: Asked<'a>,
        new_id: &'a (dyn Fn() -> Uuid + Sync),
    ) -> Later<'a, Result<Plan, Stop>> {
        Box::pin(async move {
            let facts = C::facts(cx, &self.0).await?;
            Ok(C::plan(&facts, &self.0, asked, &mut || new_id())?)
        })
    }
}

/// What a tool does with arguments that fit its schema.
pub(crate) enum Work {
    /// Answers.
    Read(for<'a> fn(&'a Engine, Caller<'a>, Value) -> Later<'a, Done>),
    Write {
        screen: fn(&Value) -> Result<(), Refusal>,
        /// Takes the command's own arguments.
        ready: fn(Value) -> serde_json::Result<Box<dyn Planner>>,
    },
}

/// One entry of the catalogue.
pub struct Tool {
    pub card: Card,
    pub(crate) work: Work,
    pub(crate) derived: LazyLock<crate::schema::Derived, fn() -> crate::schema::Derived>,
}

impl Tool {
    pub fn name(&self) -> &'static str {
        self.card.name
    }
    pub fn is_read(&self) -> bool {
        self.card.effects == Effects::Read
    }
    /// The complete MCP tool object as JSON, built once.
    pub fn listing(&self) -> &str {
        &self.derived.listing
    }
    pub fn description(&self) -> &str {
        &self.derived.description
    }
    pub fn input_schema(&self) -> &Value {
        &self.derived.input
    }
    pub fn output_schema(&self) -> &Value {
        &self.derived.output
    }
}

/// Enters a query into the catalogue.
pub(crate) const fn query<Q: Query>() -> Tool {
    Tool {
        card: Q::CARD,
        work: Work::Read(|engine, caller, arguments| {
            Box::pin(crate::call::run_query::<Q>(engine, caller, arguments))
        }),
        derived: LazyLock::new(crate::schema::derive_query::<Q>),
    }
}

/// Enters a command into the catalogue.
pub(crate) const fn command<C: Command>() -> Tool {
    Tool {
        card: C::CARD,
        work: Work::Write {
            screen: C::screen,
            ready: |own| Ok(Box::new(Ready::<C>(serde_json::from_value(own)?))),
        },
        derived: LazyLock::new(crate::schema::derive_command::<C>),
    }
}
