//! A second pass begins anew everywhere.

use outport_core::Fault;
use outport_transform::codec::{Charset, Decode, Encode, Pack, Text, Unicode, Unpack, wrap};
use outport_transform::{Finish, JsonToCsv, PassThrough, Summary, Transform};

use crate::driving::drive;
use crate::samples::{gzip, unpack, zstd};

/// Puts out nonsense in its first passes, and in the last one the input.
struct AtLast {
    passes_left: u32,
    bytes: u64,
}

impl Transform for AtLast {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        self.bytes += chunk.len() as u64;
        out.extend_from_slice(if self.passes_left == 1 { chunk } else { b"nonsense\n" });
        Ok(chunk.len())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        if self.passes_left == 1 {
            return Ok(Finish::Done(Summary {
                rejected: 0,
                records: None,
                columns: None,
                bytes_in: self.bytes,
                bytes_out: self.bytes,
            }));
        }
        self.passes_left -= 1;
        self.bytes = 0;
        // The first byte of two: what has been kept of it must not show in the next pass.
        out.extend_from_slice(b"cut here: \xc3");
        Ok(Finish::Again)
    }
}

/// Every way in: the text's bytes, and how they are to be read.
fn ways_in(text: &str) -> Vec<(Vec<u8>, Decode)> {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [&[0xfe, 0xff][..], &utf16].concat();
    let utf8 = Charset::Unicode(Unicode::Utf8);
    let mut ways = vec![(text.as_bytes().to_vec(), Decode::default())];
    for compression in [Unpack::AsIs, Unpack::Auto] {
        ways.push((marked.clone(), Decode { compression, charset: Some(utf8) }));
        ways.push((utf16.clone(), Decode { compression, charset: Charset::for_label("utf-16be") }));
        ways.push((text.as_bytes().to_vec(), Decode { compression, charset: Some(utf8) }));
    }
    ways.push((gzip(text.as_bytes(), 6), unpack(Unpack::Gzip)));
    ways.push((zstd(text.as_bytes(), 3), unpack(Unpack::Zstd)));
    ways.push((gzip(&marked, 6), Decode { compression: Unpack::Auto, charset: Some(utf8) }));
    ways.push((
        zstd(&utf16, 3),
        Decode { compression: Unpack::Auto, charset: Charset::for_label("utf-16be") },
    ));
    ways
}

/// Every way out.
fn ways_out() -> Vec<Encode> {
    let mut ways = Vec::new();
    for compression in [Pack::AsIs, Pack::Gzip, Pack::Zstd] {
        for (form, bom) in [(Unicode::Utf8, false), (Unicode::Utf8, true), (Unicode::Utf16Le, true)] {
            ways.push(Encode { text: Text::Unicode { form, bom }, compression });
        }
    }
    ways
}

/// What a way out has made, as UTF-8 again.
fn back(bytes: &[u8], encode: Encode) -> String {
    let compression = match encode.compression {
        Pack::AsIs => Unpack::AsIs,
        Pack::Gzip => Unpack::Gzip,
        Pack::Zstd => Unpack::Zstd,
    };
    let decode = Decode { compression, charset: Some(Charset::Unicode(Unicode::Utf8)) };
    let mut transform = wrap(Box::new(PassThrough::new()), decode, Encode::default());
    let text = String::from_utf8(drive(transform.as_mut(), bytes, &[bytes.len()]).unwrap().0).unwrap();
    let has_mark = encode.text == Text::Unicode { form: Unicode::Utf8, bom: true };
    assert_eq!(text.starts_with('\u{feff}'), has_mark, "{encode:?}");
    text.trim_start_matches('\u{feff}').to_owned()
}

#[test]
fn nothing_of_a_void_pass_is_left() {
    let text = "line 1\nline 2: é\n";
    for (input, decode) in ways_in(text) {
        for encode in ways_out() {
            for passes_left in 1..4 {
                let mut transform = wrap(Box::new(AtLast { passes_left, bytes: 0 }), decode, encode);
                let (out, _) = drive(transform.as_mut(), &input, &[4]).unwrap();
                assert_eq!(back(&out, encode), text, "{decode:?} {encode:?} {passes_left}");
            }
        }
    }
}

#[test]
fn a_late_column_comes_in_a_second_pass() {
    let json = "{\"id\":1}\n{\"id\":2,\"größe\":\"8½\"}\n";
    for (input, decode) in ways_in(json) {
        for encode in ways_out() {
            for lengths in [&[1][..], &[input.len()]] {
                let inner = Box::new(JsonToCsv::new().with_front(1));
                let (out, summary) = drive(wrap(inner, decode, encode).as_mut(), &input, lengths).unwrap();
                assert_eq!(back(&out, encode), "id,größe\n1,\n2,8½\n", "{decode:?} {encode:?}");
                assert_eq!((summary.records, summary.columns), (Some(2), Some(2)));
            }
        }
    }
}

#[test]
fn where_output_cannot_be_taken_back_nothing_is_put_out_too_early() {
    let json = "{\"id\":1}\n".repeat(500) + "{\"late\":2}\n";
    for (input, decode) in ways_in(&json) {
        for encode in ways_out() {
            let mut transform = wrap(Box::new(JsonToCsv::new().with_front(1)), decode, encode);
            transform.write_once();
            let mut out = Vec::new();
            let mut passes = 0;
            loop {
                passes += 1;
                let mut rest = &input[..];
                while !rest.is_empty() {
                    rest = &rest[transform.push(rest, &mut out).unwrap()..];
                }
                match transform.finish(&mut out).unwrap() {
                    Finish::Again => assert!(out.is_empty(), "{} bytes of {encode:?}", out.len()),
                    Finish::Done(_) => break,
                    Finish::More => panic!("so little fits"),
                }
            }
            assert_eq!(passes, 2);
            assert_eq!(back(&out, encode).lines().count(), 502);
        }
    }
}

#[test]
fn threads_are_for_the_transform_within() {
    struct Asked(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl Transform for Asked {
        fn use_threads(&mut self, threads: usize) {
            self.0.store(threads, std::sync::atomic::Ordering::Relaxed);
        }
        fn push(&mut self, chunk: &[u8], _: &mut Vec<u8>) -> Result<usize, Fault> {
            Ok(chunk.len())
        }
        fn finish(&mut self, _: &mut Vec<u8>) -> Result<Finish, Fault> {
            Ok(Finish::Again)
        }
    }
    for (_, decode) in ways_in("") {
        for encode in ways_out() {
            let asked = std::sync::Arc::default();
            wrap(Box::new(Asked(std::sync::Arc::clone(&asked))), decode, encode).use_threads(3);
            assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 3, "{decode:?} {encode:?}");
        }
    }
}
