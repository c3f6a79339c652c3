//! One JSON text by itself, judged by the rules for records.

use super::discover::Discover;
use super::limits::Limits;
use super::scanner::Scanner;

/// Whether `json`, which is JSON, would be taken as a value inside a record: no object has a key twice, no string half of a surrogate
/// pair, and no more containers are open at once than in a record.
pub(crate) fn is_taken(json: &str) -> bool {
    let limits = Limits { record_bytes: Limits::MOST_RECORD_BYTES, ..Limits::default() };
    let (mut scanner, mut sink) = (Scanner::new(limits), Discover::new(limits));
    // In an array, since what stands in one makes no columns.
    ["{\"\":[", json, "]}"].iter().all(|piece| {
        let mut rest = piece.as_bytes();
        while !rest.is_empty() {
            match scanner.scan(rest, &mut sink) {
                Ok(taken) => rest = &rest[taken..],
                Err(_) => return false,
            }
        }
        true
    })
}
