//! Search over names: every word of the query must begin a word of the record's title. A scan over one small column
//! of one organization; no engine-specific index, so that both engines answer alike.

use domain::id::TeamId;
use domain::record::RecordType;

use super::statements;
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Value, list, teams, text};
use crate::write::Write;

statements! {
    PUT = "insert into search_text (organization_id, record_type, id, team_id, title, folded, status)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        on conflict (organization_id, record_type, id) do update set
        team_id = excluded.team_id, title = excluded.title, folded = excluded.folded, status = excluded.status";
    FIND = "select record_type, id, title, status, team_id from search_text where organization_id = ?1
        and (cast(?2 as text) is null or ?2 like '%,' || team_id || ',%')
        and (cast(?3 as text) is null or ?3 like '%,' || record_type || ',%')
        and (cast(?4 as text) is null or folded like ?4) and (cast(?5 as text) is null or folded like ?5)
        and (cast(?6 as text) is null or folded like ?6) and (cast(?7 as text) is null or folded like ?7)
        order by id desc limit ?8";
}

/// Words of a query that count; more narrow nothing further.
const WORDS_MAX: usize = 4;

/// What to search.
#[derive(Debug, Clone, Copy)]
pub struct SearchFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub types: &'a [RecordType],
    pub query: &'a str,
}

/// A record that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    pub record_type: RecordType,
    pub id: String,
    pub title: String,
    pub status: Option<String>,
    pub team_id: Option<TeamId>,
}

/// Lower case, words apart by single spaces, one in front.
fn fold(text: &str) -> String {
    let mut out = String::from(" ");
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// Makes a record findable by its title.
pub fn put(
    write: &mut Write,
    record_type: RecordType,
    id: &str,
    team: TeamId,
    title: &str,
    status: Option<&str>,
) {
    let params = vec![
        text(record_type),
        Value::from(id),
        text(team),
        Value::from(title),
        Value::from(fold(title)),
        status.map_or(Value::Null, Value::from),
    ];
    write.any(&PUT, params);
}

impl Reader {
    /// Newest first.
    pub async fn search(&self, f: SearchFilter<'_>, limit: u32) -> Result<Vec<SearchHit>, Fault> {
        let folded = fold(f.query);
        let mut words = folded.split_whitespace().take(WORDS_MAX).map(|w| Value::from(format!("% {w}%")));
        let mut params = vec![teams(f.teams), list(f.types)];
        let first = words.next();
        if first.is_none() {
            return Ok(Vec::new()); // nothing but punctuation finds nothing
        }
        params.extend(first);
        params.extend((1..WORDS_MAX).map(|_| words.next().unwrap_or(Value::Null)));
        params.push(Value::Int(i64::from(limit)));
        let hits = self
            .rows(&FIND, params, |row| {
                let record_type =
                    RecordType::parse(&row.text(0)).ok_or(Fault::Bug("search rows have a record type"))?;
                Ok(SearchHit {
                    record_type,
                    id: row.text(1),
                    title: row.text(2),
                    status: row.maybe_text(3),
                    team_id: row.text(4).parse().ok(),
                })
            })
            .await?;
        Ok(hits)
    }
}
