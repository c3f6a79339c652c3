//! The connection breaks at the COMMIT of each verb, once before the server hears of it and once before its answer comes.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use outport_core::Timing;
use outport_core::delivery::DeliveryState;
use outport_store::claim_sends::{ClaimedSend, RenameIntent};
use outport_store::enqueue::{self, Dispatched};
use outport_store::finish_send::Finished;
use outport_store::rescue::{Which, rescue};
use outport_store::stage::Entering;
use outport_store::writer::Writer;
use outport_store::{Store, StoreError, acts, claim_sends};
use outport_tests::servers::postgres::Database;
use outport_tests::servers::proxy::{Cut, Proxy};
use outport_tests::{invariants, need};

use crate::conformance::world::{ALL, World, arrival, by, delivered, report, worker};

const CUTS: [Cut; 2] = [Cut::BeforeCommit, Cut::BeforeTheAnswer];

/// Runs `test` in a world behind a proxy, on a database of its own.
fn cut<F: Future<Output = ()>>(database: &Database, at: Cut, test: impl FnOnce(World, Arc<Proxy>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let direct = Store::open(database.url()).await.unwrap();
        direct.migrate().await.unwrap();
        direct.close().await.unwrap();
        let proxy = Arc::new(Proxy::before(database.url()).unwrap());
        let store = Store::open(proxy.url()).await.unwrap();
        let raw = invariants::connect(database.url()).await.unwrap();
        let world = World { store, raw: raw.clone(), timing: Timing::default(), worker: worker() };
        world.define(&["a"], None).await;
        let before = proxy.cuts();
        test(world, proxy.clone()).await;
        assert_eq!(proxy.cuts(), before + 1, "{at:?}: nothing was cut");
        invariants::assert_all(&raw).await.unwrap();
        raw.close().await.unwrap();
    });
}

macro_rules! at_both_cuts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                for at in CUTS {
                    let database = need!(Database::create());
                    cut(&database, at, |world, proxy| verbs::$name(world, proxy, at));
                }
            }
        )*
    };
}

at_both_cuts!(dispatch, claim, stage, finish, heartbeat, free, hold);

fn outage<T: std::fmt::Debug>(done: Result<T, StoreError>) {
    let error = done.unwrap_err();
    assert!(error.is_outage(), "{error}: {:?}", error.fault());
}

/// PostgreSQL has seen that the connection is gone, and has taken back what was not committed: until then its rows are locked,
/// and a claim passes over them.
async fn taken_back(world: &World) {
    let open = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.number(open).await > 0 {
        assert!(Instant::now() < deadline, "a transaction without a connection stays open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn one_claimed(world: &World) -> ClaimedSend {
    world.arrive("f").await;
    world.claim_one().await
}

fn writer(world: &World) -> Writer {
    Writer::start(world.store.clone(), world.worker, world.timing.clone(), |_| Duration::from_millis(1))
}

mod verbs {
    use super::*;

    pub async fn dispatch(world: World, proxy: Arc<Proxy>, at: Cut) {
        proxy.cut(at);
        let arrival = arrival("f", "v1");
        outage(enqueue::dispatch(&world.store, &arrival, |_, _| None).await);
        // The event was not acknowledged, and comes again.
        let again = enqueue::dispatch(&world.store, &arrival, |_, _| None).await.unwrap();
        let committed = matches!(again, Dispatched::Duplicate { .. });
        assert_eq!(committed, at == Cut::BeforeTheAnswer, "{again:?}");
        assert_eq!(world.number("SELECT count(*) AS n FROM file").await, 1);
        assert_eq!(world.deliveries().await.len(), 1);
        world.deliver(&world.claim_one().await).await;
    }

    pub async fn claim(world: World, proxy: Arc<Proxy>, at: Cut) {
        world.arrive("f").await;
        proxy.cut(at);
        outage(claim_sends::claim(&world.store, world.worker, ALL, &world.timing).await);
        taken_back(&world).await;
        world.assert_invariants().await;
        if at == Cut::BeforeTheAnswer {
            assert!(world.claim().await.sends.is_empty(), "nobody knows that he has it");
            // His heartbeats do not name it: it runs out.
            world.sql("UPDATE send_job SET lease_until = 1").await;
            assert_eq!(rescue(&world.store, Which::Expired, &world.timing).await.unwrap().sends, 1);
            world.pass_time().await;
        }
        let send = world.claim_one().await;
        assert_eq!(send.attempt, if at == Cut::BeforeTheAnswer { 2 } else { 1 });
        world.deliver(&send).await;
    }

    pub async fn stage(world: World, proxy: Arc<Proxy>, at: Cut) {
        let send = one_claimed(&world).await;
        proxy.cut(at);
        let intent = RenameIntent { temp_path: ".f".into(), ..RenameIntent::default() };
        let entering = Entering { delivery_id: send.delivery_id, lease: send.lease, intent };
        assert!(writer(&world).enter_renaming(entering).await.unwrap(), "said again until it is answered");
        assert_eq!(world.number("SELECT count(*) AS n FROM attempt WHERE stage = 'renaming'").await, 1);
        world.deliver(&send).await;
    }

    pub async fn finish(world: World, proxy: Arc<Proxy>, at: Cut) {
        let send = one_claimed(&world).await;
        proxy.cut(at);
        let report = Arc::new(report(&send, delivered(&send)));
        let finished = writer(&world).finish(report, 0.5).await.unwrap();
        assert_eq!(finished, Finished::Recorded { state: DeliveryState::Delivered, due_at: None });
        let receipts = "SELECT count(*) AS n FROM attempt WHERE outcome = 'delivered' AND charged";
        assert_eq!(world.number(receipts).await, 1);
        assert_eq!(
            world.number("SELECT CAST(charged AS bigint) AS n FROM delivery").await,
            1,
            "charged once"
        );
    }

    pub async fn heartbeat(world: World, proxy: Arc<Proxy>, at: Cut) {
        let send = one_claimed(&world).await;
        world.sql("UPDATE send_job SET lease_until = 5").await;
        proxy.cut(at);
        let open = BTreeSet::from([(send.delivery_id.uuid(), send.lease)]);
        let held = writer(&world).beat(open).await.unwrap();
        assert_eq!(held.sends.len(), 1);
        assert_eq!(world.number("SELECT count(*) AS n FROM send_job WHERE lease_until > 5").await, 1);
        world.deliver(&send).await;
    }

    pub async fn free(world: World, proxy: Arc<Proxy>, at: Cut) {
        one_claimed(&world).await;
        world.sql("UPDATE send_job SET lease_until = 1").await;
        proxy.cut(at);
        outage(rescue(&world.store, Which::Expired, &world.timing).await);
        taken_back(&world).await;
        world.assert_invariants().await;
        rescue(&world.store, Which::Expired, &world.timing).await.unwrap();
        assert_eq!(
            world.number("SELECT CAST(abandoned AS bigint) AS n FROM delivery").await,
            1,
            "freed once"
        );
        world.pass_time().await;
        world.deliver(&world.claim_one().await).await;
    }

    /// An act is not said again by itself: its operator sees in the history whether it was done.
    pub async fn hold(world: World, proxy: Arc<Proxy>, at: Cut) {
        world.arrive("f").await;
        let id = world.deliveries().await[0].id;
        proxy.cut(at);
        outage(acts::delivery::hold(&world.store, id, by()).await);
        let again = acts::delivery::hold(&world.store, id, by()).await;
        assert_eq!(again.is_err(), at == Cut::BeforeTheAnswer, "{again:?}");
        assert_eq!(world.state(id).await, DeliveryState::Held);
        assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event = 'held'").await, 1);
    }
}
