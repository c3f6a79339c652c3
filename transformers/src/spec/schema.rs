//! The JSON Schema of specs (draft 2020-12), for editors.
//!
//! Made of the table of keys that the reader uses. A derive (schemars) would describe serde structs, which
//! the reader does not have, and could not say which keys go together; a file written by hand would differ
//! from the reader after the third change.

use serde_json::{Map, Value, json};

use super::keys::{COLUMN, ERRORS, FILTER, INPUT, Key, OUTPUT, Preset, SPEC, Section, Shape};
use super::words::Kind;
use super::{Input, Spec};

impl Spec {
    /// The JSON Schema of the specs of one kind. docs/ has it as a file, one a kind.
    ///
    /// What it accepts may still be refused: it does not know zones, encodings, patterns and regular
    /// expressions, nor that names of columns must differ, what `explode` means for pointers, and that `null`
    /// must not hold the delimiter. What it refuses is always refused.
    pub fn schema(kind: Kind) -> Value {
        let mut schema = table(kind, &SPEC);
        let mut whole = Map::new();
        whole.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        whole.insert("title".into(), format!("The mapping spec of {}", kind.as_str()).into());
        whole.append(schema.as_object_mut().unwrap_or(&mut Map::new()));
        Value::Object(whole)
    }
}

fn table(kind: Kind, section: &'static Section) -> Value {
    let keys = || section.keys.iter().filter(|key| key.kinds.contains(&kind));
    let properties: Map<_, _> =
        keys().map(|key| (key.name.to_owned(), property(kind, section, key))).collect();
    let mut rules: Vec<Value> = keys().filter_map(|key| needs(section, key)).collect();
    rules.extend(together(kind, section));
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !rules.is_empty() {
        schema["allOf"] = rules.into();
    }
    schema
}

fn property(kind: Kind, section: &'static Section, key: &Key) -> Value {
    let mut schema = match key.shape {
        Shape::Word(_) if key.name == "kind" => json!({ "const": kind.as_str() }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Text => json!({ "type": "string" }),
        Shape::Name => json!({ "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$" }),
        Shape::Unquoted => json!({ "type": "string", "pattern": "^[^\\u0000\"\\r\\n]*$" }),
        Shape::Delimiter => {
            let never = ["\"", "\r", "\n"];
            json!({ "type": "string", "pattern": "^[\\u0001-\\u007f]$", "not": { "enum": never } })
        }
        Shape::Pointer => json!({ "type": "string", "pattern": "^(/([^~/]|~[01])*)*$" }),
        Shape::Path if kind == Kind::CsvToJson => json!({ "type": "string", "pattern": "^/([^~/]|~[01])*$" }),
        Shape::Path => json!({ "type": "string", "pattern": "^\\.?(/([^~/]|~[01])*)*$" }),
        Shape::Count { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Bytes => json!({
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": Input::MOST_RECORD_BYTES,
            "pattern": "^[0-9]+ *(KiB|MiB|GiB)?$",
        }),
        Shape::Scalar => scalar(kind, section),
        Shape::Scalars => json!({ "type": "array", "minItems": 1, "items": scalar(kind, section) }),
        Shape::Texts => json!({
            "type": ["string", "array"], "minItems": 1, "items": { "type": "string" },
        }),
        Shape::MaxBad => json!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9]+(\\.[0-9]{1,4}%|%)?$",
        }),
        Shape::Table(section) => table(kind, section),
        Shape::Tables(section) => json!({ "type": "array", "minItems": 1, "items": table(kind, section) }),
    };
    schema["description"] = key.about.into();
    if let Some(default) = key.default.value() {
        schema["default"] = default;
    }
    schema
}

/// A value of a column may be text, a number or a boolean; a filter over CSV compares text.
fn scalar(kind: Kind, section: &'static Section) -> Value {
    match std::ptr::eq(section, &FILTER) && kind == Kind::CsvToJson {
        true => json!({ "type": "string" }),
        false => json!({ "type": ["string", "number", "boolean"] }),
    }
}

/// A key has a meaning only with another.
fn needs(section: &'static Section, key: &Key) -> Option<Value> {
    let needs = key.needs?;
    if needs.words.is_empty() {
        return Some(json!({ "dependentRequired": { key.name: [needs.key] } }));
    }
    let by_default = match section.key(needs.key).map(|other| other.default) {
        Some(Preset::Text(word)) => needs.words.contains(&word),
        _ => false,
    };
    let mut then = json!({ "properties": { needs.key: { "enum": needs.words } } });
    if !by_default {
        then["required"] = json!([needs.key]);
    }
    Some(json!({ "if": { "required": [key.name] }, "then": then }))
}

/// What goes together beyond that.
fn together(kind: Kind, section: &'static Section) -> Vec<Value> {
    let one_of = |keys: &[&str]| {
        let each: Vec<_> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        json!({ "oneOf": each })
    };
    match section {
        s if std::ptr::eq(s, &SPEC) => {
            let mut output = json!({ "unknown_keys": { "enum": ["ignore", "error"] } });
            if kind == Kind::JsonToCsv {
                output["nested_separator"] = false.into();
                output["arrays"] = json!({ "not": { "const": "index" } });
            }
            let observed = json!({ "unknown_keys": { "const": "add" } });
            vec![json!({
                "if": { "required": ["column"] },
                "then": { "properties": { "output": { "properties": output } } },
                "else": { "properties": { "output": { "properties": observed } } },
            })]
        }
        s if std::ptr::eq(s, &ERRORS) => {
            let some = json!({ "minimum": 1, "pattern": "[1-9]" });
            let none = json!({ "maximum": 0, "not": { "type": "string", "pattern": "[1-9]" } });
            vec![json!({
                "if": { "properties": { "policy": { "const": "quarantine" } }, "required": ["policy"] },
                "then": { "properties": { "max_bad": some }, "required": ["max_bad"] },
                "else": { "properties": { "max_bad": none } },
            })]
        }
        s if std::ptr::eq(s, &COLUMN) => vec![
            json!({ "required": ["name"] }),
            one_of(&["from", "const", "builtin"]),
            json!({ "not": {
                "required": ["required", "default"], "properties": { "required": { "const": true } },
            }}),
        ],
        s if std::ptr::eq(s, &FILTER) => {
            vec![json!({ "required": ["from"] }), one_of(&["eq", "ne", "in", "exists", "matches"])]
        }
        s => {
            debug_assert!(std::ptr::eq(s, &INPUT) || std::ptr::eq(s, &OUTPUT));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
