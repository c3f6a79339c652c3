//! The schema as the fast way wants it: each path a step, found by comparing the input with how its key is written.

use std::collections::HashMap;

use super::lanes::{Input, Lane, WIDTH};
use super::text;
use crate::json_csv::schema::{NodeId, Schema};

/// A step's number.
pub(super) type StepId = u32;

/// No step, no column.
pub(super) const NONE: u32 = u32::MAX;

/// One path below the record.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// The first bytes of `written`.
    front: [u8; WIDTH],
    /// The bits of `front` that count.
    front_mask: u32,
    /// The key as the input writes it, with quotes and colon.
    written: Box<[u8]>,
    /// The member that comes next in the object, by the order in which the input first showed them.
    pub(super) next: StepId,
    /// The first member of the object that stands here.
    pub(super) first: StepId,
    /// Where its value goes; none where only objects and nulls were seen.
    pub(super) column: u32,
}

impl Step {
    fn new(key: &[u8], column: Option<usize>) -> Self {
        let mut step = Self {
            front: [0; WIDTH],
            front_mask: 0,
            written: Box::from([]),
            next: NONE,
            first: NONE,
            column: column.and_then(|column| u32::try_from(column).ok()).unwrap_or(NONE),
        };
        step.is_written(&spelling(key));
        step
    }

    /// From now on the key is expected to be written so: between its quotes.
    fn is_written(&mut self, raw: &[u8]) {
        self.written = [b"\"", raw, b"\":"].concat().into();
        let front = self.written.len().min(WIDTH);
        self.front = [0; WIDTH];
        self.front[..front].copy_from_slice(&self.written[..front]);
        self.front_mask = (1 << front) - 1;
    }

    /// Whether this key stands at `at`, where `lane` was read, with the colon right behind it.
    #[inline(always)]
    pub(super) fn stands(&self, lane: Lane, bytes: Input<'_>, at: usize) -> bool {
        lane.equal(Lane::of(&self.front)) & self.front_mask == self.front_mask
            && (self.written.len() <= WIDTH
                || bytes.get(at + WIDTH..at + self.written.len()) == Some(&self.written[WIDTH..]))
    }

    /// Bytes of the key with quotes and colon.
    #[inline(always)]
    pub(super) fn written_bytes(&self) -> usize {
        self.written.len()
    }
}

/// A schema's steps; the record is step 0.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) steps: Vec<Step>,
    /// By step: its members. Beside the steps, which are gone through with each record and so stay near each other.
    by_key: Vec<HashMap<Box<[u8]>, StepId>>,
    pub(super) columns: usize,
    /// Objects open at once at most, the record counted.
    pub(super) depth: usize,
}

impl Shape {
    /// `column` says where the values of a path go; nowhere is an answer too.
    pub(super) fn of(schema: &Schema, column: impl Fn(NodeId) -> Option<usize>) -> Self {
        let mut shape = Self {
            steps: vec![Step::new(b"", None)],
            by_key: vec![HashMap::new()],
            columns: schema.columns(),
            depth: 1,
        };
        // Parents come before their members, so a member's parent has its step already.
        let mut todo = vec![(NodeId::ROOT, 0, 1)];
        while let Some((node, parent, depth)) = todo.pop() {
            shape.depth = shape.depth.max(depth);
            let mut before = NONE;
            for child in schema.children(node) {
                let id = shape.steps.len() as StepId;
                let key = schema.key(*child);
                shape.steps.push(Step::new(key, column(*child)));
                shape.by_key.push(HashMap::new());
                shape.by_key[parent as usize].insert(key.into(), id);
                match before {
                    NONE => shape.steps[parent as usize].first = id,
                    before => shape.steps[before as usize].next = id,
                }
                before = id;
                todo.push((*child, id, depth + 1));
            }
        }
        shape
    }

    /// `{` and the first member's key with its colon.
    pub(super) fn beginning(&self) -> Option<Vec<u8>> {
        let first = self.steps.get(self.steps[0].first as usize)?;
        Some([b"{", &*first.written].concat())
    }

    /// The member of `parent` with the key that is written between two quotes. A key that the input spells with escapes is
    /// remembered as spelt: who writes `"Stra\u00dfe"` once does so in every record.
    pub(super) fn find(&mut self, parent: StepId, raw: &[u8], has_escape: bool) -> Option<StepId> {
        let by_key = &self.by_key[parent as usize];
        let id = match has_escape {
            false => *by_key.get(raw)?,
            true => *by_key.get(text::decode(raw)?.as_slice())?,
        };
        self.steps[id as usize].is_written(raw);
        Some(id)
    }
}

/// How JSON writes a key when it escapes no more than it must.
fn spelling(key: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(key.len());
    for byte in key {
        match byte {
            b'"' | b'\\' => raw.extend([b'\\', *byte]),
            b'\n' => raw.extend(b"\\n"),
            b'\r' => raw.extend(b"\\r"),
            b'\t' => raw.extend(b"\\t"),
            0..=0x1f => raw.extend(format!("\\u{byte:04x}").into_bytes()),
            other => raw.push(*other),
        }
    }
    raw
}
