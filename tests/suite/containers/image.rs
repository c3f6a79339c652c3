//! What the image is: whose, how large, and what does not lie in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outport_tests::need;
use outport_tests::process;
use outport_tests::servers::podman::{Podman, VOLUME};
use serde_json::json;

use super::TEMPLATE;

/// Debian slim with certificates and time zones is 86 MB, on which the binary comes. A compiler or a forgotten cache would be more.
const BASE_LIMIT_BYTES: u64 = 100_000_000;

#[test]
fn it_is_what_the_template_takes_it_for() {
    let podman = need!(Podman::of_this_run());
    let config = podman.facts().unwrap()["Config"].clone();
    assert_eq!(config["Entrypoint"], json!(["outport"]));
    assert_eq!(config["Cmd"], json!(null), "what it does, the caller says");
    assert_eq!(config["User"], "10001:10001", "by number");
    assert_eq!(config["WorkingDir"], VOLUME);
    assert_eq!(config["Volumes"], json!({VOLUME: {}}));
    let environment: Vec<_> = config["Env"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry.as_str()?.split_once('='))
        .collect();
    assert!(environment.contains(&("TMPDIR", VOLUME)), "{environment:?}");
    assert!(
        environment.iter().all(|(name, _)| ["PATH", "TMPDIR"].contains(name)),
        "a setting in the image is one that nobody sees: {environment:?}"
    );
    let users: Vec<_> = TEMPLATE.lines().filter_map(|line| line.trim().strip_prefix("User: ")).collect();
    assert!(users.len() > 6 && users.iter().all(|user| *user == "\"10001\""), "{users:?}");
    let paths: Vec<_> =
        TEMPLATE.split("ContainerPath: ").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    assert!(paths.len() > 6 && paths.iter().all(|path| *path == VOLUME), "{paths:?}");
}

#[test]
fn it_is_small() {
    let podman = need!(Podman::of_this_run());
    let size = podman.facts().unwrap()["Size"].as_u64().unwrap();
    let binary = std::fs::metadata(process::binary()).unwrap().len();
    assert!(size > binary, "the binary is in it");
    assert!(size - binary < BASE_LIMIT_BYTES, "{} bytes beside the binary", size - binary);
}

#[test]
fn its_user_can_change_nothing_but_the_volume() {
    let podman = need!(Podman::of_this_run());
    let run = |script: &str| podman.run(&[], "/bin/bash", ["-c", script]).unwrap();
    assert_eq!(run("id --user && id --group && id --groups"), "10001\n10001\n10001\n");
    assert_eq!(
        run(&format!("stat --format '%n %u:%g %a' /usr/local/bin/outport {VOLUME}")),
        format!("/usr/local/bin/outport 0:0 755\n{VOLUME} 10001:10001 700\n")
    );
    // What is writable for everybody, by design: /tmp and its like. `-xdev`: what podman mounts is not of the image.
    let writable =
        run(&format!("find / -xdev -writable -not -type l -not -path '{VOLUME}*' 2>/dev/null; true"));
    let meant = ["/tmp", "/var/tmp", "/run/lock"];
    let not_meant: Vec<&str> = writable.lines().filter(|path| !meant.contains(path)).collect();
    assert!(not_meant.is_empty(), "{not_meant:?}");
    let ways_up =
        podman.run(&["--user", "0"], "find", ["/", "-xdev", "-perm", "/6000", "-type", "f"]).unwrap();
    assert_eq!(ways_up, "", "programs that make their caller somebody else");
}

#[test]
fn no_layer_holds_a_secret_or_a_leftover() {
    let podman = need!(Podman::of_this_run());
    // The search finds what it is for.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
    std::fs::create_dir_all(folder.path().join("root/.aws")).unwrap();
    std::fs::write(folder.path().join("root/.aws/credentials"), "").unwrap();
    assert_eq!(Search::of(folder.path()).found.len(), 2);

    let layers = podman.layers().unwrap();
    assert!(layers.len() >= 3, "base, packages, binary: {layers:?}");
    let searches: Vec<Search> = layers.iter().map(|layer| Search::of(layer)).collect();
    assert!(searches.iter().map(|search| search.files).sum::<usize>() > 2000, "{layers:?}");
    let found: Vec<&PathBuf> = searches.iter().flat_map(|search| &search.found).collect();
    assert!(found.is_empty(), "{found:?}");
    // The newest layer is the binary and nothing else.
    assert_eq!(searches[0].files, 1, "{:?}", layers[0]);
    assert!(layers[0].join("usr/local/bin/outport").is_file());
}

/// What lies in a layer and should not.
struct Search {
    files: usize,
    found: Vec<PathBuf>,
}

impl Search {
    fn of(layer: &Path) -> Self {
        let mut search = Self { files: 0, found: Vec::new() };
        search.look_into(layer, layer);
        search
    }

    fn look_into(&mut self, layer: &Path, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                self.look_into(layer, &path);
            } else if kind.is_file() {
                self.files += 1;
                let inside = path.strip_prefix(layer).unwrap();
                if is_leftover(inside) || has_private_key(&path) {
                    self.found.push(inside.to_owned());
                }
            }
        }
    }
}

/// Sources, builds, caches and lists, and where programs keep what they log in with.
fn is_leftover(path: &Path) -> bool {
    const FOLDERS: [&str; 10] = [
        "build",
        "home",
        "root/.aws",
        "root/.ssh",
        "root/.cargo",
        "tmp",
        "usr/local/cargo",
        "usr/local/rustup",
        "var/cache/apt/archives/partial",
        "var/lib/outport",
    ];
    const NAMES: [&str; 6] =
        ["auth.conf", ".netrc", ".pgpass", "partners.toml", "outport.toml", "Cargo.toml"];
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    FOLDERS.iter().any(|folder| path.starts_with(folder))
        || (path.starts_with("var/cache/apt") && (name.ends_with(".deb") || name.ends_with(".bin")))
        || (path.starts_with("var/lib/apt/lists") && name != "lock")
        || NAMES.contains(&name)
}

/// Whether a line of the file begins a private key. Programs that read such keys hold the words too, within a line.
fn has_private_key(path: &Path) -> bool {
    // Devices and the like are no files; a large file is a program.
    let small = path.metadata().is_ok_and(|about| about.size() < 1_000_000);
    let Ok(content) = (if small { std::fs::read(path) } else { return false }) else { return false };
    content.split(|byte| *byte == b'\n').any(|line| {
        let line = String::from_utf8_lossy(line);
        line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY")
    })
}
