//! What unpacks to much is held nowhere. A test program of its own, because it reads the peak of its process.
#![cfg(target_os = "linux")]
// Helpers of tests are tests too; clippy.toml's allowance covers only functions marked #[test].
#![allow(clippy::unwrap_used)]

use outport_core::Fault;
use outport_transform::codec::{Charset, Decode, Encode, Pack, Text, Unicode, Unpack, wrap};
use outport_transform::{Finish, OUT_FULL, PassThrough, Summary, Transform};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

static ZEROS: [u8; MIB as usize] = [0; MIB as usize];

/// Counts zeros and puts nothing out.
#[derive(Default)]
struct Zeros {
    bytes: u64,
}

impl Transform for Zeros {
    fn push(&mut self, chunk: &[u8], _: &mut Vec<u8>) -> Result<usize, Fault> {
        assert!(chunk.len() < ZEROS.len(), "{} bytes at once", chunk.len());
        assert!(chunk == &ZEROS[..chunk.len()]);
        self.bytes += chunk.len() as u64;
        Ok(chunk.len())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<Finish, Fault> {
        assert_eq!(self.bytes, GIB);
        Ok(Finish::Done(Summary {
            records: None,
            rejected: 0,
            columns: None,
            bytes_in: self.bytes,
            bytes_out: 0,
        }))
    }
}

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Pushes `input` as one chunk and gives what comes out to `sink`.
fn pump(transform: &mut dyn Transform, input: &[u8], sink: &mut dyn FnMut(&[u8])) {
    let (mut rest, mut out) = (input, Vec::new());
    while !rest.is_empty() {
        rest = &rest[transform.push(rest, &mut out).unwrap()..];
        assert!(out.len() < 2 * OUT_FULL, "{} bytes at once", out.len());
        sink(&out);
        out.clear();
    }
}

fn end(transform: &mut dyn Transform, sink: &mut dyn FnMut(&[u8])) {
    let mut out = Vec::new();
    loop {
        let finish = transform.finish(&mut out).unwrap();
        sink(&out);
        out.clear();
        match finish {
            Finish::More => {}
            Finish::Done(_) => return,
            Finish::Again => panic!("one pass is enough"),
        }
    }
}

/// 1 GiB of zeros, compressed.
fn bomb(compression: Pack) -> Vec<u8> {
    let encode = Encode { compression, ..Encode::default() };
    let mut transform = wrap(Box::new(PassThrough::new()), Decode::default(), encode);
    let mut bomb = Vec::new();
    for _ in 0..GIB / MIB {
        pump(transform.as_mut(), &ZEROS, &mut |out| bomb.extend_from_slice(out));
    }
    end(transform.as_mut(), &mut |out| bomb.extend_from_slice(out));
    bomb
}

#[test]
fn a_gibibyte_of_zeros_stays_flat() {
    let before = peak();
    for (pack, unpack, most) in [(Pack::Gzip, Unpack::Gzip, 2 * MIB), (Pack::Zstd, Unpack::Zstd, 200 << 10)] {
        let bomb = bomb(pack);
        assert!((bomb.len() as u64) < most, "{} bytes", bomb.len());
        for charset in [None, Charset::for_label("windows-1252")] {
            let decode = Decode { compression: unpack, charset };
            let mut transform = wrap(Box::new(Zeros::default()), decode, Encode::default());
            pump(transform.as_mut(), &bomb, &mut |_| {});
            end(transform.as_mut(), &mut |_| {});
        }
        // In at one end and out at the other, twice as large.
        let encode =
            Encode { text: Text::Unicode { form: Unicode::Utf16Le, bom: false }, compression: Pack::AsIs };
        let decode = Decode { compression: unpack, charset: None };
        let mut transform = wrap(Box::new(PassThrough::new()), decode, encode);
        let mut size = 0;
        pump(transform.as_mut(), &bomb, &mut |out| size += out.len() as u64);
        end(transform.as_mut(), &mut |out| size += out.len() as u64);
        assert_eq!(size, 2 * GIB);
    }
    let grown = peak() - before;
    // Measured: 6 MiB, the 2 MiB window of zstd among it.
    assert!(grown < 32 * MIB, "{} MiB more", grown / MIB);
}
