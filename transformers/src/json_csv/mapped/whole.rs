//! A record written as it is, but for what the spec says about arrays, doubled keys and the exploded array.

use outport_core::code;

use super::bad::Bad;
use super::tape::{Kind, Tape, TokenId, decode};
use super::wanted::distinct;
use crate::spec::{Arrays, DuplicateKeys};

/// How whole records are written.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) arrays: Arrays,
    pub(super) duplicates: DuplicateKeys,
}

enum Step {
    Value(TokenId),
    Text(Vec<u8>),
    Word(&'static [u8]),
}

impl Whole {
    /// Appends the record as compact JSON. `exploded` is the array that was exploded and the element in its place (null without one).
    pub(super) fn write(
        &self,
        tape: &Tape,
        text: &[u8],
        exploded: Option<(TokenId, Option<TokenId>)>,
        out: &mut Vec<u8>,
    ) -> Result<(), Bad> {
        let keeps = self.arrays == Arrays::Json && self.duplicates == DuplicateKeys::Error;
        if keeps && exploded.is_none() {
            out.extend_from_slice(text);
            return Ok(());
        }
        // A stack of what is still to be written and no recursion: a record may be 10,000 levels deep.
        let mut todo = vec![Step::Value(0)];
        while let Some(step) = todo.pop() {
            let id = match step {
                Step::Text(text) => {
                    out.extend_from_slice(&text);
                    continue;
                }
                Step::Word(word) => {
                    out.extend_from_slice(word);
                    continue;
                }
                Step::Value(id) => id,
            };
            if let Some((array, element)) = exploded
                && id == array
            {
                todo.push(element.map_or(Step::Word(b"null"), Step::Value));
                continue;
            }
            match tape.kind(id) {
                Kind::Object => self.object(tape, text, id, &mut todo),
                Kind::Array => self.array(tape, text, id, &mut todo)?,
                _ => out.extend_from_slice(tape.text(id, text)),
            }
        }
        Ok(())
    }

    fn object(&self, tape: &Tape, text: &[u8], id: TokenId, todo: &mut Vec<Step>) {
        let first = todo.len();
        todo.push(Step::Word(b"{"));
        let mut member = |key: Vec<u8>, value| {
            let comma = if todo.len() > first + 1 { &b","[..] } else { b"" };
            todo.push(Step::Text([comma, &key, b":"].concat()));
            todo.push(Step::Value(value));
        };
        if self.duplicates == DuplicateKeys::Error {
            for (key, value) in tape.members(id) {
                member(tape.text(key, text).to_vec(), value);
            }
        } else {
            for (key, value) in distinct(tape, text, id, self.duplicates) {
                member(serde_json::Value::String(key).to_string().into_bytes(), value);
            }
        }
        todo.push(Step::Word(b"}"));
        todo[first..].reverse();
    }

    fn array(&self, tape: &Tape, text: &[u8], id: TokenId, todo: &mut Vec<Step>) -> Result<(), Bad> {
        match &self.arrays {
            Arrays::Json => {
                let first = todo.len();
                todo.push(Step::Word(b"["));
                for (index, element) in tape.elements(id).enumerate() {
                    if index > 0 {
                        todo.push(Step::Word(b","));
                    }
                    todo.push(Step::Value(element));
                }
                todo.push(Step::Word(b"]"));
                todo[first..].reverse();
            }
            Arrays::Join { separator } => {
                let joined = join(tape, text, id, separator)?;
                todo.push(Step::Text(serde_json::Value::String(joined).to_string().into_bytes()));
            }
            Arrays::Index { limit } => {
                let count = tape.elements(id).count();
                if count > *limit {
                    let what =
                        format!("an array has {count} elements; the spec allows {limit} columns for one");
                    return Err(Bad::new(&code::MAPPING_ARRAY, what));
                }
                let first = todo.len();
                todo.push(Step::Word(b"{"));
                for (index, element) in tape.elements(id).enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    todo.push(Step::Text(format!("{comma}\"{index}\":").into_bytes()));
                    todo.push(Step::Value(element));
                }
                todo.push(Step::Word(b"}"));
                todo[first..].reverse();
            }
            Arrays::Error => return Err(not_allowed()),
        }
        Ok(())
    }
}

fn not_allowed() -> Bad {
    Bad::new(&code::MAPPING_ARRAY, "there is an array, which the spec does not allow")
}

/// An array in a column without a type: as one cell, text or not.
pub(super) fn cell(
    arrays: &Arrays,
    tape: &Tape,
    text: &[u8],
    id: TokenId,
    out: &mut Vec<u8>,
) -> Result<bool, Bad> {
    match arrays {
        Arrays::Json | Arrays::Index { .. } => {
            out.extend_from_slice(tape.text(id, text));
            Ok(false)
        }
        Arrays::Join { separator } => {
            out.extend_from_slice(join(tape, text, id, separator)?.as_bytes());
            Ok(true)
        }
        Arrays::Error => Err(not_allowed()),
    }
}

fn join(tape: &Tape, text: &[u8], id: TokenId, separator: &str) -> Result<String, Bad> {
    let (mut joined, mut scratch) = (String::new(), String::new());
    for (index, element) in tape.elements(id).enumerate() {
        if index > 0 {
            joined += separator;
        }
        match tape.kind(element) {
            Kind::Text => joined += decode(tape.text(element, text), &mut scratch),
            Kind::Bare => joined += std::str::from_utf8(tape.text(element, text)).unwrap_or_default(),
            Kind::Null => {}
            Kind::Object | Kind::Array => {
                let what = "an array holds arrays or objects, which cannot be joined";
                return Err(Bad::new(&code::MAPPING_ARRAY, what));
            }
        }
    }
    Ok(joined)
}
