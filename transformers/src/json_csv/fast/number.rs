//! Numbers (RFC 8259 section 6): where one ends.

use super::lanes::Lane;

/// The end of the number that begins at `at` with a digit or a minus. None where it is wrong or too near to the input's end.
/// What follows it is for the caller to judge.
#[inline(always)]
pub(super) fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let lane = Lane::load(bytes, at)?;
    let digits = lane.digits();
    let minus = !digits & 1;
    let whole = (!(digits >> minus)).trailing_zeros();
    let end = minus + whole;
    // Up to fifteen characters, which nearly all numbers have, are read from the one lane.
    if whole > 0 && end < 16 {
        if whole > 1 && bytes[at + minus as usize] == b'0' {
            return None;
        }
        match bytes[at + end as usize] {
            b'.' => {
                let fraction = (!(digits >> (end + 1))).trailing_zeros();
                let end = end + 1 + fraction;
                if fraction > 0 && end < 16 && bytes[at + end as usize] | 0x20 != b'e' {
                    return Some(at + end as usize);
                }
            }
            b'e' | b'E' => {}
            _ => return Some(at + end as usize),
        }
    }
    long(bytes, at)
}

#[cold]
#[inline(never)]
fn long(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |from: usize| -> Option<usize> {
        let count = bytes.get(from..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(from + count)
    };
    if bytes.get(at)? == &b'-' {
        at += 1;
    }
    at = if bytes.get(at)? == &b'0' { at + 1 } else { digits(at)? };
    if bytes.get(at)? == &b'.' {
        at = digits(at + 1)?;
    }
    if bytes.get(at)? | 0x20 == b'e' {
        at += 1;
        if matches!(bytes.get(at)?, b'+' | b'-') {
            at += 1;
        }
        at = digits(at)?;
    }
    // Behind a zero no digit may follow; behind anything else none is left.
    (!bytes.get(at)?.is_ascii_digit()).then_some(at)
}
