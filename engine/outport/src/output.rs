//! What the commands print: tables for people, one JSON document for programs, and nothing that could move a cursor.

use std::io::Write;

use comfy_table::{Cell, ContentArrangement, Table, presets};
use jiff::Timestamp;
use outport_core::{Fault, Millis, code};
use serde::Serialize;

/// How a read prints its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// Text that came from outside (file names, server messages) as it may stand on a terminal: control characters and
/// escapes are spelt out, line ends too, or a file's name could write a row of its own into a table.
pub fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The same for a fault's report, whose hint stands on a line of its own.
pub fn safe_report(report: &str) -> String {
    match report.split_once("\nhint: ") {
        Some((message, hint)) => format!("{}\nhint: {}", safe(message), safe(hint)),
        None => safe(report),
    }
}

/// One line, or a report, on stderr. Nothing can be told when nobody reads that any more, so a failure is ignored
/// (`eprintln!` would panic).
pub fn note(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}

/// An instant as RFC 3339 in UTC, to the second.
pub fn time(at: Millis) -> String {
    Timestamp::from_millisecond(at - at.rem_euclid(1000)).map_or_else(|_| "-".into(), |t| t.to_string())
}

/// A value or `-`.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |v| v.to_string())
}

/// Prints a table, or says on stderr that there is nothing.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> Result<(), Fault> {
    if rows.is_empty() {
        note("(none)");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|h| Cell::new(h.to_uppercase())));
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)));
    }
    line(&table.trim_fmt())
}

/// Prints names and values, one a line.
pub fn pairs(pairs: &[(&str, String)]) -> Result<(), Fault> {
    let width = width(pairs);
    pairs.iter().try_for_each(|(name, value)| line(&format!("{name:width$}  {}", safe(value))))
}

/// The same, and at the end what went wrong, if anything: the report of a fault.
pub fn pairs_and_report(
    values: &[(&str, String)],
    (name, report): (&str, Option<&str>),
) -> Result<(), Fault> {
    pairs(values)?;
    let width = width(values);
    let report = report.map_or_else(|| "-".into(), safe_report);
    line(&format!("{name:width$}  {}", report.replace('\n', &format!("\n{:width$}  ", ""))))
}

fn width(pairs: &[(&str, String)]) -> usize {
    pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0)
}

/// Prints one JSON document.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Fault::new(&code::IO_FAILED, format!("could not write JSON: {error}")))?;
    line(&text)
}

/// Lines on stdout.
pub fn text(text: &str) -> Result<(), Fault> {
    line(text.trim_end_matches('\n'))
}

/// One line on stdout. A reader that went away (`| head`) is no error.
pub fn line(text: &str) -> Result<(), Fault> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::new(&code::IO_FAILED, format!("could not write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_spelt_out() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(safe("Übergröße 日本"), "Übergröße 日本");
        assert_eq!(safe("a\nb routed"), "a\\nb routed");
        assert_eq!(safe_report("a\u{1b}b [x.y]\nhint: c\nd"), "a\\u{1b}b [x.y]\nhint: c\\nd");
    }

    #[test]
    fn times_are_utc_seconds() {
        assert_eq!(time(1_767_323_045_678), "2026-01-02T03:04:05Z");
    }
}
