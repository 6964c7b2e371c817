//! What a person and the assistant have said to each other: questions, and answers made of closed kinds of blocks. An
//! answer holds what tools returned, as values; how it looks is decided where it is shown. Every text in it is data: of
//! records, or of the person. A conversation is one person's and nobody else's, whatever rights others have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{ActionId, CertificationId, ConversationId, ReleaseId, UserId};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// One conversation, without what was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Conversation {
    pub id: ConversationId,
    /// Whose it is.
    #[serde(skip)]
    pub user_id: UserId,
    /// The first question, shortened.
    pub title: String,
    /// How many questions it has; the place of the next one.
    pub turns: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Turn {
    /// Its place in the conversation, from 0.
    pub position: u32,
    pub at: Timestamp,
    /// As the person wrote it.
    pub question: String,
    /// The page of the console it was asked on.
    pub page: String,
    pub answer: Answer,
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Answer {
    pub blocks: Vec<Block>,
    /// The tools that were called for it, in order.
    pub calls: Vec<Called>,
    /// What may be asked next.
    pub offers: Vec<Offer>,
    /// The release that it spoke of, for questions that do not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<ReleaseId>,
    /// A write that was previewed and can be proposed as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    /// The governance action on a certification that it is the outcome of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
}

crate::words! {
    /// What a language model may be asked to look into on a release certification. It advises, and decides nothing.
    ReviewKind {
        ReleaseReadiness = "release_readiness_review", EvidencePackage = "evidence_package_generation",
        RegulatoryControl = "regulatory_control_review", SecurityPosture = "security_posture_review",
        RiskSummary = "risk_summary", RollbackReadiness = "rollback_readiness_review",
        TestAndQuality = "test_and_quality_review", OperationalImpact = "operational_impact_analysis",
    }
}

/// A governance action on a certification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Review {
    pub kind: ReviewKind,
    pub certification_id: CertificationId,
    pub release_id: ReleaseId,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[schemars(inline)]
pub enum Block {
    /// A sentence of the assistant's own, around values of tools.
    Said { text: String },
    /// What a language model wrote: plain text, and never a link but of the ids named here.
    Written {
        text: String,
        /// Which model, as its provider calls it.
        model: String,
        /// Records in it that tools returned.
        named: Vec<Named>,
    },
    /// Names and values.
    Facts { facts: Vec<Fact> },
    /// Records, of which there may be more than are listed.
    Records {
        title: String,
        items: Vec<Item>,
        total: u32,
        /// The page with all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// What a write would change, from its preview.
    Preview {
        title: String,
        changes: Vec<Changing>,
        total: u32,
        /// Who may approve it.
        approvers: String,
        notes: Vec<String>,
    },
    /// A governed action; its approval card is read afresh whenever this is shown.
    Action { id: ActionId },
    /// What was refused, why, and what to do next.
    Refused { refusal: Refusal },
}

/// A record that a text names by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Named {
    pub id: String,
    /// Its page.
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Fact {
    pub label: String,
    pub value: String,
}

/// A record in an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Item {
    pub title: String,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// A word of a closed vocabulary: a state, a verdict, a severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What else there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One change of a write that has not happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Changing {
    /// `create` or `update`.
    pub operation: String,
    pub noun: String,
    pub title: String,
}

/// A tool that was called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Called {
    pub tool: String,
    pub arguments: Map<String, Value>,
    /// How many records came back, how the write stands, or the code of the refusal.
    pub outcome: String,
}

/// Something that may be asked next, as a button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Offer {
    /// The question.
    pub text: String,
    /// The release it is about, where the question does not name it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<ReleaseId>,
    /// A page to open instead, such as a form that is filled in already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A call of a writing tool without what makes it a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Planned {
    pub tool: String,
    pub arguments: Map<String, Value>,
}
