//! Driving a wrapped transform with the input cut in any way.

use outport_core::Fault;
use outport_transform::codec::{Decode, Encode, wrap};
use outport_transform::{Finish, OUT_FULL, PassThrough, Summary, Transform};

/// What came out, or the fault.
pub type Outcome = Result<Vec<u8>, Fault>;

/// Runs a transform over `input` in chunks of these lengths in turn, over and over, as many passes as it asks for. Checks what every
/// transform must keep to on the way.
pub fn drive(
    transform: &mut dyn Transform,
    input: &[u8],
    lengths: &[usize],
) -> Result<(Vec<u8>, Summary), Fault> {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    loop {
        let (mut rest, mut turn) = (input, 0);
        while !rest.is_empty() {
            let chunk = &rest[..lengths[turn % lengths.len()].clamp(1, rest.len())];
            turn += 1;
            let taken = same_again(transform, |it| it.push(chunk, &mut out))?;
            assert!(
                taken == chunk.len() || out.len() >= OUT_FULL,
                "it takes less only when the output is full"
            );
            rest = &rest[taken..];
            all.append(&mut out);
        }
        let finish = loop {
            let finish = same_again(transform, |it| it.finish(&mut out))?;
            assert!(finish != Finish::More || out.len() >= OUT_FULL, "more only when the output is full");
            all.append(&mut out);
            if finish != Finish::More {
                break finish;
            }
        };
        if let Finish::Done(summary) = finish {
            assert_eq!(summary.bytes_in, input.len() as u64);
            assert_eq!(summary.bytes_out, all.len() as u64);
            assert_eq!(transform.finish(&mut out), Ok(finish), "done is done");
            assert!(out.is_empty());
            return Ok((all, summary));
        }
        all.clear();
    }
}

/// A fault comes again and again.
fn same_again<T>(
    transform: &mut dyn Transform,
    call: impl FnOnce(&mut dyn Transform) -> Result<T, Fault>,
) -> Result<T, Fault> {
    call(transform).inspect_err(|fault| {
        let mut out = Vec::new();
        assert_eq!(transform.push(b"x", &mut out).unwrap_err(), *fault);
        assert_eq!(transform.finish(&mut out).unwrap_err(), *fault);
        assert!(out.is_empty());
    })
}

/// The outcome of `decode` and `encode` around nothing; the same in one piece and in chunks of 1, 2, 3, 7 and of `lengths`.
pub fn through(input: &[u8], decode: Decode, encode: Encode, lengths: &[usize]) -> Outcome {
    around(|| Box::new(PassThrough::new()), input, decode, encode, lengths)
}

/// The outcome of `decode` and `encode` around `inner`; the same in one piece and in chunks of 1, 2, 3, 7 and of `lengths`.
pub fn around(
    inner: impl Fn() -> Box<dyn Transform>,
    input: &[u8],
    decode: Decode,
    encode: Encode,
    lengths: &[usize],
) -> Outcome {
    let outcome = |lengths: &[usize]| {
        drive(wrap(inner(), decode, encode).as_mut(), input, lengths).map(|(bytes, _)| bytes)
    };
    let whole = outcome(&[input.len()]);
    for lengths in [&[1][..], &[2], &[3, 7], lengths] {
        assert!(outcome(lengths) == whole, "{decode:?} {encode:?}: another outcome in chunks of {lengths:?}");
    }
    whole
}
