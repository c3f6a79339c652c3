use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use outport_core::code;
use tokio::sync::Semaphore;

use super::*;
use crate::Stage;
use crate::memory::{MemoryRemote, MemoryServer};
use crate::remote::{
    Introduction, Offers, Opening, PeerIdentity, RemoteError, RemoteFile, RemoteReader, RemoteStat,
    RenameWith,
};
use crate::sha256::Sha256Sum;

const SMALL: u64 = 1;

/// Connections that can be killed and that tell when they were closed.
#[derive(Default)]
struct Life {
    dead: AtomicBool,
    closed: watch::Sender<bool>,
}

struct TestRemote {
    inner: MemoryRemote,
    life: Arc<Life>,
}

#[async_trait]
impl Remote for TestRemote {
    async fn create(&self, path: &str, opening: Opening) -> Result<Box<dyn RemoteFile>, Fault> {
        self.inner.create(path, opening).await
    }
    async fn stat(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.inner.stat(path).await
    }
    async fn find(&self, path: &str) -> Result<Option<RemoteStat>, Fault> {
        self.inner.find(path).await
    }
    async fn rename(&self, from: &str, to: &str, with: RenameWith) -> Result<(), RemoteError> {
        self.inner.rename(from, to, with).await
    }
    async fn make_folder(&self, path: &str) -> Result<(), Fault> {
        self.inner.make_folder(path).await
    }
    async fn remove_folder(&self, path: &str) -> Result<(), Fault> {
        self.inner.remove_folder(path).await
    }
    async fn read(&self, path: &str) -> Result<Box<dyn RemoteReader>, Fault> {
        self.inner.read(path).await
    }
    async fn checksum(&self, path: &str) -> Result<Sha256Sum, Fault> {
        self.inner.checksum(path).await
    }
    fn offers(&self) -> Offers {
        self.inner.offers()
    }
    async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.inner.remove(path).await
    }
    fn introduction(&self) -> Introduction {
        self.inner.introduction()
    }
    fn identity(&self) -> PeerIdentity {
        self.inner.identity()
    }
    fn alive(&self) -> bool {
        !self.life.dead.load(Ordering::SeqCst)
    }
    async fn close(&self) {
        self.life.dead.store(true, Ordering::SeqCst);
        self.life.closed.send_replace(true);
    }
}

/// Logins wait for a permit of the gate.
struct TestConnector {
    gate: Semaphore,
    started: AtomicUsize,
    fault: Mutex<Option<Fault>>,
    panics: bool,
    lives: Mutex<Vec<Arc<Life>>>,
}

impl TestConnector {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(permits),
            started: AtomicUsize::new(0),
            fault: Mutex::default(),
            panics: false,
            lives: Mutex::default(),
        })
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn life(&self, at: usize) -> Arc<Life> {
        Arc::clone(&self.lives.lock().unwrap()[at])
    }
}

#[async_trait]
impl Connector for TestConnector {
    async fn connect(&self, _target: &Target) -> Result<Arc<dyn Remote>, ConnectFault> {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        assert!(!self.panics, "a bug");
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Err(ConnectFault { stage: Stage::Authenticating, fault });
        }
        let life = Arc::<Life>::default();
        self.lives.lock().unwrap().push(Arc::clone(&life));
        Ok(Arc::new(TestRemote { inner: MemoryServer::default().remote(), life }))
    }
}

fn target(revision: &str) -> Target {
    let target = Target::new("acme/sftp", ("127.0.0.1", 22), "u", vec![]);
    Target { endpoint: "acme".into(), revision: revision.into(), ..target }
}

fn pool(connector: &Arc<TestConnector>, files_per_connection: usize) -> Pool {
    let settings = PoolSettings { files_per_connection, ..PoolSettings::default() };
    Pool::new(Arc::clone(connector) as Arc<dyn Connector>, settings)
}

#[tokio::test]
async fn files_share_connections_up_to_their_number() {
    let connector = TestConnector::new(9);
    let pool = pool(&connector, 3);
    let mut files = Vec::new();
    for expected in [1, 1, 1, 2, 2, 2] {
        files.push(pool.get(&target("1"), 2, SMALL).await.unwrap());
        assert_eq!(connector.started(), expected);
        assert_eq!(pool.connections(), [("acme".to_owned(), expected)]);
    }
    // Full: the seventh waits until one is through, and takes its place.
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get(&target("1"), 2, SMALL).await.unwrap() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let freed = files.remove(1).number;
    assert_eq!(waiting.await.unwrap().number, freed);
    assert_eq!(connector.started(), 2);
}

#[tokio::test]
async fn everyone_waits_for_one_login() {
    let connector = TestConnector::new(0);
    let pool = pool(&connector, 32);
    let target = target("1");
    let all = futures_util::future::join_all((0..10).map(|_| pool.get(&target, 4, SMALL)));
    let open = async {
        while connector.started() == 0 {
            tokio::task::yield_now().await;
        }
        connector.gate.add_permits(1);
    };
    let (results, ()) = tokio::join!(all, open);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(connector.started(), 1);
}

#[tokio::test]
async fn a_refused_login_is_charged_once() {
    let connector = TestConnector::new(1);
    *connector.fault.lock().unwrap() = Some(Fault::new(&code::CREDENTIAL_REFUSED, "no"));
    let pool = pool(&connector, 32);
    let target = target("1");
    let results = futures_util::future::join_all((0..10).map(|_| pool.get(&target, 4, SMALL))).await;
    let faults: Vec<ConnectFault> = results.into_iter().map(Result::unwrap_err).collect();
    assert!(
        faults.iter().all(|f| f.fault.code == &code::CREDENTIAL_REFUSED && f.stage == Stage::Authenticating)
    );
    assert_eq!(faults.iter().filter(|f| !f.fault.shared).count(), 1);
    assert_eq!(connector.started(), 1, "ten files, one login");
    assert!(pool.connections().is_empty());

    // The next file tries again.
    *connector.fault.lock().unwrap() = None;
    connector.gate.add_permits(1);
    assert!(pool.get(&target, 4, SMALL).await.is_ok());
}

#[tokio::test]
async fn a_cancelled_file_does_not_take_the_login_with_it() {
    let connector = TestConnector::new(0);
    let pool = pool(&connector, 32);
    let get = |pool: Pool| tokio::spawn(async move { pool.get(&target("1"), 1, SMALL).await.map(|_| ()) });
    let (first, second) = (get(pool.clone()), get(pool.clone()));
    while connector.started() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    connector.gate.add_permits(1);
    second.await.unwrap().unwrap();
    assert_eq!(connector.started(), 1);
}

#[tokio::test]
async fn a_login_that_ends_by_a_bug_is_a_fault_and_no_hang() {
    let connector =
        Arc::new(TestConnector { panics: true, ..Arc::into_inner(TestConnector::new(2)).unwrap() });
    let pool = pool(&connector, 32);
    for _ in 0..2 {
        assert_eq!(pool.get(&target("1"), 1, SMALL).await.unwrap_err().fault.code, &code::ENGINE_PANIC);
    }
}

#[tokio::test]
async fn dead_connections_are_replaced() {
    let connector = TestConnector::new(9);
    let pool = pool(&connector, 32);
    let first = pool.get(&target("1"), 1, SMALL).await.unwrap();
    connector.life(0).dead.store(true, Ordering::SeqCst);
    let second = pool.get(&target("1"), 1, SMALL).await.unwrap();
    assert_ne!(first.number, second.number);
    drop(first);
    assert_eq!(pool.connections(), [("acme".to_owned(), 1)]);
}

#[tokio::test]
async fn a_new_revision_gets_new_connections_and_the_old_finish_their_files() {
    let connector = TestConnector::new(9);
    let pool = pool(&connector, 32);
    let old = pool.get(&target("1"), 2, SMALL).await.unwrap();
    let new = pool.get(&target("2"), 2, SMALL).await.unwrap();
    assert_ne!(old.number, new.number);
    assert!(old.alive());
    assert_eq!(pool.connections(), [("acme".to_owned(), 2)], "both count against the partner's limit");
    let mut closed = connector.life(0).closed.subscribe();
    drop(old);
    closed.wait_for(|closed| *closed).await.unwrap();
    assert!(new.alive());
    assert_eq!(pool.connections(), [("acme".to_owned(), 1)]);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let connector = TestConnector::new(9);
    let idle = PoolSettings { idle: Duration::from_millis(40), ..PoolSettings::default() };
    let pool = Pool::new(Arc::clone(&connector) as Arc<dyn Connector>, idle);
    let file = pool.get(&target("1"), 1, SMALL).await.unwrap();
    let mut closed = connector.life(0).closed.subscribe();
    let in_use =
        tokio::time::timeout(Duration::from_millis(200), closed.wait_for(|closed| *closed)).await.is_err();
    assert!(in_use, "a connection with a file is not idle");
    drop(file);
    closed.wait_for(|closed| *closed).await.unwrap();
    while !pool.connections().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn old_connections_take_no_further_file() {
    let connector = TestConnector::new(9);
    let settings = PoolSettings { max_age: Duration::from_millis(100), ..PoolSettings::default() };
    let pool = Pool::new(Arc::clone(&connector) as Arc<dyn Connector>, settings);
    let old = pool.get(&target("1"), 2, SMALL).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await; // its age is what is tested
    let new = pool.get(&target("1"), 2, SMALL).await.unwrap();
    assert_ne!(old.number, new.number);
    assert!(old.alive(), "it finishes its file");
}

#[tokio::test]
async fn closing_the_pool_closes_what_is_idle() {
    let connector = TestConnector::new(9);
    let pool = pool(&connector, 1);
    drop(pool.get(&target("1"), 2, SMALL).await.unwrap());
    let busy = pool.get(&target("1"), 2, SMALL).await.unwrap();
    let also = pool.get(&target("1"), 2, SMALL).await.unwrap();
    drop(also);
    pool.close().await;
    assert!(busy.alive());
    assert_eq!(pool.connections(), [("acme".to_owned(), 1)]);
}

#[tokio::test]
async fn a_large_file_has_a_connection_of_its_own_where_there_may_be_one() {
    let connector = TestConnector::new(9);
    let pool = pool(&connector, 3);
    let small = pool.get(&target("1"), 2, SMALL).await.unwrap();
    let large = pool.get(&target("1"), 2, LARGE_BYTES).await.unwrap();
    assert_ne!(small.number, large.number);
    for _ in 0..2 {
        let next = pool.get(&target("1"), 2, SMALL).await.unwrap();
        assert_eq!(next.number, small.number, "small ones stay clear of it");
    }
    // There may be no third: a second large one shares with small ones rather than with the first.
    let second = pool.get(&target("1"), 2, LARGE_BYTES).await.unwrap();
    assert_eq!(second.number, small.number);
    drop((large, second));
    let third = pool.get(&target("1"), 2, LARGE_BYTES).await.unwrap();
    assert_ne!(third.number, small.number, "its place is free again");
    assert_eq!(connector.started(), 2);
}

#[tokio::test]
async fn a_partner_who_allows_one_session_gets_large_files_too() {
    let connector = TestConnector::new(9);
    let pool = pool(&connector, 3);
    let small = pool.get(&target("1"), 2, SMALL).await.unwrap();
    *connector.fault.lock().unwrap() = Some(Fault::new(&code::ENDPOINT_BUSY, "one is enough"));
    let first = pool.get(&target("1"), 2, LARGE_BYTES).await.unwrap();
    let second = pool.get(&target("1"), 2, LARGE_BYTES).await.unwrap();
    assert_eq!((first.number, second.number), (small.number, small.number));
    assert!(!first.is_fresh(), "no login worked for it");
    assert_eq!(connector.started(), 2, "the second did not try again");
}
