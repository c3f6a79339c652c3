//! Compressed output.

use std::io::Read;

use outport_transform::codec::{Decode, Encode, Pack, wrap};
use outport_transform::{PassThrough, Summary, Transform};
use proptest::prelude::*;

use crate::driving::{drive, through};
use crate::samples::{any_bytes, any_cuts};

fn packed(input: &[u8], compression: Pack, cuts: &[usize]) -> Vec<u8> {
    through(input, Decode::default(), Encode { compression, ..Encode::default() }, cuts).unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), bytes);
    flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut plain).unwrap();
    assert!(rest.is_empty(), "one member");
    plain
}

fn unzstd(bytes: &[u8], size: usize) -> Vec<u8> {
    assert_eq!(zstd_safe::find_frame_compressed_size(bytes), Ok(bytes.len()), "one frame");
    let mut plain = Vec::with_capacity(size);
    zstd_safe::decompress(&mut plain, bytes).unwrap();
    plain
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// `through` checks that the compressed bytes are the same however the input is cut.
    #[test]
    fn the_library_reads_back_what_went_in(bytes in any_bytes(), cuts in any_cuts()) {
        prop_assert!(gunzip(&packed(&bytes, Pack::Gzip, &cuts)) == bytes);
        prop_assert!(unzstd(&packed(&bytes, Pack::Zstd, &cuts), bytes.len()) == bytes);
    }
}

#[test]
fn long_output_is_the_same_however_the_input_was_cut() {
    let mut plain = Vec::new();
    let mut seed = 1_u64;
    while plain.len() < 5_000_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        plain.extend_from_slice(format!("{},name {},{}\n", seed >> 40, seed >> 60, seed >> 20).as_bytes());
    }
    for compression in [Pack::Gzip, Pack::Zstd] {
        let mut results = [5_000_000, 1 << 18, 65_537, 8191, 100].map(|length| {
            let encode = Encode { compression, ..Encode::default() };
            let mut transform = wrap(Box::new(PassThrough::new()), Decode::default(), encode);
            drive(transform.as_mut(), &plain, &[length, 1]).unwrap().0
        });
        results.sort();
        assert!(results.first() == results.last(), "{compression:?}");
        assert!(results[0].len() < plain.len() / 2, "{compression:?}: {} bytes", results[0].len());
    }
}

#[test]
fn nothing_is_an_empty_part() {
    assert_eq!(gunzip(&packed(b"", Pack::Gzip, &[1])), b"");
    assert_eq!(unzstd(&packed(b"", Pack::Zstd, &[1]), 0), b"");
}

#[test]
fn nothing_of_the_time_or_the_machine_is_written() {
    assert_eq!(packed(b"x", Pack::Gzip, &[1])[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn a_checksum_is_written() {
    // RFC 8878, section 3.1.1.1.1: bit 2 of the byte behind the magic.
    assert_eq!(packed(b"x", Pack::Zstd, &[1])[4] & 4, 4);
}

#[test]
fn asked_for_nothing_it_is_the_transform_itself() {
    let inner: Box<dyn Transform> = Box::new(PassThrough::new());
    let address = std::ptr::from_ref(inner.as_ref()).cast::<()>();
    let wrapped = wrap(inner, Decode::default(), Encode::default());
    assert_eq!(std::ptr::from_ref(wrapped.as_ref()).cast::<()>(), address);
}

#[test]
fn the_summary_counts_outside_and_keeps_what_is_inside() {
    let json = b"{\"a\":1,\"b\":2}\n".repeat(1000);
    let input = crate::samples::gzip(&json, 6);
    let decode = crate::samples::unpack(outport_transform::codec::Unpack::Auto);
    let encode = Encode { compression: Pack::Zstd, ..Encode::default() };
    let mut transform = wrap(Box::new(outport_transform::JsonToCsv::new()), decode, encode);
    let (out, summary) = drive(transform.as_mut(), &input, &[100]).unwrap();
    let (bytes_in, bytes_out) = (input.len() as u64, out.len() as u64);
    assert_eq!(summary, Summary { records: Some(1000), rejected: 0, columns: Some(2), bytes_in, bytes_out });
}
