//! What the partner's server does for each request: file system calls below its folder.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::jail::Jail;
use crate::sftp::wire::{
    Attrs, ClientPacket, Name, Reply, Request, ServerPacket, Status, VERSION, extension, open_flags,
};
use crate::sha256::Hasher;

/// Files and folders that one client may have open.
const HANDLES: usize = 1000;
/// Names in one answer to READDIR.
const NAMES: usize = 100;
/// What one READ gives at most, and what WRITEs may have.
const DATA_BYTES: u32 = 261_120;

enum Open {
    File { file: File, path: PathBuf },
    Folder(fs::ReadDir),
}

/// The state of one channel.
pub(super) struct FolderService {
    jail: Jail,
    open: HashMap<u64, Open>,
    next: u64,
}

impl FolderService {
    pub(super) fn new(jail: Jail) -> Self {
        Self { jail, open: HashMap::new(), next: 0 }
    }

    pub(super) fn answer(&mut self, packet: ClientPacket) -> ServerPacket {
        match packet {
            ClientPacket::Init { .. } => ServerPacket::Version { version: VERSION, extensions: extensions() },
            ClientPacket::Request { id, request } => {
                let reply = self.handle(request).unwrap_or_else(|error| Reply::Status(status_of(&error)));
                ServerPacket::Reply { id, reply }
            }
        }
    }

    fn handle(&mut self, request: Request) -> io::Result<Reply> {
        match request {
            Request::Open { path, flags, attrs } => self.open_file(&path, flags, &attrs),
            Request::Close { handle } => {
                self.open.remove(&number(&handle)?).ok_or_else(unknown_handle)?;
                done()
            }
            Request::Read { handle, offset, length } => self.read(&handle, offset, length),
            Request::Write { handle, offset, data } => {
                self.file(&handle)?.0.write_all_at(&data, offset)?;
                done()
            }
            Request::Lstat { path } => attrs_reply(&self.jail.name(&path)?.symlink_metadata()?),
            Request::Stat { path } => attrs_reply(&self.jail.follow(&path)?.metadata()?),
            Request::Fstat { handle } => attrs_reply(&self.file(&handle)?.0.metadata()?),
            Request::Setstat { path, attrs } => {
                set_attrs(&self.jail.follow(&path)?, &attrs)?;
                done()
            }
            Request::Fsetstat { handle, attrs } => {
                let (_, path) = self.file(&handle)?;
                set_attrs(path, &attrs)?;
                done()
            }
            Request::Opendir { path } => {
                let folder = fs::read_dir(self.jail.follow(&path)?)?;
                self.hand_out(Open::Folder(folder))
            }
            Request::Readdir { handle } => self.read_folder(&handle),
            Request::Remove { path } => {
                let path = self.jail.name(&path)?;
                if path.symlink_metadata()?.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                fs::remove_file(path)?;
                done()
            }
            Request::Mkdir { path, .. } => {
                fs::create_dir(self.jail.name(&path)?)?;
                done()
            }
            Request::Rmdir { path } => {
                let path = self.jail.name(&path)?;
                if self.jail.is_root(&path) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                fs::remove_dir(path)?;
                done()
            }
            Request::Realpath { path } => {
                let shown = Bytes::copy_from_slice(Jail::shown(&path).as_os_str().as_bytes());
                Ok(Reply::Name(vec![Name { name: shown.clone(), long: shown, attrs: Attrs::default() }]))
            }
            Request::Rename { from, to } => self.rename(&from, &to, false),
            Request::Extended { name, payload } => self.extended(&name, payload),
            // Links could lead out of the folder: they are neither made nor read.
            Request::Readlink { .. } | Request::Symlink { .. } | Request::Unknown { .. } => Ok(unsupported()),
        }
    }

    fn open_file(&mut self, path: &[u8], flags: u32, attrs: &Attrs) -> io::Result<Reply> {
        let has = |flag: u32| flags & flag != 0;
        let real = self.jail.follow(path)?;
        let mut options = OpenOptions::new();
        // APPEND is left to the client's offsets: with O_APPEND the system would ignore them.
        options
            .read(has(open_flags::READ))
            .write(has(open_flags::WRITE) || has(open_flags::APPEND))
            .create(has(open_flags::CREATE))
            .truncate(has(open_flags::TRUNCATE))
            .create_new(has(open_flags::CREATE) && has(open_flags::EXCLUSIVE))
            .mode(attrs.permissions.map_or(0o644, |mode| mode & 0o777));
        let file = options.open(&real)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.hand_out(Open::File { file, path: real })
    }

    fn hand_out(&mut self, open: Open) -> io::Result<Reply> {
        if self.open.len() >= HANDLES {
            return Err(io::Error::other("too many open files"));
        }
        self.next += 1;
        self.open.insert(self.next, open);
        Ok(Reply::Handle(Bytes::copy_from_slice(&self.next.to_be_bytes())))
    }

    fn file(&self, handle: &[u8]) -> io::Result<(&File, &Path)> {
        match self.open.get(&number(handle)?) {
            Some(Open::File { file, path }) => Ok((file, path)),
            _ => Err(unknown_handle()),
        }
    }

    fn read(&self, handle: &[u8], offset: u64, length: u32) -> io::Result<Reply> {
        let mut data = BytesMut::zeroed(length.min(DATA_BYTES) as usize);
        let size = self.file(handle)?.0.read_at(&mut data, offset)?;
        if size == 0 && length > 0 {
            return Ok(Reply::Status(Status::new(Status::EOF, "End of file")));
        }
        data.truncate(size);
        Ok(Reply::Data(data.freeze()))
    }

    fn read_folder(&mut self, handle: &[u8]) -> io::Result<Reply> {
        let Some(Open::Folder(folder)) = self.open.get_mut(&number(handle)?) else {
            return Err(unknown_handle());
        };
        let mut names = Vec::new();
        for entry in folder.by_ref().take(NAMES) {
            let entry = entry?;
            // A file may go between being listed and being looked at.
            let Ok(metadata) = entry.metadata() else { continue };
            let name = Bytes::copy_from_slice(entry.file_name().as_bytes());
            names.push(Name {
                long: long_name(&metadata, &entry.file_name()),
                name,
                attrs: attrs_of(&metadata),
            });
        }
        if names.is_empty() {
            return Ok(Reply::Status(Status::new(Status::EOF, "End of file")));
        }
        Ok(Reply::Name(names))
    }

    fn rename(&self, from: &[u8], to: &[u8], replaces: bool) -> io::Result<Reply> {
        let (from, to) = (self.jail.name(from)?, self.jail.name(to)?);
        if self.jail.is_root(&from) || self.jail.is_root(&to) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // Section 6.5: RENAME fails when the new name exists; posix-rename replaces.
        if !replaces && to.symlink_metadata().is_ok() {
            return Err(io::Error::other("File already exists"));
        }
        fs::rename(from, to)?;
        done()
    }

    /// One sha256 of the whole file, whatever part and algorithm is asked for: the client that asks is ours.
    fn checksum(&self, path: &[u8]) -> io::Result<Reply> {
        let mut file = File::open(self.jail.follow(path)?)?;
        let mut hasher = Hasher::default();
        let mut piece = vec![0; 256 * 1024];
        loop {
            let size = file.read(&mut piece)?;
            if size == 0 {
                break;
            }
            hasher.update(&piece[..size]);
        }
        let mut reply = BytesMut::new();
        for string in [&b"check-file"[..], b"sha256"] {
            reply.put_u32(u32::try_from(string.len()).unwrap_or(u32::MAX));
            reply.put_slice(string);
        }
        reply.put_slice(hasher.finish().as_bytes());
        Ok(Reply::Extended(reply.freeze()))
    }

    fn extended(&self, name: &[u8], mut payload: Bytes) -> io::Result<Reply> {
        let is = |extension: &str| name == extension.as_bytes();
        if is(extension::POSIX_RENAME) {
            let (from, to) = (string(&mut payload)?, string(&mut payload)?);
            self.rename(&from, &to, true)
        } else if is(extension::FSYNC) {
            self.file(&string(&mut payload)?)?.0.sync_all()?;
            done()
        } else if is(extension::CHECK_FILE_NAME) {
            self.checksum(&string(&mut payload)?)
        } else if is(extension::LIMITS) {
            let mut limits = BytesMut::new();
            for limit in [256 * 1024, u64::from(DATA_BYTES), u64::from(DATA_BYTES), HANDLES as u64] {
                limits.put_u64(limit);
            }
            Ok(Reply::Extended(limits.freeze()))
        } else {
            Ok(unsupported())
        }
    }
}

fn extensions() -> Vec<(Bytes, Bytes)> {
    [extension::POSIX_RENAME, extension::FSYNC, extension::LIMITS, extension::CHECK_FILE_NAME]
        .map(|name| (Bytes::from_static(name.as_bytes()), Bytes::from_static(b"1")))
        .to_vec()
}

fn done() -> io::Result<Reply> {
    Ok(Reply::Status(Status::new(Status::OK, "Success")))
}

fn unsupported() -> Reply {
    Reply::Status(Status::new(Status::OP_UNSUPPORTED, "Operation unsupported"))
}

fn unknown_handle() -> io::Error {
    io::Error::other("no such handle")
}

fn number(handle: &[u8]) -> io::Result<u64> {
    handle.try_into().map(u64::from_be_bytes).map_err(|_| unknown_handle())
}

/// A string of an extended request.
fn string(payload: &mut Bytes) -> io::Result<Bytes> {
    let short = || io::Error::from(io::ErrorKind::InvalidInput);
    let length = payload.try_get_u32().map_err(|_| short())? as usize;
    if length > payload.len() { Err(short()) } else { Ok(payload.split_to(length)) }
}

/// The status for an error, with the system's words: unlike OpenSSH, which says "Failure" to a full disk.
fn status_of(error: &io::Error) -> Status {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Status::NO_SUCH_FILE,
        io::ErrorKind::PermissionDenied => Status::PERMISSION_DENIED,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => Status::BAD_MESSAGE,
        _ => Status::FAILURE,
    };
    Status::new(code, error.to_string())
}

fn attrs_reply(metadata: &Metadata) -> io::Result<Reply> {
    Ok(Reply::Attrs(attrs_of(metadata)))
}

fn attrs_of(metadata: &Metadata) -> Attrs {
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    Attrs {
        size: Some(metadata.len()),
        owner: Some((metadata.uid(), metadata.gid())),
        permissions: Some(metadata.mode()),
        times: Some((seconds(metadata.atime()), seconds(metadata.mtime()))),
    }
}

/// Owners are left alone: the server's user could not give files away anyhow.
fn set_attrs(path: &Path, attrs: &Attrs) -> io::Result<()> {
    if let Some(size) = attrs.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let Some(mode) = attrs.permissions {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777))?;
    }
    if let Some((accessed, modified)) = attrs.times {
        let time = |seconds: u32| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
        let times = fs::FileTimes::new().set_accessed(time(accessed)).set_modified(time(modified));
        File::open(path)?.set_times(times)?;
    }
    Ok(())
}

/// What `ls -l` in an interactive client shows; the time stays a number, as only people read it.
fn long_name(metadata: &Metadata, name: &OsStr) -> Bytes {
    let kind = if metadata.is_dir() { 'd' } else { '-' };
    let bits = "rwxrwxrwx"
        .chars()
        .enumerate()
        .map(|(at, bit)| if metadata.mode() >> (8 - at) & 1 == 1 { bit } else { '-' });
    let mode: String = bits.collect();
    let mut line = format!(
        "{kind}{mode} {:>3} {:<8} {:<8} {:>10} {} ",
        metadata.nlink(),
        metadata.uid(),
        metadata.gid(),
        metadata.len(),
        metadata.mtime()
    )
    .into_bytes();
    line.extend_from_slice(name.as_bytes());
    line.into()
}
