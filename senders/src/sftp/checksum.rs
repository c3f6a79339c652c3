//! The server's own sum of a file: `check-file` (draft-ietf-secsh-filexfer-extensions-00, section 3). Some
//! commercial servers offer it; OpenSSH has none, and ProFTPD 1.3.8 announces it to nobody who speaks version 3.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use outport_core::{Fault, code};

use super::classify::Operation;
use super::connection::{Connection, bytes};
use super::wire::{Attrs, Reply, Request, extension, open_flags};
use crate::remote::RemoteError;
use crate::sha256::Sha256Sum;

/// How this server takes the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckFile {
    /// By the file's name.
    ByName,
    /// By a handle that is open for reading.
    ByHandle,
}

impl CheckFile {
    pub(super) fn offered(extensions: &[String]) -> Option<Self> {
        let offers = |name: &str| extensions.iter().any(|offered| offered == name);
        if offers(extension::CHECK_FILE_NAME) || offers("check-file") {
            Some(Self::ByName)
        } else {
            offers(extension::CHECK_FILE_HANDLE).then_some(Self::ByHandle)
        }
    }
}

impl Connection {
    pub(super) async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault> {
        if self.features.check_file == Some(CheckFile::ByName) {
            return self.check(extension::CHECK_FILE_NAME, path.as_bytes(), path).await;
        }
        let open = Request::Open { path: bytes(path), flags: open_flags::READ, attrs: Attrs::default() };
        let handle = match self.session.ask(&open).await.map_err(RemoteError::into_fault)? {
            Reply::Handle(handle) => handle,
            Reply::Status(status) => return Err(self.refusal(Operation::Read, path, &status).await),
            other => return Err(self.senseless(Operation::Read, path, &other)),
        };
        let sum = self.check(extension::CHECK_FILE_HANDLE, &handle, path).await;
        self.let_go(handle).await;
        sum
    }

    async fn check(&self, extension: &str, of: &[u8], path: &str) -> Result<Sha256Sum, Fault> {
        let request =
            Request::Extended { name: Bytes::copy_from_slice(extension.as_bytes()), payload: question(of) };
        match self.session.ask(&request).await.map_err(RemoteError::into_fault)? {
            Reply::Extended(answer) => sum_of(answer).ok_or_else(|| {
                let message =
                    format!("could not compare {path:?} on {}: the server's sum is no sha256", self.place());
                Fault::new(&code::REMOTE_UNSUPPORTED, message)
                    .with_hint("write upload.verify = \"read-back\", or \"stat\"")
            }),
            Reply::Status(status) => Err(self.refusal(Operation::Checksum, path, &status).await),
            other => Err(self.senseless(Operation::Checksum, path, &other)),
        }
    }
}

/// Name or handle, the sums that are understood, first byte, length (0: to the end), block size (0: one sum of it all).
fn question(of: &[u8]) -> Bytes {
    let mut payload = BytesMut::new();
    for string in [of, b"sha256"] {
        payload.put_u32(u32::try_from(string.len()).unwrap_or(u32::MAX));
        payload.put_slice(string);
    }
    payload.put_u64(0);
    payload.put_u64(0);
    payload.put_u32(0);
    payload.freeze()
}

/// `check-file`, the algorithm, the sum; servers that leave the first string out are understood too.
fn sum_of(mut answer: Bytes) -> Option<Sha256Sum> {
    let mut string = || {
        let length = answer.try_get_u32().ok()? as usize;
        (length <= answer.len()).then(|| answer.split_to(length))
    };
    let first = string()?;
    let algorithm = if first.as_ref() == b"check-file" { string()? } else { first };
    if algorithm.as_ref() != b"sha256" {
        return None;
    }
    <[u8; 32]>::try_from(answer.as_ref()).ok().map(Sha256Sum::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(strings: &[&[u8]], sum: &[u8]) -> Bytes {
        let mut answer = BytesMut::new();
        for string in strings {
            answer.put_u32(u32::try_from(string.len()).unwrap());
            answer.put_slice(string);
        }
        answer.put_slice(sum);
        answer.freeze()
    }

    #[test]
    fn answers_with_a_sha256_are_taken_and_no_others() {
        let sum = Sha256Sum::of(b"abc");
        for strings in [&[&b"check-file"[..], b"sha256"][..], &[b"sha256"]] {
            assert_eq!(sum_of(answer(strings, sum.as_bytes())), Some(sum));
        }
        assert_eq!(sum_of(answer(&[b"check-file", b"md5"], &[0; 16])), None);
        assert_eq!(sum_of(answer(&[b"sha256"], &[0; 31])), None);
        assert_eq!(sum_of(Bytes::from_static(&[0, 0, 0, 9, 1])), None);
        assert_eq!(sum_of(Bytes::new()), None);
    }

    #[test]
    fn which_way_is_offered() {
        let offered =
            |names: &[&str]| CheckFile::offered(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(offered(&["check-file-handle", "check-file-name"]), Some(CheckFile::ByName));
        assert_eq!(offered(&["check-file"]), Some(CheckFile::ByName));
        assert_eq!(offered(&["check-file-handle"]), Some(CheckFile::ByHandle));
        assert_eq!(offered(&["fsync@openssh.com"]), None);
    }
}
