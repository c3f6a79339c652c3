//! The header of a gzip member (RFC 1952, section 2.3).

use flate2::Crc;

const DEFLATE: u8 = 8;
const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
/// "Reserved FLG bits must be zero": a set one means fields that this reader would take for data.
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// Reads a header byte by byte behind its two magic bytes. Nothing is kept of names and comments, however long they are.
#[derive(Debug)]
pub(super) struct Header {
    flags: u8,
    at: At,
    crc: Crc,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Method,
    Flags,
    /// Time, extra flags and operating system: this many bytes more.
    Fixed(u8),
    ExtraLow,
    ExtraHigh(u8),
    Extra(u16),
    Name,
    Comment,
    CrcLow,
    CrcHigh(u8),
    Over,
}

/// The header cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadHeader;

impl Header {
    pub(super) fn new() -> Self {
        let mut crc = Crc::new();
        crc.update(&[0x1f, 0x8b]);
        Self { flags: 0, at: At::Method, crc }
    }

    /// Takes one byte and says whether the header is over.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, BadHeader> {
        let checked = self.crc.sum() as u16;
        self.crc.update(&[byte]);
        self.at = match self.at {
            At::Method if byte == DEFLATE => At::Flags,
            At::Method => return Err(BadHeader),
            At::Flags if byte & FLAGS_RESERVED != 0 => return Err(BadHeader),
            At::Flags => {
                self.flags = byte;
                At::Fixed(6)
            }
            At::Fixed(1) => self.behind_fixed(),
            At::Fixed(left) => At::Fixed(left - 1),
            At::ExtraLow => At::ExtraHigh(byte),
            At::ExtraHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.behind_extra(),
                length => At::Extra(length),
            },
            At::Extra(1) => self.behind_extra(),
            At::Extra(left) => At::Extra(left - 1),
            At::Name if byte == 0 => self.behind_name(),
            At::Comment if byte == 0 => self.behind_comment(),
            text @ (At::Name | At::Comment) => text,
            At::CrcLow if byte == checked.to_le_bytes()[0] => At::CrcHigh(checked.to_le_bytes()[1]),
            At::CrcHigh(wanted) if byte == wanted => At::Over,
            At::CrcLow | At::CrcHigh(_) | At::Over => return Err(BadHeader),
        };
        Ok(matches!(self.at, At::Over))
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn behind_fixed(&self) -> At {
        if self.has(FLAG_EXTRA) { At::ExtraLow } else { self.behind_extra() }
    }

    fn behind_extra(&self) -> At {
        if self.has(FLAG_NAME) { At::Name } else { self.behind_name() }
    }

    fn behind_name(&self) -> At {
        if self.has(FLAG_COMMENT) { At::Comment } else { self.behind_comment() }
    }

    fn behind_comment(&self) -> At {
        if self.has(FLAG_HEADER_CRC) { At::CrcLow } else { At::Over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all bytes but the last as not the end of the header, then the last.
    fn read(bytes: &[u8]) -> Result<bool, BadHeader> {
        let mut header = Header::new();
        let (last, front) = bytes.split_last().unwrap();
        for byte in front {
            if header.take(*byte)? {
                return Ok(false);
            }
        }
        header.take(*last)
    }

    fn with_crc(mut header: Vec<u8>) -> Vec<u8> {
        let mut crc = Crc::new();
        crc.update(&[0x1f, 0x8b]);
        crc.update(&header);
        header.extend_from_slice(&(crc.sum() as u16).to_le_bytes());
        header
    }

    #[test]
    fn every_set_of_fields_ends_where_it_ends() {
        for flags in 0..32 {
            let mut header = vec![8, flags, 1, 2, 3, 4, 0, 255];
            if flags & FLAG_EXTRA != 0 {
                header.extend_from_slice(&[3, 0, 9, 0, 9]);
            }
            if flags & FLAG_NAME != 0 {
                header.extend_from_slice(b"name\0");
            }
            if flags & FLAG_COMMENT != 0 {
                header.extend_from_slice(b"\0");
            }
            if flags & FLAG_HEADER_CRC != 0 {
                header = with_crc(header);
            }
            assert_eq!(read(&header), Ok(true), "{flags:05b}");
            assert_eq!(read(&header[..header.len() - 1]), Ok(false), "{flags:05b}");
        }
        assert_eq!(read(&[8, FLAG_EXTRA, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(true), "an empty extra field");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(read(&[7]), Err(BadHeader), "another method");
        assert_eq!(read(&[8, 0x20]), Err(BadHeader), "a reserved flag");
        let good = with_crc(vec![8, FLAG_HEADER_CRC, 0, 0, 0, 0, 0, 3]);
        assert_eq!(read(&good), Ok(true));
        for at in 2..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(read(&bad), Err(BadHeader), "byte {at}");
        }
    }
}
