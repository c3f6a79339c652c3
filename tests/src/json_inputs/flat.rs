//! Records of 15 fields, some 318 bytes: what a table of a hospital's visits holds.

use super::put;
use super::random::Random;

/// Also of the nested records.
pub(super) const FIRST_NAMES: [&str; 12] =
    ["Anna", "José", "Łukasz", "Maria", "Zoë", "李雷", "John", "Robert", "Patricia", "Søren", "Olga", "Mei"];
/// Also of the nested records.
pub(super) const LAST_NAMES: [&str; 10] =
    ["Smith", "O'Brien", "García", "Müller", "Kowalski", "Nguyễn", "Johnson", "Van der Berg", "Lee", "Brown"];
/// As they stand in JSON. A comma, a quote and a line feed need quotes in CSV; `\u00e9` and `\t` do not.
pub(super) const NOTES: [&str; 8] = [
    "routine follow-up visit, no complaints",
    r#"patient said \"no pain\" today"#,
    r"line one\nline two",
    "",
    "Type 2 diabetes; see plan",
    r"tab\tseparated \u00e9 text",
    "allergic to penicillin",
    "discharged home in stable condition with instructions",
];

pub(super) fn record(random: &mut Random, number: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    fields(random, number, out);
    out.push(b'}');
}

/// The same with one key more.
pub(super) fn late_record(random: &mut Random, number: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    fields(random, number, out);
    out.extend_from_slice(b",\"late_key\":\"surprise\"}");
}

fn fields(random: &mut Random, number: u64, out: &mut Vec<u8>) {
    put!(out, "\"id\":{number},\"mrn\":\"MRN{:09}\"", random.below(1_000_000_000));
    put!(out, ",\"first_name\":\"{}\"", random.one_of(&FIRST_NAMES));
    put!(out, ",\"last_name\":\"{}\"", random.one_of(&LAST_NAMES));
    let (year, month, day) = (1930 + random.below(90), 1 + random.below(12), 1 + random.below(28));
    put!(out, ",\"dob\":\"{year:04}-{month:02}-{day:02}\",\"sex\":\"{}\"", random.one_of(&["F", "M"]));
    let (month, day) = (1 + random.below(12), 1 + random.below(28));
    let (hour, minute) = (random.below(24), random.below(60));
    put!(out, ",\"visit_ts\":\"2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z\"");
    put!(out, ",\"facility\":\"HOSP-{:03}\"", random.below(400));
    put!(out, ",\"amount\":{}.{:02}", random.below(100_000), random.below(100));
    put!(out, ",\"score\":{}.{}e-3", random.below(10), random.below(99_999));
    put!(out, ",\"active\":{}", random.one_of(&["true", "false"]));
    match random.below(4) {
        0 => put!(out, ",\"discharged\":null"),
        _ => put!(out, ",\"discharged\":\"2026-05-{:02}\"", 1 + random.below(28)),
    }
    // Above 2^53, where a double has no odd numbers any more.
    put!(out, ",\"account\":{}", (1 << 53) + 1 + random.below(1 << 40));
    put!(out, ",\"note\":\"{}\"", random.one_of(&NOTES));
    put!(out, ",\"icd10\":\"E{}.{}\"", 10 + random.below(89), random.below(10));
}
