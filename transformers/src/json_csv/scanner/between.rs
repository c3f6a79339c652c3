//! Outside of records: what the whole file is made of.

use super::super::fast::Separator;
use super::super::problem::Problem;
use super::super::sink::{Flow, Sink};
use super::{Container, Lines, Scanner, State};
use crate::spec::Layout;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Where between records the scanner stands. The first byte that is not blank decides between a stream of
/// records (NDJSON, concatenated, a single one) and one array of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// Nothing but blanks so far.
    Start,
    /// Behind a record of a stream.
    Stream,
    /// Behind the `[` of the array.
    ArrayStart,
    /// Behind a record of the array.
    ArrayRecord,
    /// Behind a comma of the array.
    ArrayComma,
    /// Behind the `]`.
    ArrayEnd,
}

impl Between {
    /// Whether the input may end here, `byte` bytes in.
    pub(super) fn may_end(self, byte: u64) -> Result<(), Problem> {
        match self {
            Self::Start if byte == 0 => Err(Problem::Empty("is empty (0 bytes)")),
            Self::Start => Err(Problem::Empty("holds only blanks")),
            Self::Stream | Self::ArrayEnd => Ok(()),
            Self::ArrayStart | Self::ArrayRecord | Self::ArrayComma => {
                Err(Problem::Truncated { within: "before the `]` of the array of records" })
            }
        }
    }

    /// What stands between here and the next record.
    pub(super) fn separator(self) -> Option<Separator> {
        match self {
            Self::Start | Self::ArrayEnd => None,
            Self::Stream => Some(Separator::Blanks),
            Self::ArrayStart | Self::ArrayComma => Some(Separator::Comma { is_open: true }),
            Self::ArrayRecord => Some(Separator::Comma { is_open: false }),
        }
    }

    pub(super) fn is_array(self) -> bool {
        !matches!(self, Self::Start | Self::Stream)
    }

    /// The other way round.
    pub(super) fn before(separator: Separator) -> Self {
        match separator {
            Separator::Blanks => Self::Stream,
            Separator::Comma { is_open: true } => Self::ArrayComma,
            Separator::Comma { is_open: false } => Self::ArrayRecord,
        }
    }

    /// The same behind the next record.
    pub(super) fn behind_record(self) -> Self {
        match self {
            Self::ArrayStart | Self::ArrayComma => Self::ArrayRecord,
            other => other,
        }
    }

    /// Whether what comes next is about another record.
    pub(super) fn awaits_record(self) -> bool {
        self != Self::ArrayEnd
    }
}

impl Scanner {
    /// Takes one byte outside of records: what separates them, or a record's `{`.
    pub(super) fn between_records<S: Sink>(
        &mut self,
        byte: u8,
        piece: &[u8],
        sink: &mut S,
    ) -> Result<Flow, Problem> {
        use Between::{ArrayComma, ArrayEnd, ArrayRecord, ArrayStart, Start, Stream};
        self.between = match (self.between, byte) {
            (Start, b'{') if self.wrapper.is_some() => {
                self.wrapper_begins();
                return Ok(Flow::Enough);
            }
            (Start, found @ b'{') if self.rules.layout == Layout::Array => {
                return Err(Problem::Unexpected {
                    wanted: "an array of records (`[`), as the spec says",
                    found,
                });
            }
            (Stream, b'{') if self.rules.layout == Layout::Object => {
                return Err(Problem::NotRecord(
                    "a second record, where the spec says that there is one object,",
                ));
            }
            (Start, b'[')
                if matches!(self.rules.layout, Layout::Ndjson | Layout::Object | Layout::Concat) =>
            {
                return Err(Problem::OtherFormat);
            }
            (Stream, found) if self.lines() == Lines::Each && self.line == self.ended_line => {
                return Err(match found {
                    b'{' => Problem::SecondOnLine,
                    _ => Problem::Unexpected { wanted: "the end of the line", found },
                });
            }
            (Start | Stream, b'{') => return self.record_begins(Stream, sink),
            (ArrayStart | ArrayComma, b'{') => return self.record_begins(ArrayRecord, sink),
            (Start, b'[') if self.wrapper.is_none() => ArrayStart,
            (ArrayStart | ArrayRecord, b']') if self.wrapper.is_some() => {
                self.at += 1;
                self.records_end();
                return Ok(Flow::Enough);
            }
            (ArrayRecord, b',') => ArrayComma,
            (ArrayStart | ArrayRecord, b']') => ArrayEnd,
            // RFC 8259 section 8.1 lets a reader ignore a byte order mark instead of refusing it; many
            // Windows exports have one.
            (Start, _) if self.byte() == 0 && piece.starts_with(BYTE_ORDER_MARK) => {
                self.at += BYTE_ORDER_MARK.len();
                return Ok(Flow::Continue);
            }
            (Start, found) if self.wrapper.is_some() => {
                return Err(Problem::Unexpected { wanted: "the object around the records (`{`)", found });
            }
            (ArrayEnd, _) => return Err(Problem::AfterArray),
            (ArrayRecord, found) => return Err(Problem::Unexpected { wanted: "`,` or `]`", found }),
            (between, found) => return Err(not_a_record(between, found)),
        };
        self.at += 1;
        Ok(Flow::Continue)
    }

    fn record_begins<S: Sink>(&mut self, after: Between, sink: &mut S) -> Result<Flow, Problem> {
        self.between = after;
        if self.ended_line > 0 && self.rules.lines == Lines::AsFirst {
            self.rules.lines = if self.lines() == Lines::Each { Lines::Each } else { Lines::Free };
        }
        self.records += 1;
        self.record_byte = self.byte();
        self.record_line = self.line;
        self.state = State::Value;
        if self.rules.is_whole {
            self.array_at = Some(0);
        }
        sink.begin_record(self.records);
        self.open(Container::Object, sink)?;
        Ok(Flow::Continue)
    }
}

/// Tells JSON that is no record from what is no JSON.
fn not_a_record(between: Between, found: u8) -> Problem {
    match found {
        b'[' if between == Between::Stream => Problem::NotRecord("an array behind a record"),
        b'[' => Problem::NotRecord("an array"),
        b'"' => Problem::NotRecord("a string"),
        b'-' | b'0'..=b'9' => Problem::NotRecord("a number"),
        b't' | b'f' | b'n' => Problem::NotRecord("a bare word (true, false, null, or no JSON at all)"),
        _ => Problem::Unexpected {
            wanted: match between {
                Between::Start => "a record (`{`) or an array of records (`[`)",
                Between::Stream => "another record (`{`) or the end of the input",
                Between::ArrayStart => "a record (`{`) or `]`",
                _ => "a record (`{`) after the comma",
            },
            found,
        },
    }
}
