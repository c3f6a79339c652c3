//! A relay in front of a server that can stop a transfer in the middle, for as long as a test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::bad_input::site::LIMIT;

/// Lets each connection send so many bytes to the server and holds the rest until it is opened.
pub struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    hold_after: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    held: usize,
    ended: bool,
    streams: Vec<TcpStream>,
}

impl Gate {
    pub fn new(server: SocketAddr, hold_after: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { server, hold_after, state: Mutex::default(), changed: Condvar::new() });
        let relay = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if relay.lock().ended {
                    return;
                }
                relay.connect(client.unwrap());
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when a connection is being held.
    pub fn wait_until_holding(&self) {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, LIMIT, |state| state.held == 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(state.held > 0, "nobody sent {} bytes within {LIMIT:?}", self.shared.hold_after);
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.shared.lock().open = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
        let mut state = self.shared.lock();
        state.ended = true;
        for stream in state.streams.drain(..) {
            // It may be closed already.
            stream.shutdown(Shutdown::Both).ok();
        }
        drop(state);
        // Wakes the thread that accepts, which then sees that it is over.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        let server = TcpStream::connect(self.server).unwrap();
        let both =
            [(client.try_clone().unwrap(), server.try_clone().unwrap(), true), (server, client, false)];
        for (from, to, held) in both {
            self.lock().streams.push(from.try_clone().unwrap());
            let relay = self.clone();
            std::thread::spawn(move || relay.pass(from, to, held));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, held: bool) {
        let mut buffer = [0; 16 * 1024];
        let mut passed = 0;
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
                Ok(read) => read,
            };
            passed += read as u64;
            if held && passed > self.hold_after {
                self.hold();
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        // The other side may be gone already.
        to.shutdown(Shutdown::Write).ok();
    }

    fn hold(&self) {
        let mut state = self.lock();
        if state.open {
            return;
        }
        state.held += 1;
        self.changed.notify_all();
        let opened = self.changed.wait_while(state, |state| !state.open);
        opened.unwrap_or_else(PoisonError::into_inner).held -= 1;
    }
}
