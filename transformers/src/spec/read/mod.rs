//! A spec out of its parameters: every mistake is a fault that says where, why, and what to do.

mod columns;
#[cfg(test)]
mod documented;
mod filters;
mod input;
#[cfg(test)]
mod mistakes;
mod moment;
pub(super) mod nearest;
mod output;
mod policy;
mod table;
#[cfg(test)]
mod tests;

use outport_core::{Fault, code};
use serde_json::Value;

use super::keys::{ERRORS, INPUT, OUTPUT, SPEC, Section};
use super::words::{Kind, Word};
use super::{Conversion, Spec};
use table::{Table, what};

impl Spec {
    /// Reads the spec of a transform of this kind. `params` is the TOML or JSON of it, parsed; null and an
    /// empty table give the defaults.
    ///
    /// ```
    /// use outport_transform::Spec;
    /// let params = serde_json::json!({"output": {"delimeter": ";"}});
    /// let fault = Spec::read("json-to-csv", &params).unwrap_err();
    /// assert_eq!(fault.to_string(), "could not read the json-to-csv spec: [output] has no key `delimeter`");
    /// assert_eq!(fault.hint(), "did you mean `delimiter`?");
    /// ```
    ///
    /// # Errors
    /// - `transform.kind_unknown`: the kind has no mapping spec.
    /// - `config.unknown_key`: a key that does not exist; the hint has the nearest one.
    /// - `config.invalid`: a value that is not possible, or a key that has no meaning here.
    pub fn read(kind: &str, params: &Value) -> Result<Self, Fault> {
        let kind = Kind::of(kind).ok_or_else(|| {
            let message = format!("could not read a spec for the kind {kind:?}: it has no mapping spec");
            Fault::new(&code::TRANSFORM_KIND_UNKNOWN, message)
                .with_hint(nearest::word_hint(kind, Kind::WORDS))
        })?;
        let params = if params.is_null() { None } else { Some(params) };
        let spec = Table::open(kind, SPEC.name.to_owned(), &SPEC, params)?;
        spec.count("version", 1, 1)?;
        if spec.has("kind") && spec.word::<Kind>("kind")? != kind {
            let wrong = format!("is {}, but the transform is {}", what(&spec.value("kind")?), kind.as_str());
            return Err(spec.invalid("kind", &wrong, "correct the one or the other"));
        }

        let input = sub(&spec, "input", &INPUT)?;
        let output = sub(&spec, "output", &OUTPUT)?;
        let conversion = match kind {
            Kind::JsonToCsv => Conversion::JsonToCsv {
                input: input::json(&input)?,
                output: output::csv(&output, spec.has("column"))?,
            },
            Kind::CsvToJson => {
                Conversion::CsvToJson { input: input::csv(&input)?, output: output::json(&output)? }
            }
            Kind::JsonToJson => {
                Conversion::JsonToJson { input: input::json(&input)?, output: output::json(&output)? }
            }
        };
        let explode = match &conversion {
            Conversion::JsonToCsv { input, .. } | Conversion::JsonToJson { input, .. } => {
                input.explode.as_ref()
            }
            Conversion::CsvToJson { .. } => None,
        };
        let columns = columns::columns(&output, list(&spec, "column")?, explode)?;
        let filters = filters::filters(kind, list(&spec, "filter")?, explode)?;
        if let Conversion::CsvToJson { input, .. } = &conversion
            && !input.header
        {
            columns::are_numbers(&columns, &filters)?;
        }
        Ok(Self {
            conversion,
            input: input::any(&input)?,
            compression: output.word("compression")?,
            columns,
            filters,
            errors: policy::policy(&sub(&spec, "errors", &ERRORS)?)?,
        })
    }
}

/// A table inside the spec, empty when it is not given.
fn sub<'a>(spec: &'a Table<'_>, key: &str, section: &'static Section) -> Result<Table<'a>, Fault> {
    Table::open(spec.kind, section.name.to_owned(), section, spec.get(key))
}

/// A list of tables; none when it is not given.
fn list<'a>(spec: &'a Table<'_>, key: &str) -> Result<&'a [Value], Fault> {
    match spec.get(key) {
        None => Ok(&[]),
        Some(Value::Array(list)) if !list.is_empty() => Ok(list),
        Some(other) => Err(spec.invalid(
            key,
            &format!("is {}, not a list of tables, at least one", what(other)),
            format!("write [[{key}]] in front of each"),
        )),
    }
}
