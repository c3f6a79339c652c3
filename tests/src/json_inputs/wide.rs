//! Records of 500 fields, some 8 KB.

use super::put;
use super::random::Random;

pub(super) const COLUMNS: u64 = 500;

pub(super) fn record(random: &mut Random, number: u64, out: &mut Vec<u8>) {
    for column in 0..COLUMNS {
        put!(out, "{}\"col_{column:03}\":", if column == 0 { '{' } else { ',' });
        match column % 5 {
            0 => put!(out, "{}", number + random.below(100_000)),
            1 => put!(out, "\"val{}\"", random.below(100_000)),
            2 => put!(out, "{}.{:02}", random.below(1_000), random.below(100)),
            3 => put!(out, "null"),
            _ => put!(out, "{}", random.below(2) == 0),
        }
    }
    out.push(b'}');
}
