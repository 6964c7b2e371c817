//! The caller of one request: person, organization, rights, and how surely all that is known.

use std::sync::Arc;

use domain::agent::Agent;
use domain::id::{IdentityProviderId, SessionId, TokenId, UserId};
use domain::org::{Organization, User};
use domain::permission::{Membership, Permissions, Rights};
use store::Standing;

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A LoopIQ-issued bearer token: a program acting for a person.
    Token(TokenId),
    /// A client that a person has let in (OAuth): the id of the grant.
    Client(TokenId),
    /// An access token of an issuer outside, by the identity provider that an organization has approved.
    Outside(IdentityProviderId),
    /// A person in a browser.
    Session { id: SessionId },
    /// Somebody with the data folder in hand, on the command line.
    Local,
}

impl Credential {
    /// Whether a person is present. Only a browser session shows that: a token may be in a program's hands, and the
    /// command line records no person.
    pub const fn is_person(&self) -> bool {
        matches!(self, Credential::Session { .. })
    }

    /// The token or grant by which a program acts.
    pub const fn token_id(&self) -> Option<TokenId> {
        match self {
            Credential::Token(id) | Credential::Client(id) => Some(*id),
            Credential::Outside(_) | Credential::Session { .. } | Credential::Local => None,
        }
    }
}

/// The caller, with the rights they have at this moment.
#[derive(Debug, Clone)]
pub struct Actor {
    pub user_id: UserId,
    pub email: String,
    pub display_name: String,
    pub organization: Arc<Organization>,
    pub membership: Membership,
    /// Version of the organization's policies that was in force when the membership was read.
    pub policy_version: i64,
    /// Version of the organization's teams at that moment.
    pub teams_version: i64,
    /// What the membership gives, narrowed by `scopes` and by what the agent is granted.
    pub rights: Rights,
    pub scopes: Permissions,
    pub credential: Credential,
    /// The agent that acts for the person, when the token is one of an agent.
    pub agent: Option<Arc<Agent>>,
}

impl Actor {
    /// Puts a caller together from what was read for this request.
    pub fn new(
        user: User,
        organization: Arc<Organization>,
        standing: Standing,
        scopes: Permissions,
        credential: Credential,
    ) -> Actor {
        let Standing { membership, policies, teams } = standing;
        Actor {
            user_id: user.id,
            email: user.email,
            display_name: user.display_name,
            rights: Rights::new(&membership, scopes),
            organization,
            membership,
            policy_version: policies,
            teams_version: teams,
            scopes,
            credential,
            agent: None,
        }
    }

    /// The same caller with an agent acting for them: nothing is left but what both may do.
    #[must_use]
    pub fn through(mut self, agent: Agent) -> Actor {
        self.rights = self.rights.narrowed_to(&agent);
        self.agent = Some(Arc::new(agent));
        self
    }

    /// The same person as a client they let in would act for them with these permissions: to tell beforehand what it meets.
    #[must_use]
    pub fn as_client(&self, scopes: Permissions) -> Actor {
        Actor {
            rights: Rights::new(&self.membership, scopes),
            scopes,
            credential: Credential::Client(TokenId::from_uuid(uuid::Uuid::nil())),
            ..self.clone()
        }
    }

    /// What roles and grants give, narrowed by the credential and the agent, before policy has its say.
    pub fn held(&self) -> Rights {
        let held = Rights::new(&self.membership, self.scopes);
        self.agent.as_ref().map_or_else(|| held.clone(), |agent| held.narrowed_to(agent))
    }
}
