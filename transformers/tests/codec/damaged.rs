//! Compressed input that is not in order.

use outport_core::code;
use outport_transform::JsonToCsv;
use outport_transform::codec::{Encode, Unpack};
use proptest::prelude::*;

use crate::driving::{Outcome, around, through};
use crate::samples::{any_bytes, any_cuts, gzip, skippable, unpack, zstd};

fn outcome(input: &[u8], compression: Unpack) -> Outcome {
    through(input, unpack(compression), Encode::default(), &[5])
}

fn fault(input: &[u8], compression: Unpack) -> String {
    let fault = outcome(input, compression).expect_err("nothing of it may come out");
    assert_eq!(fault.code, &code::TRANSFORM_COMPRESSION);
    fault.message
}

const PLAIN: [&[u8]; 3] =
    [b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", b"", b"{\"b\":\"\x00\x01\x02\xf0 not that regular\"}\n"];

#[test]
fn cut_off_at_any_byte_it_is_a_fault() {
    let gzipped = PLAIN.map(|part| gzip(part, 6));
    let zstandard = PLAIN.map(|part| zstd(part, 3));
    for (parts, format, compression) in [(gzipped, "gzip", Unpack::Gzip), (zstandard, "zstd", Unpack::Zstd)] {
        let input = parts.concat();
        let (mut begun, mut whole_parts) = (0, 0);
        for at in 0..input.len() {
            if at == begun + parts[whole_parts].len() {
                begun = at;
                whole_parts += 1;
            }
            if at == begun && at > 0 {
                // What is left are whole parts: nothing shows that there were more.
                assert_eq!(outcome(&input[..at], compression).unwrap(), PLAIN[..whole_parts].concat());
                continue;
            }
            let cause = match at {
                0 => "the input is empty".to_owned(),
                _ => format!("it ends at byte {at}, inside the part that begins at byte {begun}"),
            };
            let wanted = format!("could not decompress the input as {format}: {cause}");
            assert_eq!(fault(&input[..at], compression), wanted);
            // One byte of it and three may still be something else.
            if at > 3 {
                assert_eq!(fault(&input[..at], Unpack::Auto), wanted);
            }
        }
    }
    let skip = skippable(0, b"12345");
    for at in 1..skip.len() {
        assert!(fault(&skip[..at], Unpack::Zstd).contains(&format!("ends at byte {at}, inside")));
    }
}

#[test]
fn with_any_bit_wrong_nothing_else_comes_out() {
    let plain = PLAIN.concat();
    for (input, compression, harmless) in [
        // Time (32 bits), extra flags and operating system (16), the flag for text (1).
        (gzip(&plain, 6), Unpack::Gzip, 49),
        (gzip(&plain, 0), Unpack::Gzip, 49),
        (zstd(&plain, 3), Unpack::Zstd, 0),
        (zstd(&[7; 5000], 3), Unpack::Zstd, 0),
    ] {
        let right = outcome(&input, compression).unwrap();
        let mut passed = 0;
        for bit in 0..input.len() * 8 {
            let mut wrong = input.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            match outcome(&wrong, compression) {
                Ok(out) => {
                    assert_eq!(out, right, "bit {bit} of {compression:?}");
                    passed += 1;
                }
                Err(fault) => assert_eq!(fault.code, &code::TRANSFORM_COMPRESSION),
            }
        }
        assert!(passed <= harmless + 8, "{passed} of {} bits passed in {compression:?}", input.len() * 8);
    }
}

#[test]
fn whatever_stands_behind_the_last_part_is_a_fault() {
    let (gzipped, zstandard) = (gzip(PLAIN[0], 6), zstd(PLAIN[0], 3));
    for tail in [&b"\0"[..], b"\0\0\0\0\0\0\0\0", b"\n", b"{\"a\":4}\n", b"\x1e\x8b\x08", b"(\xb5/\xfc"] {
        for (part, compression) in [(&gzipped, Unpack::Gzip), (&zstandard, Unpack::Zstd)] {
            let message = fault(&[&part[..], tail].concat(), compression);
            let wanted = format!("at byte {} it goes on with something else", part.len());
            assert!(message.ends_with(&wanted), "{message}");
        }
    }
    assert!(fault(&[&gzipped[..], &zstandard].concat(), Unpack::Auto).contains("something else"));
    assert!(fault(&[&zstandard[..], &gzipped].concat(), Unpack::Auto).contains("something else"));
}

#[test]
fn what_is_not_compressed_so_is_told_apart_from_damage() {
    for input in [&b"{\"a\":1}\n"[..], b"\x1f\x8c\x08", b"P*Mx", &[0; 100]] {
        for compression in [Unpack::Gzip, Unpack::Zstd] {
            let message = fault(input, compression);
            assert!(message.ends_with("its first bytes are not those of such a file"), "{message}");
        }
    }
    assert!(fault(&zstd(b"x", 3), Unpack::Gzip).contains("its first bytes"));
    assert!(fault(&gzip(b"x", 6), Unpack::Zstd).contains("its first bytes"));
}

#[test]
fn wrong_checks_are_told_by_name() {
    let good = gzip(PLAIN[0], 6);
    let with = |from_end: usize| {
        let mut bad = [&good[..], &good].concat();
        let at = bad.len() - from_end;
        bad[at] ^= 0x10;
        fault(&bad, Unpack::Gzip)
    };
    let part = format!("the part that begins at byte {} is damaged", good.len());
    assert!(with(8).ends_with(&format!("{part}: its checksum is wrong")));
    assert!(with(1).ends_with(&format!("{part}: its length is wrong")));

    let mut bad = zstd(PLAIN[2], 3);
    *bad.last_mut().unwrap() ^= 1;
    assert!(fault(&bad, Unpack::Zstd).ends_with("begins at byte 0 is damaged: its checksum is wrong"));
}

/// A zstd frame of nothing (RFC 8878, section 3.1.1): magic, these header bytes, one last raw block without bytes.
fn frame_of_nothing(header: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd][..], header, &[1, 0, 0]].concat()
}

#[test]
fn a_window_of_more_than_128_mib_is_refused() {
    let window = |exponent: u8, mantissa: u8| frame_of_nothing(&[0, (exponent - 10) << 3 | mantissa]);
    assert_eq!(outcome(&window(10, 0), Unpack::Zstd).unwrap(), b"");
    assert_eq!(outcome(&window(27, 0), Unpack::Zstd).unwrap(), b"", "128 MiB to the byte");
    for too_large in [window(27, 1), window(28, 0), window(41, 7)] {
        let fault = outcome(&too_large, Unpack::Auto).unwrap_err();
        assert!(fault.message.ends_with("byte 0 has a window of more than 128 MiB"), "{fault}");
        assert!(fault.hint().contains("--long=27"), "{}", fault.hint());
    }
}

#[test]
fn a_dictionary_is_asked_for_in_vain() {
    let message = fault(&frame_of_nothing(&[1, 0, 77]), Unpack::Zstd);
    assert!(message.ends_with("byte 0 needs a dictionary"), "{message}");
}

#[test]
fn a_reserved_bit_is_no_header() {
    let message = fault(&frame_of_nothing(&[0x08, 0]), Unpack::Zstd);
    assert!(message.ends_with("the header of the part that begins at byte 0 is damaged"), "{message}");
    let mut bad = gzip(b"", 6);
    bad[3] = 0x40;
    let message = fault(&bad, Unpack::Gzip);
    assert!(message.ends_with("the header of the part that begins at byte 0 is damaged"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `around` checks that the outcome, fault and place, is the same however the input is cut.
    #[test]
    fn bytes_written_over_give_one_outcome(
        records in 1..400_u32, level in 0..9_u32, wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        is_zstd in any::<bool>(), cuts in any_cuts()
    ) {
        let json: String = (0..records).map(|n| format!("{{\"id\":{n},\"text\":\"{:x}\"}}\n", n.wrapping_mul(n * 77))).collect();
        let mut input = if is_zstd { zstd(json.as_bytes(), level as i32) } else { gzip(json.as_bytes(), level) };
        for (place, byte) in wrong {
            let at = place.index(input.len());
            input[at] = byte;
        }
        let inner = || Box::new(JsonToCsv::new().with_front(50)) as _;
        let outcome = around(inner, &input, unpack(Unpack::Auto), Encode::default(), &cuts);
        if let Ok(csv) = outcome {
            prop_assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), records as usize + 1);
        }
    }

    #[test]
    fn anything_behind_a_mark_gives_one_outcome(bytes in any_bytes(), kind in 0..3_usize, cuts in any_cuts()) {
        let mark = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0x28, 0xb5, 0x2f, 0xfd], &[0x53, 0x2a, 0x4d, 0x18]][kind];
        let input = [mark, &bytes].concat();
        let outcome = through(&input, unpack(Unpack::Auto), Encode::default(), &cuts);
        if let Err(fault) = outcome {
            prop_assert_eq!(fault.code, &code::TRANSFORM_COMPRESSION);
        }
    }
}
