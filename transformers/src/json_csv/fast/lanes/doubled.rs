//! Quotes inside quotes, written twice (RFC 4180 section 2.7): an array as a cell is full of them.

use super::{Input, Lane, Out, WIDTH};

/// For each set of quotes among eight bytes (the first byte in the lowest bit): from which of them each byte of the result comes.
static PLACES: [[u8; WIDTH]; 256] = places();

const fn places() -> [[u8; WIDTH]; 256] {
    let mut all = [[0; WIDTH]; 256];
    let mut quotes = 0;
    while quotes < all.len() {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            all[quotes][to] = from;
            to += 1;
            if quotes >> from & 1 == 1 {
                all[quotes][to] = from;
                to += 1;
            }
            from += 1;
        }
        quotes += 1;
    }
    all
}

/// Writes the bytes from `from` to `to`, each quote twice.
pub(in super::super) fn doubled(bytes: Input<'_>, from: usize, to: usize, out: &mut Out<'_>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt") {
        // SAFETY: this processor has both.
        return unsafe { by_ssse3(bytes, from, to, out) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    return by_eight(bytes, from, to, out, |lane, places| Lane(lane.0.shuffled(places.0)));
    #[cfg(not(all(target_arch = "aarch64", not(miri))))]
    by_quote(bytes, from, to, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "ssse3,popcnt")]
fn by_ssse3(bytes: Input<'_>, from: usize, to: usize, out: &mut Out<'_>) {
    by_eight(bytes, from, to, out, |lane, places| Lane(lane.0.shuffled(places.0)));
}

/// Eight bytes at a time, wherever the quotes stand. `shuffled` takes the bytes of a lane by their places in it.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", not(miri))))]
#[inline(always)]
fn by_eight(
    bytes: Input<'_>,
    mut from: usize,
    to: usize,
    out: &mut Out<'_>,
    shuffled: impl Fn(Lane, Lane) -> Lane,
) {
    let quote = Lane::splat(b'"');
    while from < to {
        let Some(lane) = bytes.lane(from) else { return one_by_one(&bytes[from..to], out) };
        let taken = (to - from).min(8);
        let quotes = lane.equal(quote) & ((1 << taken) - 1);
        let places = Lane::of(&PLACES[quotes as usize & 0xff]);
        out.lane(shuffled(lane, places), taken + quotes.count_ones() as usize);
        from += taken;
    }
}

/// From quote to quote.
#[cfg(any(test, not(all(target_arch = "aarch64", not(miri)))))]
fn by_quote(bytes: Input<'_>, mut from: usize, to: usize, out: &mut Out<'_>) {
    let quote = Lane::splat(b'"');
    while from < to {
        let Some(lane) = bytes.lane(from) else { return one_by_one(&bytes[from..to], out) };
        let left = to - from;
        let plain = (lane.equal(quote).trailing_zeros() as usize).min(WIDTH);
        if plain >= left.min(WIDTH) {
            out.lane(lane, left);
            from += WIDTH;
        } else {
            out.lane(lane, plain + 1);
            out.byte(b'"');
            from += plain + 1;
        }
    }
}

fn one_by_one(bytes: &[u8], out: &mut Out<'_>) {
    for byte in bytes {
        out.bytes(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Way = fn(Input<'_>, usize, usize, &mut Out<'_>);

    fn written(way: Way, bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
        let mut out = b"before".to_vec();
        way(Input::of(bytes), from, to, &mut Out::new(&mut out));
        out
    }

    #[test]
    fn each_quote_is_written_twice_and_nothing_else() {
        // Each set of quotes among eight bytes, in front of others and at the end, cut anywhere.
        for quotes in 0..256u32 {
            for behind in [0, 3, 8, 40] {
                let eight =
                    (0..8).map(|place| if quotes >> place & 1 == 1 { b'"' } else { b'a' + place as u8 });
                let bytes: Vec<u8> = eight.chain((0..behind).map(|place| b"x\"y"[place % 3])).collect();
                for (from, to) in [(0, bytes.len()), (1, bytes.len()), (0, 5), (3, 7), (4, 4)] {
                    let text = String::from_utf8(bytes[from..to].to_vec()).unwrap();
                    let expected = format!("before{}", text.replace('"', "\"\""));
                    for way in [doubled as Way, by_quote] {
                        let found = written(way, &bytes, from, to);
                        assert_eq!(
                            String::from_utf8(found).unwrap(),
                            expected,
                            "{text} of {} bytes",
                            bytes.len()
                        );
                    }
                }
            }
        }
    }
}
