//! The planner without a model: from what a question asks for, by fixed rules, to calls of tools, and from their results
//! to an answer. Pure. It says nothing that is not in a result, repeats nothing of the question, and what it does not
//! understand it does not guess at.

use std::future::Future;

use domain::conversation::{Answer, Block, Item, Offer};
use domain::refusal::{Code, Refusal};
use serde_json::{Value, json};

use super::gather::{Gather, Gathered, Release, Stop, about};
use super::place::{REFRESH, REMEDIATE};
use super::results::{self, capital, count, fact, flag, items, list, records, said, text, total, word};
use super::understand::{self, Intent};
use super::{Asked, Place, Planner, Seen, Step, explain, limits, proposals};

/// Plans by fixed rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules;

impl Planner for Rules {
    fn next(&self, asked: &Asked<'_>, seen: &[Seen]) -> impl Future<Output = Step> + Send {
        std::future::ready(next(asked, seen))
    }
}

/// The next step of a question, from what has been seen so far.
pub fn next(asked: &Asked<'_>, seen: &[Seen]) -> Step {
    let gather = Gather { asked, seen };
    match answered(gather) {
        Ok(answer) => Step::Answer(answer),
        Err(Stop::Call(call)) => Step::Call(call),
        Err(Stop::Answer(answer)) => Step::Answer(*answer),
        Err(Stop::Refused(refusal)) => Step::Answer(refused(gather, refusal)),
    }
}

fn refused(gather: Gather<'_>, refusal: Refusal) -> Answer {
    let offers = match refusal.code {
        Code::NotFound => vec![ask("List all releases"), ask("Show my current release certifications")],
        Code::Forbidden => vec![ask("Which tenant am I connected to, and what may I do?")],
        _ => openers(gather.asked.place, gather.asked.permitted),
    };
    Answer { blocks: vec![Block::Refused { refusal }], offers, ..Answer::default() }
}

/// A question as a button.
pub fn ask(question: &str) -> Offer {
    Offer { text: question.to_owned(), about: None, to: None }
}

/// What may be asked on a page, to begin with.
pub fn openers(place: Place, permitted: &[&str]) -> Vec<Offer> {
    let may = |tool: &str| permitted.contains(&tool) && place.offers(tool);
    let here: &[(&str, &str)] = match place {
        Place::Release(_) | Place::Certification(_) => &[
            ("loopiq_list_evidence_gaps", "What blocks this release, and what do I do?"),
            ("loopiq_get_release_certification", "How ready is this release?"),
            ("loopiq_list_evidence_gaps", "Show the evidence gaps of this release"),
            (REMEDIATE, "Plan remediation work for this release"),
            (REFRESH, "Refresh the evidence of this release"),
            ("loopiq_list_work_items", "Which work is open for this release?"),
        ],
        Place::WorkItem(_) | Place::Action(_) => &[
            ("loopiq_list_evidence_gaps", "What blocks the release of this, and what do I do?"),
            ("loopiq_get_release_certification", "How ready is its release?"),
            ("loopiq_list_work_items", "Which work is open for its release?"),
            ("loopiq_list_actions", "What waits for my decision?"),
        ],
        Place::Work => &[
            ("loopiq_list_release_certifications", "Show my current release certifications"),
            ("loopiq_list_releases", "List releases for my selected team"),
            ("loopiq_list_evidence_gaps", "Which evidence gaps are open?"),
            ("loopiq_list_actions", "What waits for my decision?"),
            ("loopiq_get_context", "Which tenant am I connected to?"),
        ],
        Place::Running => &[
            ("loopiq_get_context", "Which tenant am I connected to, and what may I do?"),
            ("loopiq_list_actions", "What waits for my decision?"),
            ("loopiq_list_release_certifications", "Show my current release certifications"),
        ],
    };
    here.iter().filter(|(tool, _)| may(tool)).map(|(_, question)| ask(question)).collect()
}

/// Whether a question is the person's word on what they were shown, which is answered by rules and never by a model.
pub fn is_word_on_what_was_shown(asked: &Asked<'_>) -> bool {
    let text = asked.text.trim();
    let planned = asked.before.is_some_and(|turn| turn.answer.plan.is_some());
    text == proposals::ATTACH_IT
        || text == proposals::PROPOSE
        || (planned && understand::intent(text, &[]) == Intent::Propose)
}

fn answered(g: Gather<'_>) -> Gathered<Answer> {
    if g.asked.text.trim() == proposals::ATTACH_IT {
        return proposals::attach(g);
    }
    match intent(g)? {
        Intent::Context => context(g),
        Intent::Certifications => certifications(g),
        Intent::Releases => releases(g),
        Intent::Readiness => explain::readiness(g),
        Intent::Gaps => explain::gaps(g),
        Intent::Blockers => explain::blockers(g),
        Intent::Difference => explain::difference(g),
        Intent::Find => find(g),
        Intent::Work => work(g),
        Intent::Approvals => approvals(g),
        Intent::Evidence => evidence(g),
        Intent::Risks => risks(g),
        Intent::Remediate => proposals::remediate(g),
        Intent::Refresh => proposals::refresh(g),
        Intent::Except => proposals::except(g),
        Intent::CreateWork => proposals::create_work(g),
        Intent::Submit => proposals::submit(g),
        Intent::RollBack => proposals::roll_back(g),
        Intent::Propose => proposals::propose(g),
        Intent::Help => Ok(help(
            g,
            "I answer from the records that you may see, and plan work that a person approves. Ask me, for example:",
        )),
        Intent::Unknown => Ok(help(
            g,
            "I did not understand that. I know about releases, certifications, evidence, gaps, blockers, work and approvals. Ask me, for example:",
        )),
    }
}

/// What is asked for. Where names of releases may confuse, they are taken out; a name alone asks how it stands.
fn intent(g: Gather<'_>) -> Gathered<Intent> {
    let plain = understand::intent(g.asked.text, &[]);
    if matches!(plain, Intent::Propose | Intent::Context | Intent::Help | Intent::Find) {
        return Ok(plain);
    }
    if !g.may("loopiq_list_releases") || g.asked.text.trim().is_empty() {
        return Ok(plain);
    }
    let named = g.named()?;
    let names: Vec<&str> = named.iter().map(|release| release.name.as_str()).collect();
    Ok(match understand::intent(g.asked.text, &names) {
        Intent::Unknown if !named.is_empty() => Intent::Readiness,
        // Of one release, its certification says how it stands.
        Intent::Certifications | Intent::Releases if named.len() == 1 => Intent::Readiness,
        other => other,
    })
}

fn help(g: Gather<'_>, sentence: &str) -> Answer {
    Answer {
        blocks: vec![said(sentence)],
        offers: openers(g.asked.place, g.asked.permitted),
        ..Answer::default()
    }
}

fn names(all: &[Value], path: &str) -> String {
    all.iter().map(|one| text(one, path)).collect::<Vec<_>>().join(", ")
}

fn or_none(list: String) -> String {
    if list.is_empty() { "none".to_owned() } else { list }
}

fn context(g: Gather<'_>) -> Gathered<Answer> {
    let c = g.ask("loopiq_get_context", json!({}))?;
    let organization =
        format!("{} ({})", text(c, "/context/organization/name"), text(c, "/context/organization/slug"));
    let roles: Vec<String> = list(c, "/roles")
        .iter()
        .map(|role| {
            let place = match text(role, "/scope") {
                "organization" => "in the organization".to_owned(),
                team => format!("in team {team}"),
            };
            format!("{} {place}", word(text(role, "/role")))
        })
        .collect();
    let permissions: Vec<&str> = list(c, "/permissions").iter().filter_map(Value::as_str).collect();
    let mut facts = vec![
        fact("Organization", organization.clone()),
        fact("You", text(c, "/context/user/email")),
        fact("Selected team", or_none(text(c, "/selectedTeam/name").to_owned())),
        fact("Teams you see", or_none(names(list(c, "/teams"), "/name"))),
        fact("Roles", or_none(roles.join("; "))),
        fact("Permissions", or_none(permissions.join(", "))),
    ];
    let others: Vec<Value> =
        list(c, "/organizations").iter().filter(|other| !flag(other, "/active")).cloned().collect();
    if !others.is_empty() {
        facts.push(fact("Other organizations of yours", names(&others, "/name")));
    }
    Ok(Answer {
        blocks: vec![
            said(format!(
                "You are connected to the organization {organization}. Everything here belongs to it."
            )),
            Block::Facts { facts },
        ],
        offers: openers(Place::Work, g.asked.permitted),
        ..Answer::default()
    })
}

fn certifications(g: Gather<'_>) -> Gathered<Answer> {
    let mut arguments = json!({ "limit": limits::RECORDS_MAX });
    let team = g.team()?;
    if let (Some((id, _)), Some(members)) = (&team, arguments.as_object_mut()) {
        members.insert("team".into(), json!(id));
    }
    if understand::words(g.asked.text).iter().any(|word| word.starts_with("review"))
        && let Some(members) = arguments.as_object_mut()
    {
        members.insert("mine".into(), json!(true));
    }
    let found = g.ask("loopiq_list_release_certifications", arguments)?;
    let not_ready: Vec<&Value> =
        items(found).iter().filter(|c| text(c, "/readiness/verdict") == "not_ready").collect();
    let of = team.map(|(_, name)| format!(" of team {name}")).unwrap_or_default();
    let sentence = match (total(found), not_ready.len()) {
        (0, _) => format!("There is no release certification{of} that you may see."),
        (all, 0) => {
            format!("{}{of}. None is held up.", capital(&count(all as usize, "release certification")))
        }
        (all, held) => format!(
            "{}{of}, {held} of which {} not ready.",
            capital(&count(all as usize, "release certification")),
            if held == 1 { "is" } else { "are" }
        ),
    };
    let offers = not_ready
        .iter()
        .filter_map(|c| c.pointer("/release").and_then(super::gather::release))
        .take(3)
        .map(|release| about(&format!("What blocks “{}”, and what do I do?", release.name), &release))
        .collect();
    let listed = items(found).iter().map(results::certification).collect();
    let mut blocks = vec![said(sentence)];
    if total(found) > 0 {
        blocks.push(records("Certifications", listed, total(found), Some("/app/releases".into())));
    }
    Ok(Answer { blocks, offers, ..Answer::default() })
}

fn releases(g: Gather<'_>) -> Gathered<Answer> {
    let words = understand::words(g.asked.text);
    let says = |word: &str| words.iter().any(|said| said == word);
    let team = g.team()?;
    let arguments = match &team {
        Some((id, _)) => json!({ "team": id, "limit": limits::RECORDS_MAX }),
        None if says("all") || says("every") || says("organization") => {
            json!({ "allTeams": true, "limit": limits::RECORDS_MAX })
        }
        None => json!({ "limit": limits::RECORDS_MAX }),
    };
    let found = g.ask("loopiq_list_releases", arguments)?;
    let of = text(found, "/context/team/name");
    let of = if of.is_empty() { "all teams that you may see".to_owned() } else { format!("team {of}") };
    let sentence = match total(found) {
        0 => format!("There is no release of {of}."),
        all => format!("{} of {of}.", capital(&count(all as usize, "release"))),
    };
    let mut blocks = vec![said(sentence)];
    if total(found) > 0 {
        let listed = items(found).iter().map(results::release).collect();
        blocks.push(records("Releases", listed, total(found), Some("/app/releases".into())));
    }
    let mut offers: Vec<Offer> = items(found)
        .iter()
        .filter_map(super::gather::release)
        .take(3)
        .map(|release| about(&format!("How ready is “{}”?", release.name), &release))
        .collect();
    if team.is_none() && !text(found, "/context/team/name").is_empty() {
        offers.push(ask("List all releases"));
    }
    Ok(Answer { blocks, offers, ..Answer::default() })
}

fn find(g: Gather<'_>) -> Gathered<Answer> {
    let sought = understand::sought(g.asked.text);
    let query: String = sought.chars().take(200).collect();
    if query.trim().is_empty() {
        return Ok(Answer {
            blocks: vec![said(
                "What should I look for? Words of a name are enough; the beginning of a word does.",
            )],
            ..Answer::default()
        });
    }
    let found = g.ask("loopiq_search", json!({ "query": query, "limit": limits::RECORDS_MAX }))?;
    let listed: Vec<Item> = items(found).iter().map(results::found).collect();
    let mut blocks = vec![said(match total(found) {
        0 => "I found no record with these words in its name that you may see.".to_owned(),
        all => format!("{} with these words in the name.", capital(&count(all as usize, "record"))),
    })];
    if !listed.is_empty() {
        blocks.push(records("Found", listed, total(found), None));
    }
    Ok(Answer {
        blocks,
        offers: if total(found) == 0 { vec![ask("List all releases")] } else { Vec::new() },
        ..Answer::default()
    })
}

/// Reads a list, of the subject where there is one, and says how many there are.
fn listed(
    g: Gather<'_>,
    tool: &'static str,
    noun: &str,
    title: &str,
    item: fn(&Value) -> Item,
    to: fn(&Release) -> String,
    everywhere: &str,
) -> Gathered<Answer> {
    let subject = g.subject()?;
    let mut arguments = json!({ "limit": limits::RECORDS_MAX });
    if let (Some(release), Some(members)) = (&subject, arguments.as_object_mut()) {
        members.insert("release".into(), json!(release.id.to_string()));
    }
    let found = g.ask(tool, arguments)?;
    let of = subject.as_ref().map_or_else(String::new, |release| format!(" of release {}", release.name));
    let mut blocks = vec![said(match total(found) {
        0 => format!("There is no {noun}{of} that you may see."),
        all => format!("{}{of}.", capital(&count(all as usize, noun))),
    })];
    if total(found) > 0 {
        let to = subject.as_ref().map_or_else(
            || Some(everywhere.to_owned()).filter(|to| !to.is_empty()),
            |release| Some(to(release)),
        );
        blocks.push(records(title, items(found).iter().map(item).collect(), total(found), to));
    }
    Ok(Answer { blocks, about: subject.map(|release| release.id), ..Answer::default() })
}

fn work(g: Gather<'_>) -> Gathered<Answer> {
    let to = |release: &Release| format!("/app/releases/{}#work", release.id);
    listed(g, "loopiq_list_work_items", "work item", "Work", results::work_item, to, "/app/work-items")
}

fn evidence(g: Gather<'_>) -> Gathered<Answer> {
    let to = |release: &Release| format!("/app/releases/{}#evidence", release.id);
    listed(g, "loopiq_list_evidence", "evidence item", "Evidence", results::evidence, to, "")
}

fn risks(g: Gather<'_>) -> Gathered<Answer> {
    let subject = g.subject()?;
    let mut arguments = json!({ "limit": limits::RECORDS_MAX });
    if let (Some(release), Some(members)) = (&subject, arguments.as_object_mut()) {
        members.insert("release".into(), json!(release.id.to_string()));
    }
    let found = g.ask("loopiq_list_risks", arguments)?;
    let exceptions = list(found, "/exceptions");
    let of = subject.as_ref().map_or_else(String::new, |release| format!(" of release {}", release.name));
    let mut blocks = vec![said(format!(
        "{} and {}{of}.",
        capital(&count(total(found) as usize, "risk")),
        count(exceptions.len(), "exception")
    ))];
    let risks: Vec<Item> = items(found)
        .iter()
        .map(|r| Item {
            title: text(r, "/title").to_owned(),
            to: None,
            state: Some(text(r, "/status").to_owned()),
            note: format!("severity {}, {}", text(r, "/severity"), text(r, "/release/name")),
        })
        .collect();
    let waived: Vec<Item> = exceptions
        .iter()
        .map(|e| Item {
            title: format!(
                "{} for {}",
                capital(&word(text(e, "/kind"))),
                count(list(e, "/targetIds").len(), "record")
            ),
            to: None,
            state: Some(text(e, "/status").to_owned()),
            note: format!(
                "{}, until {}: {}",
                text(e, "/release/name"),
                text(e, "/expiresAt").get(..10).unwrap_or_default(),
                text(e, "/rationale")
            ),
        })
        .collect();
    for (title, all) in [("Risks", risks), ("Exceptions", waived)] {
        if !all.is_empty() {
            let number = all.len() as u32;
            blocks.push(records(title, all, number, None));
        }
    }
    Ok(Answer { blocks, about: subject.map(|release| release.id), ..Answer::default() })
}

fn approvals(g: Gather<'_>) -> Gathered<Answer> {
    let found = g.ask(
        "loopiq_list_actions",
        json!({ "status": ["pending_approval"], "limit": limits::RECORDS_MAX }),
    )?;
    let (yours, others): (Vec<&Value>, Vec<&Value>) =
        items(found).iter().partition(|action| flag(action, "/awaitsYou"));
    let sentence = match (yours.len(), others.len()) {
        (0, 0) => "Nothing waits for a decision.".to_owned(),
        (0, others) => format!("Nothing waits for you; {} for others.", waits(others)),
        (yours, 0) => format!("{} for your decision.", capital(&waits(yours))),
        (yours, others) => {
            format!("{} for your decision, and {} for others.", capital(&waits(yours)), waits(others))
        }
    };
    let mut blocks = vec![said(sentence)];
    if total(found) > 0 {
        let listed = yours.into_iter().chain(others).map(results::action).collect();
        blocks.push(records("Waiting", listed, total(found), Some("/app/approvals".into())));
    }
    Ok(Answer { blocks, ..Answer::default() })
}

fn waits(number: usize) -> String {
    format!("{} {}", count(number, "action"), if number == 1 { "waits" } else { "wait" })
}
