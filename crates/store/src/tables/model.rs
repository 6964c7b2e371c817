//! How many tokens the organization's language model has used, by day. Counting is no change of a record, and is only ever
//! added to, so that questions asked at the same moment count together.

use super::statements;
use crate::Reader;
use crate::fault::Fault;
use crate::sql::Value;
use crate::write::Write;

statements! {
    COUNT = "insert into model_use (organization_id, day, tokens) values (?1, ?2, ?3)
        on conflict (organization_id, day) do update set tokens = model_use.tokens + excluded.tokens";
    USED = "select tokens from model_use where organization_id = ?1 and day = ?2";
}

impl Write {
    /// Counts tokens of a day, which is given in days since 1970-01-01.
    pub fn count_model_tokens(&mut self, day: i64, tokens: i64) {
        self.unseen(&COUNT, vec![Value::Int(day), Value::Int(tokens)]);
    }
}

impl Reader {
    /// Tokens counted for a day.
    pub async fn model_tokens(&self, day: i64) -> Result<i64, Fault> {
        let found = self.rows(&USED, vec![Value::Int(day)], |row| Ok(row.int(0))).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}
