//! Reading the ledger for people: `list` and `show` of each noun. Rows serialise as they stand in `--json`.

pub mod deliveries;
pub mod endpoints;
pub mod files;
pub mod history;
pub mod problems;
pub mod runs;
pub mod subscriptions;
pub mod transforms;
pub mod why;

use sea_orm::Value;

/// How much a list returns.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Rows at most, newest first.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 50 }
    }
}

/// Conditions that grow by the filters that were given.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds `column = value` when there is a value.
    fn equal(mut self, column: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.values.push(value.into());
            self.sql.push(format!("{column} = ${}", self.values.len()));
        }
        self
    }

    /// `WHERE ... ORDER BY order LIMIT n` and its values.
    fn finish(mut self, order: &str, page: Page) -> (String, Vec<Value>) {
        let conditions =
            if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) };
        self.values.push(i64::from(page.limit).into());
        (format!("{conditions} ORDER BY {order} LIMIT ${}", self.values.len()), self.values)
    }
}
