//! gzip to bytes.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use outport_core::Fault;

use super::damage::Damage;
use super::gzip_header::Header;
use crate::codec::PORTION;
use crate::codec::before::Inward;

/// Decompresses gzip members, one after the other, and checks each.
pub(in crate::codec) struct Gzip {
    inflate: Decompress,
    crc: Crc,
    at: u64,
    /// Where the member begins.
    begun: u64,
    members: u64,
    state: State,
}

enum State {
    /// Before a member.
    Between,
    SecondMagic,
    Header(Header),
    Body,
    Trailer {
        bytes: [u8; 8],
        have: usize,
    },
}

impl Gzip {
    pub(in crate::codec) fn new() -> Self {
        let inflate = Decompress::new(false);
        Self { inflate, crc: Crc::new(), at: 0, begun: 0, members: 0, state: State::Between }
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Damage> {
        let mut taken = 0;
        // Many small members give a portion together, too.
        while taken < input.len() && out.len() < PORTION {
            if matches!(self.state, State::Body) {
                let (read, over) = self.inflate(&input[taken..], out)?;
                self.at += read as u64;
                taken += read;
                if over {
                    self.state = State::Trailer { bytes: [0; 8], have: 0 };
                } else {
                    // Either out is full or the input is used up.
                    break;
                }
            } else {
                self.framing(input[taken])?;
                self.at += 1;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Takes a byte that stands around the compressed data.
    fn framing(&mut self, byte: u8) -> Result<(), Damage> {
        let begun = self.begun;
        match &mut self.state {
            State::Between => {
                self.begun = self.at;
                self.state = if byte == 0x1f { State::SecondMagic } else { return Err(self.no_member()) };
            }
            State::SecondMagic => {
                self.state =
                    if byte == 0x8b { State::Header(Header::new()) } else { return Err(self.no_member()) };
            }
            State::Header(header) => {
                if header.take(byte).map_err(|_| Damage::Header { begun })? {
                    self.inflate.reset(false);
                    self.crc.reset();
                    self.state = State::Body;
                }
            }
            State::Body => unreachable!("data is no framing"),
            State::Trailer { bytes, have } => {
                bytes[*have] = byte;
                *have += 1;
                if *have == bytes.len() {
                    let [c0, c1, c2, c3, l0, l1, l2, l3] = *bytes;
                    if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum() {
                        return Err(Damage::Checksum { begun });
                    }
                    // ISIZE counts modulo 2^32, and so does amount().
                    if u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount() {
                        return Err(Damage::Length { begun });
                    }
                    self.members += 1;
                    self.state = State::Between;
                }
            }
        }
        Ok(())
    }

    fn no_member(&self) -> Damage {
        if self.members == 0 { Damage::NotThis } else { Damage::Garbage { at: self.begun } }
    }

    /// Decompresses until the data ends, or `out` is full, or the input is used up and everything in it put out. Says how many bytes it
    /// took and whether the data is over.
    fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), Damage> {
        let mut read = 0;
        loop {
            if out.len() == out.capacity() {
                out.reserve(PORTION);
            }
            let (before_in, before_out) = (self.inflate.total_in(), out.len());
            let status = self.inflate.decompress_vec(&input[read..], out, FlushDecompress::None);
            read += (self.inflate.total_in() - before_in) as usize;
            self.crc.update(&out[before_out..]);
            let is_full = out.len() == out.capacity();
            match status {
                Err(_) => return Err(Damage::Data { begun: self.begun }),
                Ok(Status::StreamEnd) => return Ok((read, true)),
                Ok(Status::Ok | Status::BufError) if is_full && read == input.len() => {}
                Ok(Status::Ok | Status::BufError) if is_full || read == input.len() => {
                    return Ok((read, false));
                }
                // Neither is used up: there is no way on.
                Ok(Status::BufError) => return Err(Damage::Data { begun: self.begun }),
                Ok(Status::Ok) => {}
            }
        }
    }
}

impl Inward for Gzip {
    fn restart(&mut self) {
        *self = Self::new();
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        self.read(input, out).map_err(|damage| damage.fault("gzip"))
    }

    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), Fault> {
        let damage = match self.state {
            State::Between if self.members > 0 => return Ok(()),
            State::Between => Damage::Empty,
            _ => Damage::Truncated { at: self.at, begun: self.begun },
        };
        Err(damage.fault("gzip"))
    }
}
