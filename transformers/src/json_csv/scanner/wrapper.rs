//! The object around the records: `{"meta": ..., "items": [records], "total": 3}`. It is read like any JSON, and nothing of it is
//! kept.

use super::super::limits::Limits;
use super::super::problem::Problem;
use super::super::sink::{Flow, Kind, Sink};
use super::between::Between;
use super::keys::Keys;
use super::{Container, Scanner, State};

/// Follows the keys down to the records.
#[derive(Debug)]
pub(super) struct Wrapper {
    /// The keys from the outside in; at least one.
    path: Vec<Vec<u8>>,
    /// How many of them lead to where the scanner stands, and how many objects are open.
    matched: usize,
    open: usize,
    keys: Keys,
    limits: Limits,
    is_inside: bool,
    was_found: bool,
    /// The containers around the records, while those are read.
    around: Vec<Container>,
}

impl Wrapper {
    fn is_here(&self) -> bool {
        self.matched == self.path.len() && self.open == self.path.len()
    }

    /// The pointer (RFC 6901) to the records.
    pub(super) fn records(&self) -> String {
        let escaped = |key: &Vec<u8>| String::from_utf8_lossy(key).replace('~', "~0").replace('/', "~1");
        self.path.iter().map(|key| format!("/{}", escaped(key))).collect()
    }
}

impl Sink for Wrapper {
    fn begin_record(&mut self, _: u64) {}

    fn open_object(&mut self) {
        self.open += 1;
        self.keys.open();
    }

    fn key(&mut self, key: &[u8]) -> Result<(), Problem> {
        self.keys.add(key);
        if self.keys.bytes() > self.limits.name_bytes {
            return Err(Problem::NamesTooLong(self.limits.name_bytes));
        }
        // Keys above the innermost object led here, or did not.
        if self.matched >= self.open - 1 {
            let leads = self.path.get(self.open - 1).is_some_and(|wanted| wanted == key);
            self.matched = self.open - 1 + usize::from(leads);
        }
        Ok(())
    }

    fn close_object(&mut self) -> Result<(), Problem> {
        self.open -= 1;
        self.matched = self.matched.min(self.open);
        if self.keys.close() { Ok(()) } else { Err(Problem::DuplicateKey) }
    }

    fn enters_array(&mut self) -> bool {
        self.is_here() && !self.was_found
    }

    fn cell(&mut self, _: &[u8]) {}

    fn end_cell(&mut self, _: Kind) -> Result<(), Problem> {
        match self.is_here() {
            false => Ok(()),
            // The key of the records stands twice.
            true if self.was_found => Err(Problem::DuplicateKey),
            true => Err(Problem::NoRecords(self.records())),
        }
    }

    fn end_record(&mut self) -> Flow {
        Flow::Enough
    }

    fn pointer(&self) -> Option<String> {
        None
    }
}

impl Scanner {
    /// The records are not the input's own top level: they are the array under these keys.
    pub(in super::super) fn with_records(mut self, path: Vec<Vec<u8>>) -> Self {
        if !path.is_empty() {
            self.wrapper = Some(Wrapper {
                path,
                matched: 0,
                open: 0,
                keys: Keys::default(),
                limits: self.limits,
                is_inside: false,
                was_found: false,
                around: Vec::new(),
            });
        }
        self
    }

    /// Whether what is read belongs to the object around the records.
    pub(super) fn in_wrapper(&self) -> bool {
        self.wrapper.as_ref().is_some_and(|wrapper| wrapper.is_inside)
    }

    /// At the `{` around the records.
    pub(super) fn wrapper_begins(&mut self) {
        if let Some(wrapper) = &mut self.wrapper {
            wrapper.is_inside = true;
            wrapper.open_object();
            self.open.push(Container::Object);
            self.state = State::KeyOrEnd;
            self.at += 1;
        }
    }

    /// At the `[` of the records.
    pub(super) fn records_begin(&mut self) {
        if let Some(wrapper) = &mut self.wrapper {
            wrapper.is_inside = false;
            wrapper.was_found = true;
            wrapper.around = std::mem::take(&mut self.open);
            self.between = Between::ArrayStart;
            self.state = State::Between;
            self.at += 1;
        }
    }

    /// Behind the `]` of the records.
    pub(super) fn records_end(&mut self) {
        if let Some(wrapper) = &mut self.wrapper {
            wrapper.is_inside = true;
            self.open = std::mem::take(&mut wrapper.around);
            self.state = State::CommaOrEnd;
        }
    }

    /// Reads on in the object around the records.
    pub(super) fn read_wrapper(&mut self, piece: &[u8]) -> Result<(), Problem> {
        let Some(mut wrapper) = self.wrapper.take() else { return Ok(()) };
        let read = self.read(piece, &mut wrapper);
        let (was_found, records) = (wrapper.was_found, wrapper.records());
        let is_over = self.open.is_empty();
        let enters = matches!(self.state, State::Records);
        wrapper.is_inside = !is_over;
        self.wrapper = Some(wrapper);
        read?;
        if enters {
            self.records_begin();
        } else if is_over {
            self.between = Between::ArrayEnd;
            if !was_found {
                return Err(Problem::NoRecords(records));
            }
        }
        Ok(())
    }
}
