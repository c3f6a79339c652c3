//! Remote name templates: `inbox/{sender}_{arrived:%Y%m%d}_{sequence:06}.{ext}`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{NameProblem, RemoteName, bad_character, parse};
use crate::fault::{Fault, code};
use crate::key::{ObjectKey, Shown};
use crate::pattern::{Captures, KeyPattern};
use crate::timing::Millis;

/// A parsed template for remote names.
///
/// | field | value |
/// |---|---|
/// | `{stem}` | the object's file name without extension |
/// | `{ext}` | the extension of what is sent: the transform's output, else the object's |
/// | `{source_ext}` | the extension of the object |
/// | `{name}` | the object's file name as it is |
/// | `{arrived}`, `{arrived:%Y%m%d}` | when it arrived, in UTC: `20260102T030405Z`, or by a strftime format |
/// | `{sequence}`, `{sequence:06}` | the subscription's running number, with zeros in front up to the width |
/// | `{sender}` | the capture of that name in the file group's key pattern |
///
/// `{{` and `}}` are literal braces. Where there is no extension, the dot directly before `{ext}` goes, too, so that
/// `{stem}.{ext}` is `README` for `README`. Slashes come from the template's own text only, never from a value.
///
/// ```
/// use outport_core::{Captures, ObjectKey, remote_name::{NameFacts, Template}};
/// let template = Template::parse("inbox/{sender}_{arrived:%Y%m%d}_{sequence:06}.{ext}")?;
/// let key = ObjectKey::new("claims/acme/batch.json")?;
/// let captures = Captures::from_iter([("sender", "acme")]);
/// let facts = NameFacts {
///     key: &key, captures: &captures, output_ext: Some("csv"), arrived_at: 1_767_323_045_678, sequence: 7,
/// };
/// assert_eq!(template.render(&facts)?.as_str(), "inbox/acme_20260102_000007.csv");
/// # Ok::<(), outport_core::Fault>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Stem,
    Ext,
    SourceExt,
    Name,
    /// Holds the strftime format.
    Arrived(String),
    /// Holds the least number of digits.
    Sequence(usize),
    Capture(String),
}

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct NameFacts<'a> {
    /// The object's key.
    pub key: &'a ObjectKey,
    /// What the rule's pattern captured of it.
    pub captures: &'a Captures,
    /// The extension of the transform's output, without a dot; `None` when the file goes as it is.
    pub output_ext: Option<&'a str>,
    /// When the file arrived.
    pub arrived_at: Millis,
    /// The subscription's running number.
    pub sequence: u64,
}

impl Template {
    /// Parses a template. A field that is no built-in one is taken for a capture; [`check_fields`](Self::check_fields)
    /// compares those with the patterns of the file group.
    ///
    /// # Errors
    /// `config.invalid`, with the position (the first character is 1), for anything that is not a template, and for a
    /// template whose own text can never make a safe name.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        parse::template(text)
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `{sequence}` is in it; only then does a delivery use up a number.
    pub fn uses_sequence(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Sequence(_)))
    }

    /// Checks that every capture the template names is in every one of these patterns, the rules of its file group.
    ///
    /// # Errors
    /// `config.invalid`, with the nearest field as hint.
    pub fn check_fields<'a>(&self, patterns: impl IntoIterator<Item = &'a KeyPattern>) -> Result<(), Fault> {
        for pattern in patterns {
            let known: Vec<&str> = pattern.capture_names().collect();
            let unknown = self.capture_names().find(|name| !known.contains(name));
            if let Some(name) = unknown {
                return Err(parse::unknown_field(self, name, pattern, &known));
            }
        }
        Ok(())
    }

    pub(super) fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Makes the remote name of one file.
    ///
    /// # Errors
    /// `route.name_refused` when a value has a slash, a backslash or a control or invisible character, is `.` or `..`,
    /// when there is no capture of that name, or when the whole is no [`RemoteName`].
    pub fn render(&self, facts: &NameFacts<'_>) -> Result<RemoteName, Fault> {
        self.filled(facts).and_then(|name| RemoteName::new(name).map_err(|e| e.to_string())).map_err(
            |cause| {
                let (key, template) = (Shown(facts.key.as_str()), Shown(&self.text));
                let message = format!("could not name {key:?} by the template {template:?}: {cause}");
                Fault::new(&code::ROUTE_NAME_REFUSED, message)
            },
        )
    }

    pub(super) fn filled(&self, facts: &NameFacts<'_>) -> Result<String, String> {
        let mut name = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            let source_ext = facts.key.ext();
            match part {
                Part::Literal(text) => name.push_str(text),
                Part::Stem => name.push_str(value("stem", facts.key.stem())?),
                Part::Name => name.push_str(value("name", facts.key.file_name())?),
                Part::Ext | Part::SourceExt => {
                    let output = facts.output_ext.filter(|_| *part == Part::Ext);
                    let ext = value("ext", output.unwrap_or(source_ext))?;
                    // A dot of the template's text only: one that belongs to a value before it is part of the name.
                    let literal_before = index > 0 && matches!(&self.parts[index - 1], Part::Literal(_));
                    if ext.is_empty() && literal_before && name.ends_with('.') {
                        name.pop();
                    }
                    name.push_str(ext);
                }
                Part::Arrived(format) => {
                    let text = formatted(facts.arrived_at, format)?;
                    name.push_str(value("arrived", &text)?);
                }
                Part::Sequence(width) => {
                    write!(name, "{:0width$}", facts.sequence).map_err(|e| e.to_string())?;
                }
                Part::Capture(field) => {
                    let text = facts.captures.get(field);
                    let text = text.ok_or_else(|| format!("the key pattern has no capture `{field}`"))?;
                    name.push_str(value(field, text)?);
                }
            }
        }
        // An empty value in front of a slash would turn a path of the start folder into one of the root.
        let absolute = matches!(self.parts.first(), Some(Part::Literal(text)) if text.starts_with('/'));
        if name.starts_with('/') && !absolute {
            return Err("its first folder is empty".into());
        }
        Ok(name)
    }
}

/// A value goes in only if it cannot change the folder: the object's key is chosen by a stranger.
fn value<'a>(field: &str, text: &'a str) -> Result<&'a str, String> {
    let refused = |problem: &dyn fmt::Display| {
        format!("the value {:?} of {{{field}}} is refused: {problem}", Shown(text))
    };
    if text.contains('/') {
        return Err(refused(&"it has a slash"));
    }
    if text == "." || text == ".." {
        return Err(refused(&NameProblem::DotSegment));
    }
    match text.chars().find_map(bad_character) {
        Some(problem) => Err(refused(&problem)),
        None => Ok(text),
    }
}

/// The instant in UTC by a strftime format.
pub(super) fn formatted(at: Millis, format: &str) -> Result<String, String> {
    let instant =
        Timestamp::from_millisecond(at).map_err(|_| format!("the time of arrival {at} is no instant"))?;
    jiff::fmt::strtime::format(format, &instant.to_zoned(TimeZone::UTC))
        .map_err(|error| format!("the time format {:?} cannot be used: {error}", Shown(format)))
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.text)
    }
}
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl FromStr for Template {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
