//! `[input]`.

use encoding_rs::{Encoding, REPLACEMENT};
use outport_core::Fault;

use super::super::keys::bytes;
use super::super::{CsvInput, Explode, Input, JsonInput, Path};
use super::nearest::nearest;
use super::table::{Table, what};

/// What holds for every format.
pub(super) fn any(table: &Table<'_>) -> Result<Input, Fault> {
    Ok(Input {
        encoding: encoding(table)?,
        compression: table.word("compression")?,
        max_record_bytes: record_bytes(table)?,
    })
}

pub(super) fn json(table: &Table<'_>) -> Result<JsonInput, Fault> {
    Ok(JsonInput {
        layout: table.word("format")?,
        records: absolute(table, "records")?.filter(|path| !path.keys().is_empty()),
        explode: explode(table)?,
        max_depth: table.size("max_depth", 1, JsonInput::MOST_DEPTH as u64)?,
        duplicate_keys: table.word("duplicate_keys")?,
    })
}

pub(super) fn csv(table: &Table<'_>) -> Result<CsvInput, Fault> {
    let delimiter = table.delimiter("delimiter")?;
    Ok(CsvInput { delimiter, header: table.boolean("header")?, null: table.unquoted("null", delimiter)? })
}

fn explode(table: &Table<'_>) -> Result<Option<Explode>, Fault> {
    let Some(path) = absolute(table, "explode")? else { return Ok(None) };
    if path.keys().is_empty() {
        let hint =
            "name the array inside the record, such as `/items`; for an array of records use `records`";
        return Err(table.invalid("explode", "is the whole record, which is no array", hint));
    }
    Ok(Some(Explode { path, empty: table.word("explode_empty")? }))
}

fn absolute(table: &Table<'_>, key: &str) -> Result<Option<Path>, Fault> {
    if !table.has(key) {
        return Ok(None);
    }
    let path = table.path(key)?;
    if path.is_relative() {
        let hint = format!("write it without the dot: \"{}\"", path.to_string().trim_start_matches('.'));
        return Err(table.invalid(
            key,
            "starts with a dot, but there is nothing that it could count from",
            hint,
        ));
    }
    Ok(Some(path))
}

/// The encoding that a label of the WHATWG Encoding Standard means.
pub(super) fn encoding(table: &Table<'_>) -> Result<&'static Encoding, Fault> {
    let label = table.name("encoding")?;
    // "replacement" is what dangerous labels (iso-2022-kr, hz-gb-2312) mean; it decodes nothing.
    Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != REPLACEMENT).ok_or_else(|| {
        let usual =
            ["utf-8", "utf-16le", "utf-16be", "windows-1252", "iso-8859-1", "shift_jis", "gb18030", "big5"];
        let hint = match nearest(&label.to_ascii_lowercase(), usual.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use a label of the WHATWG Encoding Standard, such as {}", usual.join(", ")),
        };
        table.invalid("encoding", &format!("is {label:?}, which is no known encoding"), hint)
    })
}

fn record_bytes(table: &Table<'_>) -> Result<u64, Fault> {
    let value = table.value("max_record_bytes")?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    bytes(&text).ok_or_else(|| {
        let wrong = format!("is {}, which is no size from 1 byte to 1GiB", what(&value));
        table.invalid("max_record_bytes", &wrong, "write a number of bytes, or one with a unit: \"64MiB\"")
    })
}
