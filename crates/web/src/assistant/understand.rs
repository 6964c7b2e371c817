//! What a question asks for, by its words: a table of rules, of which the first that fits counts. Names of records are
//! taken out before, so that a release may be called whatever it likes. Knows no tool and no record.

use domain::time::Timestamp;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Which organization, as whom, with which rights.
    Context,
    Certifications,
    Releases,
    Readiness,
    Gaps,
    Blockers,
    Difference,
    Find,
    Work,
    Approvals,
    Evidence,
    Risks,
    /// Plan a remediation package.
    Remediate,
    /// Plan a refresh of evidence.
    Refresh,
    /// Plan an exception.
    Except,
    /// Plan a work item.
    CreateWork,
    /// Plan the next step of a certification.
    Submit,
    /// Plan a rollback decision.
    RollBack,
    /// Propose what was planned.
    Propose,
    Help,
    Unknown,
}

/// All groups must have a word in the question, and no word of `none` may be in it. A word that ends with `*` stands for
/// all that begin so.
struct Rule {
    intent: Intent,
    all: &'static [&'static [&'static str]],
    none: &'static [&'static str],
}

const fn rule(
    intent: Intent,
    all: &'static [&'static [&'static str]],
    none: &'static [&'static str],
) -> Rule {
    Rule { intent, all, none }
}

const MAKE: &[&str] = &[
    "propose", "create", "make", "plan", "prepare", "draft", "build", "start", "generate", "request", "add",
    "file", "new", "grant",
];
const SHOW: &[&str] =
    &["show", "list", "which", "what", "what's", "whats", "see", "view", "display", "get", "all"];

/// The first that fits counts: deeds before questions, the particular before the general.
const RULES: &[Rule] = &[
    rule(Intent::Difference, &[&["differ*", "compare*", "comparison", "versus", "vs", "diff"]], &[]),
    rule(Intent::Difference, &[&["changed", "changes"], &["between", "since"]], &[]),
    rule(Intent::Remediate, &[MAKE, &["remed*"]], &[]),
    rule(Intent::Remediate, &[&["remediate", "remediating"]], &[]),
    rule(Intent::Work, &[SHOW, &["remed*"]], &[]),
    rule(Intent::Work, &[&["status", "progress", "existing", "open"], &["remed*"]], &[]),
    rule(Intent::Remediate, &[&["remed*"]], &[]),
    rule(
        Intent::Refresh,
        &[&[
            "refresh*",
            "recollect*",
            "re-collect*",
            "re-read",
            "reread",
            "re-evaluat*",
            "reevaluat*",
            "renew",
        ]],
        &[],
    ),
    rule(Intent::Refresh, &[&["update", "collect"], &["evidence"]], &[]),
    rule(Intent::Except, &[&["waive", "except"]], &[]),
    rule(Intent::Except, &[MAKE, &["exception*", "waiver*", "deviation*"]], &[]),
    rule(Intent::Except, &[&["accept"], &["risk*", "gap*", "blocker*"]], &[]),
    rule(Intent::Submit, &[&["submit*"]], &["did", "who", "when", "was"]),
    rule(Intent::RollBack, &[MAKE, &["rollback*", "roll-back"]], &[]),
    rule(Intent::RollBack, &[&["roll", "take"], &["back"]], &["can", "could"]),
    rule(Intent::CreateWork, &[MAKE, &["task", "story", "issue", "epic", "ticket", "item"]], &[]),
    rule(Intent::Context, &[&["tenant*", "whoami"]], &[]),
    rule(
        Intent::Context,
        &[&["organization*", "organisation*", "org", "workspace", "account"]],
        &["release*", "certif*", "gap*", "evidence"],
    ),
    rule(Intent::Context, &[&["who"], &["am", "me"]], &[]),
    rule(Intent::Context, &[&["connected"], &["where", "what", "which", "to", "as"]], &[]),
    rule(Intent::Context, &[&["my"], &["role*", "permission*", "right*"]], &[]),
    rule(Intent::Context, &[&["may", "allowed"], &["i"]], &["release*"]),
    rule(Intent::Approvals, &[&["approv*", "decide", "decision*", "inbox"]], &[]),
    rule(
        Intent::Approvals,
        &[&["wait*", "pending", "needs"], &["me", "my", "decision*", "action*", "what", "which"]],
        &["release*", "evidence", "gap*"],
    ),
    rule(Intent::Certifications, &[&["releases"], &["block*", "ready", "held", "stuck"]], &["gap*"]),
    rule(Intent::Help, &[&["can"], &["do"], &["i", "you", "here"]], &["it", "release", "about"]),
    rule(Intent::Gaps, &[&["gap*"]], &[]),
    rule(Intent::Gaps, &[&["miss*", "lack*"], &["evidence", "control*", "what", "proof*"]], &[]),
    rule(
        Intent::Blockers,
        &[&["block*", "holds", "holding", "hold", "stops", "stuck", "prevent*", "hinder*", "obstacle*"]],
        &["story"],
    ),
    rule(
        Intent::Blockers,
        &[&["why"], &["ready", "red", "fail*", "certified", "not", "isn't", "can't", "cannot"]],
        &[],
    ),
    rule(
        Intent::Blockers,
        &[&["what", "how"], &["fix*", "todo", "do"]],
        &["you", "evidence", "work", "releases", "teams", "tasks"],
    ),
    rule(Intent::Blockers, &[&["fix", "findings", "vulnerab*", "failing", "failed", "fails", "broken"]], &[]),
    rule(Intent::Readiness, &[&["can", "may"], &["release", "ship"]], &["evidence", "releases"]),
    rule(Intent::Evidence, &[&["evidence", "proof*", "sbom*", "scan*", "report*"]], &["certif*"]),
    rule(Intent::Certifications, &[&["certif*", "certs"]], &[]),
    rule(
        Intent::Readiness,
        &[&[
            "ready",
            "readiness",
            "status",
            "stand*",
            "state",
            "score",
            "verdict",
            "progress",
            "health",
            "explain*",
            "summar*",
            "overview",
            "ship",
        ]],
        &["team", "releases"],
    ),
    rule(Intent::Risks, &[&["risk*", "exception*", "waive*", "deviation*"]], &[]),
    rule(
        Intent::Work,
        &[&[
            "work", "task*", "story", "stories", "issue*", "ticket*", "backlog", "package*", "epic*", "todo*",
        ]],
        &[],
    ),
    rule(Intent::Releases, &[&["releases", "versions"]], &[]),
    rule(Intent::Readiness, &[&["how", "tell", "about", "is"], &["release", "it", "this"]], &[]),
    rule(Intent::Releases, &[&["release", "version"], SHOW], &[]),
    rule(Intent::Context, &[&["team", "teams"], &["my", "which", "what"]], &[]),
    rule(Intent::Help, &[&["help", "hello", "hi", "hey", "thanks", "commands", "examples"]], &[]),
    rule(Intent::Blockers, &[&["why"]], &[]),
    rule(Intent::Help, &[&["you"], &["can", "do", "who", "what"]], &[]),
];

/// Questions that begin so look for something.
const FINDING: &[&str] = &["find", "search", "locate", "lookup"];
/// Said as a whole, these ask for what was planned.
const AGREEING: &[&str] = &[
    "yes",
    "yes please",
    "propose it",
    "propose this",
    "propose that",
    "propose the plan",
    "do it",
    "go ahead",
    "ok",
    "okay",
    "please do",
    "agreed",
];

/// The words of a text, in lower case.
pub fn words(text: &str) -> Vec<String> {
    let inside = |c: char| c.is_alphanumeric() || "-._@:'".contains(c);
    let split = text.split(|c: char| !inside(c));
    let trimmed = split.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    trimmed.filter(|word| !word.is_empty()).collect()
}

/// Whether a word looks like the name or the id of a record rather than like a word of a language.
pub fn looks_like_a_name(word: &str) -> bool {
    word.bytes().any(|b| b.is_ascii_digit()) && word.contains(['-', '.', '_']) && !is_date(word)
}

fn is_date(word: &str) -> bool {
    Timestamp::parse(&format!("{word}T00:00:00Z")).is_some()
}

/// The words that look like names, as they were written.
pub fn names(text: &str) -> Vec<&str> {
    let split = text.split(|c: char| c.is_whitespace() || "\"“”'`,;?!()<>".contains(c));
    let trimmed = split.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    trimmed.filter(|word| looks_like_a_name(word)).collect()
}

/// What stands between quotation marks, the first.
pub fn quoted(text: &str) -> Option<&str> {
    let (at, open) = text.char_indices().find(|(_, c)| "\"“„«".contains(*c))?;
    let rest = text.get(at + open.len_utf8()..)?;
    let end = rest.find(['"', '”', '“', '»'])?;
    let inside = rest.get(..end)?.trim();
    (!inside.is_empty()).then_some(inside)
}

/// The text without what stands between quotation marks.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        if "\"“”„«»".contains(c) {
            inside = !inside;
            out.push(' ');
        } else if !inside {
            out.push(c);
        }
    }
    // A mark that is never closed quotes nothing.
    if inside { text.to_owned() } else { out }
}

/// What a question asks for. `known` are names of records in it.
pub fn intent(text: &str, known: &[&str]) -> Intent {
    let mut text = unquoted(text).to_lowercase();
    for name in known {
        text = text.replace(&name.to_lowercase(), " ");
    }
    let words: Vec<String> = words(&text).into_iter().filter(|word| !looks_like_a_name(word)).collect();
    let whole = words.join(" ");
    if AGREEING.contains(&whole.as_str()) {
        return Intent::Propose;
    }
    let asking = words
        .iter()
        .find(|word| !["please", "can", "could", "you", "i", "want", "to"].contains(&word.as_str()));
    if asking.is_some_and(|word| FINDING.contains(&word.as_str()))
        || whole.starts_with("look for ")
        || whole.starts_with("look up ")
        || whole.starts_with("where is ")
        || whole.starts_with("where are ")
    {
        return Intent::Find;
    }
    let fits = |rule: &&Rule| {
        rule.all.iter().all(|group| words.iter().any(|word| has(group, word)))
            && !words.iter().any(|word| has(rule.none, word))
    };
    RULES.iter().find(fits).map_or(Intent::Unknown, |rule| rule.intent)
}

fn has(group: &[&str], word: &str) -> bool {
    group.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => word.starts_with(start),
        None => word == *known,
    })
}

/// Places where these names stand in a text as whole words, the longest name first where they overlap; in the order of
/// the text.
pub fn mentioned(text: &str, names: &[&str]) -> Vec<usize> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    let folded: Vec<Vec<char>> =
        names.iter().map(|name| name.trim().to_lowercase().chars().collect()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(folded.get(*index).map_or(0, Vec::len)));
    let mut taken = vec![false; text.len()];
    let mut found: Vec<(usize, usize)> = Vec::new();
    for index in order {
        let Some(name) = folded.get(index).filter(|name| name.len() > 1) else { continue };
        let starts = text.windows(name.len()).enumerate().filter(|(_, part)| part == name).map(|(at, _)| at);
        let here = starts.into_iter().find(|at| {
            let end = at + name.len();
            let free = taken.get(*at..end).is_some_and(|part| part.iter().all(|taken| !taken));
            free && is_edge(&text, *at, end)
        });
        if let Some(at) = here {
            if let Some(part) = taken.get_mut(at..at + name.len()) {
                part.fill(true);
            }
            found.push((at, index));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, index)| index).collect()
}

/// Whether a name ends where it stands, and is not a piece of a longer one.
fn is_edge(text: &[char], from: usize, to: usize) -> bool {
    let at = |index: Option<usize>| index.and_then(|index| text.get(index)).copied();
    let goes_on = |next: Option<char>, beyond: Option<char>| match next {
        Some(c) if c.is_alphanumeric() => true,
        Some('-' | '.' | '_') => beyond.is_some_and(char::is_alphanumeric),
        _ => false,
    };
    !goes_on(at(from.checked_sub(1)), at(from.checked_sub(2))) && !goes_on(at(Some(to)), at(Some(to + 1)))
}

/// The end that a text names: a day, or a number of days or weeks from now.
pub fn until(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words = words(text);
    if let Some(day) = words.iter().find(|word| is_date(word)) {
        return Timestamp::parse(&format!("{day}T00:00:00Z"));
    }
    words.iter().zip(words.iter().skip(1)).find_map(|(count, unit)| {
        let days = match unit.as_str() {
            "day" | "days" => 1,
            "week" | "weeks" => 7,
            _ => return None,
        };
        // Whatever is too long, the tool refuses; it only must not overflow.
        let count: i64 = count.parse::<u16>().ok()?.into();
        Some(now.plus_seconds(count * days * 86_400))
    })
}

/// The reason that a text gives after `because`.
pub fn because(text: &str) -> Option<&str> {
    let folded = text.to_ascii_lowercase();
    let at = folded.find("because")? + "because".len();
    text.get(at..).map(str::trim).filter(|reason| !reason.is_empty())
}

/// What a question looks for, without the words of looking.
pub fn sought(text: &str) -> String {
    if let Some(quoted) = quoted(text) {
        return quoted.to_owned();
    }
    const PLAIN: &[&str] = &[
        "find", "search", "locate", "lookup", "look", "for", "up", "where", "is", "are", "the", "a", "an",
        "please", "me", "all", "any", "records", "record", "named", "called", "with", "name", "can", "could",
        "you", "i", "want", "to", "show", "about", "of", "in", "my",
    ];
    let sought: Vec<String> =
        words(text).into_iter().filter(|word| !PLAIN.contains(&word.as_str())).collect();
    sought.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_are_understood_in_many_words() {
        use Intent as I;
        let table: &[(Intent, &[&str])] = &[
            (
                I::Context,
                &[
                    "which LoopIQ tenant am I connected to?",
                    "Which organization is this?",
                    "what tenant",
                    "who am i",
                    "WHOAMI",
                    "what are my permissions?",
                    "which roles do I have? my roles",
                    "what am I allowed to do",
                    "am I connected to the right tenant",
                    "what is my team?",
                ],
            ),
            (
                I::Certifications,
                &[
                    "show my current release certifications",
                    "list certifications",
                    "my certifications please",
                    "which releases are certified?",
                    "current certs",
                    "which releases are blocked?",
                    "how many releases are ready",
                    "show all release certifications of team payments",
                ],
            ),
            (
                I::Releases,
                &[
                    "list releases for my selected team",
                    "show releases",
                    "which releases does my team have?",
                    "all releases",
                    "releases of the organization",
                    "what releases are there",
                ],
            ),
            (
                I::Gaps,
                &[
                    "show evidence gaps for release backend-v1.0-GCN",
                    "evidence gaps",
                    "what evidence is missing for \"backend-v1.0-GCN\"?",
                    "which gaps are open?",
                    "gaps",
                    "which controls lack evidence",
                    "what is missing?",
                ],
            ),
            (
                I::Blockers,
                &[
                    "what blocks backend-v1.0-GCN and what do I do?",
                    "why is backend-v1.0-GCN not ready?",
                    "show blockers",
                    "provider blockers for backend-v1.0-GCN",
                    "what holds the release",
                    "what do I have to fix?",
                    "how do I fix this release",
                    "why can't we ship? not ready",
                    "why?",
                    "what is failing",
                ],
            ),
            (
                I::Readiness,
                &[
                    "is backend-v1.0-GCN ready?",
                    "how ready is the release",
                    "status of backend-v1.1-GCN",
                    "explain the readiness of this release",
                    "how is this release doing",
                    "can we ship backend-v1.1-GCN?",
                    "summarize this release",
                    "verdict?",
                    "can I release this?",
                ],
            ),
            (
                I::Difference,
                &[
                    "difference between backend-v1.0-GCN and backend-v1.1-GCN",
                    "compare backend-v1.0-GCN with backend-v1.1-GCN",
                    "what changed between the two releases",
                    "backend-v1.0-GCN vs backend-v1.1-GCN",
                ],
            ),
            (
                I::Find,
                &[
                    "find ledger",
                    "search for \"SQL injection\"",
                    "where is the payments release?",
                    "look for sbom",
                    "please find gateway",
                ],
            ),
            (
                I::Work,
                &[
                    "show open tasks",
                    "which work items are there for this release",
                    "my stories",
                    "show remediation packages",
                    "remediation status",
                    "backlog",
                ],
            ),
            (
                I::Approvals,
                &[
                    "what waits for me?",
                    "pending approvals",
                    "what is pending for me",
                    "what needs my decision?",
                    "show my approvals",
                ],
            ),
            (
                I::Evidence,
                &[
                    "what evidence do we have",
                    "show evidence of backend-v1.0-GCN",
                    "which evidence is stale?",
                    "list scan reports",
                ],
            ),
            (I::Risks, &["which exceptions are there?", "show risks", "list the waivers"]),
            (
                I::Remediate,
                &[
                    "propose remediation for backend-v1.0-GCN",
                    "create a remediation work package",
                    "remediate backend-v1.0-GCN",
                    "plan the remediation",
                    "draft remedial work for this release",
                    "propose the remediation work that closes the gaps",
                ],
            ),
            (
                I::Refresh,
                &[
                    "refresh the evidence of backend-v1.0-GCN",
                    "refresh",
                    "re-evaluate the release",
                    "update the evidence",
                ],
            ),
            (
                I::Except,
                &[
                    "propose an exception for CODE-SCAN on backend-v1.0-GCN for 14 days because of a compensating control",
                    "waive the gap",
                    "request a waiver",
                    "accept the risk of this gap",
                ],
            ),
            (
                I::CreateWork,
                &[
                    "create a task \"Fix the flaky test\"",
                    "add a story \"Harden the gateway\" for backend-v1.0-GCN",
                    "new issue",
                ],
            ),
            (
                I::Submit,
                &["submit the certification", "submit backend-v1.0-GCN for review", "please submit it"],
            ),
            (
                I::RollBack,
                &["propose a rollback of backend-v1.0-GCN because it fails", "roll back backend-v1.0-GCN"],
            ),
            (I::Propose, &["yes", "Propose it!", "go ahead", "Yes, please."]),
            (I::Help, &["help", "hello", "what can you do?", "what can I do here?", "who are you"]),
            (
                I::Unknown,
                &["", "???", "purple monkey dishwasher", "lorem ipsum dolor", "<script>alert(1)</script>"],
            ),
        ];
        for (wanted, questions) in table {
            for question in *questions {
                assert_eq!(intent(question, &[]), *wanted, "{question}");
            }
        }
    }

    #[test]
    fn a_name_may_be_made_of_words_that_mean_something() {
        assert_eq!(intent("is evidence gaps ready?", &["evidence gaps"]), Intent::Readiness);
        assert_eq!(intent("is “show remediation” ready?", &[]), Intent::Readiness);
        assert_eq!(mentioned("compare b-1.0 with b-1.0-x", &["b-1.0", "b-1.0-x", "b"]), [0, 1]);
        assert_eq!(mentioned("what about b-1.0-y", &["b-1.0"]), Vec::<usize>::new());
        assert_eq!(mentioned("gaps of B-1.0.", &["b-1.0"]), [0]);
    }

    #[test]
    fn pieces_of_a_question() {
        let now = Timestamp(1_795_000_000_000_000);
        assert_eq!(names("gaps of backend-v1.0-GCN, please? 2026-12-31"), ["backend-v1.0-GCN"]);
        assert_eq!(quoted("create a task \"Fix it\" now"), Some("Fix it"));
        assert_eq!(quoted("it's \" open"), None);
        assert_eq!(until("for 2 weeks", now), Some(now.plus_seconds(14 * 86_400)));
        assert_eq!(until("until 2026-12-31 because", now), Timestamp::parse("2026-12-31T00:00:00Z"));
        assert_eq!(until("for 99999999999 days", now), None);
        assert_eq!(because("waive it because of İ a fence"), Some("of İ a fence"));
        assert_eq!(sought("please find the ledger service"), "ledger service");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,300}", names in proptest::collection::vec("\\PC{0,12}", 0..6)) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let _ = (intent(&text, &known), quoted(&text), sought(&text), because(&text));
            let _ = until(&text, Timestamp(0));
            for index in mentioned(&text, &known) {
                prop_assert!(index < known.len());
            }
        }
    }
}
