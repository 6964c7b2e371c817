//! What is told to other systems, and to whom: the events of actions, the webhooks that want them, and how often a
//! delivery is tried. How a message travels is the business of the binary.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::action::{Action, ActionState};
use crate::digest::Digest;
use crate::id::{ActionId, CertificationId, EventId, OrgId, ReleaseId, TeamId, UserId, WebhookId};
use crate::permission::Role;
use crate::refusal::Refusal;
use crate::time::Timestamp;

crate::words! {
    /// What can happen to an action.
    EventKind {
        /// It waits for an approval.
        Proposed = "action.proposed",
        /// It has run.
        Executed = "action.approved_and_executed",
        Rejected = "action.rejected",
        /// Its requester took it back.
        Withdrawn = "action.withdrawn",
        Expired = "action.expired",
        /// It was approved and could not run.
        Failed = "action.failed",
        /// One person approved it past the rules.
        GlassBroken = "action.glass_broken",
        /// Nobody decided by the time that a rule names.
        Warned = "action.warned",
    }
}

crate::words! {
    /// How a delivery stands.
    DeliveryStatus { Pending = "pending", Delivered = "delivered", Dead = "dead" }
}

crate::words! {
    /// Why a try did not deliver.
    DeliveryFailure {
        /// The receiver could not be reached, or did not speak HTTP.
        Unreachable = "unreachable",
        /// It did not answer in time.
        Timeout = "timeout",
        /// Its name leads to an address that is not public, which a setting would have to allow.
        PrivateAddress = "private_address",
        /// Its URL cannot be called.
        BadUrl = "bad_url",
        /// It answered with a redirection, which is not followed.
        Redirected = "redirected",
        /// It answered with a status of 400 to 499.
        ClientError = "client_error",
        /// It answered with another status that is no success.
        ServerError = "server_error",
        /// It answered 410: the webhook has been switched off.
        Gone = "gone",
    }
}

impl DeliveryFailure {
    /// What a status means: nothing for a success.
    pub const fn of_status(status: u16) -> Option<DeliveryFailure> {
        match status {
            200..=299 => None,
            300..=399 => Some(DeliveryFailure::Redirected),
            410 => Some(DeliveryFailure::Gone),
            400..=499 => Some(DeliveryFailure::ClientError),
            _ => Some(DeliveryFailure::ServerError),
        }
    }

    /// Whether trying again without a change of settings is of no use.
    pub const fn is_final(self) -> bool {
        matches!(self, DeliveryFailure::PrivateAddress | DeliveryFailure::BadUrl | DeliveryFailure::Gone)
    }
}

/// An address that is told of events. Its signing secret lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    pub description: String,
    /// What it is told of; empty: everything.
    pub events: Vec<EventKind>,
    /// Whether it is told anything. What is still to be delivered waits meanwhile.
    pub enabled: bool,
    pub created_by: UserId,
    pub created_by_email: String,
    pub created_at: Timestamp,
    pub version: i64,
}

/// Whether an address is one of the public internet, as far as its number says (IANA special-purpose address registries,
/// RFC 6890): not of this machine, of a private network, of one link, or of documentation.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.segments() {
            // The addresses of IPv4 inside: mapped, and translated by NAT64 (RFC 6052).
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
            }
            // Protocol assignments with Teredo, documentation, 6to4, documentation.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    );
    !special
}

/// Characters of a URL that people give.
pub const URL_CHARS_MAX: usize = 2_000;

/// Checks the form of a URL that people give as the argument `name`; `anywhere` also allows http and addresses that are not
/// public. Where a host's name leads is looked at when it is called.
///
/// # Errors
/// `validation_failed`.
pub fn check_url(name: &str, url: &str, anywhere: bool) -> Result<(), Refusal> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://").filter(|_| anywhere));
    let Some(rest) = rest else {
        let schemes =
            if anywhere { "must begin with https:// or http://" } else { "must begin with https://" };
        return Err(Refusal::invalid(name, schemes));
    };
    if url.len() > URL_CHARS_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains('#') {
        return Err(Refusal::invalid(name, "must be at most 2000 printable ASCII characters without #"));
    }
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') || host.contains('@') {
        return Err(Refusal::invalid(name, "must name a host, without a name or password"));
    }
    let number = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let number = number.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    if !anywhere && number.parse().is_ok_and(|address: IpAddr| !is_public(address)) {
        return Err(Refusal::invalid(name, "must not be an address of a private network or of this machine"));
    }
    Ok(())
}

/// One thing that happened to an action, as it is told: ids, state and the one-line summary, never arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub id: EventId,
    pub kind: EventKind,
    pub at: Timestamp,
    pub organization_id: OrgId,
    pub action_id: ActionId,
    pub tool: String,
    pub state: ActionState,
    pub summary: String,
    pub requester_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_id: Option<ReleaseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certification_id: Option<CertificationId>,
    /// Of a warning: the roles whose holders should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<Role>,
}

impl Event {
    fn of(action: &Action, kind: EventKind) -> Event {
        let warned = action.warned.as_ref().filter(|_| kind == EventKind::Warned);
        let at = match kind {
            EventKind::Proposed => action.created_at,
            EventKind::Warned => warned.map_or(action.created_at, |warning| warning.at),
            _ => action.finished_at.unwrap_or(action.created_at),
        };
        Event {
            id: event_id(action, kind),
            kind,
            at,
            organization_id: action.organization_id,
            action_id: action.id,
            tool: action.tool.clone(),
            state: action.state,
            summary: action.summary.clone(),
            requester_id: action.requester_id,
            team_id: action.team_id,
            release_id: action.release_id,
            certification_id: action.certification_id,
            escalate_to: warned.map(|warning| warning.escalate_to.clone()).unwrap_or_default(),
        }
    }
}

/// The same event has the same id whoever works it out, so that the store needs no source of ids inside a commit.
fn event_id(action: &Action, kind: EventKind) -> EventId {
    let version = action.version.to_be_bytes();
    let digest =
        Digest::of_parts(&[b"event", action.id.uuid().as_bytes(), &version, kind.as_str().as_bytes()]);
    let mut id = [0; 16];
    id.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
    EventId::from_uuid(Uuid::from_bytes(id))
}

/// What the step from one stored form of an action to the next means to others: nothing, one thing, or two.
pub fn events(before: Option<&Action>, next: &Action) -> Vec<Event> {
    let mut kinds = Vec::new();
    if before.is_some_and(|was| was.broken_glass.is_none()) && next.broken_glass.is_some() {
        kinds.push(EventKind::GlassBroken);
    }
    if before.is_some_and(|was| was.warned.is_none()) && next.warned.is_some() {
        kinds.push(EventKind::Warned);
    }
    if before.is_none_or(|was| was.state != next.state) {
        kinds.extend(match next.state {
            ActionState::PendingApproval => Some(EventKind::Proposed),
            ActionState::Approved => None,
            ActionState::Executed => Some(EventKind::Executed),
            ActionState::Failed => Some(EventKind::Failed),
            ActionState::Rejected if next.withdrawn => Some(EventKind::Withdrawn),
            ActionState::Rejected => Some(EventKind::Rejected),
            ActionState::Expired => Some(EventKind::Expired),
        });
    }
    kinds.into_iter().map(|kind| Event::of(next, kind)).collect()
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub event: Event,
    pub webhook_id: WebhookId,
    pub status: DeliveryStatus,
    /// When it is tried next, or was settled.
    pub due_at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    pub failure: Option<DeliveryFailure>,
    pub delivered_at: Option<Timestamp>,
}

impl Delivery {
    /// The delivery after one more try. `waits` are the seconds before the second try, the third and so on; when they
    /// are used up it is dead. `chance` makes a wait longer by up to a tenth, so that many do not come back at once.
    pub fn tried(
        &self,
        outcome: Option<DeliveryFailure>,
        now: Timestamp,
        waits: &[i64],
        chance: u64,
    ) -> Delivery {
        let mut next = Delivery { attempts: self.attempts + 1, failure: outcome, ..self.clone() };
        let wait = waits.get(self.attempts as usize).copied();
        match (outcome, wait) {
            (None, _) => {
                next.status = DeliveryStatus::Delivered;
                next.delivered_at = Some(now);
                next.due_at = now;
            }
            (Some(failure), Some(wait)) if !failure.is_final() => {
                let more = chance % (wait.unsigned_abs() * 100 + 1);
                let later = now.plus_seconds(wait);
                next.due_at = Timestamp(later.0.saturating_add(i64::try_from(more * 1_000).unwrap_or(0)));
            }
            (Some(_), _) => {
                next.status = DeliveryStatus::Dead;
                next.due_at = now;
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(attempts: u32) -> Delivery {
        Delivery {
            event: Event {
                id: EventId::from_uuid(Uuid::nil()),
                kind: EventKind::Proposed,
                at: Timestamp(0),
                organization_id: OrgId::from_uuid(Uuid::nil()),
                action_id: ActionId::from_uuid(Uuid::nil()),
                tool: "t".into(),
                state: ActionState::PendingApproval,
                summary: String::new(),
                requester_id: UserId::from_uuid(Uuid::nil()),
                team_id: None,
                release_id: None,
                certification_id: None,
                escalate_to: Vec::new(),
            },
            webhook_id: WebhookId::from_uuid(Uuid::nil()),
            status: DeliveryStatus::Pending,
            due_at: Timestamp(0),
            attempts,
            failure: None,
            delivered_at: None,
        }
    }

    #[test]
    fn a_delivery_is_tried_until_its_waits_are_used_up() {
        let now = Timestamp(1_000_000);
        let failed = |attempts| {
            let failure = Some(DeliveryFailure::ServerError);
            delivery(attempts).tried(failure, now, &[5, 300], u64::MAX)
        };
        let first = failed(0);
        assert_eq!((first.status, first.attempts), (DeliveryStatus::Pending, 1));
        let waited = first.due_at.0 - now.0;
        assert!(
            (5_000_000..=5_500_000).contains(&waited),
            "{waited}: five seconds, and at most a tenth more"
        );
        assert_eq!(failed(1).status, DeliveryStatus::Pending);
        let last = failed(2);
        assert_eq!((last.status, last.attempts), (DeliveryStatus::Dead, 3));
        let refused = delivery(0).tried(Some(DeliveryFailure::Gone), now, &[5], 0);
        assert_eq!(refused.status, DeliveryStatus::Dead, "no use in trying again");
        let done = delivery(1).tried(None, now, &[], 0);
        assert_eq!((done.status, done.delivered_at), (DeliveryStatus::Delivered, Some(now)));
    }

    #[test]
    fn statuses_mean_what_standard_webhooks_says() {
        let of = DeliveryFailure::of_status;
        assert_eq!((of(200), of(204)), (None, None));
        assert_eq!(of(302), Some(DeliveryFailure::Redirected));
        assert_eq!(of(410), Some(DeliveryFailure::Gone));
        assert_eq!(
            (of(404), of(503)),
            (Some(DeliveryFailure::ClientError), Some(DeliveryFailure::ServerError))
        );
    }

    #[test]
    fn addresses_that_lead_inside_are_told_from_public_ones() {
        let inside = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
            "100::1",
        ];
        for address in inside {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn urls_have_a_scheme_a_host_and_no_secrets() {
        for good in
            ["https://hooks.example/a?b=c", "https://hooks.example:8443", "https://[2606:4700::1111]/"]
        {
            check_url("url", good, false).unwrap();
        }
        for bad in [
            "http://hooks.example/",
            "ftp://hooks.example",
            "hooks.example",
            "https://",
            "https:///path",
            "https://:80/",
            "https://user:secret@hooks.example/",
            "https://hooks.example/#part",
            "https://hooks.example/a b",
            "https://hö.example/",
            "https://127.0.0.1:8484/",
            "https://[::1]/",
        ] {
            assert!(check_url("url", bad, false).is_err(), "{bad}");
        }
        check_url("url", "http://10.0.0.1/hook", true).unwrap();
    }
}
