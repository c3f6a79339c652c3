//! A child process that never outlives the test: what it prints is kept, its end can be waited for with a limit.

mod output;
mod spawner;

use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;

use output::Output;
pub use output::Stream;

/// How long a killed process may take to be gone. SIGKILL takes effect at once; a busy machine may not.
const KILLED: Duration = Duration::from_secs(20);

/// A running (or ended) program. Dropping it kills it and waits for it.
#[derive(Debug)]
pub struct Child {
    name: String,
    child: std::process::Child,
    pidfd: OwnedFd,
    output: Output,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` without standard input and keeps what it prints. `name` stands in error messages.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(name: &str, command: Command) -> anyhow::Result<Self> {
        let mut command = spawner::bound_to_this_process(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawner::spawn(command).with_context(|| format!("could not start {name}"))?;
        let output = Output::follow(child.stdout.take(), child.stderr.take());
        let pidfd = pidfd_open(pid(child.id())?, PidfdFlags::empty())
            .with_context(|| format!("could not watch {name} (process {})", child.id()))?;
        Ok(Self { name: name.to_owned(), child, pidfd, output, ended: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed on `stream` until now; bytes that are not UTF-8 are replaced.
    pub fn printed(&self, stream: Stream) -> String {
        self.output.text(stream)
    }

    /// Waits until a whole line with `part` in it was printed on `stream`, now or earlier, and returns the first one.
    ///
    /// # Errors
    /// If the program closes the stream (ends) or `limit` passes first; the message holds what it printed.
    pub fn wait_for_line(&self, stream: Stream, part: &str, limit: Duration) -> anyhow::Result<String> {
        self.output.wait_for_line(stream, part, limit).with_context(|| {
            format!("{} did not print {part:?}; it printed:\n{}", self.name, self.both_streams())
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it still runs after `limit`; it goes on running then.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        if !ends_within(&self.pidfd, limit)? {
            bail!("{} still runs after {limit:?}; it printed:\n{}", self.name, self.both_streams());
        }
        let status = self.child.wait().with_context(|| format!("could not wait for {}", self.name))?;
        self.ended = Some(status);
        self.output.settle();
        Ok(status)
    }

    /// Sends `signal`; nothing happens if it has ended.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(fault) => Err(fault).with_context(|| format!("could not send {signal:?} to {}", self.name)),
        }
    }

    /// `kill -9`, and waits until it is gone. For crash tests.
    ///
    /// # Errors
    /// If the kernel refuses, or it is not gone within 20 seconds.
    pub fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait(KILLED)
    }

    /// Asks it to stop (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// If it still runs after `limit`.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(limit)
    }

    fn both_streams(&self) -> String {
        format!("{}{}", self.printed(Stream::Out), self.printed(Stream::Err))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none()
            && let Err(fault) = self.kill()
        {
            eprintln!("{} (process {}) is left behind: {fault:#}", self.name, self.pid());
        }
    }
}

/// Kills a process that is not our own child, and waits until it is gone. It may be gone already.
pub(crate) fn kill_other(other: u32) -> anyhow::Result<()> {
    let Some(pidfd) = signalled(other, Signal::KILL)? else { return Ok(()) };
    anyhow::ensure!(ends_within(&pidfd, KILLED)?, "process {other} outlived SIGKILL for {KILLED:?}");
    Ok(())
}

/// Sends a signal to a process that is not our own child. It may be gone already.
pub(crate) fn signal_other(other: u32, signal: Signal) -> anyhow::Result<()> {
    signalled(other, signal).map(|_| ())
}

/// The process, if it was still there to get the signal.
fn signalled(other: u32, signal: Signal) -> anyhow::Result<Option<OwnedFd>> {
    let pidfd = match pidfd_open(pid(other)?, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(fault) => return Err(fault).with_context(|| format!("could not watch process {other}")),
    };
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(Some(pidfd)),
        Err(fault) => Err(fault).with_context(|| format!("could not send {signal:?} to process {other}")),
    }
}

fn ends_within(pidfd: &OwnedFd, limit: Duration) -> anyhow::Result<bool> {
    let deadline = std::time::Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        // A pidfd turns readable when its process ends (pidfd_open(2)).
        let mut ended = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut ended, Some(&Timespec::try_from(left)?)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(fault) => return Err(fault).context("could not wait for a process"),
        }
    }
}

fn pid(id: u32) -> anyhow::Result<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw).with_context(|| format!("{id} is no process id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Child::start("the shell", command).unwrap()
    }

    #[test]
    fn what_it_prints_and_how_it_ends_is_kept() {
        let mut child = shell("echo one; echo two >&2; exit 3");
        assert_eq!(child.wait(SOON).unwrap().code(), Some(3));
        assert_eq!(child.printed(Stream::Out), "one\n");
        assert_eq!(child.printed(Stream::Err), "two\n");
    }

    #[test]
    fn a_line_is_waited_for_until_it_is_whole() {
        let child = shell("printf 'port '; sleep 0.1; echo 4711; exec sleep 60");
        assert_eq!(child.wait_for_line(Stream::Out, "port", SOON).unwrap(), "port 4711");
    }

    #[test]
    fn a_line_that_never_comes_is_an_error_with_what_was_printed() {
        let child = shell("echo something else >&2");
        let fault = child.wait_for_line(Stream::Err, "ready", SOON).unwrap_err();
        assert!(format!("{fault:#}").contains("something else"), "{fault:#}");
    }

    #[test]
    fn waiting_has_a_limit_and_the_program_goes_on() {
        let mut child = shell("exec sleep 60");
        assert!(child.wait(Duration::from_millis(20)).is_err());
        assert!(std::path::Path::new(&format!("/proc/{}", child.pid())).exists());
    }

    #[test]
    fn dropping_it_ends_it() {
        let child = shell("exec sleep 60");
        let process = format!("/proc/{}", child.pid());
        assert!(std::path::Path::new(&process).exists());
        drop(child);
        assert!(!std::path::Path::new(&process).exists());
    }

    #[test]
    fn kill_and_stop_are_told_apart_by_how_it_ended() {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(shell("exec sleep 60").kill().unwrap().signal(), Some(9));
        assert_eq!(shell("exec sleep 60").stop(SOON).unwrap().signal(), Some(15));
    }

    #[test]
    fn it_lives_on_when_the_thread_that_asked_for_it_ends() {
        let child = std::thread::spawn(|| shell("echo up; exec sleep 60")).join().unwrap();
        child.wait_for_line(Stream::Out, "up", SOON).unwrap();
        assert!(!ends_within(&child.pidfd, Duration::from_millis(200)).unwrap());
    }
}
