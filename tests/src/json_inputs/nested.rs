//! Records with three levels of objects, arrays of strings and an array of objects: what FHIR looks like.

use super::flat::{FIRST_NAMES, LAST_NAMES, NOTES};
use super::put;
use super::random::Random;

pub(super) fn record(random: &mut Random, number: u64, out: &mut Vec<u8>) {
    put!(out, "{{\"id\":{number},\"patient\":{{\"mrn\":\"MRN{:09}\"", random.below(1_000_000_000));
    let (first, last) = (random.one_of(&FIRST_NAMES), random.one_of(&LAST_NAMES));
    put!(out, ",\"name\":{{\"first\":\"{first}\",\"last\":\"{last}\"}}");
    put!(out, ",\"address\":{{\"line\":[\"{} Main St\",\"Apt {}\"]", random.below(9_999), random.below(99));
    put!(out, ",\"city\":\"Springfield\",\"zip\":\"{:05}\"}}}}", random.below(99_999));
    put!(
        out,
        ",\"encounter\":{{\"class\":\"I\",\"period\":{{\"start\":\"2026-01-{:02}",
        1 + random.below(28)
    );
    put!(out, "T00:00:00Z\",\"end\":null}}}},\"tags\":[");
    for n in 0..random.below(4) {
        put!(out, "{}\"tag{}\"", comma(n), random.below(50));
    }
    put!(out, "],\"observations\":[");
    for n in 0..random.below(4) {
        put!(out, "{}{{\"code\":\"{}-{}\"", comma(n), random.below(99_999), random.below(10));
        put!(out, ",\"value\":{}.{},\"unit\":\"mg/dL\"", random.below(300), random.below(100));
        put!(out, ",\"ref\":{{\"low\":{},\"high\":{}}}", random.below(50), 50 + random.below(100));
        put!(out, ",\"flags\":[]}}");
    }
    put!(out, "],\"note\":\"{}\"}}", random.one_of(&NOTES));
}

const fn comma(n: u64) -> &'static str {
    if n == 0 { "" } else { "," }
}
