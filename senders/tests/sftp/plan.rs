//! What upload plans ask of a server, over the wire.

use bytes::Bytes;
use outport_core::remote_name::RemoteName;
use outport_core::upload::{UploadPlan, UploadSpec};
use outport_core::{DeliveryId, code};
use outport_send::check::{CheckOptions, Probe, check, propose};
use outport_send::sftp::SftpConnector;
use outport_send::source::BytesSource;
use outport_send::{FileAttributes, NoFence, Opening, Outcome, Receipt, RenameWith, Sha256Sum, Upload, push};

use crate::support::{Site, connect, content};

async fn send(site: &Site, name: &str, content: &Bytes, spec: UploadSpec) -> Outcome {
    let remote = connect(&site.target()).await.unwrap();
    let plan = UploadPlan::try_from(&spec).unwrap();
    let delivery: DeliveryId = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    let mut upload = Upload::planned(plan, &RemoteName::new(name).unwrap(), delivery, 1, &[]).unwrap();
    upload.mtime_s = Some(1_000_000_000);
    push(&*remote, &upload, &mut BytesSource::new(content.clone()), &NoFence).await
}

#[track_caller]
fn delivered(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Delivered(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_verify() {
    let site = Site::start().await;
    // Many reads and a rest.
    let content = Bytes::from(content(7_654_321, 3));
    for verify in ["stat", "list", "read-back", "checksum", "none"] {
        for one_handle in [false, true] {
            let json = format!(
                r#"{{"verify":"{verify}","one_handle":{one_handle},"fsync":true,"mode":"0600","mtime":"keep"}}"#
            );
            let spec = serde_json::from_str(&json).unwrap();
            let receipt = delivered(send(&site, verify, &content, spec).await);
            assert_eq!(receipt.sha256, Sha256Sum::of(&content), "{json}");
            assert!(site.read(verify) == content, "{json}");
        }
        let metadata = std::fs::metadata(site.root.path().join(verify)).unwrap();
        let modified = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(modified.as_secs(), 1_000_000_000, "{verify}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_again_listed_continued_and_kept() {
    let site = Site::start().await;
    let remote = connect(&site.target()).await.unwrap();
    for size in [0, 1, 261_120, 261_121, 3_000_000] {
        let content = content(size, 5);
        std::fs::write(site.root.path().join("a"), &content).unwrap();
        let mut reader = remote.read("a").await.unwrap();
        let mut read = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert!(read == content && reader.next().await.unwrap().is_none(), "{size} bytes");
        assert_eq!(remote.checksum("a").await.unwrap(), Sha256Sum::of(&content));
        assert_eq!(remote.find("a").await.unwrap(), remote.stat("a").await.unwrap());
    }
    assert_eq!(remote.find("b").await.unwrap(), None);
    assert_eq!(remote.create("a", Opening::New).await.err().unwrap().code, &code::REMOTE_EXISTS);

    std::fs::write(site.root.path().join("a"), "0123456789").unwrap();
    let mut file = remote.create("a", Opening::Continue { at: 4 }).await.unwrap();
    file.write(Bytes::from_static(b"xyz")).await.unwrap();
    assert_eq!(file.stat().await.unwrap().size_bytes, Some(10));
    file.set(FileAttributes { mode: Some(0o600), mtime_s: None }).await.unwrap();
    file.sync().await.unwrap();
    file.close().await.unwrap();
    assert_eq!(site.read("a"), b"0123xyz789");

    remote.make_folder("deep").await.unwrap();
    remote.make_folder("deep").await.unwrap();
    std::fs::write(site.root.path().join("deep/b"), "").unwrap();
    let refused = remote.rename("a", "deep/b", RenameWith::Rename).await.unwrap_err().into_fault();
    assert_eq!(refused.code, &code::REMOTE_EXISTS);
    remote.rename("a", "deep/b", RenameWith::PosixRename).await.unwrap();
    assert!(remote.remove_folder("deep").await.is_err());
    remote.remove("deep/b").await.unwrap();
    remote.remove_folder("deep").await.unwrap();
    assert!(site.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_partner_can_everything() {
    let site = Site::start().await;
    let options = CheckOptions { folder: None, makes_folder: true, mark: "t" };
    let findings = check(&SftpConnector, &site.target(), options).await.unwrap();
    let no: Vec<Probe> = findings.found.iter().filter(|f| !f.answer.is_yes()).map(|f| f.probe).collect();
    assert_eq!(no, [Probe::RenameOver], "{findings:#?}");
    assert_eq!(propose(&findings), Some(UploadSpec::default()));
    assert!(findings.left.is_empty() && site.files().is_empty());
    assert!(findings.clock_ahead_s.is_some_and(|ahead| ahead.abs() <= 2), "{findings:#?}");
}
