//! The server, the files, and the machine below them.

use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use outport_tests::servers::delay::Delay;
use outport_tests::servers::openssh::{Config, OpenSsh};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::options::Options;

/// A server on loopback, near or far, and files to send there.
pub struct Bed {
    // First, so that it has ended before its folder goes.
    pub server: OpenSsh,
    delay: Option<Delay>,
    folder: TempDir,
    pub files: Vec<PathBuf>,
}

impl Bed {
    /// `count` files of `size_bytes` each, of bytes that no cipher or channel can compress.
    pub fn new(options: &Options, count: usize, size_bytes: u64, is_far: bool) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::Builder::new()
            .prefix("outport-bench-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in(&options.folder)
            .with_context(|| format!("making a folder in {}", options.folder.display()))?;
        let source = folder.path().join("source");
        std::fs::create_dir(&source)?;
        let files: Vec<PathBuf> = (0..count).map(|n| source.join(format!("file-{n:04}.bin"))).collect();
        for (seed, file) in files.iter().enumerate() {
            write_random(file, size_bytes, seed as u64)?;
        }
        let arrived = folder.path().join("arrived");
        std::fs::create_dir(&arrived)?;
        // The user that the tests log in as is another one where they run as root.
        std::fs::set_permissions(&arrived, std::fs::Permissions::from_mode(0o777))?;
        // With a shell, as OpenSSH comes: rclone looks for one, and has every file hashed on the server where it finds it.
        let server = OpenSsh::start(Config { folder: Some(arrived), shell: true, ..Config::default() })?;
        let round_trip = Duration::from_millis(options.round_trip_ms);
        let delay = is_far.then(|| Delay::before(server.address(), round_trip)).transpose()?;
        let bed = Self { server, delay, folder, files };
        std::fs::write(bed.known_hosts(), bed.known_hosts_text())?;
        Ok(bed)
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.delay.as_ref().map_or_else(|| self.server.address(), Delay::address)
    }

    /// A `known_hosts` file with the server under that address.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn known_hosts_text(&self) -> String {
        let port = |address: SocketAddr| format!(":{} ", address.port());
        self.server.known_hosts().replace(&port(self.server.address()), &port(self.address()))
    }

    /// The folder of the files to send, and no other.
    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    /// A file for a client's commands.
    pub fn script(&self) -> PathBuf {
        self.folder.path().join("script")
    }

    /// Waits until the server has no session, so that its processor time is complete.
    pub fn wait_until_idle(&self) -> Result<()> {
        for _ in 0..2_000 {
            if self.server.sessions() == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server still has sessions after ten seconds; it says:\n{}", self.server.log())
    }

    /// Compares what arrived with what was sent, and takes it away.
    pub fn check_and_clear(&self) -> Result<()> {
        let mut arrived = std::fs::read_dir(self.server.folder())?.collect::<std::io::Result<Vec<_>>>()?;
        arrived.sort_by_key(std::fs::DirEntry::file_name);
        let names: Vec<_> = arrived.iter().map(std::fs::DirEntry::file_name).collect();
        ensure!(
            names.len() == self.files.len(),
            "{} files were sent, {} arrived: {names:?}",
            self.files.len(),
            names.len()
        );
        for (sent, arrived) in self.files.iter().zip(&arrived) {
            ensure!(is_same(sent, &arrived.path())?, "{} did not arrive as it was", sent.display());
            std::fs::remove_file(arrived.path())?;
        }
        Ok(())
    }
}

/// What the delay makes of the round trip that was asked for: timers and the proxy's own work come on top. Median of 51.
pub fn measured_round_trip(options: &Options) -> Result<Duration> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let delay = Delay::before(server.local_addr()?, Duration::from_millis(options.round_trip_ms))?;
    let echo = std::thread::spawn(move || {
        let (client, _) = server.accept()?;
        std::io::copy(&mut client.try_clone()?, &mut &client)
    });
    let mut client = TcpStream::connect(delay.address())?;
    client.set_nodelay(true)?;
    let mut times = Vec::new();
    for _ in 0..51 {
        let started = Instant::now();
        client.write_all(b"x")?;
        client.read_exact(&mut [0])?;
        times.push(started.elapsed());
    }
    client.shutdown(Shutdown::Both)?;
    echo.join().map_err(|_| anyhow::anyhow!("the echo panicked"))??;
    times.sort();
    Ok(times[times.len() / 2])
}

fn write_random(file: &Path, size_bytes: u64, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut left = size_bytes;
    let mut block = vec![0; 1 << 16];
    while left > 0 {
        random.fill_bytes(&mut block);
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        out.write_all(&block[..now])?;
        left -= now as u64;
    }
    Ok(out.flush()?)
}

fn is_same(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| std::fs::File::open(path).map(|file| BufReader::with_capacity(1 << 20, file));
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let read = one.read(&mut a)?;
        if read == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        if other.read_exact(&mut b[..read]).is_err() || a[..read] != b[..read] {
            return Ok(false);
        }
    }
}

/// A few lines about what the numbers were measured on.
pub fn machine(options: &Options) -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpus.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    };
    let has = |flag: &str| if field("flags").split(' ').any(|f| f == flag) { "yes" } else { "no" };
    let build =
        if cfg!(debug_assertions) { "DEBUG BUILD: the numbers mean nothing" } else { "release build" };
    Ok(format!(
        "{} cores, {}, AES in the CPU: {}, SHA: {}; load average {}; {build}; {} interleaved rounds",
        std::thread::available_parallelism()?,
        field("model name"),
        has("aes"),
        has("sha_ni"),
        load_average(),
        options.rounds,
    ))
}

/// Of the last minute.
pub fn load_average() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}
