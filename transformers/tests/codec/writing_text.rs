//! Output in other encodings than UTF-8.

use outport_core::code;
use outport_transform::codec::{Charset, Decode, Encode, Pack, Text, Unicode, Unmappable};
use proptest::prelude::*;

use crate::driving::{Outcome, through};
use crate::reading_text::{LABELS, any_text, charset};
use crate::samples::any_cuts;

fn write(text: &[u8], as_text: Text, cuts: &[usize]) -> Outcome {
    through(text, Decode::default(), Encode { text: as_text, compression: Pack::AsIs }, cuts)
}

fn legacy(label: &str, unmappable: Unmappable) -> Option<Text> {
    match charset(label) {
        Charset::Legacy(charset) => Some(Text::Legacy { charset, unmappable }),
        Charset::Unicode(_) => None,
    }
}

/// Whether the library has a place for this character, and not one that it shares with another (private ones aside).
fn is_mapped(character: char, encoding: &'static encoding_rs::Encoding) -> bool {
    let mut text = [0; 4];
    let text: &str = character.encode_utf8(&mut text);
    let (bytes, _, lacks) = encoding.encode(text);
    let is_private = ('\u{e000}'..='\u{f8ff}').contains(&character);
    !lacks && (is_private || encoding.decode_without_bom_handling(&bytes).0 == text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn text_is_written_as_the_library_does_in_one_go(
        text in any_text(), label in prop::sample::select(&LABELS[..]), cuts in any_cuts()
    ) {
        let (Some(refuse), Some(replace)) =
            (legacy(label, Unmappable::Refuse), legacy(label, Unmappable::QuestionMark)) else { return Ok(()) };
        prop_assume!(!text.starts_with('\u{feff}'));
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let mapped: String = text.chars().filter(|&character| is_mapped(character, encoding)).collect();
        let (whole, _, _) = encoding.encode(&mapped);
        prop_assert_eq!(&write(mapped.as_bytes(), refuse, &cuts).unwrap()[..], &whole[..]);

        let replaced: String = text.chars().map(|it| if is_mapped(it, encoding) { it } else { '?' }).collect();
        let (whole, _, _) = encoding.encode(&replaced);
        let ours = write(text.as_bytes(), replace, &cuts).unwrap();
        // An encoder with states may change them at other places; what is read is the same.
        if label == "iso-2022-jp" {
            prop_assert_eq!(encoding.decode(&ours).0, encoding.decode(&whole).0);
        } else {
            prop_assert_eq!(&ours[..], &whole[..]);
        }

        let lacking = text.chars().position(|character| !is_mapped(character, encoding));
        match (lacking, write(text.as_bytes(), refuse, &cuts)) {
            (None, Ok(_)) => {}
            (Some(place), Err(fault)) => {
                let line = text.chars().take(place).filter(|&character| character == '\n').count() + 1;
                prop_assert_eq!(fault.code, &code::TRANSFORM_ENCODING);
                let wanted = format!(": line {line} has a character that it lacks");
                prop_assert!(fault.message.ends_with(&wanted), "{}", fault);
            }
            (place, ours) => prop_assert!(false, "{place:?} {ours:?}"),
        }
    }

    #[test]
    fn utf_16_is_that_of_the_standard_library(text in any_text(), cuts in any_cuts()) {
        prop_assume!(!text.starts_with('\u{feff}'));
        for bom in [false, true] {
            let units = text.encode_utf16();
            let units: Vec<u16> = bom.then_some(0xfeff).into_iter().chain(units).collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            let le = Text::Unicode { form: Unicode::Utf16Le, bom };
            let be = Text::Unicode { form: Unicode::Utf16Be, bom };
            prop_assert_eq!(write(text.as_bytes(), le, &cuts).unwrap(), little);
            prop_assert_eq!(write(text.as_bytes(), be, &cuts).unwrap(), big);
        }
        let utf8 = Text::Unicode { form: Unicode::Utf8, bom: true };
        prop_assert_eq!(write(text.as_bytes(), utf8, &cuts).unwrap(), format!("\u{feff}{text}").into_bytes());
    }
}

#[test]
fn marks_are_written_once_and_only_where_asked_for() {
    let cases: [(Unicode, bool, &[u8], &[u8]); 5] = [
        (Unicode::Utf8, true, b"\xef\xbb\xbf", b"\xef\xbb\xbfa"),
        (Unicode::Utf16Le, true, b"\xff\xfe", b"\xff\xfea\0"),
        (Unicode::Utf16Be, true, b"\xfe\xff", b"\xfe\xff\0a"),
        (Unicode::Utf16Le, false, b"", b"a\0"),
        (Unicode::Utf16Be, false, b"", b"\0a"),
    ];
    for (form, bom, of_nothing, of_a) in cases {
        let text = Text::Unicode { form, bom };
        assert_eq!(write(b"", text, &[1]).unwrap(), of_nothing, "{text:?}");
        assert_eq!(write(b"a", text, &[1]).unwrap(), of_a, "{text:?}");
        assert_eq!(
            write("\u{feff}a".as_bytes(), text, &[1]).unwrap(),
            of_a,
            "{text:?}: its own mark is no text"
        );
        assert_eq!(write("\u{feff}".as_bytes(), text, &[1]).unwrap(), of_nothing, "{text:?}");
    }
    let latin = legacy("windows-1252", Unmappable::Refuse).unwrap();
    assert_eq!(write("\u{feff}é".as_bytes(), latin, &[1]).unwrap(), b"\xe9");
}

#[test]
fn iso_2022_jp_goes_back_to_ascii_at_the_end() {
    let text = legacy("iso-2022-jp", Unmappable::QuestionMark).unwrap();
    assert_eq!(write("語".as_bytes(), text, &[1]).unwrap(), b"\x1b$B8l\x1b(B");
    assert_eq!(write("語😀語".as_bytes(), text, &[1]).unwrap(), b"\x1b$B8l\x1b(B?\x1b$B8l\x1b(B");
}

#[test]
fn what_is_not_utf_8_is_told_with_its_line() {
    let all = [
        Text::Unicode { form: Unicode::Utf8, bom: true },
        Text::Unicode { form: Unicode::Utf16Le, bom: false },
        legacy("windows-1252", Unmappable::QuestionMark).unwrap(),
    ];
    for text in all {
        for wrong in [
            &b"a\nb\n\xe9c"[..],
            b"a\nb\nc\xc3",
            b"\n\n\xf0\x9f\x98x",
            b"\n\n\xed\xa0\x80",
            b"\n\n\xc3\n\xa9",
        ] {
            let fault = write(wrong, text, &[1]).unwrap_err();
            assert_eq!(fault.code, &code::TRANSFORM_ENCODING);
            assert!(fault.message.ends_with(": line 3 is not UTF-8 to begin with"), "{fault}");
        }
    }
}

#[test]
fn a_long_output_is_written_in_portions() {
    let text = "größer 語 😀\n".repeat(60_000);
    let (whole, _, _) = encoding_rs::GB18030.encode(&text);
    let as_text = legacy("gb18030", Unmappable::Refuse).unwrap();
    assert!(write(text.as_bytes(), as_text, &[1 << 18]).unwrap() == *whole);
    let as_text = legacy("windows-1252", Unmappable::QuestionMark).unwrap();
    let lacking: String = "größer ? ?\n".repeat(60_000);
    let (whole, _, _) = encoding_rs::WINDOWS_1252.encode(&lacking);
    assert!(write(text.as_bytes(), as_text, &[1 << 18]).unwrap() == *whole);
}
