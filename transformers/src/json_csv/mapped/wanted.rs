//! The values that a spec asks for, found in one walk over a record.

use std::collections::HashMap;

use super::tape::{Kind, Tape, TokenId, decode};
use crate::spec::{DuplicateKeys, Path};

/// A wanted value's number.
pub(super) type Slot = usize;

#[derive(Debug, Default)]
struct Node {
    /// Whoever wants the value that stands here.
    slots: Vec<Slot>,
    by_key: HashMap<String, usize>,
}

impl Node {
    /// Whether pointers go on from here through a value that has no such places: it would be lost without a word.
    fn leads_on_from(&self, kind: Kind) -> bool {
        let is_index = |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        match kind {
            _ if !self.slots.is_empty() => false,
            Kind::Text | Kind::Bare => true,
            Kind::Array => !self.by_key.keys().any(is_index),
            Kind::Object | Kind::Null => false,
        }
    }
}

/// Pointers merged into a tree.
#[derive(Debug)]
pub(super) struct Wanted {
    nodes: Vec<Node>,
    duplicates: DuplicateKeys,
    /// Whether a key that nobody asks for is looked for.
    refuses_others: bool,
}

impl Wanted {
    pub(super) fn new(duplicates: DuplicateKeys, refuses_others: bool) -> Self {
        Self { nodes: vec![Node::default()], duplicates, refuses_others }
    }

    /// Asks for the value at a path: it will be the slot's.
    pub(super) fn want(&mut self, path: &Path, slot: Slot) {
        let node = self.reach(path);
        self.nodes[node].slots.push(slot);
    }

    fn reach(&mut self, path: &Path) -> usize {
        let mut node = 0;
        for key in path.keys() {
            let count = self.nodes.len();
            let next = *self.nodes[node].by_key.entry(key.clone()).or_insert(count);
            if next == count {
                self.nodes.push(Node::default());
            }
            node = next;
        }
        node
    }

    /// Finds the values below `root`. A slot that stays none has no value there.
    ///
    /// # Errors
    /// The pointer to a key that is in no path, where those are refused.
    pub(super) fn find(
        &self,
        tape: &Tape,
        text: &[u8],
        root: TokenId,
        found: &mut [Option<TokenId>],
    ) -> Result<(), String> {
        let mut scratch = String::new();
        let mut todo = vec![(0, root, Vec::new())];
        while let Some((node, token, path)) = todo.pop() {
            let wanted = &self.nodes[node];
            for slot in &wanted.slots {
                found[*slot] = Some(token);
            }
            let mut go_on = |key: &str, value: TokenId| match wanted.by_key.get(key) {
                Some(next) => {
                    let path = if self.refuses_others {
                        [&path[..], &[key.to_owned()]].concat()
                    } else {
                        Vec::new()
                    };
                    todo.push((*next, value, path));
                    Ok(())
                }
                // Below a value that is taken whole, every key is.
                None if self.refuses_others && wanted.slots.is_empty() => Err(pointer(&path, key)),
                None => Ok(()),
            };
            if wanted.by_key.is_empty() && !wanted.slots.is_empty() {
                continue;
            }
            if self.refuses_others && wanted.leads_on_from(tape.kind(token)) {
                let Some((key, path)) = path.split_last() else { return Err(String::new()) };
                return Err(pointer(path, key));
            }
            match tape.kind(token) {
                Kind::Object if self.duplicates == DuplicateKeys::Error => {
                    for (key, value) in tape.members(token) {
                        go_on(decode(tape.text(key, text), &mut scratch), value)?;
                    }
                }
                Kind::Object => {
                    for (key, value) in distinct(tape, text, token, self.duplicates) {
                        go_on(&key, value)?;
                    }
                }
                Kind::Array => {
                    for (index, value) in tape.elements(token).enumerate() {
                        // Elements that nobody asks for are no keys.
                        if wanted.by_key.contains_key(&index.to_string()) {
                            go_on(&index.to_string(), value)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The members of an object, each key once: with its first value or its last.
pub(super) fn distinct(
    tape: &Tape,
    text: &[u8],
    object: TokenId,
    duplicates: DuplicateKeys,
) -> Vec<(String, TokenId)> {
    let mut members: Vec<(String, TokenId)> = Vec::new();
    let mut places = HashMap::new();
    let mut scratch = String::new();
    for (key, value) in tape.members(object) {
        let key = decode(tape.text(key, text), &mut scratch);
        match places.get(key) {
            None => {
                places.insert(key.to_owned(), members.len());
                members.push((key.to_owned(), value));
            }
            Some(place) if duplicates == DuplicateKeys::Last => members[*place].1 = value,
            Some(_) => {}
        }
    }
    members
}

/// The pointer (RFC 6901) to a key, on one line and short.
fn pointer(path: &[String], key: &str) -> String {
    const MOST: usize = 200;
    let mut pointer = String::new();
    for key in path.iter().map(String::as_str).chain([key]) {
        pointer.push('/');
        for character in key.chars().take(MOST) {
            match character {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                other if other.is_control() => pointer.extend(other.escape_default()),
                other => pointer.push(other),
            }
        }
    }
    if let Some((cut, _)) = pointer.char_indices().nth(MOST) {
        pointer.truncate(cut);
        pointer.push('…');
    }
    pointer
}
