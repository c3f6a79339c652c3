//! `[[column]]`, and `unknown_keys`, which means nothing without knowing them.

use std::collections::HashSet;

use outport_core::{Fault, code};
use serde_json::Value;

use super::super::keys::COLUMN;
use super::super::words::{Kind, RoundWord, TypeWord, UnknownWord};
use super::super::{
    Absent, Cell, Column, Columns, Decimal, Explode, Filter, Form, JsonText, Others, Path, Source, Type,
};
use super::moment;
use super::table::{Table, fault};

pub(super) fn columns(
    output: &Table<'_>,
    list: &[Value],
    explode: Option<&Explode>,
) -> Result<Columns, Fault> {
    let word = if output.has("unknown_keys") { Some(output.word("unknown_keys")?) } else { None };
    if list.is_empty() {
        return match word {
            None | Some(UnknownWord::Add) => Ok(Columns::Observed),
            Some(UnknownWord::Ignore | UnknownWord::Error) => Err(output.invalid(
                "unknown_keys",
                "has no meaning without [[column]]: every key is unknown then",
                "name the columns with [[column]], or remove it",
            )),
        };
    }
    let others = match word {
        None | Some(UnknownWord::Ignore) => Others::Ignore,
        Some(UnknownWord::Error) => Others::Error,
        Some(UnknownWord::Add) => {
            return Err(output.invalid(
                "unknown_keys",
                "is \"add\", but with [[column]] the columns are those and no others",
                "use ignore or error, or remove every [[column]]",
            ));
        }
    };
    let mut columns = Vec::with_capacity(list.len());
    let mut names = HashSet::new();
    for (index, value) in list.iter().enumerate() {
        let table = Table::open(output.kind, place(index, value), &COLUMN, Some(value))?;
        let column = column(&table, explode)?;
        if !names.insert(column.name.clone()) {
            let wrong = "is the name of an earlier column too";
            return Err(table.invalid(
                "name",
                wrong,
                "readers keep only one of two columns of a name; rename one",
            ));
        }
        columns.push(column);
    }
    if output.kind == Kind::JsonToCsv {
        let most = output.count("max_columns", 1, u64::MAX)?;
        if u64::try_from(columns.len()).is_ok_and(|given| given > most) {
            let wrong = format!("is {most}, but there are {} columns", columns.len());
            return Err(output.invalid("max_columns", &wrong, "raise it, or remove it"));
        }
    }
    Ok(Columns::Given { columns, others })
}

fn place(index: usize, value: &Value) -> String {
    match value.get("name").and_then(Value::as_str) {
        Some(name) => format!("column {} {name:?}", index + 1),
        None => format!("column {}", index + 1),
    }
}

fn column(table: &Table<'_>, explode: Option<&Explode>) -> Result<Column, Fault> {
    let name = table.name("name")?;
    let source = match (table.has("from"), table.has("const"), table.has("builtin")) {
        (true, false, false) => {
            let ty = ty(table)?;
            let absent = absent(table, &ty)?;
            Source::Record { from: from(table, explode)?, ty, absent }
        }
        (false, true, false) => Source::Const(cell(table, "const", &Type::Any)?),
        (false, false, true) => Source::Builtin(table.word("builtin")?),
        (false, false, false) => {
            let hint = "add `from = \"/...\"` (a JSON Pointer), `const = ...` or `builtin = \"...\"`";
            return Err(table.invalid_whole("does not say where its value comes from", hint));
        }
        _ => {
            let wrong = "says more than once where its value comes from";
            return Err(table.invalid_whole(wrong, "keep one of `from`, `const` and `builtin`"));
        }
    };
    Ok(Column { name, source })
}

/// The pointer of a column or filter.
pub(super) fn from(table: &Table<'_>, explode: Option<&Explode>) -> Result<Path, Fault> {
    let path = table.path("from")?;
    if path.is_relative() && explode.is_none() {
        let wrong = "counts from the exploded element, but nothing is exploded";
        return Err(table.invalid("from", wrong, "remove the dot, or add `explode` to [input]"));
    }
    if let Some(key) = explode.and_then(|explode| key_of_array(&path, &explode.path)) {
        let wrong =
            format!("looks for the key {key:?} in the array that `explode` names, not in its elements");
        return Err(table.invalid("from", &wrong, "start it with `./`: that counts from the element"));
    }
    if table.kind == Kind::CsvToJson && path.keys().len() != 1 {
        let wrong = "is no name of a CSV column: a row has no values inside one another";
        return Err(table.invalid("from", wrong, "write a slash and the name in the header: `/amount`"));
    }
    Ok(path)
}

/// Without a header the columns of CSV are called 1, 2, ...: another name is never there, and so never meant.
pub(super) fn are_numbers(columns: &Columns, filters: &[Filter]) -> Result<(), Fault> {
    let columns = match columns {
        Columns::Given { columns, .. } => &columns[..],
        Columns::Observed => &[],
    };
    let of_columns = columns.iter().enumerate().filter_map(|(index, column)| match &column.source {
        Source::Record { from, .. } => Some((format!("column {} {:?}", index + 1, column.name), from)),
        _ => None,
    });
    let of_filters = filters.iter().enumerate().map(|(index, f)| (format!("filter {}", index + 1), &f.from));
    for (place, from) in of_columns.chain(of_filters) {
        let name = from.keys().first().map(String::as_str).unwrap_or_default();
        let is_number = name.parse::<u32>().is_ok_and(|number| number > 0 && number.to_string() == name);
        if !is_number {
            let wrong = "`from` is no number of a column, and with header = false there are no names";
            return Err(fault(&code::CONFIG_INVALID, Kind::CsvToJson, &place, wrong)
                .with_hint("count the columns from 1: `/1`, `/2`"));
        }
    }
    Ok(())
}

/// The key, no index, by which a path goes on behind an array: always missing, and so never meant.
fn key_of_array<'a>(path: &'a Path, array: &Path) -> Option<&'a str> {
    let inner = path.keys().strip_prefix(array.keys()).filter(|_| !path.is_relative())?;
    inner.first().filter(|key| key.is_empty() || !key.bytes().all(|b| b.is_ascii_digit())).map(String::as_str)
}

fn ty(table: &Table<'_>) -> Result<Type, Fault> {
    if !table.has("type") {
        return Ok(Type::Any);
    }
    Ok(match table.word("type")? {
        TypeWord::String => Type::String,
        TypeWord::Integer => Type::Integer,
        TypeWord::Decimal => Type::Decimal(decimal(table)?),
        TypeWord::Boolean => Type::Boolean,
        TypeWord::Date => Type::Date(moment::date(table)?),
        TypeWord::DateTime => Type::DateTime(moment::datetime(table)?),
        TypeWord::Json if table.kind == Kind::CsvToJson => Type::Json(JsonText::Read),
        TypeWord::Json => Type::Json(JsonText::Quote),
    })
}

fn decimal(table: &Table<'_>) -> Result<Decimal, Fault> {
    let scale = match table.has("scale") {
        true => Some(table.size("scale", 0, Decimal::MOST_SCALE as u64)?),
        false => None,
    };
    let round = table.has("round") && table.word::<RoundWord>("round")? == RoundWord::HalfEven;
    Ok(Decimal { scale, round })
}

fn absent(table: &Table<'_>, ty: &Type) -> Result<Absent, Fault> {
    match (table.boolean("required")?, table.has("default")) {
        (false, false) => Ok(Absent::Blank),
        (true, false) => Ok(Absent::Required),
        (false, true) => Ok(Absent::Default(cell(table, "default", ty)?)),
        (true, true) => Err(table.invalid(
            "default",
            "stands for a missing value, but the value is required",
            "remove the one or the other",
        )),
    }
}

/// A value of the spec, as the type writes it.
fn cell(table: &Table<'_>, key: &str, ty: &Type) -> Result<Cell, Fault> {
    let given = table.scalar(key)?;
    let mut text = Vec::new();
    let form = ty.write(given.as_found(), &mut text).map_err(|mismatch| {
        let hint = format!("write a value that could stand in the input: one of the type {ty}");
        table.invalid(key, &format!("is not of the column's type: {mismatch}"), hint)
    })?;
    debug_assert_ne!(form, Form::Null, "a scalar is never null");
    // Only whole characters were appended; should that ever change, the spec is refused, not the file cut.
    let text =
        String::from_utf8(text).map_err(|_| table.invalid(key, "is not text", "use plain characters"))?;
    Ok(Cell { text, form, given })
}
