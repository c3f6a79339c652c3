//! Inside keys, strings, numbers and words: reading on from wherever the piece before was cut.

use super::super::problem::Problem;
use super::super::sink::{Kind, Sink};
use super::number::Number;
use super::text::{Part, Text, plain_length};
use super::{Scanner, State};

/// A buffer that held a huge key gives its memory back down to this size, in bytes.
const KEEP_BYTES: usize = 1 << 16;

impl Scanner {
    /// At the opening quote of a key or a string.
    pub(super) fn text_begins<S: Sink>(
        &mut self,
        is_key: bool,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        let from = self.at;
        let inside = &piece[from + 1..];
        let length = plain_length(inside);
        // Nearly every text stands in one piece and without escapes: it is told as it stands, without a copy.
        if inside.get(length) == Some(&b'"') {
            self.at += length + 2;
            let plain = &inside[..length];
            if self.in_array() {
                sink.cell(&piece[from..self.at]);
            } else if !is_key {
                sink.cell(plain);
            }
            return if is_key { self.key_ends(plain, sink) } else { self.scalar_ends(Kind::Text, sink) };
        }
        self.at += 1;
        if self.in_array() {
            sink.cell(b"\"");
        }
        self.in_text(Text::default(), is_key, piece, sink)
    }

    /// Behind the opening quote.
    pub(super) fn in_text<S: Sink>(
        &mut self,
        mut text: Text,
        is_key: bool,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        let from = self.at;
        let in_array = self.in_array();
        loop {
            let Some(rest) = piece.get(self.at..).filter(|rest| !rest.is_empty()) else {
                if in_array {
                    sink.cell(&piece[from..self.at]);
                }
                self.state = State::InText { text, is_key };
                return Ok(());
            };
            match text.next(rest)? {
                Part::Plain(length) => {
                    self.at += length;
                    if is_key {
                        self.key.extend_from_slice(&rest[..length]);
                    } else if !in_array {
                        sink.cell(&rest[..length]);
                    }
                }
                Part::Within => self.at += 1,
                Part::Char(character) => {
                    self.at += 1;
                    let mut buffer = [0; 4];
                    let bytes = character.encode_utf8(&mut buffer).as_bytes();
                    if is_key {
                        self.key.extend_from_slice(bytes);
                    } else if !in_array {
                        sink.cell(bytes);
                    }
                }
                Part::End => {
                    self.at += 1;
                    if in_array {
                        sink.cell(&piece[from..self.at]);
                    }
                    if is_key {
                        let key = std::mem::take(&mut self.key);
                        let told = self.key_ends(&key, sink);
                        self.key = key;
                        self.key.clear();
                        self.key.shrink_to(KEEP_BYTES);
                        return told;
                    }
                    return self.scalar_ends(Kind::Text, sink);
                }
            }
        }
    }

    fn key_ends<S: Sink>(&mut self, key: &[u8], sink: &mut S) -> Result<(), Problem> {
        if self.in_array() {
            self.keys.add(key);
        } else {
            sink.key(key)?;
        }
        self.state = State::Colon;
        Ok(())
    }

    fn scalar_ends<S: Sink>(&mut self, kind: Kind, sink: &mut S) -> Result<(), Problem> {
        self.state = State::CommaOrEnd;
        // Inside an array the cell goes on.
        if self.in_array() { Ok(()) } else { sink.end_cell(kind) }
    }

    /// At the first byte of a number.
    pub(super) fn number_begins<S: Sink>(
        &mut self,
        number: Number,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        self.at += 1;
        self.number_goes_on(self.at - 1, number, piece, sink)
    }

    /// Inside a number that began in an earlier piece.
    pub(super) fn in_number<S: Sink>(
        &mut self,
        number: Number,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        self.number_goes_on(self.at, number, piece, sink)
    }

    /// `from` is where this piece's part of the number begins.
    fn number_goes_on<S: Sink>(
        &mut self,
        from: usize,
        mut number: Number,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        while let Some(byte) = piece.get(self.at) {
            match number.next(*byte)? {
                Some(next) => {
                    number = next;
                    self.at += 1;
                }
                None => {
                    sink.cell(&piece[from..self.at]);
                    return self.scalar_ends(Kind::Bare, sink);
                }
            }
        }
        sink.cell(&piece[from..self.at]);
        self.state = State::InNumber(number);
        Ok(())
    }

    /// Inside `true`, `false` or `null`, of which `done` bytes were there.
    pub(super) fn in_word<S: Sink>(
        &mut self,
        word: &'static [u8],
        mut done: usize,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<(), Problem> {
        while let (Some(wanted), Some(found)) = (word.get(done), piece.get(self.at)) {
            if wanted != found {
                return Err(Problem::Unexpected { wanted: "`true`, `false` or `null`", found: *found });
            }
            done += 1;
            self.at += 1;
        }
        if done < word.len() {
            self.state = State::InWord { word, done };
            return Ok(());
        }
        if word == b"null" && !self.in_array() {
            return self.scalar_ends(Kind::Null, sink);
        }
        sink.cell(word);
        self.scalar_ends(Kind::Bare, sink)
    }
}
