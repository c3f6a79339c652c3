//! How cells and rows are written (RFC 4180, and what its readers have made of it).

use crate::spec::{CsvInjection, CsvOutput, LineEnding, Quote};

/// What stands in front of guarded text.
const GUARD: u8 = b'\'';

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: Quote,
    pub(super) line_end: &'static [u8],
    pub(super) has_header: bool,
    /// What stands for null and for a missing key; never quoted.
    pub(super) null: Vec<u8>,
    pub(super) missing: Vec<u8>,
    /// Whether text that a spreadsheet would run gets an apostrophe.
    pub(super) guards: bool,
    /// Between the keys of a column's name.
    pub(super) separator: Vec<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Quote::Minimal,
            line_end: b"\n",
            has_header: true,
            null: Vec::new(),
            missing: Vec::new(),
            guards: false,
            separator: b".".to_vec(),
        }
    }
}

impl Dialect {
    pub(super) fn of(output: &CsvOutput) -> Self {
        Self {
            delimiter: output.delimiter,
            quote: output.quote,
            line_end: match output.line_ending {
                LineEnding::Lf => b"\n",
                LineEnding::Crlf => b"\r\n",
            },
            has_header: output.header,
            null: output.null.as_bytes().to_vec(),
            missing: output.missing.as_bytes().to_vec(),
            guards: output.csv_injection == CsvInjection::Prefix,
            separator: output.nested_separator.as_bytes().to_vec(),
        }
    }

    /// Whether the fast way can write it: nothing has to be looked at but delimiters and quotes, and numbers, words and the
    /// structure of arrays hold none but commas.
    pub(super) fn is_simple(&self) -> bool {
        self.quote == Quote::Minimal
            && self.null.is_empty()
            && self.missing.is_empty()
            && !self.guards
            && matches!(self.delimiter, b',' | b';' | b'|' | b'\t')
    }

    /// A string.
    pub(super) fn text(&self, text: &[u8], out: &mut Vec<u8>) {
        let guarded = self.is_guarded(text);
        // An empty one is quoted: readers that tell null and empty apart can.
        let quoted = self.quote != Quote::Minimal || text.is_empty() || self.needs_quotes(text);
        self.write(guarded, text, quoted || (guarded && self.delimiter == GUARD), out);
    }

    /// Whether a spreadsheet would take it for a formula.
    fn is_guarded(&self, text: &[u8]) -> bool {
        self.guards && matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
    }

    /// A number, `true`, `false`, or an array or object as compact JSON.
    pub(super) fn bare(&self, bare: &[u8], out: &mut Vec<u8>) {
        let is_container = matches!(bare.first(), Some(b'[' | b'{'));
        let quoted = match self.quote {
            Quote::All => true,
            Quote::NonNumeric if is_container => true,
            _ => self.needs_quotes(bare),
        };
        self.write(false, bare, quoted, out);
    }

    fn needs_quotes(&self, cell: &[u8]) -> bool {
        let delimiter = self.delimiter;
        // No early exit: the compiler turns the whole loop into vector compares.
        let special = cell
            .iter()
            .fold(false, |any, byte| any | (matches!(byte, b'"' | b'\n' | b'\r') | (*byte == delimiter)));
        // What is spelt like null is not null.
        special || (!cell.is_empty() && (cell == self.null || cell == self.missing))
    }

    fn write(&self, guarded: bool, cell: &[u8], quoted: bool, out: &mut Vec<u8>) {
        if quoted {
            out.push(b'"');
        }
        if guarded {
            out.push(GUARD);
        }
        if !quoted {
            return out.extend_from_slice(cell);
        }
        for (part, piece) in cell.split(|byte| *byte == b'"').enumerate() {
            if part > 0 {
                out.extend_from_slice(b"\"\"");
            }
            out.extend_from_slice(piece);
        }
        out.push(b'"');
    }

    /// The header line; none without columns.
    pub(super) fn header(&self, names: &[Vec<u8>], out: &mut Vec<u8>) {
        if names.is_empty() || !self.has_header {
            return;
        }
        for (column, name) in names.iter().enumerate() {
            if column > 0 {
                out.push(self.delimiter);
            }
            // At the very start of a file a reader takes U+FEFF for a byte order mark and drops it; a quote
            // protects it. And a line of one empty name would be a blank line.
            let looks_like_bom = column == 0 && name.starts_with("\u{feff}".as_bytes());
            let is_blank_line = names.len() == 1 && name.is_empty();
            let quoted =
                self.quote != Quote::Minimal || looks_like_bom || is_blank_line || self.needs_quotes(name);
            // Names come from the file, as cells do.
            let guarded = self.is_guarded(name);
            self.write(guarded, name, quoted || (guarded && self.delimiter == GUARD), out);
        }
        out.extend_from_slice(self.line_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dialect: &Dialect, text: &str) -> String {
        let mut out = Vec::new();
        dialect.text(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn bare(dialect: &Dialect, bare: &str) -> String {
        let mut out = Vec::new();
        dialect.bare(bare.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let plain = Dialect::default();
        for (cell, expected) in [
            ("", "\"\""),
            ("plain text", "plain text"),
            ("a,b", "\"a,b\""),
            ("\"q\"", "\"\"\"q\"\"\""),
            ("\"", "\"\"\"\""),
            ("l1\nl2", "\"l1\nl2\""),
            ("\r", "\"\r\""),
            (" pad ", " pad "),
            ("é;\t'=", "é;\t'="),
        ] {
            assert_eq!(text(&plain, cell), expected);
        }
        assert_eq!(bare(&plain, "1.10"), "1.10");
        assert_eq!(bare(&plain, "[\"x\",1]"), "\"[\"\"x\"\",1]\"");
        assert_eq!(bare(&plain, "[]"), "[]");
    }

    #[test]
    fn each_setting_does_what_it_says() {
        let semicolon = Dialect { delimiter: b';', ..Dialect::default() };
        assert_eq!((text(&semicolon, "a;b"), text(&semicolon, "a,b")), ("\"a;b\"".into(), "a,b".into()));
        let all = Dialect { quote: Quote::All, ..Dialect::default() };
        assert_eq!((text(&all, "a"), bare(&all, "1")), ("\"a\"".into(), "\"1\"".into()));
        let text_only = Dialect { quote: Quote::NonNumeric, ..Dialect::default() };
        assert_eq!((text(&text_only, "1"), bare(&text_only, "1")), ("\"1\"".into(), "1".into()));
        assert_eq!((bare(&text_only, "true"), bare(&text_only, "[1]")), ("true".into(), "\"[1]\"".into()));
        let null = Dialect { null: b"NULL".to_vec(), missing: b"-".to_vec(), ..Dialect::default() };
        assert_eq!((text(&null, "NULL"), text(&null, "-")), ("\"NULL\"".into(), "\"-\"".into()));
        let guard = Dialect { guards: true, ..Dialect::default() };
        for (cell, expected) in
            [("=1+1", "'=1+1"), ("-x,y", "\"'-x,y\""), ("\ta", "'\ta"), ("\ra", "\"'\ra\""), ("a=1", "a=1")]
        {
            assert_eq!(text(&guard, cell), expected);
        }
        assert_eq!(bare(&guard, "-1"), "-1", "a number is no formula");
        let mut header = Vec::new();
        guard.header(&[b"=1+1".to_vec(), b"a".to_vec()], &mut header);
        assert_eq!(header, b"'=1+1,a\n");
        let apostrophe = Dialect { delimiter: b'\'', ..guard };
        assert_eq!(text(&apostrophe, "=1"), "\"'=1\"");
    }

    #[test]
    fn headers_are_quoted_like_cells() {
        let cases: [(&[&str], &str); 5] = [
            (&[], ""),
            (&[""], "\"\"\n"),
            (&["a", ""], "a,\n"),
            (&["a,b", "c\"d", "e\nf"], "\"a,b\",\"c\"\"d\",\"e\nf\"\n"),
            (&["\u{feff}a", "\u{feff}b"], "\"\u{feff}a\",\u{feff}b\n"),
        ];
        for (names, expected) in cases {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut out = Vec::new();
            Dialect::default().header(&names, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
