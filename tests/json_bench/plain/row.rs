//! A record as one row.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Cells by column name, in order.
pub type Row = Map<String, Value>;

/// The same record without objects in it: `{"a":{"b":1}}` is `a.b`. A record that has none is taken as it is.
pub fn row(record: Map<String, Value>) -> Row {
    if !record.values().any(Value::is_object) {
        return record;
    }
    let mut row = Row::new();
    flatten("", record, &mut row);
    row
}

fn flatten(before: &str, object: Map<String, Value>, row: &mut Row) {
    for (key, value) in object {
        let name = format!("{before}{key}");
        match value {
            Value::Object(object) => flatten(&format!("{name}."), object, row),
            value => {
                row.insert(name, value);
            }
        }
    }
}

/// The text of a cell; arrays as JSON.
pub fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}
