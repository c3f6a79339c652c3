//! Steps are DDL text with placeholders where the two databases differ.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// `{json}`: PostgreSQL checks and indexes it, SQLite stores text. `{hot_*}`: room on each page for the new versions of rows
/// that change soon after they were written, and an eager vacuum for the queue, whose rows come and go.
const PLACEHOLDERS: [(&str, &str, &str); 5] = [
    ("{json}", "jsonb", "text"),
    ("{hot_lane}", "WITH (fillfactor=50)", ""),
    ("{hot_delivery}", "WITH (fillfactor=80)", ""),
    ("{hot_attempt}", "WITH (fillfactor=70)", ""),
    (
        "{hot_send_job}",
        "WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.0, autovacuum_vacuum_threshold=1000)",
        "",
    ),
];

/// Runs every statement of `text` in the dialect of the connection.
pub async fn run(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    let postgres = manager.get_database_backend() == DbBackend::Postgres;
    for statement in statements(text, postgres) {
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

fn statements(text: &str, postgres: bool) -> Vec<String> {
    let without_comments: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut filled = without_comments;
    for (name, on_postgres, on_sqlite) in PLACEHOLDERS {
        filled = filled.replace(name, if postgres { on_postgres } else { on_sqlite });
    }
    filled.split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_comments_may_have_semicolons() {
        let text = "-- a; b\nCREATE TABLE t (j {json}) {hot_lane};\nCREATE INDEX i ON t(j);\n";
        let sqlite = statements(text, false);
        assert_eq!(sqlite, ["CREATE TABLE t (j text)", "CREATE INDEX i ON t(j)"]);
        assert_eq!(statements(text, true)[0], "CREATE TABLE t (j jsonb) WITH (fillfactor=50)");
    }

    #[test]
    fn the_schema_has_no_placeholder_left() {
        for postgres in [true, false] {
            let all = statements(include_str!("m0001_schema.sql"), postgres);
            assert!(all.iter().all(|s| !s.contains('{') || s.contains("'{}'")));
            assert_eq!(all.iter().filter(|s| s.starts_with("CREATE TABLE")).count(), 23);
        }
    }
}
