//! Proxies that do not do what they should. What good ones do is tried against a real server in the workspace's tests.

use std::time::{Duration, Instant};

use outport_core::code;
use outport_send::{Route, Stage, Target, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Site, connect, refused};

/// What the proxy does once it is connected to.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Silent,
    Says(&'static [u8]),
    HangsUp,
}

/// The fault of a connection through a proxy that behaves like this.
async fn through(scheme: &str, manner: Manner, change: impl FnOnce(&mut Target)) -> outport_core::Fault {
    let site = Site::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("{scheme}://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        match manner {
            Manner::Silent => {}
            // The client may hang up before it has read all of it.
            Manner::Says(words) => drop(stream.write_all(words).await),
            Manner::HangsUp => return,
        }
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard).await);
    });
    let mut target = site.target();
    target.route = Route { proxy: Some(proxy.parse().unwrap()), source_address: None };
    target.timeouts = Timeouts { connect: Duration::from_secs(20), ..target.timeouts };
    change(&mut target);
    let failed = refused(connect(&target).await);
    assert_eq!((failed.stage, site.partner.connections()), (Stage::Connecting, 0));
    assert!(failed.fault.message.contains("the proxy"), "{}", failed.fault);
    server.await.unwrap();
    failed.fault
}

#[tokio::test]
async fn a_proxy_that_hangs_is_given_up_in_time() {
    for scheme in ["socks5", "http"] {
        let started = Instant::now();
        let limit = Duration::from_millis(300);
        let fault = through(scheme, Manner::Silent, |target| target.timeouts.connect = limit).await;
        assert_eq!(fault.code, &code::ENDPOINT_PROXY_FAILED);
        assert!(fault.message.contains("no answer within 0.3 s"), "{fault}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_proxy_that_babbles_or_hangs_up_is_a_failed_one() {
    static BABBLE: [u8; 100_000] = [b'x'; 100_000];
    for scheme in ["socks5", "http"] {
        for manner in [
            Manner::Says(&BABBLE),
            Manner::Says(b"SSH-2.0-OpenSSH_9.2\r\n"),
            Manner::Says(b"220 FTP ready\r\n"),
            Manner::HangsUp,
        ] {
            let fault = through(scheme, manner, |_| {}).await;
            assert_eq!(fault.code, &code::ENDPOINT_PROXY_FAILED, "{scheme} {manner:?}: {fault}");
        }
    }
}
