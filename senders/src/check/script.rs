//! The script: one thing after the other, each answered for itself.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use outport_core::{Fault, code};

use super::findings::{Answer, Findings, Probe};
use crate::remote::{ConnectFault, Connector, FileAttributes, Opening, Remote, RemoteError, RenameWith};
use crate::sha256::{Hasher, Sha256Sum};
use crate::target::Target;

/// More than one piece of the largest size that a write has.
const SIZE: usize = 600_000;

/// What to try, and where.
#[derive(Debug, Clone, Copy)]
pub struct CheckOptions<'a> {
    /// The folder on the server; `None`: where the login starts.
    pub folder: Option<&'a str>,
    /// Make a folder, too.
    pub makes_folder: bool,
    /// What the names have behind `.outport-check-`; different for each check.
    pub mark: &'a str,
}

/// Connects and tries everything. What it makes begins with `.outport-check-`, and is removed.
///
/// # Errors
/// When the connection cannot be made, or breaks off: what was found so far would not be the server's doing.
pub async fn check(
    connector: &dyn Connector,
    target: &Target,
    options: CheckOptions<'_>,
) -> Result<Findings, ConnectFault> {
    let remote = connector.connect(target).await?;
    let mut findings = try_all(&*remote, options).await;
    if findings.can(Probe::Write) {
        let second = match connector.connect(target).await {
            Ok(second) => {
                second.close().await;
                Ok(())
            }
            Err(failed) => Err(failed.fault),
        };
        findings.note(Probe::TwoConnections, Answer::of(&second));
    }
    let is_alive = remote.alive();
    remote.close().await;
    if is_alive {
        return Ok(findings);
    }
    let message = format!("the connection to {} broke off during the check", target.place());
    let hint = if findings.left.is_empty() {
        "try again; if it stays, the server ends connections at something that it does not know".to_owned()
    } else {
        format!("these may be left on the server: {}", findings.left.join(", "))
    };
    Err(ConnectFault {
        stage: crate::Stage::Verifying,
        fault: Fault::new(&code::ENDPOINT_RESET, message).with_hint(hint),
    })
}

/// Everything that one connection shows.
async fn try_all(remote: &dyn Remote, options: CheckOptions<'_>) -> Findings {
    let (identity, introduction) = (remote.identity(), remote.introduction());
    let findings = Findings {
        host_key: identity.fingerprint,
        banner: identity.banner,
        extensions: introduction.extensions,
        write_bytes: introduction.write_bytes,
        ..Findings::default()
    };
    let prefix =
        options.folder.map(|folder| format!("{}/", folder.trim_end_matches('/'))).unwrap_or_default();
    let name = |n: usize| format!("{prefix}.outport-check-{}.{n}", options.mark);
    let mut script = Script { remote, findings, made: Vec::new(), content: content() };
    script.first_file(&name(1)).await;
    if script.findings.can(Probe::Write) {
        script.looks(&name(1)).await;
        script.resume(&name(1)).await;
        script.empty_and_exclusive(&name(2)).await;
        script.renames(&name(2), &name(3), &name(4)).await;
        script.two_files(&name(5), &name(6)).await;
        if options.makes_folder {
            script.folder(&name(7)).await;
        } else {
            script.findings.note(Probe::MakeFolder, Answer::Skipped("ask for it with --mkdirs".into()));
        }
    }
    script.clear_away().await;
    script.findings
}

/// Bytes that no compression and no text mode leaves as they are by chance.
fn content() -> Bytes {
    (0..SIZE).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap_or_default()).collect()
}

struct Script<'a> {
    remote: &'a dyn Remote,
    findings: Findings,
    /// What stands on the server because of us.
    made: Vec<String>,
    content: Bytes,
}

impl Script<'_> {
    fn note<T>(&mut self, probe: Probe, result: &Result<T, Fault>) {
        self.findings.note(probe, Answer::of(result));
    }

    async fn first_file(&mut self, path: &str) {
        let mut file = match self.remote.create(path, Opening::Replace).await {
            Ok(file) => file,
            Err(fault) => return self.note::<()>(Probe::Write, &Err(fault)),
        };
        self.made.push(path.to_owned());
        let mut written = file.write(self.content.clone()).await;
        let shown = file.stat().await;
        let fstat = match &shown {
            Ok(stat) if stat.size_bytes == Some(SIZE as u64) => Answer::Yes,
            Ok(stat) => Answer::No(format!("it shows a size of {:?}", stat.size_bytes)),
            Err(fault) => Answer::of(&Err::<(), _>(fault.clone())),
        };
        // The time of writing, before it is set to another one.
        self.findings.clock_ahead_s = shown.ok().and_then(|stat| stat.mtime_s).map(|theirs| theirs - now_s());
        let mode = file.set(FileAttributes { mode: Some(0o640), mtime_s: None }).await;
        let mtime = file.set(FileAttributes { mode: None, mtime_s: Some(1_000_000_000) }).await;
        let synced = if self.remote.offers().fsync { Some(file.sync().await) } else { None };
        if let (Ok(()), Err(error)) = (&written, file.close().await) {
            written = Err(error.into_fault());
        }
        self.note(Probe::Write, &written);
        self.findings.note(Probe::Fstat, fstat);
        self.note(Probe::Mode, &mode);
        self.note(Probe::Mtime, &mtime);
        match synced {
            Some(synced) => self.note(Probe::Fsync, &synced),
            None => self.findings.note(Probe::Fsync, Answer::No("fsync@openssh.com is not offered".into())),
        }
    }

    async fn looks(&mut self, path: &str) {
        for (probe, seen) in
            [(Probe::Stat, self.remote.stat(path).await), (Probe::List, self.remote.find(path).await)]
        {
            let answer = match seen {
                Ok(Some(stat)) if stat.size_bytes == Some(SIZE as u64) => Answer::Yes,
                Ok(Some(stat)) => {
                    Answer::No(format!("{SIZE} bytes were written, it shows {:?}", stat.size_bytes))
                }
                Ok(None) => Answer::No("the file is not shown".into()),
                Err(fault) => Answer::of(&Err::<(), _>(fault)),
            };
            self.findings.note(probe, answer);
        }
        let answer = match self.read_again(path).await {
            Ok(sum) if sum == Sha256Sum::of(&self.content) => Answer::Yes,
            Ok(_) => Answer::No("other bytes were read than were written".into()),
            Err(fault) => Answer::of(&Err::<(), _>(fault)),
        };
        self.findings.note(Probe::ReadBack, answer);
        let answer = if self.remote.offers().checksum {
            match self.remote.checksum(path).await {
                Ok(sum) if sum == Sha256Sum::of(&self.content) => Answer::Yes,
                Ok(_) => Answer::No("the server computes another sum".into()),
                Err(fault) => Answer::of(&Err::<(), _>(fault)),
            }
        } else {
            Answer::No("check-file is not offered".into())
        };
        self.findings.note(Probe::Checksum, answer);
    }

    async fn read_again(&self, path: &str) -> Result<Sha256Sum, Fault> {
        let mut reader = self.remote.read(path).await?;
        let mut hasher = Hasher::default();
        while let Some(piece) = reader.next().await? {
            hasher.update(&piece);
        }
        Ok(hasher.finish())
    }

    async fn resume(&mut self, path: &str) {
        let at = SIZE / 2;
        let again = async {
            let mut file = self.remote.create(path, Opening::Continue { at: at as u64 }).await?;
            file.write(self.content.slice(at..)).await?;
            file.close().await.map_err(RemoteError::into_fault)
        };
        let again = again.await;
        let answer = match (&again, self.remote.stat(path).await) {
            (Ok(()), Ok(Some(stat))) if stat.size_bytes != Some(SIZE as u64) => {
                Answer::No(format!("the file has {:?} bytes afterwards", stat.size_bytes))
            }
            _ => Answer::of(&again),
        };
        self.findings.note(Probe::Resume, answer);
    }

    async fn put(&mut self, path: &str, content: Bytes, opening: Opening) -> Result<(), Fault> {
        let mut file = self.remote.create(path, opening).await?;
        self.made.push(path.to_owned());
        if !content.is_empty() {
            file.write(content).await?;
        }
        file.close().await.map_err(RemoteError::into_fault)
    }

    async fn empty_and_exclusive(&mut self, path: &str) {
        let empty = self.put(path, Bytes::new(), Opening::Replace).await;
        self.note(Probe::EmptyFile, &empty);
        let answer = match self.put(path, Bytes::new(), Opening::New).await {
            Ok(()) => Answer::No("a file is opened although one is there".into()),
            Err(fault) if fault.code == &code::REMOTE_EXISTS || empty.is_ok() => Answer::Yes,
            Err(fault) => Answer::of(&Err::<(), _>(fault)),
        };
        self.findings.note(Probe::Exclusive, answer);
    }

    async fn rename(&mut self, from: &str, to: &str, with: RenameWith) -> Result<(), Fault> {
        let renamed = self.remote.rename(from, to, with).await.map_err(RemoteError::into_fault);
        if renamed.is_ok() {
            self.made.retain(|path| path != from);
            self.made.push(to.to_owned());
        }
        renamed
    }

    async fn renames(&mut self, first: &str, second: &str, third: &str) {
        let renamed = self.rename(first, second, RenameWith::Rename).await;
        self.note(Probe::Rename, &renamed);
        if let Err(fault) = self.put(third, Bytes::from_static(b"x"), Opening::Replace).await {
            return self.note::<()>(Probe::RenameOver, &Err(fault));
        }
        let from = if renamed.is_ok() { second } else { first };
        let over = self.rename(from, third, RenameWith::Rename).await;
        self.note(Probe::RenameOver, &over);
        if !self.remote.offers().posix_rename {
            let answer = Answer::No("posix-rename@openssh.com is not offered".into());
            return self.findings.note(Probe::PosixRename, answer);
        }
        let again = match over {
            Ok(()) => self.put(from, Bytes::new(), Opening::Replace).await,
            Err(_) => Ok(()),
        };
        let posix = match again {
            Ok(()) => self.rename(from, third, RenameWith::PosixRename).await,
            Err(fault) => Err(fault),
        };
        self.note(Probe::PosixRename, &posix);
    }

    async fn two_files(&mut self, first: &str, second: &str) {
        let both = async {
            let mut one = self.remote.create(first, Opening::Replace).await?;
            let two = self.remote.create(second, Opening::Replace).await;
            let written = match two {
                Ok(mut two) => {
                    let written = two.write(Bytes::from_static(b"2")).await;
                    written.and(two.close().await.map_err(RemoteError::into_fault))
                }
                Err(fault) => Err(fault),
            };
            let first = one.write(Bytes::from_static(b"1")).await;
            first.and(one.close().await.map_err(RemoteError::into_fault)).and(written)
        };
        let both = both.await;
        self.made.extend([first.to_owned(), second.to_owned()]);
        self.note(Probe::TwoFiles, &both);
    }

    async fn folder(&mut self, path: &str) {
        let made = self.remote.make_folder(path).await;
        if made.is_ok()
            && let Err(fault) = self.remote.remove_folder(path).await
        {
            tracing::debug!(code = fault.code.name, "a folder could not be removed");
            self.findings.left.push(path.to_owned());
        }
        self.note(Probe::MakeFolder, &made);
    }

    async fn clear_away(&mut self) {
        let mut made = std::mem::take(&mut self.made);
        made.sort();
        made.dedup();
        let mut removed = None;
        for path in made {
            let gone = self.remote.remove(&path).await;
            if gone.is_err() {
                self.findings.left.push(path);
            }
            // One that works says nothing when another does not.
            if removed.is_none() || gone.is_err() {
                removed = Some(gone);
            }
        }
        if let Some(removed) = removed {
            self.note(Probe::Remove, &removed);
        }
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::propose::propose;
    use super::*;
    use crate::memory::{MemoryAbilities, MemoryServer};
    use crate::remote::Offers;

    fn run(server: &MemoryServer) -> Findings {
        let options = CheckOptions { folder: Some("in/"), makes_folder: true, mark: "m" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(try_all(&server.remote(), options))
    }

    #[test]
    fn a_full_server_needs_no_plan_and_keeps_nothing() {
        let server = MemoryServer::default();
        server.put("in/theirs", b"x", 1);
        let findings = run(&server);
        assert!(findings.left.is_empty() && findings.found.len() == 18, "{findings:#?}");
        assert_eq!(server.paths(), ["in/theirs"]);
        assert!(server.opened().iter().all(|path| path.starts_with("in/.outport-check-m.")));
        let no: Vec<_> = findings.found.iter().filter(|f| !f.answer.is_yes()).map(|f| f.probe).collect();
        assert_eq!(no, [Probe::RenameOver], "{findings:#?}");
        assert_eq!(propose(&findings), Some(outport_core::upload::UploadSpec::default()));
    }

    #[test]
    fn a_drop_box_is_seen_as_one_and_what_stays_is_told() {
        let abilities =
            MemoryAbilities { write_only: true, offers: Offers::default(), ..MemoryAbilities::default() };
        let server = MemoryServer::with(abilities);
        let findings = run(&server);
        for probe in [Probe::Stat, Probe::List, Probe::ReadBack, Probe::Remove, Probe::PosixRename] {
            assert!(findings.cannot(probe), "{probe:?}");
        }
        assert_eq!(findings.left, server.paths());
        let spec = propose(&findings).unwrap();
        assert_eq!(
            serde_json::to_string(&spec).unwrap(),
            r#"{"on_existing":"fail","write_only":true,"one_handle":true}"#
        );
    }
}
