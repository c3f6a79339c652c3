//! Every path of the records, as a tree of keys.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use outport_core::{Fault, code};

use super::super::tape::{Kind, Tape, decode, found};
use super::super::wanted::distinct;
use super::seen::Seen;
use crate::json_csv::limits::Limits;
use crate::json_csv::problem::Problem;
use crate::spec::DuplicateKeys;

/// What the records are made of; node 0 is the record.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    records: u64,
    limits: Limits,
    /// Bytes of all keys.
    key_bytes: usize,
    duplicates: DuplicateKeys,
}

#[derive(Debug, Default)]
struct Node {
    key: String,
    seen: Seen,
    /// In the order in which they were first seen.
    children: Vec<usize>,
    by_key: HashMap<String, usize>,
}

/// A column of the contract.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) name: String,
    /// JSON Pointer (RFC 6901).
    pub(super) from: String,
    pub(super) seen: Seen,
    /// Records in which the path was not there.
    pub(super) missing: u64,
}

impl Observed {
    /// Whether every record had a value.
    pub(super) fn is_in_every_record(&self) -> bool {
        self.missing == 0 && self.seen.nulls == 0
    }
}

impl Tree {
    pub(super) fn new(limits: Limits, duplicates: DuplicateKeys) -> Self {
        Self { nodes: vec![Node::default()], records: 0, limits, key_bytes: 0, duplicates }
    }

    /// One more record.
    pub(super) fn record(&mut self, tape: &Tape, text: &[u8]) -> Result<(), Problem> {
        self.records += 1;
        let mut scratch = String::new();
        let mut todo = vec![(0, 0)];
        while let Some((node, token)) = todo.pop() {
            if tape.kind(token) != Kind::Object {
                self.nodes[node].seen.value(found(tape, text, token, &mut scratch));
                continue;
            }
            self.nodes[node].seen.objects += 1;
            // A path that is one cell has no paths below it.
            if self.nodes[node].seen.is_json() {
                continue;
            }
            if self.duplicates == DuplicateKeys::Error {
                for (key, value) in tape.members(token) {
                    todo.push((self.child(node, decode(tape.text(key, text), &mut scratch))?, value));
                }
            } else {
                for (key, value) in distinct(tape, text, token, self.duplicates) {
                    todo.push((self.child(node, &key)?, value));
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, node: usize, key: &str) -> Result<usize, Problem> {
        if let Some(child) = self.nodes[node].by_key.get(key) {
            return Ok(*child);
        }
        self.key_bytes += key.len();
        if self.key_bytes > self.limits.name_bytes {
            return Err(Problem::NamesTooLong(self.limits.name_bytes));
        }
        // Paths that only lead to columns count too: a chain of them costs as much memory.
        if self.nodes.len() > self.limits.columns {
            return Err(Problem::TooManyColumns(self.limits.columns));
        }
        let child = self.nodes.len();
        self.nodes.push(Node { key: key.to_owned(), ..Node::default() });
        self.nodes[node].children.push(child);
        self.nodes[node].by_key.insert(key.to_owned(), child);
        Ok(child)
    }

    /// The columns, in the order of `json-to-csv`: as first seen, members of one object together.
    pub(super) fn columns(&self) -> Result<Vec<Observed>, Fault> {
        let mut columns = Vec::new();
        let mut todo = vec![(0, String::new(), String::new())];
        while let Some((id, name, from)) = todo.pop() {
            let node = &self.nodes[id];
            let leads_on = !node.children.is_empty() && !node.seen.is_json();
            if id != 0 && !leads_on {
                let missing = self.records - node.seen.values() - node.seen.nulls;
                columns.push(Observed { name, from, seen: node.seen.clone(), missing });
                continue;
            }
            for child in node.children.iter().rev() {
                let key = &self.nodes[*child].key;
                let mut from = from.clone();
                // Into memory: cannot fail.
                let _ = write!(from, "/{}", key.replace('~', "~0").replace('/', "~1"));
                let name = if id == 0 { key.clone() } else { format!("{name}.{key}") };
                todo.push((*child, name, from));
            }
        }
        name_them(&mut columns)?;
        Ok(columns)
    }
}

/// Makes names of paths what names in a spec may be, and checks that they differ.
fn name_them(columns: &mut [Observed]) -> Result<(), Fault> {
    if columns.is_empty() {
        let message =
            "could not infer a contract: no record has a key, so there is nothing to make a column of";
        return Err(Fault::new(&code::JSON_NOT_RECORDS, message)
            .with_hint("infer from a file that holds what the feed is to deliver"));
    }
    let mut names = HashSet::new();
    for column in columns {
        if column.name.is_empty() || column.name.contains(char::is_control) {
            column.name = column.name.replace(char::is_control, "_");
            column.name.push('_');
        }
        if !names.insert(column.name.clone()) {
            let message =
                format!("could not infer a contract: two paths would both be the column {:?}", column.name);
            return Err(Fault::new(&code::JSON_COLUMN_CONFLICT, message));
        }
    }
    Ok(())
}
