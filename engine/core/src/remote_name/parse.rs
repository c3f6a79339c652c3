//! From the text of a template to its parts.

use super::template::{NameFacts, Part, Template, formatted};
use super::{RemoteName, bad_character};
use crate::fault::{Fault, code};
use crate::key::{ObjectKey, Shown};
use crate::pattern::{Captures, KeyPattern, is_name};

/// `{arrived}` without a format: sorts by time, and has no colon, which Windows servers refuse.
const ARRIVED: &str = "%Y%m%dT%H%M%SZ";
/// What a template can name besides captures.
const FIELDS: [&str; 6] = ["stem", "ext", "source_ext", "name", "arrived", "sequence"];
/// Digits of the largest 64-bit number.
const MAX_WIDTH: usize = 20;

/// What is wrong, and the index of the character where.
type Problem = (usize, String);

pub(super) fn template(text: &str) -> Result<Template, Fault> {
    let refused = |cause: String| {
        let message = format!("could not read the remote name template {:?}: {cause}", Shown(text));
        Fault::new(&code::CONFIG_INVALID, message)
    };
    let parts = parts(text).map_err(|(at, cause)| refused(format!("at character {}: {cause}", at + 1)))?;
    let template = Template { text: text.to_owned(), parts };
    match sample(&template) {
        Ok(_) => Ok(template),
        Err(cause) => Err(refused(cause)),
    }
}

/// The name that the template makes of one-letter values: what is wrong with it is wrong with the template's own text.
fn sample(template: &Template) -> Result<RemoteName, String> {
    let key = ObjectKey::new("x.x").map_err(|e| e.to_string())?;
    let captures: Captures = template.capture_names().map(|name| (name, "x")).collect();
    let facts = NameFacts { key: &key, captures: &captures, output_ext: None, arrived_at: 0, sequence: 1 };
    RemoteName::new(template.filled(&facts)?).map_err(|e| e.to_string())
}

fn parts(text: &str) -> Result<Vec<Part>, Problem> {
    let chars: Vec<char> = text.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let doubled = chars.get(at + 1) == Some(&c);
        match c {
            '{' | '}' if doubled => {
                literal(&mut parts, c);
                at += 2;
            }
            '{' => {
                let inside: String = chars[at + 1..].iter().take_while(|c| **c != '}').collect();
                let close = at + 1 + inside.chars().count();
                if close == chars.len() {
                    return Err((at, "a `{` without `}`; write `{{` for the character".into()));
                }
                parts.push(field(&inside).map_err(|cause| (at + 1, cause))?);
                at = close + 1;
            }
            '}' => return Err((at, "a `}` without `{`; write `}}` for the character".into())),
            c => {
                if let Some(problem) = bad_character(c) {
                    return Err((at, format!("not allowed in a remote name: {problem}")));
                }
                literal(&mut parts, c);
                at += 1;
            }
        }
    }
    Ok(parts)
}

fn literal(parts: &mut Vec<Part>, c: char) {
    match parts.last_mut() {
        Some(Part::Literal(text)) => text.push(c),
        _ => parts.push(Part::Literal(c.into())),
    }
}

fn field(inside: &str) -> Result<Part, String> {
    let (name, format) = inside.split_once(':').map_or((inside, None), |(name, format)| (name, Some(format)));
    match (name, format) {
        ("stem", None) => Ok(Part::Stem),
        ("ext", None) => Ok(Part::Ext),
        ("source_ext", None) => Ok(Part::SourceExt),
        ("name", None) => Ok(Part::Name),
        ("arrived", format) => arrived(format.unwrap_or(ARRIVED)),
        ("sequence", None) => Ok(Part::Sequence(1)),
        ("sequence", Some(format)) => width(format).map(Part::Sequence),
        ("key", _) => {
            Err("`key` has slashes, which a value cannot bring; use `{name}` or captures of the key pattern"
                .into())
        }
        ("part", _) => {
            Err("`part` is kept for transforms with several outputs and cannot be used yet".into())
        }
        (name, _) if !is_name(name) => Err(format!("{:?} is no field name", Shown(name))),
        (name, None) => Ok(Part::Capture(name.into())),
        (name, Some(_)) => Err(match nearest(name, &["arrived", "sequence"]) {
            Some(near) => format!("`{name}` is not a field with a format; did you mean `{near}`?"),
            None => format!("`{name}` takes no format; only `arrived` and `sequence` do"),
        }),
    }
}

fn arrived(format: &str) -> Result<Part, String> {
    if format.is_empty() {
        return Err(
            "the time format is empty; leave out the colon, or write one such as `{arrived:%Y%m%d}`".into()
        );
    }
    // Formatted once here, so that a wrong format is the template's fault and not the first file's.
    let text = formatted(0, format)?;
    if text.contains('/') {
        return Err(format!(
            "the time format {:?} makes a slash; use one field for each part",
            Shown(format)
        ));
    }
    match text.chars().find_map(bad_character) {
        Some(problem) => Err(format!("the time format {:?} is refused: {problem}", Shown(format))),
        None => Ok(Part::Arrived(format.into())),
    }
}

fn width(format: &str) -> Result<usize, String> {
    let digits = format.strip_prefix('0').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let width = digits.and_then(|digits| digits.parse().ok()).filter(|width| (1..=MAX_WIDTH).contains(width));
    width.ok_or_else(|| {
        format!(
            "the width {:?} is not `0` and a number from 1 to {MAX_WIDTH}, as in `{{sequence:06}}`",
            Shown(format)
        )
    })
}

/// The fault of a template that names a capture its file group does not have.
pub(super) fn unknown_field(
    template: &Template,
    name: &str,
    pattern: &KeyPattern,
    captures: &[&str],
) -> Fault {
    let known: Vec<&str> = FIELDS.iter().chain(captures).copied().collect();
    let fault = Fault::new(
        &code::CONFIG_INVALID,
        format!(
            "could not use the remote name template {:?}: `{{{name}}}` is no field, and no capture of the key pattern {:?}",
            Shown(template.as_str()),
            Shown(pattern.as_str())
        ),
    );
    fault.with_hint(match nearest(name, &known) {
        Some(near) => format!("did you mean `{{{near}}}`? There are: {}", known.join(", ")),
        None => format!("use one of: {}", known.join(", ")),
    })
}

/// The known word that is near enough to be what was meant: at most a third of its letters differ.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(word, known);
    let nearest = known.iter().min_by_key(|known| distance(known))?;
    (distance(nearest) * 3 <= nearest.len().max(3)).then_some(nearest)
}
