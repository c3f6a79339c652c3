//! What can be wrong with the input, where, and the fault made of both.

use outport_core::{Code, Fault, code};
use thiserror::Error;

/// What is wrong, without the place. The texts never show content: of the offending byte only its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Problem {
    #[error("expected {wanted}, found {}", kind_of(*found))]
    Unexpected { wanted: &'static str, found: u8 },
    #[error("a number has a leading zero")]
    LeadingZero,
    #[error("a number is not complete; found {} where a digit belongs", kind_of(*found))]
    Number { found: u8 },
    #[error("a backslash is followed by {}, which is no JSON escape", kind_of(*found))]
    Escape { found: u8 },
    #[error("a string holds a raw control character (0x{found:02x})")]
    Control { found: u8 },
    #[error("an escape names half of a surrogate pair, which is not a character")]
    Surrogate,
    #[error("the bytes are not UTF-8")]
    Utf8 { first: Option<u8> },
    #[error("the input ends {within}")]
    Truncated { within: &'static str },
    #[error("the input {0}")]
    Empty(&'static str),
    #[error("there is more data after the end of the array")]
    AfterArray,
    #[error("{0} stands where a record belongs")]
    NotRecord(&'static str),
    #[error("a second record stands on the line")]
    SecondOnLine,
    #[error("an array stands where a record belongs, by the `format` of the spec")]
    OtherFormat,
    #[error("there is no array at {0}")]
    NoRecords(String),
    #[error("the key stands twice in one object")]
    DuplicateKey,
    #[error("an object inside this array holds one key twice")]
    DuplicateKeyInArray,
    #[error("more than {0} objects and arrays are open at once")]
    Depth(usize),
    #[error("the record is larger than {0} bytes")]
    RecordTooLarge(u64),
    #[error("the records so far need more than {0} columns")]
    TooManyColumns(usize),
    #[error("the names of the columns together are longer than {0} bytes")]
    NamesTooLong(usize),
    #[error("the input is not the same as in the first pass")]
    Changed,
}

impl Problem {
    fn code(&self) -> &'static Code {
        match self {
            Self::Unexpected { .. }
            | Self::LeadingZero
            | Self::Number { .. }
            | Self::Escape { .. }
            | Self::Control { .. }
            | Self::SecondOnLine
            | Self::AfterArray => &code::JSON_SYNTAX,
            Self::Surrogate | Self::Utf8 { .. } => &code::JSON_UTF8,
            Self::Truncated { .. } => &code::JSON_TRUNCATED,
            Self::Empty(_) => &code::JSON_EMPTY,
            Self::NotRecord(_) | Self::OtherFormat | Self::NoRecords(_) => &code::JSON_NOT_RECORDS,
            Self::DuplicateKey | Self::DuplicateKeyInArray => &code::JSON_DUPLICATE_KEY,
            Self::Depth(_) => &code::JSON_DEPTH,
            Self::RecordTooLarge(_) => &code::JSON_RECORD_TOO_LARGE,
            Self::TooManyColumns(_) | Self::NamesTooLong(_) => &code::JSON_TOO_MANY_COLUMNS,
            Self::Changed => &code::ARTIFACT_CHANGED,
        }
    }

    /// A hint where more is known than the catalogue's entry can say.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unexpected { found: b'\'', .. } => Some("JSON puts keys and strings in double quotes"),
            Self::Unexpected { found: b'}' | b']', wanted } if wanted.contains("after the comma") => {
                Some("JSON has no trailing comma; remove it")
            }
            Self::Unexpected { found: 0, .. } | Self::Utf8 { first: Some(0xfe | 0xff) } => Some(
                "the file looks like UTF-16: export it as UTF-8, or set encoding = \"utf-16\" in [input] of a spec",
            ),
            Self::Unexpected { found: b'/' | b'#', .. } => Some("JSON has no comments; remove them"),
            Self::Unexpected { found: b'{', wanted } if wanted.contains("as the spec says") => {
                Some("set format = \"auto\" in [input], or the one that the file has")
            }
            Self::SecondOnLine => {
                Some("put each record on a line of its own, or set format = \"concat\" in [input]")
            }
            Self::OtherFormat => Some(
                "set format = \"array\" in [input], or \"auto\" for whatever comes; or send what the spec says",
            ),
            Self::Surrogate => Some("write both halves of the pair as escapes, or the character itself"),
            Self::Utf8 { .. } => {
                Some("export the file as UTF-8, or say in a spec what it is: encoding in [input]")
            }
            Self::LeadingZero => {
                Some("write the number without the zero, or as a string if the zero matters")
            }
            Self::Control { .. } => Some("inside strings, line breaks and tabs are written \\n and \\t"),
            Self::NoRecords(_) => {
                Some("correct `records` in the spec: the JSON Pointer of the array of records")
            }
            Self::AfterArray => {
                Some("send one array a file, or one record a line without an array around them")
            }
            _ => None,
        }
    }

    /// The fault at a place.
    pub(super) fn at(&self, place: &Place) -> Fault {
        let fault = Fault::new(self.code(), format!("could not convert {place}: {self}"));
        match self.hint() {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    }
}

/// The kind of a byte, for messages: structure is named, content never.
fn kind_of(byte: u8) -> &'static str {
    match byte {
        b'{' => "`{`",
        b'}' => "`}`",
        b'[' => "`[`",
        b']' => "`]`",
        b':' => "`:`",
        b',' => "`,`",
        b'"' => "a double quote",
        b'\'' => "a single quote",
        b'\\' => "a backslash",
        b'\n' | b'\r' => "the end of the line",
        b' ' | b'\t' => "a blank",
        b'0'..=b'9' => "a digit",
        b'a'..=b'z' | b'A'..=b'Z' => "a letter",
        0..=0x1f | 0x7f => "a control character",
        0x80.. => "a character outside ASCII",
        _ => "a punctuation mark",
    }
}

/// Where in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The record being read or about to begin, from 1; none after the end of the array.
    pub(super) record: Option<u64>,
    /// From 1.
    pub(super) line: u64,
    /// From 0: that many bytes lie before the place.
    pub(super) byte: u64,
    /// JSON Pointer (RFC 6901) from the record to the cell being read.
    pub(super) path: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.record {
            Some(record) => write!(f, "record {record}")?,
            None => f.write_str("the input")?,
        }
        write!(f, " (line {}, byte {}", self.line, self.byte)?;
        if let Some(path) = &self.path {
            write!(f, ", at {path}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_place_and_cause_on_one_line() {
        let place = Place { record: Some(3), line: 7, byte: 120, path: Some("/a/b".into()) };
        let fault = Problem::Unexpected { wanted: "`:`", found: b'x' }.at(&place);
        assert_eq!(
            fault.message,
            "could not convert record 3 (line 7, byte 120, at /a/b): expected `:`, found a letter"
        );
        let fault = Problem::AfterArray.at(&Place { record: None, path: None, ..place });
        assert!(fault.message.starts_with("could not convert the input (line 7, byte 120): "), "{fault}");
    }

    #[test]
    fn no_letter_or_digit_of_the_content_shows() {
        for found in 0..=255u8 {
            let kind = kind_of(found);
            assert!(!found.is_ascii_alphanumeric() || kind == "a letter" || kind == "a digit", "{found}");
        }
    }
}
