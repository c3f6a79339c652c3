//! Compressed input that is in order.

use outport_transform::codec::{Encode, Unpack};
use proptest::prelude::*;

use crate::driving::through;
use crate::samples::{any_bytes, any_cuts, gzip, skippable, unpack, zstd};

fn unpacked(input: &[u8], compression: Unpack, cuts: &[usize]) -> Vec<u8> {
    through(input, unpack(compression), Encode::default(), cuts).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn members_of_gzip_come_out_one_after_the_other(
        parts in prop::collection::vec((any_bytes(), 0..10_u32), 1..4), cuts in any_cuts()
    ) {
        let input: Vec<u8> = parts.iter().flat_map(|(bytes, level)| gzip(bytes, *level)).collect();
        let plain: Vec<u8> = parts.into_iter().flat_map(|(bytes, _)| bytes).collect();
        prop_assert!(unpacked(&input, Unpack::Gzip, &cuts) == plain);
        prop_assert!(unpacked(&input, Unpack::Auto, &cuts) == plain);
    }

    #[test]
    fn frames_of_zstd_come_out_one_after_the_other(
        parts in prop::collection::vec((any_bytes(), -3..8_i32), 1..4), cuts in any_cuts()
    ) {
        let input: Vec<u8> = parts.iter().flat_map(|(bytes, level)| zstd(bytes, *level)).collect();
        let plain: Vec<u8> = parts.into_iter().flat_map(|(bytes, _)| bytes).collect();
        prop_assert!(unpacked(&input, Unpack::Zstd, &cuts) == plain);
        prop_assert!(unpacked(&input, Unpack::Auto, &cuts) == plain);
    }

    #[test]
    fn what_is_not_compressed_goes_on_as_it_is(bytes in any_bytes(), cuts in any_cuts()) {
        let is_marked = [&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd]].iter().any(|mark| bytes.starts_with(mark));
        prop_assume!(!is_marked);
        prop_assert!(unpacked(&bytes, Unpack::Auto, &cuts) == bytes);
    }
}

#[test]
fn a_front_that_is_nearly_a_mark_goes_on_as_it_is() {
    for input in
        [&b""[..], b"\x1f", b"(", b"(\xb5", b"(\xb5/", b"P", b"P*M", b"(\xb5/x", b"P*M\x17", b"\x1f\x8a"]
    {
        assert_eq!(unpacked(input, Unpack::Auto, &[1]), input);
    }
}

#[test]
fn frames_to_be_skipped_are_skipped_wherever_they_stand() {
    let (a, b) = (zstd(b"first ", 3), zstd(b"second", 3));
    for content in [&b""[..], b"x", &[7; 70_000]] {
        for kind in [0, 15] {
            let skip = skippable(kind, content);
            for input in [
                [&skip[..], &a, &b].concat(),
                [&a[..], &skip, &b].concat(),
                [&a[..], &b, &skip].concat(),
                [&skip[..], &skip, &a, &skip, &skip, &b, &skip].concat(),
            ] {
                assert_eq!(unpacked(&input, Unpack::Zstd, &[5000]), b"first second");
                assert_eq!(unpacked(&input, Unpack::Auto, &[5000]), b"first second");
            }
            assert_eq!(unpacked(&skip, Unpack::Zstd, &[5000]), b"", "and nothing else is nothing");
        }
    }
}

#[test]
fn long_parts_and_every_field_of_a_header() {
    let plain: Vec<u8> =
        (0..300_000_u32).flat_map(|n| format!("{{\"id\":{}}}\n", n.wrapping_mul(n)).into_bytes()).collect();
    let mut encoder = flate2::GzBuilder::new()
        .filename("long.ndjson")
        .comment("made for a test")
        .extra(vec![1; 70])
        .mtime(1_700_000_000)
        .write(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &plain).unwrap();
    assert!(unpacked(&encoder.finish().unwrap(), Unpack::Auto, &[1013]) == plain);
    assert!(unpacked(&zstd(&plain, 19), Unpack::Auto, &[1013]) == plain);
}

#[test]
fn an_empty_part_holds_nothing() {
    assert_eq!(unpacked(&gzip(b"", 6), Unpack::Auto, &[1]), b"");
    assert_eq!(unpacked(&zstd(b"", 3), Unpack::Auto, &[1]), b"");
}
