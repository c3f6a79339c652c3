//! Of two things that are wrong the one that comes first is told, however the input is cut.

use outport_transform::JsonToCsv;
use outport_transform::codec::{Charset, Decode, Encode, Pack, Text, Unmappable, Unpack};

use crate::driving::around;
use crate::samples::{gzip, zstd};

/// The fault of a conversion that knows its columns after the first 8 bytes.
fn code(input: &[u8], decode: Decode, encode: Encode) -> &'static str {
    around(|| Box::new(JsonToCsv::new().with_front(8)), input, decode, encode, &[50]).unwrap_err().code.name
}

fn auto() -> Decode {
    Decode { compression: Unpack::Auto, charset: Charset::for_label("utf-16le") }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn wrong_text_before_the_place_of_damage() {
    let good = utf16("{\"a\":1}\n{\"a\":2}\n");
    let wrong_json = utf16("{\"a\":1}\n{\"a\":x}\n");
    let mut wrong_utf16 = utf16("{\"a\":1}\n{\"a\":");
    wrong_utf16.extend_from_slice(&[0, 0xdc, 0, 0]);
    for compress in [|bytes: &[u8]| gzip(bytes, 6), |bytes: &[u8]| zstd(bytes, 3)] {
        for (text, wanted) in [
            (&good, "transform.compression"),
            (&wrong_json, "json.syntax"),
            (&wrong_utf16, "transform.encoding"),
        ] {
            let mut input = compress(text);
            *input.last_mut().unwrap() ^= 1;
            assert_eq!(code(&input, auto(), Encode::default()), wanted);
            input.pop();
            assert_eq!(code(&input, auto(), Encode::default()), wanted);
        }
    }
}

#[test]
fn damage_before_the_place_of_wrong_text() {
    for compress in [|bytes: &[u8]| gzip(bytes, 6), |bytes: &[u8]| zstd(bytes, 3)] {
        let mut input = compress(&utf16("{\"a\":1}\n"));
        *input.last_mut().unwrap() ^= 1;
        input.extend_from_slice(&compress(&utf16("nonsense")));
        assert_eq!(code(&input, auto(), Encode::default()), "transform.compression");
    }
}

#[test]
fn an_unmappable_character_before_wrong_json() {
    let Some(Charset::Legacy(charset)) = Charset::for_label("windows-1252") else {
        panic!("a legacy encoding")
    };
    let encode =
        Encode { text: Text::Legacy { charset, unmappable: Unmappable::Refuse }, compression: Pack::Gzip };
    let decode = Decode::default();
    assert_eq!(
        code("{\"a\":1}\n{\"a\":\"語\"}\n{\"a\":x}\n".as_bytes(), decode, encode),
        "transform.encoding"
    );
    assert_eq!(code("{\"a\":1}\n{\"a\":x}\n{\"a\":\"語\"}\n".as_bytes(), decode, encode), "json.syntax");
}
