//! An adapter in front of a transform.

use outport_core::{Fault, code};

use super::PORTION;
use crate::transform::{About, Finish, OUT_FULL, Summary, Transform};

/// What an adapter does to the input.
pub(super) trait Inward: Send {
    /// Goes back to the beginning of the input.
    fn restart(&mut self);

    /// Whether everything from here on is handed on as it is, without [`take`](Inward::take).
    fn is_idle(&self) -> bool {
        false
    }

    /// Takes bytes from the front of `input`, appends what they stand for to `out`, about [`PORTION`] bytes at most, and says how many it
    /// took. When it took all, nothing that can be put out already is held back. After a fault `out` holds what stands before the
    /// faulty place.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault>;

    /// Ends the input.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Fault>;
}

/// A transform that takes what another one's input is made from.
pub(super) struct Before<S> {
    inner: Box<dyn Transform>,
    step: S,
    /// On its way to the inner transform, which has taken the first `given` bytes.
    ready: Vec<u8>,
    given: usize,
    bytes_in: u64,
    input: Input,
}

enum Input {
    Open,
    Ended,
    /// A fault that is told once the inner transform has seen what stands before it: a fault of its own would be the earlier one.
    Broken(Fault),
    Done(Summary),
    Failed(Fault),
}

impl<S: Inward> Before<S> {
    pub(super) fn new(inner: Box<dyn Transform>, step: S) -> Self {
        let ready = Vec::with_capacity(PORTION);
        Self { inner, step, ready, given: 0, bytes_in: 0, input: Input::Open }
    }

    /// Hands on what is ready, until `out` is full.
    fn hand_on(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        while self.given < self.ready.len() && out.len() < OUT_FULL {
            self.given += self.inner.push(&self.ready[self.given..], out)?;
        }
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            if let Input::Broken(fault) = &self.input {
                return Err(fault.clone());
            }
        }
        Ok(())
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut taken = 0;
        loop {
            self.hand_on(out)?;
            let rest = &chunk[taken..];
            if rest.is_empty() || out.len() >= OUT_FULL {
                return Ok(taken);
            }
            if self.step.is_idle() {
                taken += self.inner.push(rest, out)?;
                continue;
            }
            match self.step.take(rest, &mut self.ready) {
                Ok(read) => taken += read,
                Err(fault) => self.input = Input::Broken(fault),
            }
        }
    }

    fn end_pass(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        if matches!(self.input, Input::Open) {
            self.hand_on(out)?;
            if !self.ready.is_empty() {
                return Ok(Finish::More);
            }
            self.input = match self.step.end(&mut self.ready) {
                Ok(()) => Input::Ended,
                Err(fault) => Input::Broken(fault),
            };
        }
        self.hand_on(out)?;
        if !self.ready.is_empty() {
            return Ok(Finish::More);
        }
        let finish = self.inner.finish(out)?;
        Ok(match finish {
            Finish::More => Finish::More,
            Finish::Again => {
                self.step.restart();
                self.bytes_in = 0;
                self.input = Input::Open;
                Finish::Again
            }
            Finish::Done(summary) => {
                let summary = Summary { bytes_in: self.bytes_in, ..summary };
                self.input = Input::Done(summary);
                Finish::Done(summary)
            }
        })
    }

    fn remember(&mut self, fault: &Fault) {
        self.input = Input::Failed(fault.clone());
        self.ready = Vec::new();
        self.given = 0;
    }
}

impl<S: Inward> Transform for Before<S> {
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
        match &self.input {
            Input::Failed(fault) => return Err(fault.clone()),
            Input::Ended | Input::Done(_) => {
                return Err(Fault::new(&code::TRANSFORM_FAILED, "could not take input behind its end"));
            }
            Input::Open | Input::Broken(_) => {}
        }
        let taken = self.take(chunk, out).inspect_err(|fault| self.remember(fault))?;
        self.bytes_in += taken as u64;
        Ok(taken)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        match &self.input {
            Input::Failed(fault) => Err(fault.clone()),
            Input::Done(summary) => Ok(Finish::Done(*summary)),
            Input::Open | Input::Ended | Input::Broken(_) => {
                self.end_pass(out).inspect_err(|fault| self.remember(fault))
            }
        }
    }
}
