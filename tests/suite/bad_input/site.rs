//! A data folder with a bucket, a partner in this process, and the real binary between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outport_send::partner::{Partner, PartnerConfig};
use outport_tests::child::{Child, Stream};
use outport_tests::process::{Finished, Outport};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a machine that does other things, too.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The partner's password; it must never be seen anywhere.
pub const PASSWORD: &str = "marker-5f1d-of-a-secret";

/// The bucket `in`: `*.json` becomes CSV, the rest goes as it is, both to the partner's `inbox`; in `versions/` each
/// version has a name of its own.
pub struct Site {
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
    partner: Option<Partner>,
    settings: Vec<(String, String)>,
}

impl Site {
    /// A partner that is up, definitions that are applied, an empty bucket.
    pub fn new() -> Self {
        let site = Self::without_definitions();
        let address = site.partner().address();
        site.apply(address);
        site
    }

    /// The same with nothing applied.
    pub fn without_definitions() -> Self {
        let folder = tempfile::Builder::new().prefix("outport-bad-input-").tempdir().unwrap();
        for name in ["partner/inbox", "data/buckets/in"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = PartnerConfig::new(folder.path().join("partner"), "outport").password(PASSWORD);
        let partner = Some(runtime.block_on(Partner::start(config)).unwrap());
        let settings = vec![];
        let site = Self { folder, runtime, partner, settings };
        site.set("OUTPORT_INTAKE_QUIET", "200ms")
            .set("OUTPORT_INTAKE_SWEEP", "500ms")
            .set("OUTPORT_HEALTH_LISTEN", "")
    }

    /// Sets a variable for every call that follows.
    pub fn set(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.settings.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn bucket(&self) -> PathBuf {
        self.data().join("buckets/in")
    }

    pub fn inbox(&self) -> PathBuf {
        self.folder.path().join("partner/inbox")
    }

    pub fn partner(&self) -> &Partner {
        self.partner.as_ref().unwrap()
    }

    pub fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// Definitions with an endpoint at `address` and the partner's host key.
    pub fn definitions(&self, address: SocketAddr) -> String {
        format!(
            r#"[[file_group]]
name = "records"
rule = [{{ bucket = "in", key = "**/*.json" }}]
[[file_group]]
name = "plain"
rule = [{{ bucket = "in", key = "**" }}]
[[file_group]]
name = "versions"
rule = [{{ bucket = "in", key = "versions/**" }}]
[[transform]]
name = "to-csv"
kind = "json-to-csv"
[[subscriber]]
code = "acme"
name = "ACME"
[[subscriber.endpoint]]
name = "sftp"
protocol = "sftp"
host = "{}"
port = {}
username = "outport"
password = "file:{}"
host_keys = ["{}"]
[[subscription]]
code = "acme-records"
subscriber = "acme"
file_group = "records"
endpoint = "sftp"
transform = "to-csv"
remote_name = "inbox/{{stem}}.{{ext}}"
[[subscription]]
code = "acme-plain"
subscriber = "acme"
file_group = "plain"
endpoint = "sftp"
remote_name = "inbox/{{name}}"
[[subscription]]
code = "acme-versions"
subscriber = "acme"
file_group = "versions"
endpoint = "sftp"
remote_name = "inbox/{{sequence}}-{{name}}"
"#,
            address.ip(),
            address.port(),
            self.folder().join("password").display(),
            self.partner().fingerprint(),
        )
    }

    pub fn apply(&self, address: SocketAddr) {
        std::fs::write(self.folder().join("partners.toml"), self.definitions(address)).unwrap();
        let applied = self.run(&["apply", "partners.toml"]);
        assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    }

    /// `outport ARGUMENTS... --data DATA` in the site's folder, not called yet.
    pub fn outport(&self, arguments: &[&str]) -> Outport {
        let mut outport = Outport::new(self.folder(), arguments);
        for (name, value) in &self.settings {
            outport = outport.env(name, value);
        }
        outport.env("OUTPORT_DATA", self.data())
    }

    /// The same, run to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.outport(arguments).run().unwrap()
    }

    /// `outport up`, as far as it says that it is up.
    pub fn up(&self) -> Child {
        let child = self.outport(&["up"]).start().unwrap();
        child.wait_for_line(Stream::Err, "outport is up", LIMIT).unwrap();
        child
    }

    /// A file that is renamed into the bucket, as careful uploaders do.
    pub fn upload(&self, key: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.bucket().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temp = self.bucket().join(".upload");
        std::fs::write(&temp, content).unwrap();
        std::fs::rename(&temp, &path).unwrap();
    }

    /// What a read with `--json` prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let answer = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(answer.code, Some(0), "{arguments:?}: {}", answer.stderr);
        serde_json::from_str(&answer.stdout).unwrap()
    }

    pub fn files(&self) -> Vec<Value> {
        rows(self.json(&["file", "list", "--limit", "1000"]))
    }

    pub fn deliveries(&self) -> Vec<Value> {
        rows(self.json(&["delivery", "list", "--limit", "1000"]))
    }

    /// The deliveries of files with this key, once there are `count` and all have settled.
    pub fn settled(&self, key: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} settled deliveries of {key:?}"), || {
            let of_key: Vec<Value> = self.deliveries().into_iter().filter(|d| d["key"] == key).collect();
            let settled = of_key.iter().filter(|d| !d["settled_at"].is_null()).count();
            if settled == count && of_key.len() == count { Ok(of_key) } else { Err(format!("{of_key:#?}")) }
        })
    }

    /// The file with this key, once it is recorded.
    pub fn recorded(&self, key: &str) -> Value {
        until(&format!("a record of {key:?}"), || {
            let files = self.files();
            files.iter().find(|file| file["key"] == key).cloned().ok_or_else(|| format!("{files:#?}"))
        })
    }

    /// The names in the partner's inbox.
    pub fn arrived(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.inbox()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The partner's tasks end within its runtime.
        if let Some(partner) = self.partner.take() {
            self.runtime.block_on(partner.stop());
        }
    }
}

fn rows(list: Value) -> Vec<Value> {
    match list {
        Value::Array(rows) => rows,
        other => panic!("not a list: {other}"),
    }
}

/// Looks again and again until `look` finds it; what it last saw instead stands in the failure.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(Instant::now() < deadline, "no {what} within {LIMIT:?}, but: {instead}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asserts an exit code, a fault code and a part of the hint.
#[track_caller]
pub fn refused(finished: &Finished, exit: i32, code: &str, hint: &str) {
    let said = &finished.stderr;
    assert_eq!(finished.code, Some(exit), "{said}");
    assert!(said.contains(&format!("[{code}]")), "no {code} in: {said}");
    let given = said.split_once("\nhint: ").map_or("", |(_, hint)| hint);
    assert!(given.contains(hint), "no hint {hint:?} in: {said}");
    assert_eq!(finished.stdout, "");
}
