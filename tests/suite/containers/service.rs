//! The image as a service, as a container host runs it: read-only, without any right, healthy, drained.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::podman::{Container, Podman, VOLUME, give_to_the_image};
use outport_tests::set::tell;
use outport_tests::site::{BUCKET, FolderWatch, Login, Partner, definitions, get};
use serde_json::Value;
use tempfile::TempDir;

use super::TEMPLATE;
use crate::e2e::{CLAIMS, CLAIMS_CSV, LARGE, binary, wait_for_half_a_file};

/// As long as ECS waits (StopTimeout of the template). The drain takes 30 s at most.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// For what takes seconds, on a machine that is busy with others.
const SOON: Duration = Duration::from_secs(180);

/// The hardest that a host can be: nothing can be written but the volume, and no right is left.
const HARDENED: [&str; 6] =
    ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges"];
/// Its health on a free port: the network is the host's.
const SETTINGS: [&str; 4] =
    ["--env", "OUTPORT_LOG_FORMAT=json", "--env", "OUTPORT_HEALTH_LISTEN=127.0.0.1:0"];

#[test]
fn it_comes_up_healthy_with_nothing_but_its_volume() {
    let podman = need!(Podman::of_this_run());
    let started = Instant::now();
    let mut up = podman.start(&[&HARDENED[..], &SETTINGS].concat(), ["up"]).unwrap();
    let health = up.wait_until_up().unwrap();
    tell(&format!("a container is up {:.1} s after `podman run`", started.elapsed().as_secs_f64()));
    assert_eq!(get(health, "/healthz").unwrap().0, 200);
    assert_eq!(get(health, "/readyz").unwrap().0, 200);

    let check = health_check();
    let on = |port: u16| up.exec(["/bin/bash", "-c", &check.replace("9464", &port.to_string())]);
    on(health.port()).unwrap();
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    assert!(on(nobody).is_err(), "a health check that cannot fail");

    let ended = up.stop(STOP_LIMIT).unwrap();
    assert_eq!(ended.code(), Some(0), "{}", up.log());
}

#[test]
fn what_is_put_into_its_bucket_arrives_and_sigterm_drains() {
    let podman = need!(Podman::of_this_run());
    let server = need!(OpenSsh::start(Config::default()));
    let large = binary(LARGE, 3);
    let files: [(&str, &[u8]); 2] = [("monday.csv", CLAIMS_CSV.as_bytes()), ("scan.pdf", &large)];
    let watch = FolderWatch::start(server.folder(), files);
    let volume = Volume::new().unwrap();
    volume.write("acme.key", &std::fs::read(server.key_file()).unwrap()).unwrap();
    let login = Login::Key(format!("{VOLUME}/acme.key"));
    let partners = definitions(&[Partner::at("acme", &server).login(login)]);
    volume.write("partners.toml", partners.as_bytes()).unwrap();
    let mounted = volume.option();
    let hardened = [&HARDENED[..], &SETTINGS, &["--volume", &mounted]].concat();

    // As an operator does it: a container for one command.
    podman.run(&hardened, "outport", ["apply", "partners.toml"]).unwrap();
    let mut up = podman.start(&hardened, ["up"]).unwrap();
    up.wait_until_up().unwrap();
    volume.put("claims/monday.ndjson", CLAIMS.as_bytes()).unwrap();
    delivered(&up, 1);
    assert_eq!(std::fs::read(server.folder().join("monday.csv")).unwrap(), CLAIMS_CSV.as_bytes());

    volume.put("images/scan.pdf", &large).unwrap();
    wait_for_half_a_file(&server, "scan.pdf", SOON);
    let ended = up.stop(STOP_LIMIT).unwrap();
    assert_eq!(ended.code(), Some(0), "{}", up.log());
    // It was sent to its end, or given back; the next container knows.
    let mut up = podman.start(&hardened, ["up"]).unwrap();
    up.wait_until_up().unwrap();
    delivered(&up, 2);
    assert_eq!(std::fs::read(server.folder().join("scan.pdf")).unwrap(), large);
    assert_eq!(up.stop(STOP_LIMIT).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
}

/// The health check of the template: what bash runs.
fn health_check() -> String {
    let lines: Vec<&str> = TEMPLATE
        .lines()
        .skip_while(|line| !line.contains("exec 3<>/dev/tcp/127.0.0.1/9464"))
        .take_while(|line| !line.contains("Interval"))
        .map(str::trim)
        .collect();
    assert!(lines.len() == 2, "{lines:?}");
    lines.join(" ")
}

/// Waits until there are `count` deliveries and all are delivered.
fn delivered(up: &Container, count: usize) {
    let deadline = Instant::now() + SOON;
    loop {
        let listed = up.exec(["outport", "delivery", "list", "--json"]).unwrap();
        let deliveries: Vec<Value> = serde_json::from_str(&listed).unwrap();
        if deliveries.len() == count && deliveries.iter().all(|d| d["state"] == "delivered") {
            return;
        }
        assert!(Instant::now() < deadline, "{listed}\n{}", up.log());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A folder of this machine as the image's volume.
struct Volume {
    folder: TempDir,
}

impl Volume {
    /// With an empty bucket in it.
    fn new() -> anyhow::Result<Self> {
        let volume = Self { folder: tempfile::tempdir()? };
        give_to_the_image(volume.folder.path())?;
        volume.make_folders(&volume.bucket())?;
        Ok(volume)
    }

    fn bucket(&self) -> PathBuf {
        self.folder.path().join("outport-data/buckets").join(BUCKET)
    }

    /// For `--volume`.
    fn option(&self) -> String {
        format!("{}:{VOLUME}", self.folder.path().display())
    }

    /// Every folder from the volume to this one is the image's user's.
    fn make_folders(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let inside = folder.ancestors().take_while(|above| *above != self.folder.path());
        inside.into_iter().try_for_each(give_to_the_image)
    }

    /// A file that only the image's user can read.
    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        std::fs::write(&path, content)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        give_to_the_image(&path)
    }

    /// Puts a file into the bucket, whole: renamed into place.
    fn put(&self, key: &str, content: &[u8]) -> anyhow::Result<()> {
        self.write("to-be-put", content)?;
        let path = self.bucket().join(key);
        if let Some(folder) = path.parent() {
            self.make_folders(folder)?;
        }
        Ok(std::fs::rename(self.folder.path().join("to-be-put"), path)?)
    }
}
