//! Servers that take little at a time (RFC 4254 section 5.2).

use std::sync::{Arc, Mutex};

use outport_send::sftp::wire::Request;
use outport_send::source::BytesSource;
use outport_send::{NoFence, Outcome, Upload, push};

use crate::scripted::{Manners, Scripted, friendly};
use crate::support::{connect, content};

#[tokio::test(flavor = "multi_thread")]
async fn windows_and_packets_of_any_size_lose_nothing() {
    // Smaller than a header of a WRITE, smaller than its data, and no power of two.
    for (window, packet, size) in [(64, 16, 3_000), (2_000, 512, 100_000), (40_001, 999, 700_000)] {
        let content = content(size, 5);
        let written = Arc::new(Mutex::new(vec![0; size]));
        let (seen, friendly) = (Arc::clone(&written), friendly(size as u64));
        let manners = Manners { window: (window, packet), ..Manners::default() };
        let server = Scripted::start(manners, move |request| {
            if let Request::Write { offset, data, .. } = request {
                let at = usize::try_from(*offset).unwrap();
                seen.lock().unwrap()[at..at + data.len()].copy_from_slice(data);
            }
            friendly(request)
        })
        .await;
        let remote = connect(&server.target()).await.unwrap();
        let mut source = BytesSource::new(content.clone());
        let outcome = push(&*remote, &Upload::new("a", ".a.part"), &mut source, &NoFence).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{window} {packet}: {outcome:?}");
        assert!(*written.lock().unwrap() == content, "{window} {packet}");
    }
}
