//! Numbers (RFC 8259 section 6): where one ends.

use super::lanes::{Input, Lane};

/// The end of the number that begins at `at` with a digit or a minus, `lane` being what stands there. None where it is wrong or too
/// near to the input's end. What follows it is for the caller to judge.
#[inline(always)]
pub(super) fn number(bytes: Input<'_>, at: usize, lane: Lane) -> Option<usize> {
    let digits = lane.digits();
    let minus = !digits & 1;
    let whole = (!(digits >> minus)).trailing_zeros();
    let end = minus + whole;
    // Up to fifteen characters, which nearly all numbers have, are read from the one lane.
    if whole > 0 && end < 16 {
        if whole > 1 && bytes[at + minus as usize] == b'0' {
            return None;
        }
        let mut end = end;
        let mut next = bytes[at + end as usize];
        if next == b'.' {
            let fraction = (!(digits >> (end + 1))).trailing_zeros();
            end += 1 + fraction;
            if fraction == 0 || end >= 16 {
                return long(&bytes, at);
            }
            next = bytes[at + end as usize];
        }
        if next | 0x20 != b'e' {
            return Some(at + end as usize);
        }
        let sign = bytes.get(at + end as usize + 1).is_some_and(|sign| matches!(sign, b'+' | b'-'));
        let first = end + 1 + u32::from(sign);
        let exponent = (!(digits >> first)).trailing_zeros();
        end = first + exponent;
        if exponent > 0 && end < 16 {
            return Some(at + end as usize);
        }
    }
    long(&bytes, at)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_and_the_long_way_agree() {
        // Every spelling of up to six characters, and each of them behind ten digits, where the lane ends inside.
        const CHARACTERS: &[u8] = b"-+.eE059";
        for spelling in 0..CHARACTERS.len().pow(6) {
            let short: Vec<u8> = (0..6)
                .map(|place| CHARACTERS[spelling / CHARACTERS.len().pow(place) % CHARACTERS.len()])
                .collect();
            for front in ["", "1234567890"] {
                let text = [front.as_bytes(), &short, b",\"next\":1}     "].concat();
                if !matches!(text[0], b'-' | b'0'..=b'9') {
                    continue;
                }
                let bytes = Input::of(&text);
                let by_lane = number(bytes, 0, bytes.lane(0).unwrap());
                // Where one stops in front of what cannot follow a number, the other may refuse it at once.
                let follows =
                    |end: usize| matches!(text[end], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let right = |end: &usize| !follows(*end);
                assert_eq!(
                    by_lane.filter(right),
                    long(&text, 0).filter(right),
                    "{}",
                    String::from_utf8_lossy(&text)
                );
            }
        }
    }
}
