//! Files of gigabytes: keys change on the way, every byte arrives, memory stays what it was.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use outport_tests::process::Outport;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::set::{self, Skip};
use outport_tests::{child::Stream, need, usage};

use super::content;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Room for so much in the temporary folder.
fn room(bytes: u64) -> anyhow::Result<()> {
    let df = Command::new("df").args(["--output=avail", "-B1"]).arg(std::env::temp_dir()).output()?;
    let printed = String::from_utf8(df.stdout)?;
    let free: u64 = printed.lines().last().unwrap_or_default().trim().parse()?;
    if free > bytes {
        return Ok(());
    }
    Err(Skip::because(format!("needs {} GiB in the temporary folder, there are {}", bytes / GIB, free / GIB)))
}

/// A file with holes, which takes little room here and all of it at the server: each mebibyte begins with bytes of its own.
fn write_large(path: &Path, size_bytes: u64) {
    let file = File::create(path).unwrap();
    file.set_len(size_bytes).unwrap();
    for at in (0..size_bytes).step_by(MIB as usize) {
        file.write_all_at(&content(4096, at + 1), at).unwrap();
    }
}

fn are_equal(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut here, mut there) = (vec![0; MIB as usize], vec![0; MIB as usize]);
    if one.metadata().unwrap().len() != other.metadata().unwrap().len() {
        return false;
    }
    loop {
        let read = one.read(&mut here).unwrap();
        if read == 0 {
            return true;
        }
        other.read_exact(&mut there[..read]).unwrap();
        if here[..read] != there[..read] {
            return false;
        }
    }
}

/// Sends one file with `outport send` and compares it. Says how often keys were changed, and how much memory the sender
/// took at most (MiB).
fn sent(rekey_limit: &str, size_bytes: u64) -> (usize, f64) {
    let lines = vec![format!("RekeyLimit {rekey_limit}"), "LogLevel DEBUG1".to_owned()];
    let server = OpenSsh::start(Config { lines, ..Config::default() }).unwrap();
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("a");
    write_large(&file, size_bytes);
    let url = format!("sftp://{}@{}/", server.login().user, server.address());
    let key = server.key_file().to_str().unwrap();
    let arguments = ["send", "a", &url, "--identity", key, "--host-key", server.fingerprint()];
    let mut sending = Outport::new(work.path(), arguments).start().unwrap();
    let (started, mut peak) = (Instant::now(), 0.0);
    while let Ok(memory) = usage::memory_mib(sending.pid(), "VmHWM") {
        peak = memory;
        // The final name, as soon as it is there, has all of it.
        if let Ok(meta) = server.folder().join("a").metadata() {
            assert_eq!(meta.len(), size_bytes);
        }
        assert!(started.elapsed() < Duration::from_secs(1800), "it takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = sending.wait(Duration::from_secs(10)).unwrap();
    assert!(ended.success(), "{}", sending.printed(Stream::Err));
    assert!(are_equal(&file, &server.folder().join("a")));
    (server.log().matches("SSH2_MSG_KEXINIT received").count(), peak)
}

#[test]
fn gibibytes_arrive_while_keys_change() {
    need!(set::full());
    need!(room(5 * GIB));
    let (_, small) = sent("default", 256 * MIB);
    // The server wants new keys every 32 MiB.
    let (changes, large) = sent("32M", 4 * GIB);
    assert!(changes >= 100, "{changes}");
    // We want them every GiB (RFC 4253 section 9).
    let (changes, _) = sent("default", 2 * GIB + GIB / 2);
    assert!(changes >= 3, "{changes}");
    assert!(large < small + 8.0, "{small} MiB for 256 MiB, {large} MiB for 4 GiB");
}
