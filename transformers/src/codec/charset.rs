//! Which text encoding.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// A text encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// One that has all characters.
    Unicode(Unicode),
    /// One from before Unicode.
    Legacy(Legacy),
}

/// A form of Unicode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unicode {
    /// UTF-8.
    Utf8,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
}

/// A text encoding from before Unicode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legacy(&'static Encoding);

impl Charset {
    /// The encoding with this label, as the [WHATWG Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels) has it:
    /// `windows-1252`, `shift_jis`, `gb18030`, `utf-16be`, in any case. In that standard `iso-8859-1`, `latin1` and `ascii` are other names
    /// of `windows-1252`, and `utf-16` of `utf-16le`. None: there is no such label, or it is one that the standard keeps only to refuse it
    /// (`iso-2022-kr`, `hz-gb-2312`).
    ///
    /// ```
    /// use outport_transform::codec::Charset;
    /// assert_eq!(Charset::for_label("Latin1").unwrap().name(), "windows-1252");
    /// assert_eq!(Charset::for_label("ebcdic"), None);
    /// ```
    pub fn for_label(label: &str) -> Option<Self> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        Some(if encoding == UTF_8 {
            Self::Unicode(Unicode::Utf8)
        } else if encoding == UTF_16LE {
            Self::Unicode(Unicode::Utf16Le)
        } else if encoding == UTF_16BE {
            Self::Unicode(Unicode::Utf16Be)
        } else {
            Self::Legacy(Legacy(encoding))
        })
    }

    /// The name of the encoding in that standard.
    pub fn name(self) -> &'static str {
        self.encoding().name()
    }

    pub(super) fn encoding(self) -> &'static Encoding {
        match self {
            Self::Unicode(Unicode::Utf8) => UTF_8,
            Self::Unicode(Unicode::Utf16Le) => UTF_16LE,
            Self::Unicode(Unicode::Utf16Be) => UTF_16BE,
            Self::Legacy(Legacy(encoding)) => encoding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_standard() {
        let cases = [
            ("utf8", Some("UTF-8")),
            (" UTF-16 ", Some("UTF-16LE")),
            ("utf-16be", Some("UTF-16BE")),
            ("ISO-8859-1", Some("windows-1252")),
            ("iso-8859-15", Some("ISO-8859-15")),
            ("sjis", Some("Shift_JIS")),
            ("gb2312", Some("GBK")),
            ("cp437", None),
            ("iso-2022-kr", None),
            ("replacement", None),
            ("", None),
        ];
        for (label, name) in cases {
            assert_eq!(Charset::for_label(label).map(Charset::name), name, "{label:?}");
        }
    }
}
