//! Inside of records: what begins a value or a key, and what opens, separates and closes objects and arrays.

use super::number::Number;
use super::{Container, Scanner, State};
use crate::json_csv::problem::Problem;
use crate::json_csv::sink::{Flow, Kind, Sink};

impl Scanner {
    pub(super) fn wanted_value(&self) -> &'static str {
        match self.open.last() {
            Some(Container::Array) => "a value after the comma",
            _ => "a value",
        }
    }

    pub(super) fn value_begins<S: Sink>(
        &mut self,
        byte: u8,
        wanted: &'static str,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        match byte {
            b'{' => self.open(Container::Object, sink),
            b'[' => self.open(Container::Array, sink),
            b'"' => self.text_begins(false, piece, sink),
            b't' => self.in_word(b"true", 0, piece, sink),
            b'f' => self.in_word(b"false", 0, piece, sink),
            b'n' => self.in_word(b"null", 0, piece, sink),
            found => match Number::begin(found) {
                Some(number) => self.number_begins(number, piece, sink),
                None => Err(Problem::Unexpected { wanted, found }),
            },
        }
    }

    pub(super) fn key_begins<S: Sink>(
        &mut self,
        byte: u8,
        wanted: &'static str,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        match byte {
            b'"' => self.text_begins(true, piece, sink),
            found => Err(Problem::Unexpected { wanted, found }),
        }
    }

    pub(super) fn colon<S: Sink>(&mut self, byte: u8, sink: &mut S) -> Result<(), Problem> {
        if byte != b':' {
            return Err(Problem::Unexpected { wanted: "`:`", found: byte });
        }
        if self.in_array() {
            sink.cell(b":");
        }
        self.at += 1;
        self.state = State::Value;
        Ok(())
    }

    pub(super) fn comma_or_end<S: Sink>(&mut self, byte: u8, sink: &mut S) -> Result<Flow, Problem> {
        let container = self.open.last();
        match (container, byte) {
            (Some(Container::Object), b'}') | (Some(Container::Array), b']') => return self.close(sink),
            (Some(Container::Object), b',') => self.state = State::Key,
            (Some(Container::Array), b',') => self.state = State::Value,
            (Some(Container::Array), found) => {
                return Err(Problem::Unexpected { wanted: "`,` or `]`", found });
            }
            (_, found) => return Err(Problem::Unexpected { wanted: "`,` or `}`", found }),
        }
        if self.in_array() {
            sink.cell(b",");
        }
        self.at += 1;
        Ok(Flow::Continue)
    }

    pub(super) fn open<S: Sink>(&mut self, container: Container, sink: &mut S) -> Result<(), Problem> {
        if self.open.len() >= self.limits.depth {
            return Err(Problem::Depth(self.limits.depth));
        }
        if container == Container::Array && !self.in_array() {
            if sink.enters_array() {
                self.state = State::Records;
                return Ok(());
            }
            self.array_at = Some(self.open.len());
        }
        self.state = match container {
            Container::Object if self.in_array() => {
                self.keys.open();
                sink.cell(b"{");
                State::KeyOrEnd
            }
            Container::Object => {
                sink.open_object();
                State::KeyOrEnd
            }
            Container::Array => {
                sink.cell(b"[");
                State::ValueOrEnd
            }
        };
        self.open.push(container);
        self.at += 1;
        Ok(())
    }

    /// Ends the innermost container, and with the outermost the record.
    pub(super) fn close<S: Sink>(&mut self, sink: &mut S) -> Result<Flow, Problem> {
        let Some(container) = self.open.last().copied() else { return Ok(Flow::Continue) };
        self.state = State::CommaOrEnd;
        match container {
            Container::Object if self.in_array() => {
                if !self.keys.close() && !self.rules.allows_duplicates {
                    return Err(match self.rules.is_whole {
                        true => Problem::DuplicateKey,
                        false => Problem::DuplicateKeyInArray,
                    });
                }
                sink.cell(b"}");
            }
            Container::Object => sink.close_object()?,
            Container::Array => sink.cell(b"]"),
        }
        self.at += 1;
        self.open.pop();
        if self.array_at == Some(self.open.len()) {
            self.array_at = None;
            self.keys.clear();
            sink.end_cell(Kind::Bare)?;
        }
        if !self.open.is_empty() {
            return Ok(Flow::Continue);
        }
        self.state = State::Between;
        self.ended_line = self.line;
        Ok(sink.end_record())
    }
}
