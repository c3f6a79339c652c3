//! Input in other encodings than UTF-8.

use outport_core::code;
use outport_transform::codec::{Charset, Decode, Encode, Unpack};
use proptest::prelude::*;

use crate::driving::{Outcome, through};
use crate::samples::any_cuts;

/// One label of each encoding that the standard has (`replacement` and its labels aside).
pub const LABELS: [&str; 39] = [
    "utf-8",
    "ibm866",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-8-i",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "koi8-r",
    "koi8-u",
    "macintosh",
    "windows-874",
    "windows-1250",
    "windows-1251",
    "iso-8859-1",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "x-mac-cyrillic",
    "gbk",
    "gb18030",
    "big5",
    "euc-jp",
    "iso-2022-jp",
    "shift_jis",
    "euc-kr",
    "utf-16be",
    "utf-16le",
    "x-user-defined",
];

pub fn charset(label: &str) -> Charset {
    Charset::for_label(label).unwrap_or_else(|| panic!("{label} is a label"))
}

fn library(label: &str) -> &'static encoding_rs::Encoding {
    encoding_rs::Encoding::for_label(label.as_bytes()).unwrap()
}

fn read(input: &[u8], label: &str, cuts: &[usize]) -> Outcome {
    let decode = Decode { compression: Unpack::AsIs, charset: Some(charset(label)) };
    through(input, decode, Encode::default(), cuts)
}

fn has_mark(bytes: &[u8]) -> bool {
    [&[0xff, 0xfe][..], &[0xfe, 0xff], &[0xef, 0xbb, 0xbf]].iter().any(|mark| bytes.starts_with(mark))
}

/// Characters of many scripts, most of them in some old encoding.
pub fn any_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::char::range('\0', '\u{7f}'),
        2 => prop::char::range('\u{80}', '\u{5ff}'),
        2 => prop::char::range('\u{3040}', '\u{30ff}'),
        2 => prop::char::range('\u{4e00}', '\u{9fff}'),
        1 => prop::char::range('\u{ac00}', '\u{d7a3}'),
        1 => any::<char>(),
        1 => Just('\n'),
    ];
    prop::collection::vec(character, 0..200).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn text_is_what_the_library_reads_in_one_go(
        text in any_text(), label in prop::sample::select(&LABELS[..]), cuts in any_cuts()
    ) {
        let bytes = match label {
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            // Unmappable characters become `&#...;`, which is text too.
            _ => library(label).encode(&text).0.into_owned(),
        };
        prop_assume!(!has_mark(&bytes));
        let whole = library(label).decode_without_bom_handling_and_without_replacement(&bytes);
        let whole = whole.expect("it was encoded by the library");
        prop_assert_eq!(read(&bytes, label, &cuts).unwrap(), whole.as_bytes());
    }

    #[test]
    fn bytes_are_text_or_a_fault_as_for_the_library(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x20..0x7f_u8, 0x80..0xa0_u8], 0..60),
        label in prop::sample::select(&LABELS[1..]), cuts in any_cuts()
    ) {
        prop_assume!(!has_mark(&bytes));
        let whole = library(label).decode_without_bom_handling_and_without_replacement(&bytes);
        match (read(&bytes, label, &cuts), whole) {
            (Ok(text), Some(whole)) => prop_assert_eq!(&text[..], whole.as_bytes()),
            (Err(fault), None) => prop_assert_eq!(fault.code, &code::TRANSFORM_ENCODING),
            (ours, whole) => prop_assert!(false, "{ours:?}, the library {whole:?}"),
        }
    }

    #[test]
    fn utf_8_goes_on_as_it_is_right_or_wrong(bytes in prop::collection::vec(any::<u8>(), 0..60), cuts in any_cuts()) {
        prop_assume!(!bytes.starts_with(&[0xff, 0xfe]) && !bytes.starts_with(&[0xfe, 0xff]));
        prop_assert_eq!(read(&bytes, "utf-8", &cuts).unwrap(), bytes);
    }
}

#[test]
fn a_long_text_is_read_in_portions() {
    let text = "größer 語 😀\n".repeat(60_000);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(read(&utf16, "utf-16le", &[1 << 18]).unwrap() == text.as_bytes());
    let (gb, _, _) = encoding_rs::GB18030.encode(&text);
    assert!(read(&gb, "gb18030", &[1 << 18]).unwrap() == text.as_bytes());
}

#[test]
fn what_is_no_character_is_a_fault_with_its_place() {
    let cases: [(&str, &[u8], u64); 16] = [
        ("windows-1253", b"ab\xd2cd", 2),
        ("iso-8859-8", b"\xa1", 0),
        ("shift_jis", b"abc\x81", 3),
        ("shift_jis", b"abc\x82\xffd", 3),
        ("shift_jis", b"\x83\x41\xa0", 2),
        ("gb18030", b"a\x81\x30\x81", 1),
        ("gb18030", b"ab\xff", 2),
        ("gb18030", b"a\x84\x31\xa5\x30", 1),
        ("euc-kr", b"abcd\xb0", 4),
        ("big5", b"ab\x81\x40c", 2),
        ("iso-2022-jp", b"ab\x1b$Z", 2),
        ("utf-16le", b"a\0b", 2),
        ("utf-16le", b"a\0\x00\xdcb\0", 2),
        ("utf-16be", b"\0a\xd8\x00\0b", 2),
        ("utf-16be", b"\0a\xd8\x00", 2),
        // The mark in front counts: the place is one of the file.
        ("utf-8", b"\xff\xfea\0\x00\xdc", 4),
    ];
    for (label, input, byte) in cases {
        let fault = read(input, label, &[1]).unwrap_err();
        assert_eq!(fault.code, &code::TRANSFORM_ENCODING);
        let wanted = format!(": the bytes at byte {byte} of the text are no character in it");
        assert!(fault.message.ends_with(&wanted), "{label} {}: {fault}", input.escape_ascii());
    }
}

#[test]
fn a_mark_in_front_says_more_than_the_label() {
    for label in LABELS {
        assert_eq!(read(b"\xff\xfea\0\xe9\0", label, &[1]).unwrap(), "aé".as_bytes(), "{label}");
        assert_eq!(read(b"\xfe\xff\0a\0\xe9", label, &[1]).unwrap(), "aé".as_bytes(), "{label}");
        assert_eq!(read("\u{feff}aé".as_bytes(), label, &[1]).unwrap(), "\u{feff}aé".as_bytes(), "{label}");
        assert_eq!(read(b"\xff\xfe", label, &[1]).unwrap(), b"", "{label}");
    }
    assert_eq!(read(b"\xef\xbb", "windows-1252", &[1]).unwrap(), "ï»".as_bytes(), "most of one");
    assert_eq!(read(b"\xfe", "windows-1252", &[1]).unwrap(), "þ".as_bytes(), "half of one");
}

#[test]
fn a_second_mark_is_a_character() {
    assert_eq!(read(b"\xff\xfe\xff\xfea\0", "utf-8", &[1]).unwrap(), "\u{feff}a".as_bytes());
}
