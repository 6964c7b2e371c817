//! Identity providers: outside services (OpenID Connect) that say who somebody is, each for one organization, for the e-mail
//! domains it was named for, and for nothing else. What their groups mean here is the organization's own decision.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{IdentityProviderId, OrgId, TeamId, UserId};
use crate::permission::{Access, Membership, MembershipStatus, Permission, Role, TeamRole};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::webhook::check_url;

/// Identity providers of one organization.
pub const PROVIDERS_MAX: usize = 10;
/// E-mail domains of one provider.
pub const DOMAINS_MAX: usize = 50;
/// Groups of one provider that mean something here.
pub const GROUPS_MAX: usize = 200;
/// Characters of a name, a client id, a claim, a group or an audience.
pub const TEXT_CHARS_MAX: usize = 200;
/// Characters of a client secret.
pub const SECRET_CHARS_MAX: usize = 1_000;

/// What members of one of the provider's groups hold here: a role in the whole organization, or in one team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct GroupRole {
    /// As the provider writes it.
    pub group: String,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
}

/// An identity provider of one organization. Its client secret lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct IdentityProvider {
    pub id: IdentityProviderId,
    pub organization_id: OrgId,
    pub name: String,
    /// Issuer identifier, exactly as its tokens have it (OpenID Connect Core, section 2).
    pub issuer: String,
    pub client_id: String,
    /// E-mail domains it may speak for, in lower case.
    pub domains: Vec<String>,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
    pub group_roles: Vec<GroupRole>,
    /// Whether whoever it recognises becomes a member; otherwise only members sign in through it.
    pub create_members: bool,
    /// Direct permissions of members who are made so.
    pub member_permissions: Vec<Permission>,
    /// Whether its access tokens are accepted, and under which audience besides this server's own addresses.
    pub accept_access_tokens: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_audience: Option<String>,
    /// The claim of its access tokens that names organizations; without one, all of them speak of this organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_claim: Option<String>,
    /// Whether its word lets clients in for its people, without asking them (enterprise-managed authorization).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_identity_assertions: bool,
    pub enabled: bool,
    /// Kept as the last version, so that nothing older comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub version: i64,
}

fn short(name: &'static str, text: &str) -> Result<(), Refusal> {
    let fits = (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refusal::invalid(name, "must have 1 to 200 printable characters")) }
}

/// Whether a text can be the domain of an e-mail address (RFC 1035, section 2.3.1), in lower case.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

impl IdentityProvider {
    /// What every provider must be; `anywhere` also allows http and addresses that are not public.
    ///
    /// # Errors
    /// `validation_failed` naming what is not.
    pub fn check(&self, anywhere: bool) -> Result<(), Refusal> {
        short("name", &self.name)?;
        short("clientId", &self.client_id)?;
        short("groupsClaim", &self.groups_claim)?;
        check_url("issuer", &self.issuer, anywhere)?;
        if self.issuer.contains('?') {
            return Err(Refusal::invalid(
                "issuer",
                "must have no query (OpenID Connect Discovery, section 3)",
            ));
        }
        if self.domains.is_empty() || self.domains.len() > DOMAINS_MAX {
            return Err(Refusal::invalid("domains", "must be 1 to 50 e-mail domains it speaks for"));
        }
        if !self.domains.iter().all(|domain| is_domain(domain)) {
            return Err(Refusal::invalid("domains", "must be domains such as example.com"));
        }
        if self.group_roles.len() > GROUPS_MAX {
            return Err(Refusal::invalid("groupRoles", "must be at most 200"));
        }
        for mapped in &self.group_roles {
            short("groupRoles", &mapped.group)?;
        }
        if self.create_members && (self.member_permissions.is_empty() || self.group_roles.is_empty()) {
            return Err(Refusal::invalid(
                "createMembers",
                "needs groupRoles and memberPermissions: a member holds at least a role and a direct permission",
            ));
        }
        if let Some(claim) = &self.tenant_claim {
            short("tenantClaim", claim)?;
        }
        if let Some(audience) = &self.access_token_audience {
            short("accessTokenAudience", audience)?;
            if *audience == self.client_id {
                // Such a token is for whoever signs in, and proves no right to call anything.
                return Err(Refusal::invalid(
                    "accessTokenAudience",
                    "must not be the client id, which ID tokens are for",
                ));
            }
        }
        Ok(())
    }

    /// Whether it can be used for anything.
    pub fn is_usable(&self) -> bool {
        self.enabled && !self.removed
    }

    /// Whether it may speak for an e-mail address.
    pub fn speaks_for(&self, email: &str) -> bool {
        email_domain(email).is_some_and(|domain| self.domains.contains(&domain))
    }

    /// What a person in these groups holds here by them.
    pub fn access_of(&self, groups: &[String]) -> Access {
        let mut access = Access::default();
        for mapped in self.group_roles.iter().filter(|mapped| groups.contains(&mapped.group)) {
            match mapped.team_id {
                None if access.roles.contains(&mapped.role) => {}
                None => access.roles.push(mapped.role),
                Some(team_id) => {
                    let held = TeamRole { team_id, role: mapped.role };
                    if !access.team_roles.contains(&held) {
                        access.team_roles.push(held);
                    }
                }
            }
        }
        access
    }

    /// The most that it can give anybody.
    pub fn access_at_most(&self) -> Access {
        let groups: Vec<String> = self.group_roles.iter().map(|mapped| mapped.group.clone()).collect();
        let permissions = if self.create_members { self.member_permissions.clone() } else { Vec::new() };
        Access { permissions, ..self.access_of(&groups) }
    }
}

/// The domain of an e-mail address, in lower case.
pub fn email_domain(email: &str) -> Option<String> {
    email.trim().rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase())
}

/// That somebody at an issuer is one of our people, in one organization. What their groups gave them at the last sign-in is
/// kept with it, so that the next one can take it back and leave everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityLink {
    pub organization_id: OrgId,
    /// [`IdentityLink::key`].
    pub key: Digest,
    pub provider_id: IdentityProviderId,
    pub user_id: UserId,
    pub roles: Vec<Role>,
    pub team_roles: Vec<TeamRole>,
    /// The version of the membership that ended because no group gave a role any more. It comes back with the groups, unless
    /// somebody has changed it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<i64>,
    pub created_at: Timestamp,
    pub version: i64,
}

impl IdentityLink {
    /// The name of a subject of an issuer (OpenID Connect Core, section 5.7: only the two together name somebody).
    pub fn key(issuer: &str, subject: &str) -> Digest {
        Digest::of_parts(&[b"identity link", issuer.as_bytes(), b"\n", subject.as_bytes()])
    }

    /// Gives a membership what the groups of today give, takes from it what those of the last time gave, and leaves the rest.
    /// A membership that would be left without any role ends.
    pub fn map(&mut self, membership: &mut Membership, today: Access) {
        let comes_back =
            membership.status == MembershipStatus::Inactive && self.ended == Some(membership.version);
        let before = (membership.roles.clone(), membership.team_roles.clone());
        membership.roles.retain(|role| !self.roles.contains(role));
        membership.team_roles.retain(|held| !self.team_roles.contains(held));
        self.roles = today.roles.into_iter().filter(|role| !membership.roles.contains(role)).collect();
        self.team_roles =
            today.team_roles.into_iter().filter(|held| !membership.team_roles.contains(held)).collect();
        membership.roles.extend(&self.roles);
        membership.team_roles.extend(&self.team_roles);
        // The same roles in another order are no change.
        if same(&before.0, &membership.roles) {
            membership.roles = before.0;
        }
        if same(&before.1, &membership.team_roles) {
            membership.team_roles = before.1;
        }
        let holds = !membership.roles.is_empty() || !membership.team_roles.is_empty();
        if comes_back && holds {
            membership.status = MembershipStatus::Active;
            self.ended = None;
        } else if membership.status == MembershipStatus::Active && !holds {
            membership.status = MembershipStatus::Inactive;
            self.ended = Some(membership.version + 1);
        }
    }
}

fn same<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.len() == other.len() && one.iter().all(|item| other.contains(item))
}

/// A sign-in that was begun and has not come back yet: what the answer has to fit. Good once, for [`SIGN_IN_SECONDS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunSignIn {
    /// SHA-256 of the `state` that was sent along.
    pub state: Digest,
    /// SHA-256 of what the browser keeps in a cookie.
    pub browser: Digest,
    pub provider_id: IdentityProviderId,
    pub nonce: String,
    /// RFC 7636, section 4.1.
    pub pkce_verifier: String,
    /// Where to go in the console afterwards.
    pub next: String,
    pub expires_at: Timestamp,
}

/// How long a person may take at their provider.
pub const SIGN_IN_SECONDS_MAX: i64 = 600;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn provider() -> IdentityProvider {
        IdentityProvider {
            id: IdentityProviderId::from_uuid(Uuid::from_u128(1)),
            organization_id: OrgId::from_uuid(Uuid::from_u128(2)),
            name: "Acme".into(),
            issuer: "https://id.acme.example".into(),
            client_id: "loopiq".into(),
            domains: vec!["acme.example".into()],
            groups_claim: "groups".into(),
            group_roles: vec![
                GroupRole { group: "dev".into(), role: Role::Contributor, team_id: None },
                GroupRole { group: "ops".into(), role: Role::ReleaseManager, team_id: None },
            ],
            create_members: false,
            member_permissions: Vec::new(),
            accept_access_tokens: false,
            access_token_audience: None,
            tenant_claim: None,
            accept_identity_assertions: false,
            enabled: true,
            removed: false,
            created_by: UserId::from_uuid(Uuid::from_u128(3)),
            created_at: Timestamp(0),
            version: 1,
        }
    }

    fn membership(roles: &[Role]) -> Membership {
        Membership {
            organization_id: OrgId::from_uuid(Uuid::from_u128(2)),
            user_id: UserId::from_uuid(Uuid::from_u128(3)),
            email: "ada@acme.example".into(),
            display_name: "Ada".into(),
            status: MembershipStatus::Active,
            roles: roles.to_vec(),
            team_roles: Vec::new(),
            direct_permissions: vec![Permission::McpAccess],
            selected_team: None,
            provisioned: None,
            version: 1,
        }
    }

    fn link() -> IdentityLink {
        IdentityLink {
            organization_id: OrgId::from_uuid(Uuid::from_u128(2)),
            key: IdentityLink::key("https://id.acme.example", "1"),
            provider_id: IdentityProviderId::from_uuid(Uuid::from_u128(1)),
            user_id: UserId::from_uuid(Uuid::from_u128(3)),
            roles: Vec::new(),
            team_roles: Vec::new(),
            ended: None,
            created_at: Timestamp(0),
            version: 1,
        }
    }

    #[test]
    fn groups_replace_what_groups_gave_and_leave_the_rest() {
        let (provider, mut link) = (provider(), link());
        let mut held = membership(&[Role::Viewer, Role::Contributor]);
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        link.map(&mut held, provider.access_of(&groups(&["dev", "ops", "unknown"])));
        assert_eq!(held.roles, [Role::Viewer, Role::Contributor, Role::ReleaseManager]);
        assert_eq!(link.roles, [Role::ReleaseManager], "what was held directly is not the groups'");
        link.map(&mut held, provider.access_of(&groups(&["dev"])));
        assert_eq!(held.roles, [Role::Viewer, Role::Contributor]);
        link.map(&mut held, provider.access_of(&[]));
        assert_eq!((held.roles.len(), held.status), (2, MembershipStatus::Active));
    }

    #[test]
    fn without_any_role_a_membership_ends_and_comes_back_unless_somebody_ended_it() {
        let (provider, mut link) = (provider(), link());
        let mut held = membership(&[]);
        link.map(&mut held, provider.access_of(&["dev".into()]));
        link.map(&mut held, Access::default());
        assert_eq!((held.status, link.ended), (MembershipStatus::Inactive, Some(2)));
        held.version = 2;
        let (mut later, mut again) = (held.clone(), link.clone());
        again.map(&mut later, provider.access_of(&["dev".into()]));
        assert_eq!((later.status, again.ended), (MembershipStatus::Active, None));
        held.version = 3; // somebody has looked at it, and left it ended
        link.map(&mut held, provider.access_of(&["dev".into()]));
        assert_eq!(held.status, MembershipStatus::Inactive);
    }

    #[test]
    fn a_provider_is_checked_field_by_field() {
        provider().check(false).unwrap();
        let bad: [fn(&mut IdentityProvider); 9] = [
            |p| p.name.clear(),
            |p| p.issuer = "http://id.acme.example".into(),
            |p| p.issuer = "https://127.0.0.1".into(),
            |p| p.issuer = "https://id.acme.example?x=1".into(),
            |p| p.domains.clear(),
            |p| p.domains = vec!["Acme.example".into()],
            |p| p.domains = vec!["example".into()],
            |p| p.create_members = true,
            |p| p.access_token_audience = Some("loopiq".into()),
        ];
        for (index, change) in bad.iter().enumerate() {
            let mut provider = provider();
            change(&mut provider);
            assert!(provider.check(false).is_err(), "{index}");
        }
        assert!(provider().speaks_for("Ada@Acme.Example"));
        for other in ["ada@evil.example", "ada@acme.example.evil", "acme.example", "ada@xacme.example"] {
            assert!(!provider().speaks_for(other), "{other}");
        }
    }
}
