//! The bounds of the engine, each with a name.

/// Items on a page when the caller names no limit.
pub const PAGE_SIZE_DEFAULT: u32 = 25;
/// The most items on a page.
pub const PAGE_SIZE_MAX: u32 = 100;
/// The most nodes of an evidence graph in one answer.
pub const GRAPH_NODES_MAX: u32 = 300;
/// Nodes of an evidence graph when the caller names no limit.
pub const GRAPH_NODES_DEFAULT: u32 = 150;
/// Gaps, and blockers, that one comparison of releases lists of each kind of change.
pub const DIFFERENCE_ITEMS_MAX: usize = 200;
/// Points of one history of readiness.
pub const READINESS_POINTS_MAX: u32 = 500;
/// Decisions that figures are computed from, the newest.
pub const DECISIONS_MAX: u32 = 10_000;
/// Child tasks of one remediation work package.
pub const PACKAGE_CHILDREN_MAX: usize = 50;
/// Checks, and gates, of one release.
pub const RELEASE_CHECKS_MAX: usize = 500;
pub const RELEASE_GATES_MAX: usize = 100;
/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 200;
/// Characters of a reason, a description or a rationale.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Characters of a label of a work item.
pub const LABEL_CHARS_MAX: usize = 50;
/// Seconds after which a waiver has ended at the latest: somebody looks at it again at least once a year.
pub const EXCEPTION_SECONDS_MAX: i64 = 366 * 86_400;
/// Waivers ended in one sweep of one organization.
pub const EXCEPTION_SWEEP_MAX: u32 = 100;
/// Stored files of one provider that are read again in one refresh.
pub const REFRESH_FILES_MAX: usize = 100;
/// Length of an idempotency key, in printable ASCII characters.
pub const KEY_CHARS_MIN: usize = 8;
pub const KEY_CHARS_MAX: usize = 128;
/// Seconds for which a call without a key of its own is recognised as a repeat.
pub const DERIVED_KEY_SECONDS: i64 = 86_400;
/// Records of reads kept in memory before they are written.
pub const READ_LOG_MAX: usize = 256;
/// Actions of one organization that one sweep ends, lets the rules approve or tells of, because their time has come.
pub const DUE_SWEEP_MAX: u32 = 100;
/// Actions that wait for approval, read at once while those are looked for which a change has made out of date.
pub const PENDING_BATCH: u32 = 100;
/// Tries of an evidence push against concurrent pushes to the same release.
pub const EVIDENCE_TRIES_MAX: u32 = 20;
/// Records read at most while a whole release is evaluated.
pub const EVALUATION_RECORDS_MAX: usize = 20_000;

/// Bytes of the text of an organization's policies.
pub const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Actions, and refused calls, that a draft of policies is asked about.
pub const WHAT_IF_RECORDS_MAX: usize = 10_000;
/// Members, and teams, that one explanation of access asks the policies about.
pub const EXPLAINED_MEMBERS_MAX: usize = 500;
pub const EXPLAINED_TEAMS_MAX: usize = 50;
/// Approvers that one explanation of access names for one tool.
pub const EXPLAINED_APPROVERS_MAX: usize = 20;
/// Bytes of a file of tests of policies that a draft is tried with.
pub const POLICY_TESTS_BYTES_MAX: usize = 64 * 1024;
/// Problems of a text of policies that one answer lists.
pub const POLICY_PROBLEMS_MAX: usize = 50;
/// Approvals that one rule may ask for.
pub const APPROVERS_MAX: u32 = 20;
/// Versions of policies on one list.
pub const POLICY_VERSIONS_MAX: u32 = 1_000;
/// Agents of an organization, inactive ones included.
pub const AGENTS_MAX: usize = 500;
/// The longest description of an agent.
pub const AGENT_DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Passkeys of one person in one organization.
pub const PASSKEYS_MAX: usize = 10;
/// Characters of the name of a passkey.
pub const PASSKEY_NAME_CHARS_MAX: usize = 100;
/// Texts of policies kept compiled, over all organizations.
pub const POLICIES_KEPT_MAX: usize = 1_000;
/// Answers of policies of one kind kept beside one allowance.
pub const ANSWERS_KEPT_MAX: usize = 1_000;
/// Allowances kept, over all callers and surfaces.
pub const ALLOWANCES_KEPT_MAX: usize = 10_000;

/// How long a process that has died keeps others from its background work, in microseconds. Several rounds long, so that a
/// slow round does not lose it.
pub const LEASE_MICROSECONDS: i64 = 15_000_000;

/// Leaf hashes read at once while a log is signed.
pub const SEAL_BATCH: u64 = 4_096;
/// Records of one piece of an export.
pub const EXPORT_BATCH: u32 = 2_000;

/// Evidence packs that are made at the same time; further ones wait.
pub const PACKS_AT_ONCE: usize = 2;

/// Webhooks of one organization.
pub const WEBHOOKS_MAX: usize = 20;
/// Characters of a webhook's description.
pub const WEBHOOK_DESCRIPTION_CHARS_MAX: usize = 200;
/// Seconds before each further try of a delivery, as Standard Webhooks recommends.
pub const DELIVERY_RETRY_SECONDS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Tries of one webhook's deliveries in one round, so that a slow receiver does not hold up the others.
pub const DELIVERIES_PER_WEBHOOK: u32 = 10;
/// Tries at the same time.
pub const DELIVERIES_AT_ONCE: usize = 50;
/// Seconds of one try, from the look-up of the name to the status of the answer. Shorter than a lease.
pub const DELIVERY_SECONDS_MAX: u64 = 10;
/// Deliveries that were given up, on one list.
pub const DEAD_DELIVERIES_MAX: u32 = 1_000;
/// Seconds for which settled deliveries are kept: those that arrived, and those that were given up.
pub const DELIVERIES_KEPT_SECONDS: i64 = 30 * 86_400;

/// Conversations with the assistant that are kept of one person; the oldest make room.
pub const CONVERSATIONS_MAX: u32 = 50;
/// Questions in one conversation.
pub const TURNS_MAX: u32 = 100;
/// Characters of a conversation's title.
pub const CONVERSATION_TITLE_CHARS_MAX: usize = 80;
