//! `[output]`.

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};
use outport_core::Fault;

use super::super::words::{ArraysWord, Unmappable};
use super::super::{Arrays, CsvOutput, JsonOutput, TextEncoding};
use super::input;
use super::table::Table;

pub(super) fn csv(table: &Table<'_>, columns_given: bool) -> Result<CsvOutput, Fault> {
    let delimiter = table.delimiter("delimiter")?;
    let encoding = encoding(table)?;
    let bom = table.boolean("bom")?;
    if bom && !encoding.has_bom() {
        let wrong = format!("is true, but {} has no byte order mark", encoding.name());
        return Err(table.invalid("bom", &wrong, "remove it, or use the encoding utf-8 or utf-16"));
    }
    if columns_given && table.has("nested_separator") {
        let wrong = "has no meaning with [[column]], which names the columns";
        return Err(table.invalid("nested_separator", wrong, "remove it"));
    }
    Ok(CsvOutput {
        delimiter,
        quote: table.word("quote")?,
        line_ending: table.word("line_ending")?,
        header: table.boolean("header")?,
        bom,
        encoding,
        null: table.unquoted("null", delimiter)?,
        missing: table.unquoted("missing", delimiter)?,
        nested_separator: table.name("nested_separator")?,
        arrays: arrays(table, columns_given)?,
        csv_injection: table.word("csv_injection")?,
        max_columns: table.size("max_columns", 1, CsvOutput::MOST_COLUMNS as u64)?,
    })
}

pub(super) fn json(table: &Table<'_>) -> Result<JsonOutput, Fault> {
    Ok(JsonOutput { layout: table.word("format")? })
}

fn encoding(table: &Table<'_>) -> Result<TextEncoding, Fault> {
    let encoding = input::encoding(table)?;
    let unicode = match encoding {
        e if e == UTF_8 => TextEncoding::Utf8,
        e if e == UTF_16LE => TextEncoding::Utf16Le,
        e if e == UTF_16BE => TextEncoding::Utf16Be,
        encoding => {
            return Ok(TextEncoding::Legacy {
                encoding,
                unmappable: table.word::<Unmappable>("unmappable")?,
            });
        }
    };
    if table.has("unmappable") {
        let wrong = format!("has no meaning with {}, which has every character", unicode.name());
        return Err(table.invalid("unmappable", &wrong, "remove it"));
    }
    Ok(unicode)
}

fn arrays(table: &Table<'_>, columns_given: bool) -> Result<Arrays, Fault> {
    Ok(match table.word("arrays")? {
        ArraysWord::Json => Arrays::Json,
        ArraysWord::Error => Arrays::Error,
        ArraysWord::Join => Arrays::Join { separator: table.text("array_join")? },
        ArraysWord::Index if columns_given => {
            let wrong = "is \"index\", but a column of [[column]] cannot become several";
            let hint = "give each index its column: from = \"/tags/0\"; or use json, join or error";
            return Err(table.invalid("arrays", wrong, hint));
        }
        ArraysWord::Index => {
            Arrays::Index { limit: table.size("array_index_limit", 1, CsvOutput::MOST_COLUMNS as u64)? }
        }
    })
}
