//! The contract as a page of TOML.

use serde_json::Value;

use super::tree::Observed;
use crate::json_csv::reading::Size;

/// Writes the page; `input` is `[input]` as it was given.
pub(super) fn write(input: &Value, size: Size, columns: &[Observed]) -> String {
    let mut page = format!(
        "# What {} records ({} bytes) held. Whatever comes and differs is refused: widen what is too narrow.\n\
         version = 1\nkind = \"json-to-csv\"\n",
        size.records, size.bytes
    );
    if let Some(settings) = input.as_object().filter(|settings| !settings.is_empty()) {
        page += "\n[input]\n";
        for (key, value) in settings {
            page += &format!("{key} = {}\n", scalar(value));
        }
    }
    page += "\n[output]\nunknown_keys = \"error\"\n";
    for column in columns {
        page += &table(column, size.records);
    }
    page
}

fn table(column: &Observed, records: u64) -> String {
    let there = records - column.missing;
    let mut table = format!("\n# in {there} of {records} records: {}\n", column.seen.counts().join(", "));
    let ty = column.seen.ty();
    if ty.is_none() {
        table += "# no type fits: say what it is to be\n";
    }
    table += "[[column]]\n";
    table += &format!("name = {}\nfrom = {}\n", text(&column.name), text(&column.from));
    if let Some((word, scale)) = ty {
        table += &format!("type = \"{word}\"\n");
        if let Some(scale) = scale {
            table += &format!("scale = {scale}\n");
        }
    }
    if column.is_in_every_record() {
        table += "required = true\n";
    }
    table
}

/// A setting; those of `[input]` are texts, whole numbers and booleans.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        other => other.to_string(),
    }
}

/// A basic string of TOML: that of JSON, but DEL has to be escaped.
fn text(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
