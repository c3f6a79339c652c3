//! From an upload to the partner's server with every worker in a container that Batch started.

use outport_tests::need;
use outport_tests::servers::cloud::{ARTIFACTS, Cloud};
use outport_tests::servers::container_batch::{ContainerBatch, Job};
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::podman::Podman;
use outport_tests::site::{FolderWatch, Login, Partner, Site, Up};
use serde_json::{Value, json};

use crate::aws::{drained, until};
use crate::e2e::{CLAIMS, CLAIMS_CSV, binary};

#[test]
fn transform_and_send_run_in_containers() {
    let podman = need!(Podman::of_this_run());
    let site = need!(Site::on_postgres());
    let cloud = need!(Cloud::with_containers(&podman));
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    let batch = ContainerBatch::make(&cloud, &podman, &site).unwrap();
    let site = batch.settings(site);

    // The containers see no file of this machine: they ask Secrets Manager for the key, as they would in AWS.
    let key = json!({"key": std::fs::read_to_string(server.key_file()).unwrap()}).to_string();
    let secrets = aws_sdk_secretsmanager::Client::new(&cloud.sdk);
    cloud.wait(secrets.create_secret().name("outport/acme").secret_string(key).send()).unwrap();
    let login = Login::KeyAt("aws-sm:outport/acme#key".to_owned());
    site.apply(&[Partner::at("acme", &server).login(login)]).unwrap();

    let large = binary(12_000_000, 5);
    let files: [(&str, &[u8], &str, &[u8]); 3] = [
        ("claims/monday.ndjson", CLAIMS.as_bytes(), "monday.csv", CLAIMS_CSV.as_bytes()),
        ("images/scan.pdf", &large, "scan.pdf", &large),
        ("empty.txt", b"", "empty.txt", b""),
    ];
    let watch = FolderWatch::start(server.folder(), files.map(|(_, _, name, content)| (name, content)));
    // Nobody in this process transforms or sends.
    let mut up = Up::start(site.outport(["up", "--roles", "dispatcher,maintainer"])).unwrap();
    for (key, content, _, _) in files {
        cloud.upload(key, content).unwrap();
    }
    until(&site, "Batch starts no container", || !batch.containers().unwrap().is_empty());
    let deliveries = site.wait_for_all(files.len(), 600).unwrap();
    for (_, _, name, content) in files {
        assert_eq!(std::fs::read(server.folder().join(name)).unwrap(), content, "{name}");
    }
    assert_eq!(deliveries.len(), files.len(), "each once");
    drained(&cloud, &site);

    // Whoever finds nothing more ends, and well; the maintainer hears of it from Batch.
    let mut runs = Value::Null;
    until(&site, "a run does not end", || {
        runs = site.json(["worker", "list"]).unwrap();
        runs.as_array()
            .unwrap()
            .iter()
            .all(|run| ["succeeded", "failed"].contains(&run["state"].as_str().unwrap()))
    });
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    for kind in ["transform", "send"] {
        let jobs = batch.jobs(&cloud, kind).unwrap();
        assert!(!jobs.is_empty(), "no {kind} worker was asked for");
        assert!(jobs.iter().all(|job| job.status == "SUCCEEDED"), "{jobs:?}");
        let known = |job: &Job| runs.as_array().unwrap().iter().any(|run| run["name"] == job.name.as_str());
        assert!(jobs.iter().all(known), "{jobs:?} {runs:#}");
    }
    assert!(runs.as_array().unwrap().iter().all(|run| run["state"] == "succeeded"), "{runs:#}");
    until(&site, "a container is left", || batch.containers().unwrap().is_empty());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
    let mut made = cloud.keys(ARTIFACTS).unwrap();
    made.retain(|key| key.starts_with("made/outputs/"));
    assert_eq!(made.len(), 1, "the transform's output: {made:?}");
}
