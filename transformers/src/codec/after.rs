//! An adapter behind a transform.

use outport_core::{Fault, code};

use super::PORTION;
use crate::transform::{About, Finish, OUT_FULL, Summary, Transform};

/// What an adapter makes of the output.
pub(super) trait Outward: Send {
    /// Goes back to the beginning of the output; what was written is void.
    fn restart(&mut self);

    /// Appends to `out` what `bytes` become. These are [`PORTION`] bytes each time but the last, which may have fewer: what deflate makes
    /// depends on where its input is cut, and the same output is to have the same sha256 however it came about.
    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault>;

    /// Appends the tail.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault>;
}

/// A transform whose output is made from another one's.
pub(super) struct After<S> {
    inner: Box<dyn Transform>,
    step: S,
    /// Put out by the inner transform; the first `written` bytes have gone on.
    ready: Vec<u8>,
    written: usize,
    bytes_out: u64,
    state: State,
}

enum State {
    Open,
    /// The inner transform's fault, told once what it put out before has gone on: a fault of the step's would be the earlier one.
    Broken(Fault),
    /// The inner transform is through; the tail is missing.
    Tail(Summary),
    Done(Summary),
    Failed(Fault),
}

impl<S: Outward> After<S> {
    pub(super) fn new(inner: Box<dyn Transform>, step: S) -> Self {
        Self { inner, step, ready: Vec::new(), written: 0, bytes_out: 0, state: State::Open }
    }

    /// Writes whole portions of what is ready, until `out` is full; with `to_the_end`, the rest too. Then a fault that waited for this is
    /// told.
    fn write_on(&mut self, to_the_end: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let to_the_end = to_the_end || matches!(self.state, State::Broken(_));
        let least = if to_the_end { 1 } else { PORTION };
        while self.ready.len() - self.written >= least && out.len() < OUT_FULL {
            let rest = &self.ready[self.written..];
            let portion = &rest[..rest.len().min(PORTION)];
            self.step.write(portion, out)?;
            self.written += portion.len();
        }
        if self.ready.len() - self.written < least {
            self.ready.drain(..self.written);
            self.written = 0;
            if let State::Broken(fault) = &self.state {
                return Err(fault.clone());
            }
        }
        Ok(())
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut taken = 0;
        loop {
            self.write_on(false, out)?;
            let rest = &chunk[taken..];
            if rest.is_empty() || out.len() >= OUT_FULL {
                return Ok(taken);
            }
            match self.inner.push(rest, &mut self.ready) {
                Ok(read) => taken += read,
                Err(fault) => self.state = State::Broken(fault),
            }
        }
    }

    fn end_pass(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        loop {
            self.write_on(matches!(self.state, State::Tail(_)), out)?;
            if out.len() >= OUT_FULL {
                return Ok(Finish::More);
            }
            match &self.state {
                State::Tail(summary) => {
                    let summary = *summary;
                    self.step.end(out)?;
                    self.state = State::Done(summary);
                    return Ok(Finish::Done(summary));
                }
                _ => match self.inner.finish(&mut self.ready) {
                    Ok(Finish::More) => {}
                    Ok(Finish::Again) => {
                        self.ready.clear();
                        self.step.restart();
                        return Ok(Finish::Again);
                    }
                    Ok(Finish::Done(summary)) => self.state = State::Tail(summary),
                    Err(fault) => self.state = State::Broken(fault),
                },
            }
        }
    }

    fn remember(&mut self, fault: &Fault) {
        self.state = State::Failed(fault.clone());
        self.ready = Vec::new();
        self.written = 0;
    }
}

impl<S: Outward> Transform for After<S> {
    fn write_once(&mut self) {
        self.inner.write_once();
    }

    fn about(&mut self, about: &About) {
        self.inner.about(about);
    }

    fn take_rejects(&mut self, out: &mut Vec<u8>) {
        self.inner.take_rejects(out);
    }

    fn use_threads(&mut self, threads: usize) {
        self.inner.use_threads(threads);
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        match &self.state {
            State::Failed(fault) => return Err(fault.clone()),
            State::Tail(_) | State::Done(_) => {
                return Err(Fault::new(&code::TRANSFORM_FAILED, "could not take input behind its end"));
            }
            State::Open | State::Broken(_) => {}
        }
        let before = out.len();
        let taken = self.take(chunk, out).inspect_err(|fault| self.remember(fault))?;
        self.bytes_out += (out.len() - before) as u64;
        Ok(taken)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        match &self.state {
            State::Failed(fault) => return Err(fault.clone()),
            State::Done(summary) => return Ok(Finish::Done(*summary)),
            State::Open | State::Broken(_) | State::Tail(_) => {}
        }
        let before = out.len();
        let finish = self.end_pass(out).inspect_err(|fault| self.remember(fault))?;
        self.bytes_out += (out.len() - before) as u64;
        Ok(match finish {
            Finish::More => Finish::More,
            Finish::Again => {
                self.bytes_out = 0;
                Finish::Again
            }
            Finish::Done(summary) => {
                let summary = Summary { bytes_out: self.bytes_out, ..summary };
                self.state = State::Done(summary);
                Finish::Done(summary)
            }
        })
    }
}
