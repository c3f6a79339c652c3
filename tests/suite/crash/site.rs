//! A partner's server that outlives every kill, and `outport up` beside it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use outport_send::partner::{Partner, PartnerConfig};
use outport_tests::child::{Child, Stream};
use outport_tests::process::Outport;
use outport_tests::servers::postgres::Database;
use outport_tests::servers::proxy::Proxy;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

use super::files::Sample;
use super::ledger::Ledger;
use super::witness::Witness;

/// How long anything may take that takes a second on an idle machine.
pub const SOON: Duration = Duration::from_secs(60);

/// The time scale: a lease of 2 s.
pub const QUICK: f64 = 0.033;

const BUCKET: &str = "inbound";
const PASSWORD: &str = "not a secret";

/// Everything around the process under test.
pub struct Site {
    pub witness: Witness,
    home: TempDir,
    database: Option<Database>,
    /// What stands between `outport` and its database.
    proxy: Option<Proxy>,
    scale: f64,
    partner: Partner,
    /// Of one thread, and the partner's alone: whoever blocks it blocks the partner.
    partners_runtime: Runtime,
    runtime: Runtime,
}

/// A partner that answers nobody, until this is dropped.
pub struct Silence {
    _end: mpsc::Sender<()>,
}

impl Site {
    /// A site whose ledger is an SQLite file, or the given PostgreSQL database.
    pub fn new(database: Option<Database>) -> anyhow::Result<Self> {
        Self::with(database, None, QUICK)
    }

    /// The same with the durations of a real installation: a lease of a minute.
    pub fn in_real_time(database: Option<Database>) -> anyhow::Result<Self> {
        Self::with(database, None, 1.0)
    }

    /// How long whatever follows a kill may take here: a lease runs out first.
    pub fn limit(&self) -> Duration {
        SOON + Duration::from_secs(180).mul_f64(self.scale)
    }

    /// One whose `outport` reaches its PostgreSQL database through `proxy`, on a clock of its own.
    pub fn behind(proxy: Proxy, database: Database, scale: f64) -> anyhow::Result<Self> {
        Self::with(Some(database), Some(proxy), scale)
    }

    fn with(database: Option<Database>, proxy: Option<Proxy>, scale: f64) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("outport-test-crash-").tempdir()?;
        let inbox = home.path().join("partner/inbox");
        std::fs::create_dir_all(&inbox)?;
        std::fs::create_dir_all(home.path().join("buckets").join(BUCKET))?;
        std::fs::create_dir_all(home.path().join("staging"))?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let partners_runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = PartnerConfig::new(home.path().join("partner"), "outport").password(PASSWORD);
        let partner = partners_runtime.block_on(Partner::start(config))?;
        let site = Self {
            witness: Witness::new(&inbox)?,
            home,
            database,
            proxy,
            scale,
            partner,
            partners_runtime,
            runtime,
        };
        site.define()?;
        Ok(site)
    }

    fn define(&self) -> anyhow::Result<()> {
        let password = self.path("password");
        std::fs::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600))?;
        let text = format!(
            r#"
[[file_group]]
name = "claims"
rule = [{{ bucket = "{BUCKET}", key = "**/*.ndjson" }}]

[[file_group]]
name = "scans"
rule = [{{ bucket = "{BUCKET}", key = "**/*.pdf" }}]

[[transform]]
name = "to-csv"
kind = "json-to-csv"

[[subscriber]]
code = "acme"

[[subscriber.endpoint]]
name = "sftp"
protocol = "sftp"
host = "{host}"
port = {port}
username = "outport"
password = "file:{password}"
host_keys = ["{pin}"]

[[subscription]]
code = "acme-claims"
subscriber = "acme"
file_group = "claims"
endpoint = "sftp"
transform = "to-csv"
remote_name = "inbox/{{stem}}.{{ext}}"

[[subscription]]
code = "acme-scans"
subscriber = "acme"
file_group = "scans"
endpoint = "sftp"
remote_name = "inbox/{{name}}"
"#,
            host = self.partner.address().ip(),
            port = self.partner.address().port(),
            password = password.display(),
            pin = self.partner.fingerprint(),
        );
        let partners = self.path("partners.toml");
        std::fs::write(&partners, text)?;
        for arguments in [vec!["migrate"], vec!["apply", "partners.toml"]] {
            let done = self.outport("data", &arguments).run()?;
            ensure!(done.code == Some(0), "outport {arguments:?}: {}", done.stderr);
        }
        Ok(())
    }

    /// A call of `outport` at this site, on a fast clock. `data` is a folder of it; the buckets, the artifacts and on
    /// PostgreSQL the ledger are the same for all.
    pub fn outport(&self, data: &str, arguments: &[&str]) -> Outport {
        let url = self.proxy.as_ref().map_or_else(|| self.url(), |proxy| proxy.url().to_owned());
        Outport::new(self.home.path(), arguments)
            .env("OUTPORT_DATA", self.path(data))
            .env("OUTPORT_DATABASE", url)
            .env("OUTPORT_BUCKETS_ROOT", self.path("buckets"))
            .env("OUTPORT_ARTIFACTS_ROOT", self.path("artifacts"))
            .env("OUTPORT_TIMING_SCALE", self.scale.to_string())
            .env("OUTPORT_INTAKE_QUIET", "60ms")
            .env("OUTPORT_INTAKE_SWEEP", "1s")
            .env("OUTPORT_HEALTH_LISTEN", "")
    }

    /// Starts `outport up` and waits until it is.
    pub fn up(&self) -> anyhow::Result<Child> {
        self.up_in("data")
    }

    /// The same with a data folder of its own.
    pub fn up_in(&self, data: &str) -> anyhow::Result<Child> {
        let up = self.outport(data, &["up"]).start()?;
        up.wait_for_line(Stream::Err, "outport is up", SOON)?;
        Ok(up)
    }

    /// Starts `outport up` so that it kills or freezes itself at a crash point.
    pub fn up_until(&self, point: &str) -> anyhow::Result<Child> {
        let up = self.outport("data", &["up"]).env("OUTPORT_CRASH_AT", point).start()?;
        up.wait_for_line(Stream::Err, "a crash point is armed", SOON).context(
            "the binary has no crash points: it has to be built with debug assertions, as tests/run does",
        )?;
        Ok(up)
    }

    /// Waits until a process that is to freeze itself stands still (state T in proc(5) stat).
    pub fn wait_until_frozen(&self, child: &Child) -> anyhow::Result<()> {
        let deadline = Instant::now() + SOON;
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid()))
                .context("the process is gone; it was to freeze")?;
            if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("not frozen after {SOON:?}; it printed:\n{}", child.printed(Stream::Err));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Breaks off every connection to the partner, who takes new ones.
    pub fn cut_connections(&self) {
        self.partner.cut();
    }

    /// Makes the partner silent: its connections stay and nothing is answered.
    pub fn silence_partner(&self) -> anyhow::Result<Silence> {
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        self.partners_runtime.spawn(async move {
            // Blocks the runtime's only thread. An error is what is waited for: the other end is gone.
            if begin.send(()).is_ok() {
                ended.recv().ok();
            }
        });
        begun.recv_timeout(SOON).context("the partner does not fall silent")?;
        Ok(Silence { _end: end })
    }

    /// Puts a file into the bucket by a rename, as careful writers do.
    pub fn put(&self, sample: &Sample) -> anyhow::Result<()> {
        let staged = self.path("staging").join(&sample.key);
        std::fs::write(&staged, &sample.content)?;
        std::fs::rename(staged, self.path("buckets").join(BUCKET).join(&sample.key))?;
        Ok(())
    }

    /// What stands between `outport` and its database.
    pub fn proxy(&self) -> anyhow::Result<&Proxy> {
        self.proxy.as_ref().context("this site has no proxy")
    }

    /// Meddles with the ledger.
    pub fn sql(&self, sql: &str) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let connection = outport_tests::invariants::connect(&self.url()).await?;
            connection.execute_unprepared(sql).await.context("meddling with the ledger")?;
            Ok(connection.close().await?)
        })
    }

    /// Looks at the ledger, beside whoever works with it.
    pub fn ledger(&self) -> anyhow::Result<Ledger<'_>> {
        Ledger::open(&self.runtime, &self.url(), self.database.is_none())
    }

    /// Fails unless the partner's inbox holds exactly these files, byte for byte.
    pub fn assert_arrived<'a>(&self, samples: impl IntoIterator<Item = &'a Sample>) -> anyhow::Result<()> {
        let inbox = self.path("partner/inbox");
        let mut there: Vec<String> = std::fs::read_dir(&inbox)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<anyhow::Result<_>>()?;
        there.sort();
        let mut expected = Vec::new();
        for sample in samples {
            let arrived = std::fs::read(inbox.join(&sample.arrives_as))
                .with_context(|| format!("{} is not there", sample.arrives_as))?;
            // Not assert_eq: megabytes of bytes in a message help nobody.
            ensure!(arrived == sample.arrives, "{} arrived, but not as it should", sample.arrives_as);
            expected.push(sample.arrives_as.clone());
        }
        expected.sort();
        ensure!(there == expected, "the inbox holds {there:?}");
        Ok(())
    }

    fn url(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", self.path("data/outport.db").display()),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        Path::new(self.home.path()).join(below)
    }
}
