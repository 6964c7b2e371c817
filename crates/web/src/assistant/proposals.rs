//! Planning work by fixed rules: what is open becomes the arguments of a writing tool, its preview becomes a plan that the
//! person reads, and only that very plan can be proposed. Ids and references are those that tools have returned.

use std::collections::BTreeMap;

use domain::conversation::{Answer, Block, Changing, Item, Offer, Planned};
use domain::refusal::Code;
use engine::Tool;
use serde_json::{Map, Value, json};

use super::gather::{Gather, Gathered, Release, Stop, about};
use super::place::{ATTACH, CREATE_WORK, EXCEPT, REFRESH, REMEDIATE, ROLL_BACK, SUBMIT};
use super::results::{count, flag, items, list, number, said, text, word};
use super::{KEY, limits, reviews, rules, understand};

/// Characters of a title, as the tools take it, and of what a task says of its findings, whose ids it has anyway.
const TITLE_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Characters of a statement.
const CONTENT_CHARS_MAX: usize = 16_000;

/// Says that the person wants what they were shown.
pub const PROPOSE: &str = "Propose it";
/// Says that the person wants the outcome of a governance action kept with its certification.
pub const ATTACH_IT: &str = "Attach this to the certification";

/// The worst is first.
pub fn rank(severity: &str) -> u8 {
    match severity {
        "critical" => 0,
        "high" => 1,
        "medium" => 2,
        "low" => 3,
        _ => 4,
    }
}

/// The priority of work against findings of this severity.
fn priority(rank: u8) -> &'static str {
    match rank {
        0 => "critical",
        1 => "high",
        2 => "medium",
        _ => "low",
    }
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// Blockers of one component that one provider reports.
pub struct Group<'v> {
    pub component: &'v str,
    pub provider: &'v str,
    pub blockers: Vec<&'v Value>,
}

/// Blockers by component and provider, the worst group first.
pub fn groups<'v>(blockers: &[&'v Value]) -> Vec<Group<'v>> {
    let mut by: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for blocker in blockers {
        by.entry((text(blocker, "/component"), text(blocker, "/provider"))).or_default().push(blocker);
    }
    let mut groups: Vec<Group<'_>> = by
        .into_iter()
        .map(|((component, provider), blockers)| Group { component, provider, blockers })
        .collect();
    groups.sort_by_key(|group| (group.worst(), std::cmp::Reverse(group.blockers.len())));
    groups
}

impl Group<'_> {
    fn worst(&self) -> u8 {
        self.blockers.iter().map(|one| rank(text(one, "/severity"))).min().unwrap_or(u8::MAX)
    }

    fn place(&self) -> String {
        if self.component.is_empty() { String::new() } else { format!(" in {}", self.component) }
    }

    /// As a line of an answer.
    pub fn item(&self, to: &str) -> Item {
        let first = self.blockers.iter().min_by_key(|one| rank(text(one, "/severity")));
        let first = first.map(|one| text(one, "/title")).unwrap_or_default();
        Item {
            title: format!("{}{}: {}", self.provider, self.place(), count(self.blockers.len(), "blocker")),
            to: Some(to.to_owned()),
            state: self
                .blockers
                .iter()
                .map(|one| text(one, "/severity"))
                .min_by_key(|s| rank(s))
                .map(str::to_owned),
            note: cut(first, TITLE_CHARS_MAX),
        }
    }

    /// As tasks: one, or several where one task cannot refer to so many.
    fn tasks(&self) -> Vec<Value> {
        let parts = self.blockers.chunks(limits::REFERENCES_MAX);
        let several = parts.len() > 1;
        parts
            .enumerate()
            .map(|(index, part)| {
                let part_of = if several { format!(", part {}", index + 1) } else { String::new() };
                let title =
                    format!("Fix {} of {}{}", count(part.len(), "finding"), self.provider, self.place());
                let lines: Vec<String> = part.iter().map(|one| line(one)).collect();
                json!({
                    "title": cut(&title, TITLE_CHARS_MAX - part_of.len()) + &part_of,
                    "description": cut(&lines.join("\n"), DESCRIPTION_CHARS_MAX),
                    "priority": priority(self.worst()),
                    "findingRefs": references("provider_blocker", part),
                })
            })
            .collect()
    }
}

fn line(blocker: &Value) -> String {
    let location = text(blocker, "/location");
    let place = if location.is_empty() { String::new() } else { format!(" ({location})") };
    format!("- {}: {}{place}", text(blocker, "/rule"), text(blocker, "/title"))
}

fn references(kind: &str, records: &[&Value]) -> Vec<Value> {
    records.iter().map(|one| json!({ "kind": kind, "id": text(one, "/id") })).collect()
}

/// The task that closes one gap.
fn gap_task(gap: &Value) -> Value {
    let code = text(gap, "/control/code");
    let deed = match text(gap, "/reason") {
        "missing" => format!("Provide evidence for {code}"),
        "stale" => format!("Collect the evidence for {code} again"),
        "failed" => format!("Make {code} pass"),
        _ => format!("Provide verified evidence for {code}"),
    };
    let title = format!("{deed}: {}", text(gap, "/control/title"));
    json!({
        "title": cut(&title, TITLE_CHARS_MAX),
        "priority": priority(rank(text(gap, "/severity"))),
        "findingRefs": references("evidence_gap", &[gap]),
    })
}

/// A plan that the person is shown: what the preview says would change, and a button that proposes exactly it.
fn shown(
    tool: &'static str,
    arguments: Map<String, Value>,
    preview: &Value,
    sentence: String,
    about: Option<&Release>,
) -> Answer {
    let tool = engine::tools::find(tool);
    Answer {
        blocks: std::iter::once(said(sentence))
            .chain(tool.map(|tool| self::preview(tool, preview)))
            .collect(),
        offers: vec![rules::ask(PROPOSE)],
        about: about.map(|release| release.id),
        plan: tool.map(|tool| Planned { tool: tool.name().to_owned(), arguments }),
        ..Answer::default()
    }
}

/// What a preview says would change, and who may approve it: the card of a write before it is one. Nothing else is in it.
pub fn preview(tool: &Tool, preview: &Value) -> Block {
    let effects = list(preview, "/effects");
    let mut changes: Vec<Changing> = effects
        .iter()
        .map(|effect| Changing {
            operation: text(effect, "/operation").to_owned(),
            noun: noun(effect),
            title: text(effect, "/title").to_owned(),
        })
        .collect();
    changes.sort_by_key(|change| change.operation != "create");
    changes.truncate(limits::CHANGES_MAX);
    let at_once = number(preview, "/preview/requirement/minimumApprovers") == 0;
    let approvers = if at_once {
        "It runs at once when you propose it: its policy asks for no approval.".to_owned()
    } else {
        text(preview, "/preview/approvers").to_owned()
    };
    let notes = list(preview, "/notes").iter().map(|note| text(note, "/text").to_owned()).collect();
    Block::Preview {
        title: tool.card.title.to_owned(),
        changes,
        total: u32::try_from(effects.len()).unwrap_or(u32::MAX),
        approvers,
        notes,
    }
}

/// What kind of record a change is about, as people say it.
fn noun(effect: &Value) -> String {
    let kind = text(effect, "/recordType");
    let own = list(effect, "/changes").iter().find(|change| text(change, "/field") == "type");
    match (kind, own) {
        ("work_item", Some(own)) => text(own, "/to").to_owned(),
        ("remediation_work_package", _) => "work package".to_owned(),
        ("evidence_gap", _) => "gap".to_owned(),
        ("provider_blocker", _) => "blocker".to_owned(),
        (other, _) => word(other),
    }
}

/// Arguments of a write, with those that every write takes.
fn arguments(g: Gather<'_>, own: Value, reason: String) -> Map<String, Value> {
    let mut all = match own {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    all.insert("reason".into(), json!(cut(&reason, 2_000)));
    all.insert("workflow".into(), json!(g.asked.workflow));
    all
}

fn only(sentence: String, offers: Vec<Offer>, release: &Release) -> Answer {
    Answer { blocks: vec![said(sentence)], offers, about: Some(release.id), ..Answer::default() }
}

/// A story with tasks that close what blocks a release: a task for each gap, and one for each component and provider.
pub fn remediate(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(REMEDIATE)?;
    let release = g.one("Plan remediation work for")?;
    let id = release.id.to_string();
    let certification = g.ask("loopiq_get_release_certification", json!({ "release": id }))?;
    let wanted = json!({ "release": id, "status": ["open"], "limit": limits::RECORDS_MAX });
    let gaps = g.ask("loopiq_list_evidence_gaps", wanted.clone())?;
    let found = g.ask("loopiq_list_provider_blockers", wanted)?;
    let blocking = |one: &&Value| flag(one, "/blocking");
    let mut open_gaps: Vec<&Value> = items(gaps).iter().filter(blocking).collect();
    open_gaps.sort_by_key(|gap| rank(text(gap, "/severity")));
    let blockers: Vec<&Value> = items(found).iter().filter(blocking).collect();
    if open_gaps.is_empty() && blockers.is_empty() {
        let sentence =
            format!("Nothing that blocks release {} is open: there is nothing to plan.", release.name);
        let offers = vec![
            about(&format!("How ready is “{}”?", release.name), &release),
            about(&format!("Which work is open for “{}”?", release.name), &release),
        ];
        return Ok(only(sentence, offers, &release));
    }
    let grouped = groups(&blockers);
    let mut tasks: Vec<Value> = grouped.iter().flat_map(Group::tasks).collect();
    tasks.extend(open_gaps.iter().map(|gap| gap_task(gap)));
    tasks.sort_by_key(|task| rank(text(task, "/priority")));
    let left = tasks.len().saturating_sub(limits::TASKS_MAX);
    tasks.truncate(limits::TASKS_MAX);
    let worst = tasks.iter().map(|task| rank(text(task, "/priority"))).min().unwrap_or(u8::MAX);
    let what = format!("{} and {}", count(open_gaps.len(), "gap"), count(blockers.len(), "blocker"));
    let own = json!({
        "certificationId": text(certification, "/certification/id"),
        "teamId": text(certification, "/certification/team/id"),
        "parent": {
            "title": cut(&format!("Make release {} ready: close {what}", release.name), TITLE_CHARS_MAX),
            "description": "What blocked the release when this was planned. Only new evidence closes it.",
            "priority": priority(worst),
        },
        "children": tasks,
    });
    let mut arguments = arguments(g, own, format!("Close what blocks release {}: {what}.", release.name));
    let preview = match g.preview(REMEDIATE, &arguments) {
        // A team without a lead: whoever plans it owns it, and the plan says so.
        Err(Stop::Refused(refusal)) if refusal.code == Code::UnclearOwnership => {
            let me = text(certification, "/context/user/email");
            if let Some(parent) = arguments.get_mut("parent").and_then(Value::as_object_mut) {
                parent.insert("ownerId".into(), json!(me));
            }
            g.preview(REMEDIATE, &arguments)?
        }
        other => other?,
    };
    let more = if left > 0 {
        format!(" {left} more do not fit into one package; plan again when it has run.")
    } else {
        String::new()
    };
    let sentence = format!(
        "This is the plan for {what} of release {}: one story with {}, by component and provider. Nothing is written until a person approves the card.{more}",
        release.name,
        count(limits::TASKS_MAX.min(list(&Value::Object(arguments.clone()), "/children").len()), "task"),
    );
    Ok(shown(REMEDIATE, arguments, preview, sentence, Some(&release)))
}

/// Reads the stored evidence of a release again and evaluates it.
pub fn refresh(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(REFRESH)?;
    let release = g.one("Refresh the evidence of")?;
    let reason = format!("See how the evidence of release {} stands now.", release.name);
    let arguments = arguments(g, json!({ "release": release.id.to_string() }), reason);
    let preview = g.preview(REFRESH, &arguments)?;
    let sentence = format!(
        "Refreshing reads the stored evidence of release {} again and evaluates its certification. This is what would change.",
        release.name
    );
    Ok(shown(REFRESH, arguments, preview, sentence, Some(&release)))
}

/// Waives gaps that the question names, for a reason that it gives, until an end that it names.
pub fn except(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(EXCEPT)?;
    let release = g.one("Plan an exception for")?;
    let wanted = json!({ "release": release.id.to_string(), "status": ["open", "in_remediation"], "limit": limits::RECORDS_MAX });
    let gaps = items(g.ask("loopiq_list_evidence_gaps", wanted)?);
    let codes: Vec<&str> = gaps.iter().map(|gap| text(gap, "/control/code")).collect();
    let named: Vec<&Value> =
        understand::mentioned(g.asked.text, &codes).into_iter().filter_map(|at| gaps.get(at)).collect();
    if named.is_empty() {
        let sentence = if gaps.is_empty() {
            format!("No gap of release {} is open: there is nothing to waive.", release.name)
        } else {
            format!(
                "Which gap of release {} should be waived, until when, and why? The form asks for it; or tell me its code, an end, and “because …”.",
                release.name
            )
        };
        let offers =
            gaps.iter().map(|gap| form(EXCEPT, &format!("Waive {} …", text(gap, "/control/code")), gap));
        return Ok(only(sentence, offers.take(limits::OFFERS_MAX).collect(), &release));
    }
    let Some(rationale) = understand::because(g.asked.text) else {
        let sentence = "Say why it can be waived and what makes up for it, beginning with “because”: whoever decides reads it. Or use the form.";
        let offers =
            named.iter().map(|gap| form(EXCEPT, &format!("Waive {} …", text(gap, "/control/code")), gap));
        return Ok(only(sentence.to_owned(), offers.collect(), &release));
    };
    let ends = understand::until(g.asked.text, g.asked.now)
        .unwrap_or_else(|| g.asked.now.plus_seconds(limits::EXCEPTION_DAYS * 86_400));
    let words = understand::words(g.asked.text);
    let kind = match () {
        () if words.iter().any(|word| word == "accept" || word == "accepted") => "accepted_risk",
        () if words.iter().any(|word| word.starts_with("deviation")) => "deviation",
        () => "exception",
    };
    let ids: Vec<&str> = named.iter().map(|gap| text(gap, "/id")).collect();
    let own =
        json!({ "targetIds": ids, "kind": kind, "rationale": cut(rationale, 4_000), "expiresAt": ends });
    let reason = format!("Waive {} of release {} for a time.", count(ids.len(), "gap"), release.name);
    let arguments = arguments(g, own, reason);
    let preview = g.preview(EXCEPT, &arguments)?;
    let day = ends.to_string();
    let sentence = format!(
        "This is the plan to waive {} of release {} until {}. A second person must approve it; when it ends, what it waives is open again.",
        count(ids.len(), "gap"),
        release.name,
        day.get(..10).unwrap_or_default(),
    );
    Ok(shown(EXCEPT, arguments, preview, sentence, Some(&release)))
}

/// A form that is filled in as far as that is known.
fn form(tool: &str, words: &str, gap: &Value) -> Offer {
    let to = format!("/app/do/{tool}?targetIds={}&kind=exception", text(gap, "/id"));
    Offer { text: words.to_owned(), about: None, to: Some(to) }
}

/// One work item, with the title that stands between quotation marks.
pub fn create_work(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(CREATE_WORK)?;
    let Some(title) = understand::quoted(g.asked.text) else {
        let offers = vec![Offer {
            text: "Open the form".into(),
            about: None,
            to: Some(format!("/app/do/{CREATE_WORK}")),
        }];
        let sentence = "Put its title between quotation marks, and say whether it is an epic, a story, a task or an issue. Or use the form.";
        return Ok(Answer { blocks: vec![said(sentence)], offers, ..Answer::default() });
    };
    let words = understand::words(g.asked.text);
    let kinds = ["epic", "story", "issue", "task"];
    let kind = kinds.into_iter().find(|kind| words.iter().any(|word| word == kind)).unwrap_or("task");
    let release = g.subject()?;
    let team = match (&release, g.team()?) {
        (_, Some((id, _))) => id,
        (Some(release), None) => {
            let detail = g.ask("loopiq_get_release", json!({ "release": release.id.to_string() }))?;
            text(detail, "/release/team/id").to_owned()
        }
        (None, None) => text(g.ask("loopiq_get_context", json!({}))?, "/selectedTeam/id").to_owned(),
    };
    let mut own = json!({ "type": kind, "title": cut(title, TITLE_CHARS_MAX), "teamId": team });
    if let (Some(release), Some(members)) = (&release, own.as_object_mut()) {
        members.insert("release".into(), json!(release.id.to_string()));
    }
    let of = release.as_ref().map_or_else(String::new, |release| format!(" for release {}", release.name));
    let arguments = arguments(g, own, format!("Create the {kind}{of} that was asked for."));
    let preview = g.preview(CREATE_WORK, &arguments)?;
    let sentence = format!("This is the {kind} that I would propose{of}.");
    Ok(shown(CREATE_WORK, arguments, preview, sentence, release.as_ref()))
}

/// The next step of a certification: it begins to collect evidence, or goes to review.
pub fn submit(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(SUBMIT)?;
    let release = g.one("Submit the certification of")?;
    let found = g.ask("loopiq_get_release_certification", json!({ "release": release.id.to_string() }))?;
    let own = json!({
        "certificationId": text(found, "/certification/id"), "version": number(found, "/certification/version"),
    });
    let arguments = arguments(g, own, format!("Submit the certification of release {}.", release.name));
    let preview = g.preview(SUBMIT, &arguments)?;
    let sentence = format!("This is the next step of the certification of release {}.", release.name);
    Ok(shown(SUBMIT, arguments, preview, sentence, Some(&release)))
}

/// That a release should be taken back, for a reason that the question gives.
pub fn roll_back(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(ROLL_BACK)?;
    let release = g.one("Propose a rollback of")?;
    let Some(reason) = understand::because(g.asked.text) else {
        let sentence = "Say why it should be taken back, beginning with “because”: a second person decides on it. Or use the form.";
        let to = format!("/app/do/{ROLL_BACK}?release={}&status=proposed", release.id);
        let form = Offer { text: "Open the form".into(), about: None, to: Some(to) };
        return Ok(only(sentence.to_owned(), vec![form], &release));
    };
    let own = json!({ "release": release.id.to_string(), "status": "proposed" });
    let arguments = arguments(g, own, reason.to_owned());
    let preview = g.preview(ROLL_BACK, &arguments)?;
    let sentence =
        format!("This would propose to take release {} back. A second person must approve it.", release.name);
    Ok(shown(ROLL_BACK, arguments, preview, sentence, Some(&release)))
}

/// Keeps what a governance action has brought with its certification: as evidence by hand that says nothing of any control,
/// exactly as it was written.
pub fn attach(g: Gather<'_>) -> Gathered<Answer> {
    g.allowed(ATTACH)?;
    let before = g.asked.before.map(|turn| &turn.answer);
    let review = before.and_then(|answer| answer.review);
    let written = before.and_then(|answer| {
        answer.blocks.iter().find_map(|block| match block {
            Block::Written { text, .. } => Some(text),
            _ => None,
        })
    });
    let (Some(review), Some(written)) = (review, written) else {
        return Ok(Answer {
            blocks: vec![said(
                "There is nothing to attach. Start a governance action on the certification's page first.",
            )],
            ..Answer::default()
        });
    };
    let kind = reviews::title(review.kind);
    let own = json!({
        "release": review.release_id.to_string(), "title": format!("Helix: {kind}"), "content": cut(written, CONTENT_CHARS_MAX),
        "type": "manual", "result": "informational",
    });
    let arguments = arguments(g, own, format!("Keep the {} with the certification.", kind.to_lowercase()));
    let preview = g.preview(ATTACH, &arguments)?;
    let sentence = "This would keep the text above with the release and its certification, as a statement that satisfies no control.";
    let mut answer = shown(ATTACH, arguments, preview, sentence.to_owned(), None);
    answer.about = Some(review.release_id);
    Ok(answer)
}

/// Proposes the plan that was shown before, exactly as it was shown.
pub fn propose(g: Gather<'_>) -> Gathered<Answer> {
    let shown = g.asked.before.and_then(|turn| Some((turn, turn.answer.plan.as_ref()?)));
    let tool = shown.and_then(|(_, plan)| engine::tools::find(&plan.tool));
    let (Some((turn, plan)), Some(tool)) = (shown, tool) else {
        return Ok(Answer {
            blocks: vec![said("There is no plan to propose. Ask for one first, for example:")],
            offers: rules::openers(g.asked.place, g.asked.permitted),
            ..Answer::default()
        });
    };
    let mut arguments = plan.arguments.clone();
    // One plan, one write: proposed twice, it is the same proposal.
    let key = format!("{}-{}", g.asked.workflow.replace('/', "-"), turn.position);
    arguments.insert(KEY.to_owned(), json!(key));
    let done = g.proposed(tool.name(), arguments)?;
    let sentence = match text(done, "/status") {
        "executed" => "It has run: its policy asks for no approval.",
        "pending_approval" => "Proposed. Nothing is written yet: this is the card that is decided on.",
        _ => "It was proposed before; this is how it stands.",
    };
    let mut blocks = vec![said(sentence)];
    blocks.extend(text(done, "/action/id").parse().ok().map(|id| Block::Action { id }));
    let offers = turn.answer.about.map(|release| Offer {
        text: "Which work is open for this release?".into(),
        about: Some(release),
        to: None,
    });
    Ok(Answer { blocks, offers: offers.into_iter().collect(), about: turn.answer.about, ..Answer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocker(component: &str, provider: &str, severity: &str, id: usize) -> Value {
        json!({ "id": format!("blk_{id}"), "component": component, "provider": provider, "severity": severity, "rule": "r", "title": "t" })
    }

    #[test]
    fn blockers_are_grouped_and_the_worst_comes_first() {
        let all = [
            blocker("a", "semgrep", "high", 1),
            blocker("b", "semgrep", "critical", 2),
            blocker("a", "semgrep", "high", 3),
        ];
        let all: Vec<&Value> = all.iter().collect();
        let groups = groups(&all);
        assert_eq!(
            groups.iter().map(|g| (g.component, g.blockers.len())).collect::<Vec<_>>(),
            [("b", 1), ("a", 2)]
        );
        assert_eq!(text(&groups[1].tasks()[0], "/title"), "Fix 2 findings of semgrep in a");
    }

    #[test]
    fn more_than_a_task_refers_to_become_several_with_titles_of_their_own() {
        let long = "x".repeat(300);
        let all: Vec<Value> = (0..120).map(|id| blocker(&long, "semgrep", "low", id)).collect();
        let all: Vec<&Value> = all.iter().collect();
        let tasks: Vec<Value> = groups(&all).iter().flat_map(Group::tasks).collect();
        assert_eq!(tasks.len(), 3);
        let titles: std::collections::BTreeSet<&str> =
            tasks.iter().map(|task| text(task, "/title")).collect();
        assert_eq!(titles.len(), 3);
        assert!(titles.iter().all(|title| title.chars().count() <= TITLE_CHARS_MAX));
    }
}
