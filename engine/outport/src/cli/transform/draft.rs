//! A file that goes to the disk while it is still written.
//!
//! The last call before a file may get its name waits until the disk has all of it. When all of it is written by then and nothing has
//! gone to the disk, that wait is a fifth of the whole conversion; so a thread asks for it from time to time, and little is left.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use outport_transform::Output;

/// Bytes between two times that the disk is asked to take what is there: 8 MiB, some milliseconds of a fast disk. Measured with 8 to 32;
/// with more, more is left at the end.
const STEP: usize = 8 << 20;

/// The file and the thread that puts it on the disk.
pub(super) struct Draft {
    file: File,
    /// Bytes since the thread was told last.
    fresh: usize,
    disk: Option<Disk>,
}

impl Draft {
    pub(super) fn new(file: File) -> Self {
        Self { file, fresh: 0, disk: None }
    }

    /// The file, all of it on the disk.
    ///
    /// # Errors
    /// The disk did not take it, now or earlier: the system tells that once, to whoever asks first.
    pub(super) fn finish(mut self) -> io::Result<File> {
        self.disk.take().map_or(Ok(()), Disk::end)?;
        self.file.sync_all()?;
        Ok(self.file)
    }

    /// Has the thread put on the disk what is there. Without a thread it waits for [`finish`](Self::finish).
    fn begin_to_sync(&mut self) -> io::Result<()> {
        if self.disk.is_none() {
            self.disk = Disk::start(&self.file).ok();
        }
        match self.disk.as_ref().map(|disk| disk.tell.try_send(())) {
            // It failed, and has ended.
            Some(Err(TrySendError::Disconnected(()))) => self.disk.take().map_or(Ok(()), Disk::end),
            // Still busy with what was there before: this goes with the next.
            Some(Ok(()) | Err(TrySendError::Full(()))) | None => Ok(()),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.fresh += written;
        if self.fresh >= STEP {
            self.fresh = 0;
            self.begin_to_sync()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Draft {
    fn can_start_over(&self) -> bool {
        true
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.fresh = 0;
        self.file.start_over()
    }
}

/// The thread. It ends when nobody can tell it anything any more, or with the first error.
struct Disk {
    tell: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Disk {
    fn start(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (tell, told): (_, Receiver<()>) = sync_channel(1);
        let sync = move || told.iter().try_for_each(|()| file.sync_data());
        let thread = std::thread::Builder::new().name("draft-to-disk".into()).spawn(sync)?;
        Ok(Self { tell, thread })
    }

    fn end(self) -> io::Result<()> {
        drop(self.tell);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs it ended early")))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn holds_what_was_written_and_nothing_of_before_it_started_over() {
        let mut draft = Draft::new(tempfile::tempfile().unwrap());
        draft.write_all(&vec![1; STEP + 1]).unwrap();
        assert!(draft.disk.is_some());
        draft.start_over().unwrap();
        draft.write_all(&vec![2; 2 * STEP]).unwrap();
        let mut file = draft.finish().unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes == vec![2; 2 * STEP], "{} bytes", bytes.len());
    }

    #[test]
    fn what_the_thread_was_told_is_told_on() {
        // A pipe takes writes and cannot be synced, as a disk that fails.
        let (mut reader, writer) = io::pipe().unwrap();
        let drained = std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
        let mut draft = Draft::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let ended = draft.write_all(&vec![0; STEP]).and_then(|()| draft.finish().map(|_| ()));
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        drained.join().unwrap().unwrap();
    }
}
