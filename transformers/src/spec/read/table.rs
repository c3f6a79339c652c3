//! One table of a spec: its keys checked against the list of keys, its values taken out by their types.
//!
//! Not serde's derive: its errors do not say which key of which column was wrong, and there the message is
//! the whole point.

use std::borrow::Cow;

use outport_core::{Code, Fault, code};
use serde_json::{Map, Value};

use super::super::keys::{FILTER, Key, SECTIONS, Section};
use super::super::words::{Kind, Word};
use super::super::{Path, Scalar};
use super::nearest::{nearest, word_hint};

/// A table with its place in the spec.
pub(super) struct Table<'a> {
    pub kind: Kind,
    /// As a person names it: `[input]`, `column 3 "amount"`.
    place: String,
    section: &'static Section,
    values: Cow<'a, Map<String, Value>>,
}

/// A fault about a spec: what was read, where, what is wrong.
pub(super) fn fault(code: &'static Code, kind: Kind, place: &str, wrong: &str) -> Fault {
    Fault::new(code, format!("could not read the {} spec: {place} {wrong}", kind.as_str()))
}

impl<'a> Table<'a> {
    /// A table whose keys all exist, have a meaning in this kind of spec, and have what they need.
    pub fn open(
        kind: Kind,
        place: String,
        section: &'static Section,
        value: Option<&'a Value>,
    ) -> Result<Self, Fault> {
        let values = match value {
            None => Cow::Owned(Map::new()),
            Some(Value::Object(values)) if !value.is_some_and(is_toml_date) => Cow::Borrowed(values),
            Some(other) => {
                let wrong = format!("is {}, not a table of keys", what(other));
                return Err(fault(&code::CONFIG_INVALID, kind, &place, &wrong).with_hint(format!(
                    "the keys of {} are: {}",
                    section.name,
                    list(section, kind)
                )));
            }
        };
        let table = Self { kind, place, section, values };
        for name in table.values.keys() {
            table.known(name)?;
        }
        for key in section.keys.iter().filter(|key| table.has(key.name)) {
            table.meaningful(key)?;
        }
        Ok(table)
    }

    fn known(&self, name: &str) -> Result<(), Fault> {
        let Some(key) = self.section.key(name) else {
            let wrong = format!("has no key `{name}`");
            let fault = fault(&code::CONFIG_UNKNOWN_KEY, self.kind, &self.place, &wrong);
            return Err(fault.with_hint(self.hint_for_unknown(name)));
        };
        if key.kinds.contains(&self.kind) {
            return Ok(());
        }
        let kinds: Vec<_> = key.kinds.iter().map(|kind| kind.as_str()).collect();
        let wrong = format!("has the key `{name}`, which has no meaning in a {} spec", self.kind.as_str());
        Err(fault(&code::CONFIG_INVALID, self.kind, &self.place, &wrong)
            .with_hint(format!("remove it; it is for {}", kinds.join(" and "))))
    }

    fn hint_for_unknown(&self, name: &str) -> String {
        let elsewhere = SECTIONS
            .iter()
            .find(|section| section.names_for(self.kind).any(|known| known == name))
            .map(|section| section.name);
        match (nearest(name, self.section.names_for(self.kind)), elsewhere) {
            (_, Some(section)) => format!("`{name}` is a key of {section}"),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, None) => format!("the keys here are: {}", list(self.section, self.kind)),
        }
    }

    fn meaningful(&self, key: &Key) -> Result<(), Fault> {
        let Some(needs) = key.needs else { return Ok(()) };
        let there = match needs.words {
            [] => self.has(needs.key),
            words => self
                .given_or_default(needs.key)
                .is_some_and(|value| value.as_str().is_some_and(|word| words.contains(&word))),
        };
        if there {
            return Ok(());
        }
        let other = match needs.words {
            [] => format!("`{}`", needs.key),
            words => words
                .iter()
                .map(|word| format!("`{} = \"{word}\"`", needs.key))
                .collect::<Vec<_>>()
                .join(" or "),
        };
        Err(self.invalid(
            key.name,
            &format!("has no meaning without {other}"),
            format!("remove it, or set {other}"),
        ))
    }

    /// Whether a key is given.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The value of a key that is given.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// A fault about one key of this table.
    pub fn invalid(&self, key: &str, wrong: &str, hint: impl Into<String>) -> Fault {
        let place = format!("{} `{key}`", self.place);
        fault(&code::CONFIG_INVALID, self.kind, &place, wrong).with_hint(hint)
    }

    /// A fault about the table as a whole.
    pub fn invalid_whole(&self, wrong: &str, hint: impl Into<String>) -> Fault {
        fault(&code::CONFIG_INVALID, self.kind, &self.place, wrong).with_hint(hint)
    }

    fn given_or_default(&self, key: &str) -> Option<Value> {
        let default = || self.section.key(key).and_then(|key| key.default.value());
        self.values.get(key).cloned().or_else(default)
    }

    /// The value of a key: given, or its default.
    pub fn value(&self, key: &str) -> Result<Value, Fault> {
        self.given_or_default(key).ok_or_else(|| {
            let about = self.section.key(key).map_or("", |key| key.about);
            self.invalid(key, "is missing", format!("add `{key}`: {about}"))
        })
    }

    fn typed<T>(&self, key: &str, wanted: &str, take: impl Fn(&Value) -> Option<T>) -> Result<T, Fault> {
        let value = self.value(key)?;
        take(&value).ok_or_else(|| {
            let hint = match is_toml_date(&value) && wanted.contains("text") {
                true => "put the date into quotes".to_owned(),
                false => format!("write {wanted}"),
            };
            self.invalid(key, &format!("is {}, not {wanted}", what(&value)), hint)
        })
    }

    pub fn boolean(&self, key: &str) -> Result<bool, Fault> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub fn text(&self, key: &str) -> Result<String, Fault> {
        self.typed(key, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// Text that is not empty and has no control characters.
    pub fn name(&self, key: &str) -> Result<String, Fault> {
        let text = self.text(key)?;
        if text.is_empty() {
            return Err(self.invalid(key, "is empty", "write at least one character"));
        }
        if text.chars().any(char::is_control) {
            return Err(self.invalid(key, "has a line break or another control character", "leave it out"));
        }
        Ok(text)
    }

    /// Text that is written without quotes around it.
    pub fn unquoted(&self, key: &str, delimiter: u8) -> Result<String, Fault> {
        let text = self.text(key)?;
        if text.contains(['"', '\r', '\n', '\0', char::from(delimiter)]) {
            return Err(self.invalid(
                key,
                "has a quote, a line break, NUL or the delimiter in it, and stands in the file unquoted",
                "use a plain word, such as `NULL`",
            ));
        }
        Ok(text)
    }

    /// One ASCII character that a reader cannot take for something else.
    pub fn delimiter(&self, key: &str) -> Result<u8, Fault> {
        let text = self.text(key)?;
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(*byte),
            _ => Err(self.invalid(
                key,
                "is not one ASCII character other than a quote, a line break and NUL",
                "use one of: \",\" \";\" \"|\" \"\\t\"",
            )),
        }
    }

    pub fn count(&self, key: &str, least: u64, most: u64) -> Result<u64, Fault> {
        let count = self.typed(key, "a whole number", Value::as_u64)?;
        if (least..=most).contains(&count) {
            return Ok(count);
        }
        if least == most {
            return Err(self.invalid(
                key,
                &format!("is {count}, and there is only {most}"),
                format!("write {most}"),
            ));
        }
        let hint = format!("write a number from {least} to {most}");
        Err(self.invalid(key, &format!("is {count}, which is not from {least} to {most}"), hint))
    }

    pub fn size(&self, key: &str, least: u64, most: u64) -> Result<usize, Fault> {
        let count = self.count(key, least, most)?;
        usize::try_from(count)
            .map_err(|_| self.invalid(key, "is too large for this machine", "make it smaller"))
    }

    pub fn word<W: Word>(&self, key: &str) -> Result<W, Fault> {
        let text = self.text(key)?;
        W::of(&text).ok_or_else(|| {
            let hint = word_hint(&text, W::WORDS);
            self.invalid(key, &format!("is {text:?}, which is none of its words"), hint)
        })
    }

    pub fn path(&self, key: &str) -> Result<Path, Fault> {
        let text = self.text(key)?;
        Path::parse(&text).map_err(|why| {
            let hint =
                "write `/a/b` for the key b in the object a; `~1` stands for a slash in a key, `~0` for `~`";
            self.invalid(key, &format!("is {text:?}, which is no JSON Pointer (RFC 6901): {why}"), hint)
        })
    }

    pub fn scalar(&self, key: &str) -> Result<Scalar, Fault> {
        self.same_in_toml(key, self.typed(key, "text, a number or a boolean", scalar)?)
    }

    pub fn scalars(&self, key: &str) -> Result<Vec<Scalar>, Fault> {
        let scalars: Vec<_> =
            self.typed(key, "a list of texts, numbers or booleans, at least one", |value| {
                value.as_array().filter(|list| !list.is_empty())?.iter().map(scalar).collect()
            })?;
        scalars.into_iter().map(|scalar| self.same_in_toml(key, scalar)).collect()
    }

    /// A spec is the same in JSON and in TOML. A number of JSON that TOML would hold as another (`1.10`, 30
    /// digits) is refused, not changed behind somebody's back.
    fn same_in_toml(&self, key: &str, scalar: Scalar) -> Result<Scalar, Fault> {
        match scalar {
            Scalar::Number(number) if !exact(&number) => {
                let wrong = format!("is the number {number}, which TOML would hold as another");
                // Text is never equal to a number: quotes would make a filter that nothing passes.
                let hint = match std::ptr::eq(self.section, &FILTER) {
                    true => "write it in its shortest form; digits as they stand are found by `matches`",
                    false => "write it in its shortest form, or put it into quotes",
                };
                Err(self.invalid(key, &wrong, hint))
            }
            scalar => Ok(scalar),
        }
    }

    /// One text, or a list of at least one.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, Fault> {
        self.typed(key, "text in quotes or a list of such texts, at least one", |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) if !list.is_empty() => {
                list.iter().map(|text| text.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        })
    }
}

fn list(section: &Section, kind: Kind) -> String {
    section.names_for(kind).collect::<Vec<_>>().join(", ")
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::String(text) => Some(Scalar::Text(text.clone())),
        Value::Number(number) => Some(Scalar::Number(number.to_string())),
        Value::Bool(boolean) => Some(Scalar::Boolean(*boolean)),
        _ => None,
    }
}

/// Whether an i64 or f64, which are TOML's numbers, is written just so.
fn exact(number: &str) -> bool {
    let integer = || number.parse::<i64>().is_ok_and(|integer| integer.to_string() == number);
    let float = || {
        let float = number.parse().ok().and_then(serde_json::Number::from_f64);
        number.contains(['.', 'e', 'E']) && float.is_some_and(|float| float.to_string() == number)
    };
    integer() || float()
}

/// serde sees TOML's own dates as an object with one key of this name.
fn is_toml_date(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.contains_key("$__toml_private_datetime"))
}

/// What a value is, as a person says it.
pub(super) fn what(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(list) if list.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) if is_toml_date(value) => "a date of TOML".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}
