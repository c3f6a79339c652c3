//! `[[filter]]`.

use outport_core::Fault;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::super::keys::FILTER;
use super::super::words::Kind;
use super::super::{Explode, Filter, Scalar, Test};
use super::columns::from;
use super::table::Table;

/// A compiled pattern may take so many bytes. What people write takes less (`\p{L}{1,40}` up to 2 MiB,
/// `[a-z]{10000}` up to 1 MiB, an alternation of words 2 KiB), and what is written to hurt takes more.
const PATTERN_BYTES: usize = 4 << 20;

const TESTS: [&str; 5] = ["eq", "ne", "in", "exists", "matches"];

pub(super) fn filters(kind: Kind, list: &[Value], explode: Option<&Explode>) -> Result<Vec<Filter>, Fault> {
    let filter = |(index, value): (usize, &Value)| {
        let table = Table::open(kind, format!("filter {}", index + 1), &FILTER, Some(value))?;
        let from = from(&table, explode)?;
        Ok(Filter { from, test: test(&table)? })
    };
    list.iter().enumerate().map(filter).collect()
}

fn test(table: &Table<'_>) -> Result<Test, Fault> {
    let mut given = TESTS.iter().filter(|key| table.has(key));
    let (first, second) = (given.next(), given.next());
    if let Some(second) = second {
        let wrong = format!("has `{}` and `{second}`", first.unwrap_or(second));
        return Err(table.invalid_whole(&wrong, "make a [[filter]] of each: a record must pass all of them"));
    }
    match first.copied() {
        Some("eq") => Ok(Test::Eq(comparable(table, "eq", table.scalar("eq")?)?)),
        Some("ne") => Ok(Test::Ne(comparable(table, "ne", table.scalar("ne")?)?)),
        Some("in") => {
            let wanted = table.scalars("in")?.into_iter().map(|wanted| comparable(table, "in", wanted));
            Ok(Test::In(wanted.collect::<Result<_, _>>()?))
        }
        Some("exists") => Ok(Test::Exists(table.boolean("exists")?)),
        Some(_) => Ok(Test::Matches(pattern(table)?)),
        None => {
            let hint = format!("add one of: {}", TESTS.join(", "));
            Err(table.invalid_whole("does not say what the value must be", hint))
        }
    }
}

/// A value that the input can hold.
fn comparable(table: &Table<'_>, key: &str, wanted: Scalar) -> Result<Scalar, Fault> {
    match wanted {
        Scalar::Number(_) | Scalar::Boolean(_) if table.kind == Kind::CsvToJson => {
            let wrong = "is no text, and in CSV there is nothing else";
            Err(table.invalid(key, wrong, "put it into quotes, as the cell is written"))
        }
        wanted => Ok(wanted),
    }
}

fn pattern(table: &Table<'_>) -> Result<Regex, Fault> {
    let pattern = table.text("matches")?;
    RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => table.invalid(
            "matches",
            "is a pattern that becomes larger than 4 MiB",
            "use smaller repetitions, or [0-9] and [A-Za-z] for \\d and \\w",
        ),
        error => {
            // regex draws the pattern with a mark below; the last line says what it is.
            let said = error.to_string();
            let cause = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let hint = "see https://docs.rs/regex for what a pattern may have; there are no look-arounds";
            table.invalid("matches", &format!("is no regular expression: {cause}"), hint)
        }
    })
}
