//! Where in the schema the scanner stands.

use super::problem::Problem;
use super::schema::{NodeId, Schema};

#[derive(Debug, Clone)]
struct Open {
    node: NodeId,
    /// The child that the next key most likely names.
    guess: usize,
}

/// Follows the keys of a record through the schema. Needs one stamp a node to see a key that comes twice:
/// inside a record every path outside of arrays can stand only once.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    open: Vec<Open>,
    here: Option<NodeId>,
    record: u64,
    /// By node: the record that last had it.
    seen: Vec<u64>,
}

impl Cursor {
    /// The start of a record, before its `{`. Numbers begin at 1 and rise.
    pub(super) fn begin_record(&mut self, record: u64) {
        self.record = record;
        self.here = Some(NodeId::ROOT);
        self.open.clear();
    }

    /// The path being read: of the latest key, or of the object that was just left.
    pub(super) fn here(&self) -> NodeId {
        self.here.unwrap_or(NodeId::ROOT)
    }

    /// The object whose keys come next, and the guess at the next one.
    pub(super) fn object(&self) -> (NodeId, usize) {
        self.open.last().map_or((NodeId::ROOT, 0), |open| (open.node, open.guess))
    }

    /// The record's number.
    pub(super) fn record(&self) -> u64 {
        self.record
    }

    /// Goes into the object that stands here.
    pub(super) fn open_object(&mut self) {
        self.open.push(Open { node: self.here(), guess: 0 });
    }

    /// Leaves the innermost object.
    pub(super) fn close_object(&mut self) {
        self.here = self.open.pop().map(|open| open.node);
    }

    /// Steps to the child that the key names.
    pub(super) fn step(&mut self, schema: &Schema, child: NodeId) -> Result<(), Problem> {
        self.here = Some(child);
        if let Some(open) = self.open.last_mut() {
            open.guess = schema.order(child) + 1;
        }
        if self.seen.len() < schema.len() {
            self.seen.resize(schema.len(), 0);
        }
        let seen = &mut self.seen[child.index()];
        if *seen == self.record {
            return Err(Problem::DuplicateKey);
        }
        *seen = self.record;
        Ok(())
    }

    /// The path being read, for messages.
    pub(super) fn pointer(&self, schema: &Schema) -> Option<String> {
        schema.pointer(self.here())
    }
}
