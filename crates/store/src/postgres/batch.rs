//! The statements of a group as they are sent: what inserts into the same table becomes one statement with arrays for
//! parameters, because on the server a statement costs about as much as a row. The rows of such a statement stand where
//! the first of them stood; see [`crate::gather`].

use std::collections::HashMap;

use deadpool_postgres::Object;
use tokio_postgres::Statement;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::{Bound, Link, Request, Trouble};
use crate::fault::{CommitError, Fault};
use crate::gather::Insert;
use crate::sql::{Sql, Value};
use crate::tables::audit::Placed;
use crate::write::{Miss, Step};

/// Statements in the order in which they are sent.
pub struct Batch<'a> {
    sent: Vec<Sent<'a>>,
    /// Where the rows of an insert are gathered, by its name and whether it may miss; absent when none are.
    gathered: Option<HashMap<(&'static str, bool), usize>>,
}

/// One statement of a flight, with one row of parameters or many.
pub struct Sent<'a> {
    statement: Statement,
    sql: &'static Sql,
    rows: Vec<Vec<Bound<'a>>>,
    /// Absent where nothing can miss.
    miss: Option<&'a Miss>,
}

impl<'a> Batch<'a> {
    /// With inserts put together.
    pub fn gathering() -> Batch<'a> {
        Batch { sent: Vec::new(), gathered: Some(HashMap::new()) }
    }

    /// Every statement by itself, so that the one that misses can be told.
    pub fn one_by_one() -> Batch<'a> {
        Batch { sent: Vec::new(), gathered: None }
    }

    pub fn requests<'b>(&'b self, connection: &'b Object) -> Vec<Request<'b>> {
        self.sent.iter().map(|sent| sent.request(connection)).collect()
    }

    pub fn sent(&self) -> &[Sent<'a>] {
        &self.sent
    }

    /// Adds the length of the log: nothing that could miss.
    pub async fn add(
        &mut self,
        link: &Link,
        connection: &Object,
        sql: &'static Sql,
        params: &'a [Value],
    ) -> Result<(), Trouble> {
        self.row(link, connection, sql, params, &[], None).await
    }

    /// Adds a statement of a write.
    pub async fn step(
        &mut self,
        link: &Link,
        connection: &Object,
        step: &'a Step,
        placed: &'a [Placed],
    ) -> Result<(), Trouble> {
        self.row(link, connection, step.sql, &step.params, placed, step.miss.as_ref()).await
    }

    async fn row(
        &mut self,
        link: &Link,
        connection: &Object,
        sql: &'static Sql,
        params: &'a [Value],
        placed: &'a [Placed],
        miss: Option<&'a Miss>,
    ) -> Result<(), Trouble> {
        let row: Vec<Bound<'a>> = params.iter().map(|value| Bound(value, placed)).collect();
        let kind = (sql.name, miss.is_some());
        if let Some(gathered) = &mut self.gathered {
            if let Some(sent) = gathered.get(&kind).and_then(|index| self.sent.get_mut(*index)) {
                sent.rows.push(row);
                return Ok(());
            }
            if Insert::of(sql).is_some() {
                gathered.insert(kind, self.sent.len());
            }
        }
        let statement = link.prepared(connection, sql).await?;
        self.sent.push(Sent { statement, sql, rows: vec![row], miss });
        Ok(())
    }

    /// Gives what has gathered more than one row its spelling for many; to be called before the requests are made.
    pub async fn finish(&mut self, link: &Link, connection: &Object) -> Result<(), Trouble> {
        for sent in self.sent.iter_mut().filter(|sent| sent.rows.len() > 1) {
            let text = link.spelled_for_many(sent.sql, sent.statement.params());
            sent.statement = connection.prepare_cached(&text).await?;
        }
        Ok(())
    }
}

impl Sent<'_> {
    pub fn request<'b>(&'b self, connection: &'b Object) -> Request<'b> {
        Box::pin(async move {
            match self.rows.as_slice() {
                [row] => Ok(connection.execute_raw(&self.statement, row.iter()).await?),
                rows => {
                    let width = rows.first().map_or(0, Vec::len);
                    let columns = (0..width).map(|column| Column { rows, column });
                    Ok(connection.execute_raw(&self.statement, columns).await?)
                }
            }
        })
    }

    /// Whether the statement did what it had to.
    pub fn is_hit(&self, answer: &Result<u64, Trouble>) -> bool {
        match (answer, self.miss) {
            (Ok(count), Some(_)) => *count == self.rows.len() as u64,
            (Ok(_), None) => true,
            (Err(_), _) => false,
        }
    }

    /// What a statement that did not is to its caller. `Err` is a connection that was lost, or a bug.
    pub fn failure(&self, answer: Result<u64, Trouble>) -> Result<CommitError, Result<Trouble, Fault>> {
        match (answer, self.miss) {
            (Ok(_), Some(miss)) => Ok(CommitError::Conflict(miss.conflict())),
            (Err(trouble), Some(miss)) if trouble.is_violation() => {
                Ok(CommitError::Conflict(miss.conflict()))
            }
            (Err(trouble), _) if super::is_transient(&trouble) => Err(Ok(trouble)),
            (Err(trouble), _) => Ok(CommitError::Fault(trouble.into_fault(self.sql))),
            (Ok(_), None) => Err(Err(Fault::Bug("a statement without a miss cannot miss"))),
        }
    }
}

/// The spelling for many rows, by the types of the parameters of the one for a single row.
pub fn for_many(sql: &Sql, types: &[Type]) -> Option<String> {
    let Insert { head, tail, .. } = Insert::of(sql)?;
    let arrays: Vec<String> =
        types.iter().zip(1..).map(|(kind, n)| format!("${n}::{}[]", kind.name())).collect();
    Some(format!("{head} select * from unnest({}){}", arrays.join(", "), tail.replace('?', "$")))
}

/// One parameter of all rows, as an array.
#[derive(Debug)]
struct Column<'a> {
    rows: &'a [Vec<Bound<'a>>],
    column: usize,
}

impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let values: Vec<&Bound<'_>> = self.rows.iter().filter_map(|row| row.get(self.column)).collect();
        values.to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <Vec<&Bound<'_>> as ToSql>::accepts(kind)
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::audit as log;

    #[test]
    fn only_inserts_that_nothing_else_can_disturb_are_put_together() {
        let many = for_many(&log::INSERT_BODY, &[Type::TEXT, Type::INT8, Type::BYTEA, Type::TEXT]);
        assert_eq!(
            many.unwrap(),
            "insert into audit_body (organization_id, sequence, salt, body) select * from \
             unnest($1::text[], $2::int8[], $3::bytea[], $4::text[])"
        );
        assert!(for_many(&log::INSERT_SUBJECT, &[Type::TEXT]).unwrap().ends_with("do nothing"));
        for single in [&log::SET_HEAD, &log::OPEN_HEAD, &log::HEAD] {
            assert!(for_many(single, &[Type::TEXT]).is_none(), "{}", single.name);
        }
    }
}
