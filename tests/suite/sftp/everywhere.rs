//! What every server has to do.

use std::sync::Arc;

use outport_core::code;
use outport_send::pool::{Pool, PoolSettings};
use outport_send::sftp::SftpConnector;
use outport_send::source::BytesSource;
use outport_send::{NoFence, Outcome, deliver};
use outport_tests::servers::openssh::{self, OpenSsh};
use outport_tests::servers::paramiko::{self, Paramiko};
use outport_tests::servers::proftpd::{self, ProFtpd};
use outport_tests::site::{FolderWatch, Whole};
use tokio::task::JoinSet;

use super::{Server, connect, content, delivered, names, send, upload};

/// Makes three tests of an `async fn(impl Server)`.
macro_rules! on_each {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                use super::*;

                #[tokio::test(flavor = "multi_thread")]
                async fn openssh() {
                    super::$name(outport_tests::need!(OpenSsh::start(openssh::Config::default()))).await;
                }
                #[tokio::test(flavor = "multi_thread")]
                async fn proftpd() {
                    super::$name(outport_tests::need!(ProFtpd::start(&proftpd::Config::default()))).await;
                }
                #[tokio::test(flavor = "multi_thread")]
                async fn paramiko() {
                    super::$name(outport_tests::need!(Paramiko::start(paramiko::Login::default(), None))).await;
                }
            }
        )*
    };
}

on_each!(
    every_size_arrives_whole,
    many_small_files_at_a_time,
    an_older_file_is_replaced,
    what_is_refused_has_its_code_and_the_next_file_goes_on,
);

async fn every_size_arrives_whole(server: impl Server) {
    // Around the size of a WRITE where the server sets no limit, of OpenSSH's, and of several.
    const SIZES: [usize; 9] = [0, 1, 32_767, 32_768, 32_769, 261_119, 261_120, 261_121, 5 * 1024 * 1024 + 7];
    let files: Vec<(String, Vec<u8>)> =
        SIZES.iter().map(|size| (format!("{size} bytes \u{e4}"), content(*size, *size as u64))).collect();
    let watch = FolderWatch::start(server.folder(), files.iter().map(|(n, c)| (n.as_str(), c.as_slice())));
    let remote = connect(&server.target()).await;
    for (name, content) in &files {
        let receipt = delivered(send(&*remote, &upload(name, 1), content).await);
        assert_eq!((receipt.size_bytes, receipt.bytes_sent), (content.len() as u64, content.len() as u64));
        assert_eq!(receipt.peer.fingerprint, server.target().host_key_pins[0].to_string());
    }
    watch.finish().unwrap();
}

async fn many_small_files_at_a_time(server: impl Server) {
    const FILES: usize = 150;
    let files: Vec<(String, Vec<u8>)> =
        (0..FILES).map(|n| (format!("{n}.csv"), content(n * 97, n as u64))).collect();
    let watch = FolderWatch::start(server.folder(), files.iter().map(|(n, c)| (n.as_str(), c.as_slice())));
    let pool = Pool::new(Arc::new(SftpConnector), PoolSettings::default());
    let target = Arc::new(server.target());
    let mut sends = JoinSet::new();
    for (name, content) in files {
        let (pool, target) = (pool.clone(), Arc::clone(&target));
        sends.spawn(async move {
            deliver(&pool, &target, 2, &upload(&name, 1), &mut BytesSource::new(content), &NoFence).await
        });
    }
    while let Some(outcome) = sends.join_next().await {
        delivered(outcome.unwrap());
    }
    assert!(pool.connections().iter().map(|(_, count)| count).sum::<usize>() <= 2);
    pool.close().await;
    watch.finish().unwrap();
}

async fn an_older_file_is_replaced(server: impl Server) {
    let (old, new) = (content(70_000, 1), content(300_000, 2));
    std::fs::write(server.folder().join("a"), &old).unwrap();
    let watch = FolderWatch::of(server.folder(), [("a", Whole::new(&new).after(old.len() as u64))]);
    let remote = connect(&server.target()).await;
    delivered(send(&*remote, &upload("a", 1), &new).await);
    watch.finish().unwrap();
}

async fn what_is_refused_has_its_code_and_the_next_file_goes_on(server: impl Server) {
    let folder = server.folder();
    std::fs::create_dir(folder.join("a folder")).unwrap();
    std::fs::write(folder.join("a file"), "x").unwrap();
    let remote = connect(&server.target()).await;
    let long = "n".repeat(300);
    let table = [
        ("no such folder/a", &code::REMOTE_NO_SUCH_FOLDER),
        ("a file/a", &code::REMOTE_NO_SUCH_FOLDER),
        ("a folder", &code::REMOTE_EXISTS),
        (&long, &code::REMOTE_NAME_REFUSED),
    ];
    for (n, (name, expected)) in table.into_iter().enumerate() {
        match send(&*remote, &upload(name, 1), b"content").await {
            Outcome::Failed { fault, .. } => assert_eq!(fault.code.name, expected.name, "{name}: {fault}"),
            other => panic!("{name}: {other:?}"),
        }
        assert!(remote.alive(), "{name}");
        delivered(send(&*remote, &upload(&format!("next {n}"), 1), b"content").await);
    }
    let expected = ["a file", "a folder", "next 0", "next 1", "next 2", "next 3"];
    assert_eq!(names(folder), expected, "no temp file stays behind");
    assert_eq!(names(&folder.join("a folder")), [""; 0]);
}
