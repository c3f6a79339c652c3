//! A long way to a server on this machine: a proxy on loopback that passes every byte on later, or for a while none.
//!
//! It stands for a distance, not for a line: there is no loss, no congestion and no limit to how much a second. What shows
//! is how often a client waits for an answer, and how much it keeps under way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

/// Bytes on the way at a time, in each direction of a connection: far more than SSH's windows let out, and an end to what
/// a test may cost in memory.
const ON_THE_WAY: usize = 64 * 1024 * 1024;
const READ: usize = 256 * 1024;

/// The proxy. Dropping it ends its connections.
#[derive(Debug)]
pub struct Delay {
    address: SocketAddr,
    stalled: watch::Sender<bool>,
    /// Its own, so that a program that blocks does not block it.
    runtime: Option<Runtime>,
}

impl Delay {
    /// Starts one in front of `server`, `round_trip` away from it.
    ///
    /// # Errors
    /// If nothing can be listened on.
    pub fn before(server: SocketAddr, round_trip: Duration) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("listening on loopback")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stalled, line) = watch::channel(false);
        runtime.spawn(async move {
            // An error of one connection is that client's to tell.
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, round_trip, line.clone()));
            }
        });
        Ok(Self { address, stalled, runtime: Some(runtime) })
    }

    /// Passes nothing on any more, as a line that is down: nobody is told, connections stay.
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// Passes on what has waited, and what comes.
    pub fn go_on(&self) {
        self.stalled.send_replace(false);
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        // Dropped where it may not wait: in a runtime of the caller's.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn pass(
    client: TcpStream,
    server: SocketAddr,
    round_trip: Duration,
    line: watch::Receiver<bool>,
) -> std::io::Result<()> {
    // The kernel has answered the client's SYN at once; over a distance that takes a round trip.
    tokio::time::sleep(round_trip).await;
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let one_way = round_trip / 2;
    let (up, down) = tokio::join!(
        way(from_client, to_server, one_way, line.clone()),
        way(from_server, to_client, one_way, line)
    );
    up.and(down)
}

/// What is under way in one direction, and when it arrives.
struct Under {
    due: Instant,
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Buffers that have arrived, to be filled again. A new one of 256 KiB is 64 pages that the kernel has to clear: that took a
/// third of a core, on a machine where the client and the server need both.
type Empty = Arc<Mutex<Vec<Vec<u8>>>>;

fn buffer(empty: &Empty) -> Vec<u8> {
    let used = empty.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut buffer = used.unwrap_or_default();
    buffer.resize(READ, 0);
    buffer
}

async fn way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    one_way: Duration,
    mut line: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let room = Arc::new(Semaphore::new(ON_THE_WAY));
    let (depart, mut arrive) = mpsc::unbounded_channel::<Under>();
    let empty = Empty::default();
    let arrived = empty.clone();
    let reading = async move {
        loop {
            let mut bytes = buffer(&empty);
            let read = from.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            bytes.truncate(read);
            let due = Instant::now() + one_way;
            // 256 KiB fit; it is never closed.
            let Ok(room) = Arc::clone(&room).acquire_many_owned(read as u32).await else { return Ok(()) };
            if depart.send(Under { due, bytes, _room: room }).is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some(under) = arrive.recv().await {
            tokio::time::sleep_until(under.due).await;
            // An error: the proxy itself is gone.
            line.wait_for(|stalled| !stalled).await.map_err(std::io::Error::other)?;
            to.write_all(&under.bytes).await?;
            arrived.lock().unwrap_or_else(PoisonError::into_inner).push(under.bytes);
        }
        to.shutdown().await
    };
    let (read, written) = tokio::join!(reading, writing);
    std::io::Result::and(read, written)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn every_byte_comes_later_and_in_order() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let delay = Delay::before(server.local_addr().unwrap(), Duration::from_millis(20)).unwrap();
        let echo = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            std::io::copy(&mut client.try_clone().unwrap(), &mut client).unwrap();
        });
        let mut client = TcpStream::connect(delay.address()).unwrap();
        let sent: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        for _ in 0..3 {
            let started = std::time::Instant::now();
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
            assert!(started.elapsed() >= Duration::from_millis(20), "{:?}", started.elapsed());
        }
        let writing = std::thread::spawn({
            let (mut client, sent) = (client.try_clone().unwrap(), sent.clone());
            move || {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert!(received == sent);
        writing.join().unwrap();
        echo.join().unwrap();
    }
    #[test]
    fn a_stalled_line_passes_nothing_until_it_goes_on() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let delay = Delay::before(server.local_addr().unwrap(), Duration::ZERO).unwrap();
        let mut client = TcpStream::connect(delay.address()).unwrap();
        let (mut other, _) = server.accept().unwrap();
        delay.stall();
        client.write_all(b"later").unwrap();
        other.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(other.read(&mut [0; 5]).is_err());
        other.set_read_timeout(None).unwrap();
        delay.go_on();
        let mut received = [0; 5];
        other.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"later");
    }
}
