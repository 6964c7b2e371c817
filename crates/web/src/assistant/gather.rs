//! Gathering what an answer needs. The rules are written as if every tool had been called already; what has not been is
//! the next call, and the rules are read again from the beginning once its result is there. So the planner stays a pure
//! function of question and results, and keeps no state between steps.

use domain::conversation::{Answer, Offer};
use domain::id::ReleaseId;
use domain::refusal::{Code, Refusal};
use serde_json::{Map, Value, json};

use super::results::{self, items, text};
use super::understand::{self, Intent};
use super::{Asked, Call, DRY_RUN, Place, Seen, limits, place};

/// Why the rules do not go on.
#[derive(Debug)]
pub enum Stop {
    /// Something must be asked first.
    Call(Call),
    Refused(Refusal),
    /// There is an answer before the end, such as a question back.
    Answer(Box<Answer>),
}

pub type Gathered<T> = Result<T, Stop>;

/// A release that a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: ReleaseId,
    pub name: String,
}

/// The question, and what tools have returned so far.
#[derive(Clone, Copy)]
pub struct Gather<'a> {
    pub asked: &'a Asked<'a>,
    pub seen: &'a [Seen],
}

impl<'a> Gather<'a> {
    pub fn may(&self, tool: &str) -> bool {
        self.asked.permitted.contains(&tool) && self.asked.place.offers(tool)
    }

    /// The result of a call, if it is there; the refusal, if there was one.
    fn result(&self, tool: &'static str, arguments: Value) -> Gathered<Result<&'a Value, &'a Refusal>> {
        let Value::Object(arguments) = arguments else { return Err(Stop::Refused(Refusal::internal())) };
        let made = self.seen.iter().find(|seen| seen.call.tool == tool && seen.call.arguments == arguments);
        match made {
            Some(seen) => Ok(seen.result.as_ref()),
            None => Err(Stop::Call(Call { tool, arguments })),
        }
    }

    /// Reads. What may not be read ends the answer with the reason.
    pub fn ask(&self, tool: &'static str, arguments: Value) -> Gathered<&'a Value> {
        self.allowed(tool)?;
        self.result(tool, arguments)?.map_err(|refusal| Stop::Refused(refusal.clone()))
    }

    /// Reads what may be left out of an answer: nothing where it is not to be had.
    pub fn perhaps(&self, tool: &'static str, arguments: Value) -> Gathered<Option<&'a Value>> {
        if !self.may(tool) {
            return Ok(None);
        }
        match self.result(tool, arguments)? {
            Ok(value) => Ok(Some(value)),
            Err(refusal) if matches!(refusal.code, Code::NotFound | Code::Forbidden) => Ok(None),
            Err(refusal) => Err(Stop::Refused(refusal.clone())),
        }
    }

    /// The preview of a write, and nothing but a preview.
    pub fn preview(&self, tool: &'static str, arguments: &Map<String, Value>) -> Gathered<&'a Value> {
        self.allowed(tool)?;
        let mut arguments = arguments.clone();
        arguments.insert(DRY_RUN.to_owned(), Value::Bool(true));
        self.result(tool, Value::Object(arguments))?.map_err(|refusal| Stop::Refused(refusal.clone()))
    }

    /// What proposing the plan of the turn before has brought.
    pub fn proposed(&self, tool: &'static str, arguments: Map<String, Value>) -> Gathered<&'a Value> {
        self.allowed(tool)?;
        self.result(tool, Value::Object(arguments))?.map_err(|refusal| Stop::Refused(refusal.clone()))
    }

    /// Ends the answer with the reason where the person may not use a tool, or not here.
    pub fn allowed(&self, tool: &str) -> Gathered<()> {
        if !self.asked.permitted.contains(&tool) {
            let permission = engine::tools::find(tool).and_then(|tool| tool.card.permission);
            return Err(Stop::Refused(
                permission.map_or_else(|| Refusal::not_found("tool"), Refusal::forbidden),
            ));
        }
        if !self.asked.place.offers(tool) {
            return Err(Stop::Refused(place::not_here()));
        }
        Ok(())
    }

    /// Releases that the person may see, as far as one call lists them.
    pub fn releases(&self) -> Gathered<&'a Value> {
        self.ask("loopiq_list_releases", json!({ "allTeams": true, "limit": limits::RECORDS_MAX }))
    }

    /// Releases that the question names, in its order.
    pub fn named(&self) -> Gathered<Vec<Release>> {
        let listed = items(self.releases()?);
        let names: Vec<&str> = listed.iter().map(|release| text(release, "/name")).collect();
        let found = understand::mentioned(self.asked.text, &names);
        let mut all: Vec<Release> =
            found.into_iter().filter_map(|index| listed.get(index)).filter_map(release).collect();
        let mut unknown = false;
        for word in understand::names(self.asked.text).into_iter().take(limits::NAMES_MAX) {
            if all.iter().any(|release| release.name.eq_ignore_ascii_case(word)) {
                continue;
            }
            if word.starts_with("cert_") {
                let found =
                    self.perhaps("loopiq_get_release_certification", json!({ "certificationId": word }))?;
                all.extend(found.and_then(|found| found.pointer("/certification/release")).and_then(release));
            } else if !all.iter().any(|release| contains(&release.name, word)) {
                // Perhaps it is on none of the listed pages, or an id.
                let found = self.perhaps("loopiq_get_release", json!({ "release": word }))?;
                all.extend(found.and_then(|found| found.pointer("/release")).and_then(release));
            }
            unknown |= all.is_empty();
        }
        // Whoever names a release that is not there is not answered about another one. Where something is to be made,
        // such words are rather codes of controls or belong to a title.
        let making = matches!(
            understand::intent(self.asked.text, &[]),
            Intent::Except | Intent::CreateWork | Intent::RollBack
        );
        if unknown && all.is_empty() && !making {
            return Err(Stop::Refused(Refusal::not_found("release")));
        }
        Ok(all)
    }

    /// The release that the page shows, or what it shows belongs to.
    pub fn of_page(&self) -> Gathered<Option<Release>> {
        let found = match self.asked.place {
            Place::Release(id) => self
                .perhaps("loopiq_get_release", json!({ "release": id.to_string() }))?
                .and_then(|found| found.pointer("/release")),
            Place::Certification(id) => self
                .perhaps("loopiq_get_release_certification", json!({ "certificationId": id.to_string() }))?
                .and_then(|found| found.pointer("/certification/release")),
            Place::WorkItem(id) => {
                let item = self.perhaps("loopiq_get_work_item", json!({ "workItemId": id.to_string() }))?;
                match item.map(|item| text(item, "/workItem/releaseId")).filter(|id| !id.is_empty()) {
                    Some(release) => self
                        .perhaps("loopiq_get_release", json!({ "release": release }))?
                        .and_then(|found| found.pointer("/release")),
                    None => None,
                }
            }
            Place::Action(id) => self
                .perhaps(place::GET_ACTION, json!({ "actionId": id.to_string() }))?
                .and_then(|found| found.pointer("/action/card/release")),
            Place::Work | Place::Running => None,
        };
        Ok(found.and_then(release))
    }

    /// The release that the question is about, if it says so itself.
    pub fn said(&self) -> Gathered<Option<Release>> {
        if let Some(id) = self.asked.about {
            let found = self.ask("loopiq_get_release", json!({ "release": id.to_string() }))?;
            return Ok(found.pointer("/release").and_then(release));
        }
        Ok(self.named()?.into_iter().next())
    }

    /// The release that the question is about: the one it names, else the one of the page, else the one that the
    /// conversation was about.
    pub fn subject(&self) -> Gathered<Option<Release>> {
        if let Some(said) = self.said()? {
            return Ok(Some(said));
        }
        if let Some(shown) = self.of_page()? {
            return Ok(Some(shown));
        }
        let Some(id) = self.asked.before.and_then(|turn| turn.answer.about) else { return Ok(None) };
        let found = self.perhaps("loopiq_get_release", json!({ "release": id.to_string() }))?;
        Ok(found.and_then(|found| found.pointer("/release")).and_then(release))
    }

    /// As [`Gather::subject`]; where there is none, the only release there is, or a question back.
    pub fn one(&self, question: &str) -> Gathered<Release> {
        if let Some(subject) = self.subject()? {
            return Ok(subject);
        }
        let all: Vec<Release> = items(self.releases()?).iter().filter_map(release).collect();
        match all.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Stop::Answer(Box::new(Answer {
                blocks: vec![results::said("There is no release that you may see.")],
                ..Answer::default()
            }))),
            several => Err(Stop::Answer(Box::new(Answer {
                blocks: vec![results::said("Which release do you mean?")],
                offers: several
                    .iter()
                    .take(limits::OFFERS_MAX)
                    .map(|release| about(&format!("{question} “{}”", release.name), release))
                    .collect(),
                ..Answer::default()
            }))),
        }
    }

    /// The team that the question names, by id.
    pub fn team(&self) -> Gathered<Option<(String, String)>> {
        let Some(teams) = self.perhaps("loopiq_list_teams", json!({}))? else { return Ok(None) };
        let teams = items(teams);
        let names: Vec<&str> = teams.iter().map(|team| text(team, "/name")).collect();
        let first = understand::mentioned(self.asked.text, &names).into_iter().next();
        let team = first.and_then(|index| teams.get(index));
        Ok(team.map(|team| (text(team, "/id").to_owned(), text(team, "/name").to_owned())))
    }
}

fn contains(name: &str, word: &str) -> bool {
    name.to_lowercase().contains(&word.to_lowercase())
}

/// The release that a result speaks of.
pub fn release(value: &Value) -> Option<Release> {
    Some(Release { id: text(value, "/id").parse().ok()?, name: text(value, "/name").to_owned() })
}

/// A question about a release, as a button.
pub fn about(question: &str, release: &Release) -> Offer {
    Offer { text: question.to_owned(), about: Some(release.id), to: None }
}
