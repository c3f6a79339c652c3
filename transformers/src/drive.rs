//! Driving a transform from a reader to a writer, for the command line and for tests.

use std::io::{self, ErrorKind, Read, Write};

use outport_core::{Fault, code};

use crate::transform::{Finish, Summary, Transform};

/// 256 KiB a read: past this size larger reads measured no faster, and it stays small beside the other
/// buffers.
const READ_BYTES: usize = 256 << 10;

/// Output is written in pieces of at least 64 KiB, the last one left out: a call costs little beside that many bytes, and no buffer
/// behind this one has to gather them.
const WRITE_BYTES: usize = 64 << 10;

/// What a buffer that the kernel fills is aligned to. Where it lies sixteen bytes behind that, as memory fresh from the allocator does,
/// some processors (AMD's since Zen 3) take four times as long for the kernel's copy: 0.18 s instead of 0.04 s for 300 MB.
const PAGE_BYTES: usize = 4 << 10;

/// Where the output of a transform goes: in large pieces.
pub trait Output: Write {
    /// Whether [`start_over`](Output::start_over) can do its work. Asked once, before anything is written.
    fn can_start_over(&self) -> bool;

    /// Throws away what was written; writing begins anew.
    ///
    /// # Errors
    /// What was written could not be taken back.
    fn start_over(&mut self) -> io::Result<()>;
}

impl Output for Vec<u8> {
    fn can_start_over(&self) -> bool {
        true
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
}

/// A file that this output alone fills, from its beginning.
impl Output for std::fs::File {
    fn can_start_over(&self) -> bool {
        true
    }

    fn start_over(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        io::Seek::rewind(self)
    }
}

/// Output that cannot be taken back: a pipe, a socket.
#[derive(Debug)]
pub struct Once<W>(pub W);

impl<W: Write> Write for Once<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Output for Once<W> {
    fn can_start_over(&self) -> bool {
        false
    }

    fn start_over(&mut self) -> io::Result<()> {
        Err(io::Error::other("it cannot be taken back"))
    }
}

/// Throws away what is written.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Nowhere {
    fn can_start_over(&self) -> bool {
        true
    }

    fn start_over(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `transform` over what `open` gives and writes the result to `out`. `open` is called once for each
/// pass and must give the same bytes each time.
///
/// ```
/// use outport_transform::{JsonToCsv, run};
/// let json = "{\"id\":1,\"name\":\"Ann\"}\n{\"id\":2}\n";
/// let mut csv = Vec::new();
/// let summary = run(&mut JsonToCsv::new(), || Ok(json.as_bytes()), &mut csv)?;
/// assert_eq!(csv, b"id,name\n1,Ann\n2,\n");
/// assert_eq!(summary.records, Some(2));
/// # Ok::<(), outport_core::Fault>(())
/// ```
///
/// # Errors
/// The transform's own fault, or `local.io_failed` when reading or writing fails. What was written until then
/// is to be thrown away.
pub fn run<R: Read>(
    transform: &mut dyn Transform,
    open: impl FnMut() -> io::Result<R>,
    out: &mut dyn Output,
) -> Result<Summary, Fault> {
    run_with_rejects(transform, open, out, &mut Nowhere)
}

/// Like [`run`], and writes what is rejected to `rejects`, where `run` throws it away. `rejects` has to be able to start over.
///
/// # Errors
/// As [`run`].
pub fn run_with_rejects<R: Read>(
    transform: &mut dyn Transform,
    mut open: impl FnMut() -> io::Result<R>,
    out: &mut dyn Output,
    rejects: &mut dyn Output,
) -> Result<Summary, Fault> {
    let mut buffer = vec![0; READ_BYTES + PAGE_BYTES];
    let buffer = on_page(&mut buffer);
    let (mut ready, mut rejected) = (Vec::new(), Vec::new());
    if !out.can_start_over() {
        transform.write_once();
    }
    loop {
        let mut input = open().map_err(|error| io_fault("open the transform's input", &error))?;
        loop {
            let read = match input.read(buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(io_fault("read the transform's input", &error)),
            };
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let taken = transform.push(rest, &mut ready)?;
                rest = &rest[taken..];
                if ready.len() >= WRITE_BYTES {
                    write_out(out, &mut ready)?;
                }
                transform.take_rejects(&mut rejected);
                write_out(rejects, &mut rejected)?;
            }
        }
        loop {
            let finish = transform.finish(&mut ready)?;
            write_out(out, &mut ready)?;
            transform.take_rejects(&mut rejected);
            write_out(rejects, &mut rejected)?;
            match finish {
                Finish::More => {}
                Finish::Again => {
                    // Nothing was written to what cannot start over. What was rejected is rejected again.
                    let anew = if out.can_start_over() { out.start_over() } else { Ok(()) };
                    anew.and_then(|()| rejects.start_over())
                        .map_err(|error| io_fault("start the transform's output anew", &error))?;
                    break;
                }
                Finish::Done(summary) => {
                    let flushed = out.flush().and_then(|()| rejects.flush());
                    flushed.map_err(|error| io_fault("write the transform's output", &error))?;
                    return Ok(summary);
                }
            }
        }
    }
}

/// The part of a buffer that begins with a page, a page shorter than the buffer.
fn on_page(buffer: &mut [u8]) -> &mut [u8] {
    let from = buffer.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
    let to = from + buffer.len() - PAGE_BYTES;
    &mut buffer[from..to]
}

fn write_out(out: &mut dyn Output, ready: &mut Vec<u8>) -> Result<(), Fault> {
    out.write_all(ready).map_err(|error| io_fault("write the transform's output", &error))?;
    ready.clear();
    Ok(())
}

fn io_fault(doing: &str, error: &io::Error) -> Fault {
    Fault::new(&code::IO_FAILED, format!("could not {doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PassThrough;

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk gone"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("disk full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn io_errors_say_which_side_failed() {
        let open = || Err::<Broken, _>(io::Error::from(ErrorKind::NotFound));
        let fault = run(&mut PassThrough::new(), open, &mut Vec::new()).unwrap_err();
        assert!(fault.message.starts_with("could not open the transform's input: "), "{fault}");
        let fault = run(&mut PassThrough::new(), || Ok(Broken), &mut Vec::new()).unwrap_err();
        assert_eq!(fault.message, "could not read the transform's input: disk gone");
        let fault = run(&mut PassThrough::new(), || Ok(&b"x"[..]), &mut Once(Broken)).unwrap_err();
        assert_eq!(fault.message, "could not write the transform's output: disk full");
        assert_eq!(fault.code, &code::IO_FAILED);
    }

    #[test]
    fn an_interrupted_read_is_read_again() {
        struct Interrupted(u8);
        impl Read for Interrupted {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(ErrorKind::Interrupted.into()),
                    2 => (&b"ok"[..]).read(buffer),
                    _ => Ok(0),
                }
            }
        }
        let mut out = Vec::new();
        run(&mut PassThrough::new(), || Ok(Interrupted(0)), &mut out).unwrap();
        assert_eq!(out, b"ok");
    }
}
