//! Answers that explain one release or two: how ready it is, what is missing, what blocks it and what helps, and what
//! tells two of them apart. Pure, as the rules that call it.

use std::collections::BTreeMap;

use domain::conversation::{Answer, Block, Item, Offer};
use serde_json::{Value, json};

use super::gather::{Gather, Gathered, Release, about, release};
use super::limits;
use super::place::{EXCEPT, REFRESH, REMEDIATE};
use super::proposals;
use super::results::{
    self, capital, count, fact, flag, items, list, number, records, said, text, total, word,
};
use super::rules::ask;

/// The certification of a release, if there is one.
fn certification<'a>(g: Gather<'a>, release: &Release) -> Gathered<Option<&'a Value>> {
    g.perhaps("loopiq_get_release_certification", json!({ "release": release.id.to_string() }))
}

pub fn readiness(g: Gather<'_>) -> Gathered<Answer> {
    let release = g.one("How ready is")?;
    let Some(found) = certification(g, &release)? else {
        let detail = g.ask("loopiq_get_release", json!({ "release": release.id.to_string() }))?;
        let detail = detail.pointer("/release").unwrap_or(detail);
        return Ok(Answer {
            blocks: vec![
                said(format!(
                    "Release {} is not under certification, so nothing says how ready it is.",
                    release.name
                )),
                records("Release", vec![results::release(detail)], 1, None),
            ],
            about: Some(release.id),
            ..Answer::default()
        });
    };
    let c = found.pointer("/certification").unwrap_or(found);
    let controls = list(found, "/controls");
    let outcome = |wanted: &str| controls.iter().filter(|k| text(k, "/outcome") == wanted).count();
    let sentence = match text(c, "/readiness/verdict") {
        "ready" => format!(
            "Release {} is ready: no open gap or blocker, and every required control is satisfied.",
            release.name
        ),
        "ready_with_exceptions" => {
            format!("Release {} is ready, with exceptions that were approved.", release.name)
        }
        _ => format!(
            "Release {} is not ready: {} and {} are open.",
            release.name,
            count(number(c, "/openGapCount") as usize, "gap"),
            count(number(c, "/openBlockerCount") as usize, "blocker"),
        ),
    };
    let facts = vec![
        fact("Certification", format!("{}, {}", text(c, "/title"), word(text(c, "/status")))),
        fact(
            "Score",
            format!("{} of 100: the weight of satisfied required controls", number(c, "/readiness/score")),
        ),
        fact(
            "Controls",
            format!(
                "{} passed, {} waived, {} failed, {} not evaluated",
                outcome("passed"),
                outcome("waived"),
                outcome("failed"),
                outcome("not_evaluated")
            ),
        ),
    ];
    let short: Vec<Item> = controls
        .iter()
        .filter(|k| flag(k, "/required") && !matches!(text(k, "/outcome"), "passed" | "waived"))
        .map(|k| Item {
            title: format!("{} · {}", text(k, "/code"), text(k, "/title")),
            to: results::page(c).map(|page| format!("{page}#{}", text(k, "/id"))),
            state: Some(text(k, "/outcome").to_owned()),
            note: text(k, "/explanation").to_owned(),
        })
        .collect();
    let mut blocks = vec![said(sentence), Block::Facts { facts }];
    if !short.is_empty() {
        let all = short.len() as u32;
        blocks.push(records("Required controls that hold it", short, all, results::page(c)));
    }
    let mut offers = vec![about(&format!("What blocks “{}”, and what do I do?", release.name), &release)];
    if text(c, "/readiness/verdict") == "ready" {
        offers.clear();
    }
    offers.push(about(&format!("Show the evidence of “{}”", release.name), &release));
    Ok(Answer { blocks, offers, about: Some(release.id), ..Answer::default() })
}

pub fn gaps(g: Gather<'_>) -> Gathered<Answer> {
    let subject = g.subject()?;
    let arguments = match &subject {
        Some(release) => json!({ "release": release.id.to_string(), "limit": limits::RECORDS_MAX }),
        None => json!({ "limit": limits::RECORDS_MAX }),
    };
    let found = g.ask("loopiq_list_evidence_gaps", arguments)?;
    let Some(release) = subject else { return Ok(gaps_everywhere(found)) };
    let blocking = items(found).iter().filter(|gap| flag(gap, "/blocking")).count();
    let sentence = match total(found) {
        0 => format!("Release {} has no unresolved evidence gap.", release.name),
        all => format!(
            "Release {} has {}, {blocking} of which {} it.",
            release.name,
            count(all as usize, "unresolved evidence gap"),
            if blocking == 1 { "blocks" } else { "block" }
        ),
    };
    let mut blocks = vec![said(sentence)];
    if total(found) > 0 {
        let listed = sorted(items(found)).into_iter().map(results::gap).collect();
        blocks.push(records("Evidence gaps", listed, total(found), Some(blocks_of(&release))));
    }
    let mut offers = vec![about(&format!("What blocks “{}”, and what do I do?", release.name), &release)];
    if total(found) > 0 {
        offers.extend(deeds(g, &release));
    }
    Ok(Answer { blocks, offers, about: Some(release.id), ..Answer::default() })
}

/// Where a page lists what blocks a release.
fn blocks_of(release: &Release) -> String {
    format!("/app/releases/{}#blocks", release.id)
}

fn gaps_everywhere(found: &Value) -> Answer {
    let mut by: BTreeMap<&str, (usize, Option<Release>)> = BTreeMap::new();
    for gap in items(found) {
        let entry = by.entry(text(gap, "/release/name")).or_default();
        entry.0 += 1;
        entry.1 = entry.1.take().or_else(|| gap.pointer("/release").and_then(release));
    }
    let sentence = match total(found) {
        0 => "No release that you may see has an unresolved evidence gap.".to_owned(),
        all => format!(
            "{} in {}.",
            capital(&count(all as usize, "unresolved evidence gap")),
            count(by.len(), "release")
        ),
    };
    let mut blocks = vec![said(sentence)];
    let listed: Vec<Item> = by
        .iter()
        .map(|(name, (gaps, release))| Item {
            title: (*name).to_owned(),
            to: release.as_ref().map(blocks_of),
            state: None,
            note: count(*gaps, "gap"),
        })
        .collect();
    if !listed.is_empty() {
        let all = listed.len() as u32;
        blocks.push(records("By release", listed, all, None));
    }
    let offers = by.values().filter_map(|(_, release)| release.as_ref());
    let offers =
        offers.map(|release| about(&format!("Show the evidence gaps of “{}”", release.name), release));
    Answer { blocks, offers: offers.collect(), ..Answer::default() }
}

/// What blocks first, then the worst.
fn sorted(all: &[Value]) -> Vec<&Value> {
    let mut sorted: Vec<&Value> = all.iter().collect();
    sorted.sort_by_key(|one| (!flag(one, "/blocking"), proposals::rank(text(one, "/severity"))));
    sorted
}

/// Deeds that help a release and that the person may ask for.
fn deeds(g: Gather<'_>, release: &Release) -> Vec<Offer> {
    let deeds = [
        (REMEDIATE, "Plan remediation work for"),
        (REFRESH, "Refresh the evidence of"),
        (EXCEPT, "Plan an exception for"),
    ];
    let may = deeds.into_iter().filter(|(tool, _)| g.may(tool));
    may.map(|(_, words)| about(&format!("{words} “{}”", release.name), release)).collect()
}

pub fn blockers(g: Gather<'_>) -> Gathered<Answer> {
    let release = g.one("What blocks")?;
    let wanted = json!({ "release": release.id.to_string(), "limit": limits::RECORDS_MAX });
    let gaps = g.ask("loopiq_list_evidence_gaps", wanted.clone())?;
    let found = g.ask("loopiq_list_provider_blockers", wanted)?;
    let unsettled = |one: &&Value| text(one, "/status") != "excepted";
    let open_gaps: Vec<&Value> = sorted(items(gaps)).into_iter().filter(unsettled).collect();
    let open: Vec<&Value> = sorted(items(found)).into_iter().filter(unsettled).collect();
    if open_gaps.is_empty() && open.is_empty() {
        return Ok(Answer {
            blocks: vec![said(format!(
                "Nothing blocks release {}: no open gap and no open blocker.",
                release.name
            ))],
            offers: vec![about(&format!("How ready is “{}”?", release.name), &release)],
            about: Some(release.id),
            ..Answer::default()
        });
    }
    let both = || open_gaps.iter().chain(&open);
    let worked_on = both().filter(|one| text(one, "/status") == "in_remediation").count();
    let still = match worked_on {
        0 => "Nobody works on what is open yet".to_owned(),
        some => format!("{some} of what is open {} being worked on", if some == 1 { "is" } else { "are" }),
    };
    let holding = |all: &[&Value]| all.iter().filter(|one| flag(one, "/blocking")).count();
    let (holding_gaps, holding_blockers) = (holding(&open_gaps), holding(&open));
    let mild = both().count() - holding_gaps - holding_blockers;
    let besides = match mild {
        0 => String::new(),
        1 => " One more is open but does not block it.".to_owned(),
        more => format!(" {more} more are open but do not block it."),
    };
    let sentence = format!(
        "Release {} is held by {} and {}.{besides} {still}; only new evidence closes it.",
        release.name,
        count(holding_gaps, "gap"),
        count(holding_blockers, "blocker"),
    );
    let mut blocks = vec![said(sentence)];
    if !open_gaps.is_empty() {
        let listed = open_gaps.iter().map(|gap| results::gap(gap)).collect();
        blocks.push(records("Evidence gaps", listed, open_gaps.len() as u32, Some(blocks_of(&release))));
    }
    if !open.is_empty() {
        let groups = proposals::groups(&open);
        let listed: Vec<Item> = groups.iter().map(|group| group.item(&blocks_of(&release))).collect();
        let title = format!("{}, by component and provider", capital(&count(open.len(), "blocker")));
        blocks.push(records(&title, listed, groups.len() as u32, Some(blocks_of(&release))));
    }
    let doing = steps(g, &open_gaps, &open);
    blocks.push(records("What to do", doing.clone(), doing.len() as u32, None));
    Ok(Answer { blocks, offers: deeds(g, &release), about: Some(release.id), ..Answer::default() })
}

/// What helps, in the order in which it is best done.
fn steps(g: Gather<'_>, gaps: &[&Value], blockers: &[&Value]) -> Vec<Item> {
    let step = |title: String, note: &str| Item { title, note: note.to_owned(), ..Item::default() };
    let of = |reason: &str| gaps.iter().filter(|gap| text(gap, "/reason") == reason).count();
    let mut steps = Vec::new();
    let plannable = |one: &&&Value| flag(one, "/blocking") && text(one, "/status") == "open";
    let unplanned = gaps.iter().chain(blockers).filter(plannable).count();
    if unplanned > 0 {
        let who = if g.may(REMEDIATE) {
            "I can plan a story with tasks by component and provider; a person approves it."
        } else {
            "Somebody with the permission remediation:create can have it planned."
        };
        steps.push(step(format!("Plan work for {}", count(unplanned, "open item")), who));
    }
    if of("missing") + of("unverified") > 0 {
        steps.push(step(
            format!("Push evidence for {}", count(of("missing") + of("unverified"), "control")),
            "loopiq evidence push --release NAME FILE, from the pipeline or by hand.",
        ));
    }
    if of("stale") > 0 {
        steps.push(step(
            format!("Collect stale evidence again for {}", count(of("stale"), "control")),
            "Run the tool again and push the new file; a refresh reads what is stored anew.",
        ));
    }
    if of("failed") > 0 || !blockers.is_empty() {
        steps.push(step(
            "Fix what failed, then push the new reports".to_owned(),
            "A blocker goes when its provider no longer reports it.",
        ));
    }
    steps.push(step(
        "Or have it waived for a time".to_owned(),
        "An exception ends by itself, and a second person must approve it.",
    ));
    steps
}

pub fn difference(g: Gather<'_>) -> Gathered<Answer> {
    let mut both = match g.asked.about {
        Some(_) => g.said()?.into_iter().collect(),
        None => g.named()?,
    };
    if both.len() == 1 {
        let other = g.of_page()?.filter(|shown| !both.contains(shown));
        both.extend(other);
    }
    let (first, second) = match both.as_slice() {
        [first, second, ..] => (first.clone(), second.clone()),
        _ => return which_two(g, both.first().cloned()),
    };
    let read = |release: &Release| {
        let wanted = json!({ "release": release.id.to_string(), "limit": limits::RECORDS_MAX });
        let gaps = g.ask("loopiq_list_evidence_gaps", wanted.clone())?;
        let blockers = g.ask("loopiq_list_provider_blockers", wanted)?;
        Ok((certification(g, release)?, items(gaps), items(blockers)))
    };
    let (c1, gaps1, blockers1) = read(&first)?;
    let (c2, gaps2, blockers2) = read(&second)?;
    let verdict = |c: Option<&Value>| {
        c.map_or_else(
            || "not under certification".to_owned(),
            |c| {
                let c = c.pointer("/certification").unwrap_or(c);
                format!("{}, score {}", word(text(c, "/readiness/verdict")), number(c, "/readiness/score"))
            },
        )
    };
    let facts = vec![fact(&first.name, verdict(c1)), fact(&second.name, verdict(c2))];
    let same_gap = |a: &Value, b: &Value| text(a, "/control/id") == text(b, "/control/id");
    let same_blocker = |a: &Value, b: &Value| {
        ["/provider", "/rule", "/component", "/location", "/title"]
            .iter()
            .all(|path| text(a, path) == text(b, path))
    };
    let (gone, new, stay) = compared(gaps1, gaps2, same_gap);
    let (gone_b, new_b, stay_b) = compared(blockers1, blockers2, same_blocker);
    let mut blocks = vec![
        said(format!(
            "From {} to {}: {} and {} are gone, {} and {} are new, {} stay.",
            first.name,
            second.name,
            count(gone.len(), "gap"),
            count(gone_b.len(), "blocker"),
            count(new.len(), "gap"),
            count(new_b.len(), "blocker"),
            stay.len() + stay_b.len(),
        )),
        Block::Facts { facts },
    ];
    for (title, gaps, blockers, release) in [
        (format!("Only {}", first.name), gone, gone_b, &first),
        (format!("Only {}", second.name), new, new_b, &second),
        ("In both".to_owned(), stay, stay_b, &second),
    ] {
        let all = (gaps.len() + blockers.len()) as u32;
        let listed: Vec<Item> =
            gaps.into_iter().map(results::gap).chain(blockers.into_iter().map(results::blocker)).collect();
        if !listed.is_empty() {
            blocks.push(records(&title, listed, all, Some(blocks_of(release))));
        }
    }
    let offers = [&first, &second]
        .map(|release| about(&format!("What blocks “{}”, and what do I do?", release.name), release));
    Ok(Answer { blocks, offers: offers.into(), about: Some(second.id), ..Answer::default() })
}

/// What only the first has, only the second, and both.
fn compared<'v>(
    first: &'v [Value],
    second: &'v [Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> (Vec<&'v Value>, Vec<&'v Value>, Vec<&'v Value>) {
    let (stay, gone) = first.iter().partition(|one| second.iter().any(|other| same(one, other)));
    let new = second.iter().filter(|one| !first.iter().any(|other| same(other, one))).collect();
    (gone, new, stay)
}

fn which_two(g: Gather<'_>, one: Option<Release>) -> Gathered<Answer> {
    let one = match one {
        Some(one) => Some(one),
        None => g.subject()?,
    };
    let all = items(g.releases()?).iter().filter_map(release);
    let all: Vec<Release> = all.filter(|other| Some(other) != one.as_ref()).collect();
    let Some(one) = one else {
        return Ok(Answer {
            blocks: vec![said(
                "Which two releases? Name both, for example as they stand in the list of releases.",
            )],
            offers: vec![ask("List all releases")],
            ..Answer::default()
        });
    };
    let offers = all.iter().take(limits::OFFERS_MAX);
    // Both names stand in the question, so no single one is pinned to it.
    let offers = offers.map(|other| ask(&format!("Compare {} with {}", one.name, other.name))).collect();
    Ok(Answer {
        blocks: vec![said(format!("With which release should I compare {}?", one.name))],
        offers,
        about: Some(one.id),
        ..Answer::default()
    })
}
