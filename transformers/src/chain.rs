//! Two transforms, one behind the other.

use outport_core::Fault;

use crate::transform::{About, Finish, OUT_FULL, Summary, Transform};

/// What the first puts out is the input of the second. The first takes one pass and is made anew for each pass that the second
/// wants.
pub(crate) struct Chain {
    make_first: Box<dyn Fn() -> Box<dyn Transform> + Send>,
    first: Box<dyn Transform>,
    second: Box<dyn Transform>,
    /// Between the two: what the second has not taken yet begins at `at`.
    between: Vec<u8>,
    at: usize,
    about: About,
    /// What the first said at its end.
    ended: Option<Summary>,
}

impl Chain {
    pub(crate) fn new(
        make_first: impl Fn() -> Box<dyn Transform> + Send + 'static,
        second: Box<dyn Transform>,
    ) -> Self {
        Self {
            first: make_first(),
            make_first: Box::new(make_first),
            second,
            between: Vec::new(),
            at: 0,
            about: About::default(),
            ended: None,
        }
    }

    /// Hands on what is between the two; true when all of it is.
    fn hand_on(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        while self.at < self.between.len() {
            if out.len() >= OUT_FULL {
                return Ok(false);
            }
            self.at += self.second.push(&self.between[self.at..], out).map_err(of_the_second)?;
        }
        self.between.clear();
        self.at = 0;
        Ok(true)
    }
}

impl Transform for Chain {
    fn write_once(&mut self) {
        self.second.write_once();
    }

    fn use_threads(&mut self, threads: usize) {
        self.second.use_threads(threads);
    }

    fn about(&mut self, about: &About) {
        self.about = about.clone();
        self.first.about(about);
    }

    fn take_rejects(&mut self, out: &mut Vec<u8>) {
        self.first.take_rejects(out);
    }

    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut taken = 0;
        while self.hand_on(out)? && taken < chunk.len() {
            taken += self.first.push(&chunk[taken..], &mut self.between)?;
        }
        Ok(taken)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        while self.ended.is_none() {
            if !self.hand_on(out)? {
                return Ok(Finish::More);
            }
            if let Finish::Done(summary) = self.first.finish(&mut self.between)? {
                self.ended = Some(summary);
            }
        }
        if !self.hand_on(out)? {
            return Ok(Finish::More);
        }
        let finish = self.second.finish(out).map_err(of_the_second)?;
        match (finish, self.ended) {
            (Finish::Again, _) => {
                self.first = (self.make_first)();
                self.first.about(&self.about);
                self.ended = None;
                Ok(Finish::Again)
            }
            (Finish::Done(second), Some(first)) => Ok(Finish::Done(Summary {
                records: first.records,
                rejected: first.rejected,
                bytes_in: first.bytes_in,
                ..second
            })),
            (other, _) => Ok(other),
        }
    }
}

/// The second counts what the first has made: its places are not those of the input, and must not be taken for them.
fn of_the_second(fault: Fault) -> Fault {
    let message = format!(
        "{} (records, lines and bytes counted behind what the spec filters, explodes or leaves out)",
        fault.message
    );
    Fault { message, ..fault }
}
