//! A spec as understood, written back.

use std::fmt::Write as _;

use super::keys::{ERRORS, INPUT, OUTPUT, Section};
use super::words::{ArraysWord, PolicyWord, RoundWord, TypeWord, UnknownWord};
use super::{
    Absent, Arrays, Column, Columns, Conversion, CsvInput, CsvOutput, ErrorPolicy, Filter, Input, JsonInput,
    Moment, MomentIn, MomentOut, Others, Scalar, Source, Spec, Test, TextEncoding, Type, zone,
};

impl Spec {
    /// The spec as understood, defaults included, in TOML that reads back to the same spec.
    ///
    /// ```
    /// use outport_transform::Spec;
    /// let spec = Spec::read("json-to-csv", &serde_json::json!({"output": {"delimiter": ";"}}))?;
    /// assert!(spec.explain().contains("\ndelimiter = \";\""));
    /// # Ok::<(), outport_core::Fault>(())
    /// ```
    pub fn explain(&self) -> String {
        let mut page = Page { toml: String::new(), section: None };
        page.set("version", "1");
        page.set("kind", &quoted(self.kind().as_str()));
        page.table(&INPUT);
        match self.conversion() {
            Conversion::JsonToCsv { input, .. } | Conversion::JsonToJson { input, .. } => {
                json_input(&mut page, input)
            }
            Conversion::CsvToJson { input, .. } => csv_input(&mut page, input),
        }
        any_input(&mut page, self.input());
        page.table(&OUTPUT);
        match self.conversion() {
            Conversion::JsonToCsv { output, .. } => {
                csv_output(&mut page, output, matches!(self.columns(), Columns::Given { .. }));
            }
            Conversion::CsvToJson { output, .. } | Conversion::JsonToJson { output, .. } => {
                page.set("format", &quoted(output.layout.as_str()));
            }
        }
        let unknown = match self.columns() {
            Columns::Observed => UnknownWord::Add,
            Columns::Given { others: Others::Ignore, .. } => UnknownWord::Ignore,
            Columns::Given { others: Others::Error, .. } => UnknownWord::Error,
        };
        page.set("unknown_keys", &quoted(unknown.as_str()));
        page.set("compression", &quoted(self.compression().as_str()));
        page.table(&ERRORS);
        match self.errors() {
            ErrorPolicy::Reject => page.set("policy", &quoted(PolicyWord::Reject.as_str())),
            ErrorPolicy::Quarantine { max_bad } => {
                page.set("policy", &quoted(PolicyWord::Quarantine.as_str()));
                page.set("max_bad", &quoted(&max_bad.to_string()));
            }
        }
        match self.columns() {
            Columns::Observed => {
                page.note("no [[column]]: every key of the input makes one, in first-seen order")
            }
            Columns::Given { columns, .. } => {
                columns.iter().enumerate().for_each(|(i, c)| column(&mut page, i, c))
            }
        }
        self.filters().iter().for_each(|one| filter(&mut page, one));
        page.toml
    }
}

/// The TOML so far.
struct Page {
    toml: String,
    /// The table whose keys are explained beside them.
    section: Option<&'static Section>,
}

impl Page {
    fn table(&mut self, section: &'static Section) {
        self.toml.push_str(&format!("\n{}\n", section.name));
        self.section = Some(section);
    }

    fn item(&mut self, name: &str, note: &str) {
        self.toml.push_str(&format!("\n[[{name}]]  # {note}\n"));
        self.section = None;
    }

    fn note(&mut self, note: &str) {
        self.toml.push_str(&format!("\n# {note}\n"));
    }

    fn set(&mut self, key: &str, value: &str) {
        let line = format!("{key} = {value}");
        let about = self.section.and_then(|section| section.key(key)).map(|key| key.about);
        // The comments stand below one another behind all but the longest values; a String takes everything.
        let _ = match about {
            Some(about) => writeln!(self.toml, "{line:<30}  # {about}"),
            None => writeln!(self.toml, "{line}"),
        };
    }
}

fn any_input(page: &mut Page, input: &Input) {
    page.set("encoding", &quoted(&input.encoding.name().to_ascii_lowercase()));
    page.set("compression", &quoted(input.compression.as_str()));
    let unit = super::keys::UNITS.iter().rev().find(|(_, unit)| input.max_record_bytes.is_multiple_of(*unit));
    let (name, unit) = unit.copied().unwrap_or(("", 1));
    page.set("max_record_bytes", &quoted(&format!("{}{name}", input.max_record_bytes / unit)));
}

fn json_input(page: &mut Page, input: &JsonInput) {
    page.set("format", &quoted(input.layout.as_str()));
    if let Some(records) = &input.records {
        page.set("records", &quoted(&records.to_string()));
    }
    if let Some(explode) = &input.explode {
        page.set("explode", &quoted(&explode.path.to_string()));
        page.set("explode_empty", &quoted(explode.empty.as_str()));
    }
    page.set("max_depth", &input.max_depth.to_string());
    page.set("duplicate_keys", &quoted(input.duplicate_keys.as_str()));
}

fn csv_input(page: &mut Page, input: &CsvInput) {
    page.set("delimiter", &quoted(&char::from(input.delimiter).to_string()));
    page.set("header", &input.header.to_string());
    page.set("null", &quoted(&input.null));
}

fn csv_output(page: &mut Page, output: &CsvOutput, columns_given: bool) {
    page.set("delimiter", &quoted(&char::from(output.delimiter).to_string()));
    page.set("quote", &quoted(output.quote.as_str()));
    page.set("line_ending", &quoted(output.line_ending.as_str()));
    page.set("header", &output.header.to_string());
    page.set("bom", &output.bom.to_string());
    page.set("encoding", &quoted(&output.encoding.name().to_ascii_lowercase()));
    if let TextEncoding::Legacy { unmappable, .. } = output.encoding {
        page.set("unmappable", &quoted(unmappable.as_str()));
    }
    page.set("null", &quoted(&output.null));
    page.set("missing", &quoted(&output.missing));
    if !columns_given {
        page.set("nested_separator", &quoted(&output.nested_separator));
    }
    match &output.arrays {
        Arrays::Json => page.set("arrays", &quoted(ArraysWord::Json.as_str())),
        Arrays::Error => page.set("arrays", &quoted(ArraysWord::Error.as_str())),
        Arrays::Join { separator } => {
            page.set("arrays", &quoted(ArraysWord::Join.as_str()));
            page.set("array_join", &quoted(separator));
        }
        Arrays::Index { limit } => {
            page.set("arrays", &quoted(ArraysWord::Index.as_str()));
            page.set("array_index_limit", &limit.to_string());
        }
    }
    page.set("csv_injection", &quoted(output.csv_injection.as_str()));
    page.set("max_columns", &output.max_columns.to_string());
}

fn column(page: &mut Page, index: usize, column: &Column) {
    let note = match &column.source {
        Source::Record { ty, .. } => ty.to_string(),
        Source::Const(_) => "the same in every row".to_owned(),
        Source::Builtin(_) => "from Outport itself".to_owned(),
    };
    page.item("column", &format!("{}: {note}", index + 1));
    page.set("name", &quoted(&column.name));
    match &column.source {
        Source::Const(cell) => page.set("const", &scalar(&cell.given)),
        Source::Builtin(builtin) => page.set("builtin", &quoted(builtin.as_str())),
        Source::Record { from, ty, absent } => {
            page.set("from", &quoted(&from.to_string()));
            set_type(page, ty);
            match absent {
                Absent::Blank => page.set("required", "false"),
                Absent::Required => page.set("required", "true"),
                Absent::Default(cell) => page.set("default", &scalar(&cell.given)),
            }
        }
    }
}

fn set_type(page: &mut Page, ty: &Type) {
    let word = match ty {
        Type::Any => return,
        Type::Decimal(_) => TypeWord::Decimal.as_str().to_owned(),
        other => other.to_string(),
    };
    page.set("type", &quoted(&word));
    match ty {
        Type::Decimal(decimal) => {
            if let Some(scale) = decimal.scale {
                page.set("scale", &scale.to_string());
            }
            if decimal.round {
                page.set("round", &quoted(RoundWord::HalfEven.as_str()));
            }
        }
        Type::Date(moment) | Type::DateTime(moment) => set_moment(page, moment),
        _ => {}
    }
}

fn set_moment(page: &mut Page, moment: &Moment) {
    let formats = moment.read.iter().map(|format| {
        quoted(match format {
            MomentIn::Rfc3339 => "rfc3339",
            MomentIn::Unix => "unix",
            MomentIn::UnixMs => "unix_ms",
            MomentIn::Pattern(pattern) => pattern,
        })
    });
    page.set("in", &list(formats));
    page.set(
        "out",
        &quoted(match &moment.write {
            MomentOut::Rfc3339 => "rfc3339",
            MomentOut::Pattern(pattern) => pattern,
        }),
    );
    if let Some(tz) = &moment.tz {
        page.set("tz", &quoted(zone::name_of(tz)));
    }
}

fn filter(page: &mut Page, filter: &Filter) {
    page.item("filter", "only records that pass are written");
    page.set("from", &quoted(&filter.from.to_string()));
    match &filter.test {
        Test::Eq(wanted) => page.set("eq", &scalar(wanted)),
        Test::Ne(unwanted) => page.set("ne", &scalar(unwanted)),
        Test::In(wanted) => page.set("in", &list(wanted.iter().map(scalar))),
        Test::Exists(wanted) => page.set("exists", &wanted.to_string()),
        Test::Matches(pattern) => page.set("matches", &quoted(pattern.as_str())),
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => quoted(text),
        Scalar::Number(number) => number.clone(),
        Scalar::Boolean(boolean) => boolean.to_string(),
    }
}

/// A basic string of TOML. JSON's escapes are all TOML's too; DEL alone is free in JSON and not in TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests;
