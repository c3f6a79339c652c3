//! Threads that convert blocks before it is known where the block before them ends.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::emit::Emission;
use super::fast::{Run, Separator};
use super::utf8::front;

/// Output of one block at most, in bytes; what is left of a block that grows beyond it is converted in its turn.
const MOST_ROWS: usize = 2 << 20;

/// Where a block's first whole record is taken to begin, and behind what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) from: usize,
    pub(super) separator: Separator,
}

/// What was converted of a block, right if the guess was.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) guess: Guess,
    /// From the guess on.
    pub(super) run: Run,
    pub(super) rows: Vec<u8>,
}

/// A block of the input.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) guess: Option<Guess>,
    pub(super) converted: Option<Converted>,
    /// An empty buffer for the rows.
    pub(super) spare: Vec<u8>,
}

/// Converts records from the guess on, up to the last whole one or the first that is not right: faults are found again, and told,
/// in their turn.
fn convert(block: &mut Block, emission: &mut Emission) {
    let Some(guess) = block.guess else { return };
    let piece = &block.bytes[guess.from..];
    let piece = &piece[..front(piece).0];
    let mut rows = std::mem::take(&mut block.spare);
    let run = emission.records(piece, guess.separator, MOST_ROWS, &mut rows);
    block.converted = Some(Converted { guess, run, rows });
}

/// One block on its way through the crew.
#[derive(Debug)]
enum Stand {
    Waiting(Block),
    Taken,
    Done(Block),
}

/// A ticket for a block that was handed in.
#[derive(Debug)]
pub(super) struct Ticket(Arc<Mutex<Stand>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Mutex<Stand>>>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// A block is waiting, or the crew is closed.
    work: Condvar,
    /// A block is done.
    done: Condvar,
}

/// Nothing in here panics while it holds a lock; if it did, the data behind the lock would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Converts the block that has waited longest; false when none waits.
    fn convert_one(&self, emission: &mut Emission) -> bool {
        let Some(stand) = lock(&self.queue).waiting.pop_front() else { return false };
        let taken = std::mem::replace(&mut *lock(&stand), Stand::Taken);
        if let Stand::Waiting(block) = taken {
            let mut at_work = AtWork { shared: self, stand, block: Some(block) };
            if let Some(block) = &mut at_work.block {
                convert(block, emission);
            }
        }
        true
    }

    fn work(&self, mut emission: Emission) {
        loop {
            let mut queue = lock(&self.queue);
            while queue.waiting.is_empty() {
                if queue.is_closed {
                    return;
                }
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            drop(queue);
            self.convert_one(&mut emission);
        }
    }
}

/// A block being converted. It comes back whatever happens: after a bug that ends its thread, unconverted, and whoever waits for it
/// meets the bug in its turn.
struct AtWork<'a> {
    shared: &'a Shared,
    stand: Arc<Mutex<Stand>>,
    block: Option<Block>,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            *lock(&self.stand) = Stand::Done(block);
            // Who waits looks with this lock held, and so either sees the block or hears the call.
            drop(lock(&self.shared.queue));
            self.shared.done.notify_all();
        }
    }
}

/// The threads of one conversion. They end with it.
#[derive(Debug)]
pub(super) struct Crew {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    own: Emission,
}

impl Crew {
    /// `threads` threads beside the caller's, as many as the machine gives.
    pub(super) fn new(threads: usize, emission: &Emission) -> Self {
        let shared = Arc::new(Shared::default());
        let mut started = Vec::new();
        for number in 0..threads {
            let (shared, emission) = (Arc::clone(&shared), emission.ahead());
            let thread = std::thread::Builder::new()
                .name(format!("json-to-csv-{number}"))
                .spawn(move || shared.work(emission));
            // Fewer threads than wanted convert the same, later.
            let Ok(thread) = thread else { break };
            started.push(thread);
        }
        Self { shared, threads: started, own: emission.ahead() }
    }

    /// Blocks are converted by so many threads, the caller's counted.
    pub(super) fn size(&self) -> usize {
        self.threads.len() + 1
    }

    pub(super) fn hand_in(&self, block: Block) -> Ticket {
        let stand = Arc::new(Mutex::new(Stand::Waiting(block)));
        lock(&self.shared.queue).waiting.push_back(Arc::clone(&stand));
        self.shared.work.notify_one();
        Ticket(stand)
    }

    pub(super) fn is_done(&self, ticket: &Ticket) -> bool {
        matches!(*lock(&ticket.0), Stand::Done(_))
    }

    /// Helps until the block is done.
    pub(super) fn wait(&mut self, ticket: Ticket) -> Block {
        loop {
            if self.is_done(&ticket)
                && let Stand::Done(block) = std::mem::replace(&mut *lock(&ticket.0), Stand::Taken)
            {
                return block;
            }
            if self.shared.convert_one(&mut self.own) {
                continue;
            }
            let queue = lock(&self.shared.queue);
            if !self.is_done(&ticket) {
                drop(self.shared.done.wait(queue).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// The block, whether somebody has converted it or not.
    pub(super) fn take_back(&mut self, ticket: Ticket) -> Block {
        let stand = std::mem::replace(&mut *lock(&ticket.0), Stand::Taken);
        match stand {
            Stand::Done(block) | Stand::Waiting(block) => block,
            Stand::Taken => self.wait(ticket),
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared.queue);
        queue.is_closed = true;
        queue.waiting.clear();
        drop(queue);
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A panic there was told already; the block it had is missed by `wait`.
            let _ended = thread.join();
        }
    }
}
