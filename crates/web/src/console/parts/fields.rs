//! Fields of a form that is made from a tool's schema.

use domain::refusal::FieldDetail;
use engine::view::TeamView;
use maud::{Markup, html};

use super::pill;
use super::text;
use crate::console::arguments::{Field, Kind};

/// What fields are filled with, and what was wrong with them.
pub struct Filled<'a> {
    pub values: &'a [(String, String)],
    pub wrong: &'a [FieldDetail],
    /// Teams to choose from.
    pub teams: &'a [TeamView],
    /// Names of fields that the way here has filled in: which record it is about, in which version.
    pub given: &'a [String],
}

impl Filled<'_> {
    fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text.as_str())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.values.iter().any(|(known, text)| known == name && text == value)
    }

    fn wrong(&self, name: &str) -> impl Iterator<Item = &FieldDetail> {
        // A tool names a field as it stands in JSON; an entry of a list belongs to the list's field.
        self.wrong.iter().filter(move |detail| {
            let known = detail.field.trim_start_matches('/').replace('/', ".");
            known == name || known.strip_prefix(name).is_some_and(|rest| rest.starts_with(['[', '.']))
        })
    }

    /// A version, or an id nobody would type, that is known already: carried along, not shown.
    fn carried(&self, field: &Field) -> bool {
        let technical = field.name == "version" || field.name == "replaces" || field.name.ends_with("Id");
        let choosable = field.name == "teamId";
        technical && !choosable && self.given.contains(&field.name)
    }
}

/// All of them.
pub fn fields(fields: &[Field], filled: &Filled<'_>) -> Markup {
    html! { @for field in fields { (one(field, filled)) } }
}

fn one(field: &Field, filled: &Filled<'_>) -> Markup {
    if filled.carried(field) {
        return html! { input type="hidden" name=(field.name) value=(filled.value(&field.name)); };
    }
    if let Kind::Group(inner) = &field.kind {
        return html! {
            fieldset.group {
                legend { (field.label) }
                @if !field.help.is_empty() { p.hint { (field.help) } }
                (fields(inner, filled))
            }
        };
    }
    let id = format!("field-{}", field.name.replace('.', "-"));
    let hint = format!("{id}-hint");
    html! {
        div.field {
            @if matches!(field.kind, Kind::Several(_)) { span.label id=(id) { (label(field)) } }
            @else { label for=(id) { (label(field)) } }
            (input(field, &id, &hint, filled))
            @for detail in filled.wrong(&field.name) { p.wrong role="alert" { (text::capital(&detail.message)) } }
            @if let Some(words) = help(field) { span.hint id=(hint) { (words) } }
        }
    }
}

fn label(field: &Field) -> Markup {
    html! { (field.label) @if !field.required { " " span.muted { "optional" } } }
}

fn help(field: &Field) -> Option<String> {
    let form = match &field.kind {
        Kind::Lines => "One a line.",
        Kind::Moment => "In UTC.",
        Kind::Rows(names) => {
            return Some(format!("{} One a line: {}.", field.help, names.join(", ")).trim().to_owned());
        }
        _ => "",
    };
    let words =
        [field.help.as_str(), form].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then_some(words)
}

fn input(field: &Field, id: &str, hint: &str, filled: &Filled<'_>) -> Markup {
    let (name, value) = (&field.name, filled.value(&field.name));
    let required = field.required;
    match &field.kind {
        Kind::Line { .. } if name == "teamId" && !filled.teams.is_empty() => {
            let teams = filled.teams.iter().map(|team| (team.id.to_string(), team.name.clone()));
            let known = |id: &str, named: &str| value == id || value == named;
            html! {
                select id=(id) name=(name) required[required] aria-describedby=(hint) {
                    option value="" { "Choose a team" }
                    @for (id, team) in teams { option value=(id) selected[known(&id, &team)] { (team) } }
                }
            }
        }
        Kind::Line { longest } => html! {
            input id=(id) name=(name) value=(value) required[required] maxlength=[*longest] aria-describedby=(hint) autocomplete="off";
        },
        Kind::Text { longest } => html! {
            textarea id=(id) name=(name) required[required] maxlength=[*longest] aria-describedby=(hint) { (value) }
        },
        Kind::Number => html! {
            input id=(id) name=(name) value=(value) required[required] inputmode="numeric" aria-describedby=(hint) autocomplete="off";
        },
        Kind::Moment => html! {
            input type="datetime-local" id=(id) name=(name) value=(value.get(..16).unwrap_or(value)) required[required] aria-describedby=(hint);
        },
        Kind::Flag => {
            choice(id, name, hint, required, &[("true", "Yes".into()), ("false", "No".into())], value)
        }
        Kind::Choice(words) => {
            let words: Vec<(&str, String)> =
                words.iter().map(|word| (word.as_str(), pill::human(word))).collect();
            choice(id, name, hint, required, &words, value)
        }
        Kind::Lines | Kind::Rows(_) => html! {
            textarea id=(id) name=(name) required[required] aria-describedby=(hint) { (value) }
        },
        Kind::Several(words) => html! {
            div.checks role="group" aria-labelledby=(id) {
                @for word in words {
                    label.check { input type="checkbox" name=(name) value=(word) checked[filled.has(name, word)]; span.mono { (word) } }
                }
            }
        },
        Kind::Group(_) => html! {},
    }
}

fn choice(id: &str, name: &str, hint: &str, required: bool, words: &[(&str, String)], value: &str) -> Markup {
    html! {
        select id=(id) name=(name) required[required] aria-describedby=(hint) {
            option value="" { @if required { "Choose" } @else { "—" } }
            @for (word, human) in words { option value=(word) selected[*word == value] { (human) } }
        }
    }
}
