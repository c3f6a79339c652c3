//! File name patterns of an upload plan: literal text and a few fields, one segment of a path.

use super::spec::PlanProblem;
use crate::key::Shown;
use crate::remote_name::{MAX_NAME_BYTES, MAX_SEGMENT_BYTES, NameError, RemoteName};

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<F> {
    Literal(String),
    Field(F),
}

/// Takes a pattern apart. `what` is the key it was written under. Each field stands once at most and never directly
/// beside another one: two different sets of values must not make the same name.
pub(super) fn pieces<F: Copy + PartialEq>(
    what: &str,
    text: &str,
    fields: &[(&str, F)],
) -> Result<Vec<Piece<F>>, PlanProblem> {
    let known = || {
        let names: Vec<String> = fields.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        format!("the fields of {what} are {}; slashes are not allowed in it", names.join(", "))
    };
    let refused = |problem: &str| {
        PlanProblem::new(format!("{what} = {:?} is no pattern: {problem}", Shown(text)), known())
    };
    let mut pieces: Vec<Piece<F>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let literal = &rest[..rest.find(['{', '}']).unwrap_or(rest.len())];
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        rest = &rest[literal.len()..];
        if let Some(after) = rest.strip_prefix('{') {
            let (name, tail) = after.split_once('}').ok_or_else(|| refused("a `{` without `}`"))?;
            let field = fields.iter().find(|(known, _)| *known == name);
            let (_, field) = field.ok_or_else(|| refused(&format!("there is no field {{{name}}}")))?;
            if pieces.contains(&Piece::Field(*field)) {
                return Err(refused(&format!("{{{name}}} stands twice")));
            }
            if matches!(pieces.last(), Some(Piece::Field(_))) {
                return Err(refused(&format!("{{{name}}} stands directly beside another field")));
            }
            pieces.push(Piece::Field(*field));
            rest = tail;
        } else if rest.starts_with('}') {
            return Err(refused("a `}` without `{`"));
        }
    }
    if text.contains('/') {
        return Err(refused("it has a slash"));
    }
    Ok(pieces)
}

/// A file name in a folder (empty, or with its slash at the end), with `cuttable` shortened until the whole fits. `extra`
/// bytes more are left free, so that a longer number in the same place does not change where it is cut.
pub(super) fn fitted(
    folder: &str,
    (before, cuttable, after): (&str, &str, &str),
    extra: usize,
) -> Result<RemoteName, NameError> {
    let fixed = before.len() + after.len() + extra;
    let room = MAX_SEGMENT_BYTES.min(MAX_NAME_BYTES.saturating_sub(folder.len())).saturating_sub(fixed);
    let cut = &cuttable[..cuttable.floor_char_boundary(room)];
    // A cut can bare a space or a dot at the end of a segment.
    let cut =
        if after.is_empty() { cut.trim_end_matches(|c: char| c.is_whitespace() || c == '.') } else { cut };
    RemoteName::new(format!("{folder}{before}{cut}{after}"))
}

/// The `n`-th name for a file whose own name is taken: `in/a.csv` is the first, then `in/a-2.csv`. A long stem is cut.
///
/// ```
/// use outport_core::{RemoteName, upload::numbered};
/// let name = RemoteName::new("in/a.tar.gz")?;
/// assert_eq!(numbered(&name, 1)?.as_str(), "in/a.tar.gz");
/// assert_eq!(numbered(&name, 12)?.as_str(), "in/a.tar-12.gz");
/// # Ok::<(), outport_core::remote_name::NameError>(())
/// ```
///
/// # Errors
/// When no name of that number can be made: the folder leaves no room.
pub fn numbered(name: &RemoteName, n: u32) -> Result<RemoteName, NameError> {
    if n <= 1 {
        return Ok(name.clone());
    }
    let (stem, ext) = stem_and_ext(name.file_name());
    let dot = if ext.is_empty() { "" } else { "." };
    fitted(name.before_file_name(), ("", stem, &format!("-{n}{dot}{ext}")), 0)
}

/// As docs/NAMES.md divides names: the extension is what stands after the last dot, unless nothing else is there.
pub(super) fn stem_and_ext(file_name: &str) -> (&str, &str) {
    match file_name.rsplit_once('.') {
        Some((stem, ext)) if !stem.is_empty() && !ext.is_empty() => (stem, ext),
        _ => (file_name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names_stay_safe_and_differ() {
        let long = format!("in/{}.csv", "x".repeat(251));
        for name in ["a", "a.csv", ".a", "in/.a.b", "/a. b.c", &long, "in/a"] {
            let name = RemoteName::new(name).unwrap();
            let names: Vec<RemoteName> = (1..=100).map(|n| numbered(&name, n).unwrap()).collect();
            for (at, one) in names.iter().enumerate() {
                assert!(!names[..at].contains(one), "{one}");
                assert_eq!(one.folder(), name.folder());
            }
        }
        assert_eq!(numbered(&RemoteName::new(".profile").unwrap(), 2).unwrap().as_str(), ".profile-2");
    }
}
