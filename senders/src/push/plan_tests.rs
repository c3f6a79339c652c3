//! Every option of the upload plan, alone and against every fault point.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use outport_core::remote_name::RemoteName;
use outport_core::upload::{UploadPlan, UploadSpec};
use outport_core::{DeliveryId, code};
use proptest::prelude::*;

use super::*;
use crate::faulty::{Faulty, Step, Trouble};
use crate::memory::{MemoryAbilities, MemoryServer};
use crate::remote::Offers;
use crate::source::BytesSource;

const FINAL: &str = "in/a.csv";
const CONTENT: &[u8] = b"0123456789abcdefghij";
const PIECE: usize = 4;

fn plan(json: &str) -> UploadPlan {
    let spec: UploadSpec = serde_json::from_str(json).unwrap();
    UploadPlan::try_from(&spec).unwrap()
}

/// The database's part: intents by attempt, and which attempts the next one hears of.
#[derive(Default)]
struct Ledger {
    intents: Mutex<BTreeMap<u32, RenameIntent>>,
    ends: Vec<(u32, bool)>,
}

struct LedgerFence<'a>(&'a Ledger, u32);

#[async_trait]
impl Fence for LedgerFence<'_> {
    fn check(&self) -> Result<(), Stop> {
        Ok(())
    }

    async fn enter_renaming(&self, intent: &RenameIntent) -> Result<(), Stop> {
        self.0.intents.lock().unwrap().insert(self.1, intent.clone());
        Ok(())
    }
}

impl Ledger {
    /// As the store's `past` reads it: after a definite fault only what the next attempt has to go on with counts.
    fn earlier(&self) -> Option<Earlier> {
        let intents = self.intents.lock().unwrap();
        self.ends.iter().rev().find_map(|(n, is_fault)| {
            let intent = intents.get(n)?;
            let counts = !is_fault || matches!(intent.step, IntentStep::Created | IntentStep::Placed);
            counts.then(|| intent.clone())
        })
    }

    fn attempt(
        &mut self,
        server: &MemoryServer,
        plan: &UploadPlan,
        troubles: Vec<(Step, usize, Trouble)>,
    ) -> Outcome {
        self.attempt_over(&Faulty::new(server.remote(), troubles), plan)
    }

    fn attempt_over(&mut self, remote: &dyn Remote, plan: &UploadPlan) -> Outcome {
        let n = u32::try_from(self.ends.len()).unwrap() + 1;
        let unfinished: Vec<u32> = (1..n).rev().collect();
        let name = RemoteName::new(FINAL).unwrap();
        let delivery = "dlv_01h455vb4pex5vsknk084sn02q".parse::<DeliveryId>().unwrap();
        let mut upload = Upload::planned(plan.clone(), &name, delivery, n, &unfinished).unwrap();
        upload.sha256 = Some(Sha256Sum::of(CONTENT));
        upload.mtime_s = Some(1_000_000);
        upload.earlier = self.earlier();
        let mut source = BytesSource::in_pieces(CONTENT, PIECE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(push(remote, &upload, &mut source, &LedgerFence(self, n)));
        self.ends.push((n, matches!(outcome, Outcome::Failed { .. })));
        outcome
    }
}

#[track_caller]
fn delivered(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Delivered(receipt) => receipt,
        other => panic!("not delivered: {other:?}"),
    }
}

#[track_caller]
fn fault(outcome: Outcome) -> Fault {
    match outcome {
        Outcome::Failed { fault, .. } => fault,
        other => panic!("not failed: {other:?}"),
    }
}

/// One healthy attempt.
#[track_caller]
fn send(server: &MemoryServer, json: &str) -> Receipt {
    delivered(Ledger::default().attempt(server, &plan(json), vec![]))
}

fn bare() -> MemoryAbilities {
    MemoryAbilities { offers: Offers::default(), ..MemoryAbilities::default() }
}

#[test]
fn temp_names_and_folders_are_those_of_the_plan() {
    let server = MemoryServer::default();
    send(&server, r#"{"temp":"up-{delivery}-{attempt}","temp_folder":"/tmp/outport"}"#);
    assert_eq!(server.opened(), ["/tmp/outport/up-01h455vb4pex5vsknk084sn02q-1"]);
    assert_eq!(server.paths(), [FINAL]);
}

#[test]
fn direct_writes_under_the_final_name_only() {
    for old in [None, Some(&b"old"[..])] {
        let server = MemoryServer::default();
        if let Some(old) = old {
            server.put(FINAL, old, 5);
        }
        let receipt = send(&server, r#"{"temp":"none"}"#);
        assert_eq!((server.opened(), receipt.remote_final.as_str()), (vec![FINAL.to_owned()], FINAL));
        assert_eq!(server.content(FINAL).unwrap(), CONTENT);
        assert!(server.renames().is_empty());
    }
}

#[test]
fn each_rename_does_what_it_says_on_servers_that_do_and_do_not_replace() {
    // (rename, on_existing, whether the server offers posix-rename, the code, or delivered)
    let cases = [
        ("auto", "replace", true, None),
        ("auto", "replace", false, None),
        ("posix-rename", "replace", true, None),
        ("posix-rename", "replace", false, Some(&code::REMOTE_UNSUPPORTED)),
        ("delete-rename", "replace", false, None),
        ("delete-rename", "replace", true, None),
        ("rename", "fail", true, Some(&code::REMOTE_EXISTS)),
        ("auto", "fail", true, Some(&code::REMOTE_EXISTS)),
    ];
    for (rename, on_existing, posix_rename, expected) in cases {
        let offers = Offers { posix_rename, ..Offers::default() };
        let server = MemoryServer::with(MemoryAbilities { offers, ..bare() });
        server.put(FINAL, b"old", 5);
        let json = format!(r#"{{"rename":"{rename}","on_existing":"{on_existing}"}}"#);
        let outcome = Ledger::default().attempt(&server, &plan(&json), vec![]);
        match expected {
            None => {
                delivered(outcome);
                assert_eq!(server.content(FINAL).unwrap(), CONTENT, "{json}");
            }
            Some(expected) => {
                let fault = fault(outcome);
                assert_eq!(fault.code, expected, "{json}: {fault}");
                assert!(fault.hint.is_some(), "{json}");
                assert_eq!(server.content(FINAL).unwrap(), &b"old"[..], "{json}");
                assert!(server.opened().is_empty(), "{json}: no byte is sent");
            }
        }
        assert_eq!(server.paths(), [FINAL], "{json}");
    }
}

#[test]
fn unique_takes_the_first_free_name_and_says_which() {
    for json in [r#"{"on_existing":"unique"}"#, r#"{"on_existing":"unique","temp":"none"}"#] {
        let server = MemoryServer::default();
        assert_eq!(send(&server, json).remote_final, FINAL);
        assert_eq!(send(&server, json).remote_final, "in/a-2.csv");
        assert_eq!(send(&server, json).remote_final, "in/a-3.csv");
        assert_eq!(server.paths(), ["in/a-2.csv", "in/a-3.csv", FINAL]);
        for path in server.paths() {
            assert_eq!(server.content(&path).unwrap(), CONTENT);
        }
        let crowded = MemoryServer::default();
        crowded.put(FINAL, b"x", 1);
        for n in 2..=100 {
            crowded.put(&format!("in/a-{n}.csv"), b"x", 1);
        }
        let fault = fault(Ledger::default().attempt(&crowded, &plan(json), vec![]));
        assert_eq!(fault.code, &code::REMOTE_EXISTS);
        assert_eq!(crowded.paths().len(), 100, "nothing is left behind");
    }
}

#[test]
fn a_unique_name_is_not_taken_twice_after_a_lost_answer() {
    let server = MemoryServer::default();
    server.put(FINAL, b"old", 1);
    server.set_now(9);
    let (mut ledger, plan) = (Ledger::default(), plan(r#"{"on_existing":"unique"}"#));
    let lost = ledger.attempt(&server, &plan, vec![(Step::Rename, 1, Trouble::BreakAfter)]);
    assert!(matches!(lost, Outcome::Unknown { .. }), "{lost:?}");
    let receipt = delivered(ledger.attempt(&server, &plan, vec![]));
    assert_eq!((receipt.remote_final.as_str(), receipt.bytes_sent), ("in/a-2.csv", 0));
    assert_eq!(server.paths(), ["in/a-2.csv", FINAL]);
}

#[test]
fn each_way_to_verify_finds_what_it_can() {
    // A server that loses a piece in the middle: the size is short. And one that keeps the size and loses the bytes.
    for (json, finds_lost_bytes) in [
        (r#"{"verify":"stat"}"#, true),
        (r#"{"verify":"stat","one_handle":true}"#, true),
        (r#"{"verify":"list"}"#, true),
        (r#"{"verify":"read-back"}"#, true),
        (r#"{"verify":"checksum"}"#, true),
        (r#"{"verify":"none"}"#, false),
    ] {
        let server = MemoryServer::default();
        send(&server, json);
        assert_eq!(server.content(FINAL).unwrap(), CONTENT);
        if finds_lost_bytes {
            let server = MemoryServer::default();
            let lost = vec![(Step::Write, 5, Trouble::Lie)];
            let fault = fault(Ledger::default().attempt(&server, &plan(json), lost));
            let expected = [&code::REMOTE_SIZE_DIFFERS, &code::REMOTE_CONTENT_DIFFERS];
            assert!(expected.contains(&fault.code), "{json}: {fault}");
            assert!(server.paths().is_empty(), "{json}");
        }
    }
    for json in [r#"{"verify":"checksum"}"#, r#"{"fsync":true}"#] {
        let fault = fault(Ledger::default().attempt(&MemoryServer::with(bare()), &plan(json), vec![]));
        assert_eq!(fault.code, &code::REMOTE_UNSUPPORTED);
        assert!(fault.hint.unwrap().contains("endpoint check"));
    }
}

#[test]
fn attributes_are_set_only_when_asked() {
    let server = MemoryServer::default();
    server.set_now(50);
    let faulty = Faulty::new(server.remote(), vec![]);
    delivered(Ledger::default().attempt_over(&faulty, &UploadPlan::default()));
    assert_eq!((faulty.calls(Step::Set), faulty.calls(Step::Sync)), (0, 0));
    assert_eq!((server.mode(FINAL), server.mtime(FINAL)), (None, Some(50)));
    send(&server, r#"{"mode":"0640","mtime":"keep","fsync":true,"trigger":"{name}.done"}"#);
    assert_eq!((server.mode(FINAL), server.mtime(FINAL)), (Some(0o640), Some(1_000_000)));
    assert_eq!(server.mode("in/a.csv.done"), Some(0o640));
    assert!(server.synced()[0].ends_with(".1.part"), "flushed before the rename: {:?}", server.synced());
}

#[test]
fn missing_folders_are_made_only_when_asked() {
    let abilities = MemoryAbilities { has_folders: true, ..MemoryAbilities::default() };
    for json in [
        r#"{"mkdirs":true}"#,
        r#"{"mkdirs":true,"temp":"none"}"#,
        r#"{"mkdirs":true,"temp_folder":"tmp/up"}"#,
    ] {
        let server = MemoryServer::with(abilities);
        send(&server, json);
        assert_eq!(server.paths(), [FINAL], "{json}");
    }
    let server = MemoryServer::with(abilities);
    let fault = fault(Ledger::default().attempt(&server, &UploadPlan::default(), vec![]));
    assert_eq!(fault.code, &code::REMOTE_NO_SUCH_FOLDER);
}

#[test]
fn a_drop_box_is_never_looked_into() {
    let json = r#"{"write_only":true,"verify":"none","trigger":"{name}.done","checksum":"{name}.sha256"}"#;
    let server = MemoryServer::with(MemoryAbilities { write_only: true, ..MemoryAbilities::default() });
    let faulty = Faulty::new(server.remote(), vec![]);
    delivered(Ledger::default().attempt_over(&faulty, &plan(json)));
    for step in [Step::Stat, Step::Find, Step::Remove, Step::Read] {
        assert_eq!(faulty.calls(step), 0, "{step:?}");
    }
    assert_eq!(server.paths(), [FINAL, "in/a.csv.done", "in/a.csv.sha256"]);
    // Nothing tells what became of a rename whose answer was lost.
    let (mut ledger, plan) = (Ledger::default(), plan(json));
    ledger.attempt(&server, &plan, vec![(Step::Rename, 1, Trouble::BreakAfter)]);
    assert!(delivered(ledger.attempt(&server, &plan, vec![])).possible_duplicate);
}

const COMPANIONS: &str = r#"{"checksum":"{name}.sha256","trigger":"{stem}.done"}"#;

#[test]
fn checksum_and_trigger_come_after_the_file_in_this_order() {
    let server = MemoryServer::default();
    send(&server, COMPANIONS);
    let sum = Sha256Sum::of(CONTENT);
    assert_eq!(server.content("in/a.csv.sha256").unwrap(), format!("{sum}  a.csv\n"));
    assert_eq!(server.content("in/a.done").unwrap(), "");
    assert_eq!(server.paths(), [FINAL, "in/a.csv.sha256", "in/a.done"]);
    let renamed: Vec<String> = server.renames().into_iter().map(|(path, _)| path).collect();
    assert_eq!(renamed, [FINAL, "in/a.csv.sha256"]);
    assert_eq!(server.opened().last().unwrap(), "in/a.done");
    // The unique name's own.
    let json = r#"{"on_existing":"unique","checksum":"{name}.sha256","trigger":"{stem}.done"}"#;
    send(&server, json);
    assert!(server.content("in/a-2.done").is_some());
    assert!(server.content("in/a-2.csv.sha256").unwrap().ends_with(b"  a-2.csv\n"));
}

#[test]
fn a_file_whose_trigger_failed_is_not_sent_again() {
    for (step, nth) in [(Step::Create, 2), (Step::Create, 3), (Step::Write, 6), (Step::Rename, 2)] {
        for trouble in [
            Trouble::Refuse(Fault::new(&code::REMOTE_PERMISSION_DENIED, "no")),
            Trouble::Break,
            Trouble::BreakAfter,
            Trouble::LoseReply,
        ] {
            let name = format!("{step:?} {nth} {trouble:?}");
            let server = MemoryServer::default();
            let (mut ledger, plan) = (Ledger::default(), plan(COMPANIONS));
            let first = fault(ledger.attempt(&server, &plan, vec![(step, nth, trouble)]));
            assert!(first.message.contains("\"in/a.csv\" is delivered, its "), "{name}: {first}");
            let receipt = delivered(ledger.attempt(&server, &plan, vec![]));
            assert_eq!((receipt.bytes_sent, receipt.possible_duplicate), (0, false), "{name}");
            assert_eq!(receipt.confirmed_by, ConfirmedBy::Probe, "{name}");
            assert_eq!(server.paths(), [FINAL, "in/a.csv.sha256", "in/a.done"], "{name}");
            let payloads = server.renames().into_iter().filter(|(path, _)| path == FINAL).count();
            assert_eq!(payloads, 1, "{name}");
        }
    }
}

#[test]
fn no_trigger_for_a_file_that_the_partner_has_taken() {
    let server = MemoryServer::default();
    let (mut ledger, plan) = (Ledger::default(), plan(COMPANIONS));
    fault(ledger.attempt(&server, &plan, vec![(Step::Create, 3, Trouble::Break)]));
    server.take(FINAL);
    delivered(ledger.attempt(&server, &plan, vec![]));
    assert_eq!(server.paths(), ["in/a.csv.sha256"]);
}

#[test]
fn a_broken_upload_is_gone_on_with() {
    let server = MemoryServer::default();
    let (mut ledger, plan) = (Ledger::default(), plan(r#"{"resume":true}"#));
    // Three pieces of four bytes arrive; the last four of them are sent again (the back-off of these tests).
    fault(ledger.attempt(&server, &plan, vec![(Step::Write, 4, Trouble::Break)]));
    assert_eq!(server.paths().len(), 1);
    let receipt = delivered(ledger.attempt(&server, &plan, vec![]));
    assert_eq!((receipt.bytes_sent, receipt.sha256), (12, Sha256Sum::of(CONTENT)));
    assert_eq!(server.content(FINAL).unwrap(), CONTENT);
    assert_eq!(server.paths(), [FINAL]);

    // Twice in a row, and without the option from the start.
    for (json, sent) in [(r#"{"resume":true}"#, 8), ("{}", 20)] {
        let server = MemoryServer::default();
        let (mut ledger, plan) = (Ledger::default(), self::plan(json));
        fault(ledger.attempt(&server, &plan, vec![(Step::Write, 4, Trouble::Break)]));
        fault(ledger.attempt(&server, &plan, vec![(Step::Write, 3, Trouble::Break)]));
        let receipt = delivered(ledger.attempt(&server, &plan, vec![]));
        assert_eq!(receipt.bytes_sent, sent, "{json}");
        assert_eq!(server.paths(), [FINAL], "{json}");
    }
}

#[test]
fn what_the_server_refused_is_not_left_for_a_resume() {
    let server = MemoryServer::default();
    let full = Trouble::Refuse(Fault::new(&code::REMOTE_DISK_FULL, "full"));
    fault(Ledger::default().attempt(&server, &plan(r#"{"resume":true}"#), vec![(Step::Write, 4, full)]));
    assert!(server.paths().is_empty());
}

#[test]
fn a_direct_file_that_broke_off_is_written_again() {
    for json in [
        r#"{"temp":"none"}"#,
        r#"{"temp":"none","on_existing":"fail"}"#,
        r#"{"temp":"none","on_existing":"unique"}"#,
    ] {
        let server = MemoryServer::default();
        server.set_now(5);
        let (mut ledger, plan) = (Ledger::default(), plan(json));
        fault(ledger.attempt(&server, &plan, vec![(Step::Write, 3, Trouble::Break)]));
        assert_eq!(server.content(FINAL).unwrap(), &CONTENT[..8], "{json}: the partner can see this half");
        server.set_now(6);
        let receipt = delivered(ledger.attempt(&server, &plan, vec![]));
        assert_eq!((receipt.remote_final.as_str(), receipt.possible_duplicate), (FINAL, false), "{json}");
        assert_eq!(server.paths(), [FINAL], "{json}");
    }
    // A stranger's file is not written over, though it is shorter.
    let server = MemoryServer::default();
    let (mut ledger, plan) = (Ledger::default(), plan(r#"{"temp":"none","on_existing":"fail"}"#));
    fault(ledger.attempt(&server, &plan, vec![(Step::Create, 1, Trouble::Break)]));
    server.put(FINAL, b"theirs", 9);
    assert_eq!(fault(ledger.attempt(&server, &plan, vec![])).code, &code::REMOTE_EXISTS);
    assert_eq!(server.content(FINAL).unwrap(), "theirs");
}

#[test]
fn a_lost_close_of_a_direct_file_is_looked_after() {
    let server = MemoryServer::default();
    server.set_now(5);
    let (mut ledger, plan) = (Ledger::default(), plan(r#"{"temp":"none"}"#));
    let lost = ledger.attempt(&server, &plan, vec![(Step::Close, 1, Trouble::BreakAfter)]);
    assert!(matches!(lost, Outcome::Unknown { .. }), "{lost:?}");
    let receipt = delivered(ledger.attempt(&server, &plan, vec![]));
    assert_eq!((receipt.confirmed_by, receipt.bytes_sent), (ConfirmedBy::Probe, 0));
}

/// Every option once, and what goes together.
const PLANS: [&str; 22] = [
    "{}",
    r#"{"temp":"{delivery}-{attempt}","temp_folder":"/t"}"#,
    r#"{"temp":"none"}"#,
    r#"{"temp":"none","on_existing":"fail"}"#,
    r#"{"temp":"none","on_existing":"unique","trigger":"{name}.done"}"#,
    r#"{"rename":"posix-rename"}"#,
    r#"{"rename":"delete-rename"}"#,
    r#"{"on_existing":"fail"}"#,
    r#"{"on_existing":"unique"}"#,
    r#"{"verify":"list"}"#,
    r#"{"verify":"read-back"}"#,
    r#"{"verify":"checksum"}"#,
    r#"{"verify":"none"}"#,
    r#"{"one_handle":true}"#,
    r#"{"mkdirs":true}"#,
    r#"{"mode":"0600","mtime":"keep","fsync":true}"#,
    r#"{"write_only":true,"verify":"none"}"#,
    r#"{"write_only":true,"one_handle":true,"trigger":"{name}.done"}"#,
    COMPANIONS,
    r#"{"on_existing":"unique","checksum":"{name}.sha256","trigger":"{stem}.done"}"#,
    r#"{"resume":true}"#,
    r#"{"resume":true,"verify":"read-back","temp":"{name}-{attempt}-{delivery}","checksum":"{name}.sha256"}"#,
];

fn server_for(plan: &UploadPlan) -> MemoryServer {
    let (write_only, has_folders) = (plan.write_only(), plan.mkdirs());
    MemoryServer::with(MemoryAbilities { write_only, has_folders, ..MemoryAbilities::default() })
}

/// What must hold at any moment under any name that the partner may read.
fn no_half_file(name: &str, server: &MemoryServer, plan: &UploadPlan) {
    let is_direct = *plan.naming() == outport_core::upload::Naming::Direct;
    for (path, size) in server.renames() {
        if path == FINAL || path.starts_with("in/a-") && path.ends_with(".csv") {
            assert_eq!(size, 20, "{name}: {path}");
        }
    }
    for path in server.paths().into_iter().filter(|path| path.starts_with("in/a") && path.ends_with(".csv")) {
        let content = server.content(&path).unwrap();
        assert!(is_direct || content == CONTENT || content == b"old"[..], "{name}: {path} is {content:?}");
    }
}

#[test]
fn every_option_at_every_fault_point() {
    let kinds = [
        Trouble::Refuse(Fault::new(&code::REMOTE_PERMISSION_DENIED, "no")),
        Trouble::Break,
        Trouble::BreakAfter,
        Trouble::LoseReply,
        Trouble::LoseRequest,
    ];
    let mut cases = 0;
    for json in PLANS {
        let plan = plan(json);
        let clean = Faulty::new(server_for(&plan).remote(), vec![]);
        delivered(Ledger::default().attempt_over(&clean, &plan));
        for step in Step::ALL {
            for (nth, trouble) in
                (1..=clean.calls(step)).flat_map(|nth| kinds.iter().map(move |kind| (nth, kind)))
            {
                let name = format!("{json}, {step:?} {nth} {trouble:?}");
                let server = server_for(&plan);
                server.set_now(100);
                let mut ledger = Ledger::default();
                let first = ledger.attempt(&server, &plan, vec![(step, nth, trouble.clone())]);
                no_half_file(&name, &server, &plan);
                server.set_now(200);
                let mut last = first;
                for _ in 0..2 {
                    if !matches!(last, Outcome::Delivered(_)) {
                        last = ledger.attempt(&server, &plan, vec![]);
                        no_half_file(&name, &server, &plan);
                    }
                }
                // An empty file that nobody can prove to be ours is the one thing that no later attempt may mend.
                let unproven =
                    json == r#"{"temp":"none","on_existing":"fail"}"# && (step, nth) == (Step::Create, 1);
                if unproven && matches!(trouble, Trouble::BreakAfter | Trouble::LoseReply) {
                    assert_eq!(fault(last).code, &code::REMOTE_EXISTS, "{name}");
                    assert_eq!(server.content(FINAL).unwrap(), "", "{name}");
                    continue;
                }
                let receipt = delivered(last);
                assert_eq!(server.content(&receipt.remote_final).unwrap(), CONTENT, "{name}");
                for companion in [plan.checksum(), plan.trigger()].into_iter().flatten() {
                    let companion =
                        companion.of(&RemoteName::new(receipt.remote_final.as_str()).unwrap()).unwrap();
                    assert!(server.content(companion.as_str()).is_some(), "{name}: {companion} is missing");
                }
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "{cases}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Attempt after attempt with any troubles, by any plan: no file under a final name is ever shorter than its source,
    /// unless the plan is direct; and a delivery that says it arrived has arrived.
    #[test]
    fn no_plan_shows_a_half_file(
        json in proptest::sample::select(&PLANS),
        troubles in proptest::collection::vec(proptest::collection::vec(
            (proptest::sample::select(&Step::ALL), 1usize..6, prop_oneof![
                Just(Trouble::Refuse(Fault::new(&code::REMOTE_FAILURE, "no"))),
                Just(Trouble::Break), Just(Trouble::BreakAfter), Just(Trouble::LoseReply), Just(Trouble::LoseRequest),
            ]), 0..3), 0..5),
        has_old in any::<bool>(),
    ) {
        let plan = plan(json);
        let server = server_for(&plan);
        if has_old {
            server.put(FINAL, b"old", 50);
        }
        let mut ledger = Ledger::default();
        for (at, troubles) in troubles.into_iter().enumerate() {
            server.set_now(100 + i64::try_from(at).unwrap());
            let outcome = ledger.attempt(&server, &plan, troubles);
            no_half_file(json, &server, &plan);
            if let Outcome::Delivered(receipt) = outcome {
                prop_assert_eq!(server.content(&receipt.remote_final).unwrap(), CONTENT);
                break;
            }
        }
    }
}
