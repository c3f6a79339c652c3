//! Replays on both databases.

mod acts;
mod ledger;
mod redeliver;
mod reprocess;
mod set;
mod speed;

use outport_core::ReplayId;
use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Standing};
use outport_store::replay::plan::{Plan, Question, plan};
use outport_store::replay::run::{self, Step};
use outport_store::replay::start::{Request, Started, start};
use outport_store::replay::view::{self, ReplayDetail};

use super::world::World;

pub fn redeliver(filter: Filter) -> Question {
    Question { mode: ReplayMode::Redeliver, config: ReplayConfig::Current, filter }
}

pub fn reprocess(filter: Filter) -> Question {
    Question { mode: ReplayMode::Reprocess, config: ReplayConfig::Current, filter }
}

/// Takes what is in one of these states.
pub fn in_state(states: &[Standing]) -> Filter {
    Filter { state: states.to_vec(), ..Filter::default() }
}

pub fn request(question: Question, key: &str) -> Request {
    Request {
        question,
        per_minute: None,
        reason: "the partner asked".into(),
        idempotency_key: key.into(),
        actor: "operator:test".into(),
    }
}

pub fn csv(_kind: &str, _params: &serde_json::Value) -> Option<&'static str> {
    Some("csv")
}

impl World {
    pub async fn plan(&self, question: &Question) -> Plan {
        plan(&self.store, question, csv).await.unwrap()
    }

    /// Plans and starts.
    pub async fn start(&self, request: &Request) -> ReplayId {
        let plan = self.plan(&request.question).await;
        match start(&self.store, request, &plan).await.unwrap() {
            Started::New(id) => id,
            Started::Known(id) => panic!("{id} was known"),
        }
    }

    pub async fn step(&self, replay: ReplayId, page: u32) -> Step {
        run::step(&self.store, replay, page, csv).await.unwrap()
    }

    /// Runs it until it has nothing more to do.
    pub async fn run(&self, replay: ReplayId) {
        loop {
            match self.step(replay, 7).await {
                Step::Nothing => break,
                _ => self.assert_invariants().await,
            }
        }
    }

    pub async fn replay(&self, replay: ReplayId) -> ReplayDetail {
        view::show(&self.store, &replay.to_string()).await.unwrap().unwrap()
    }

    /// `created` and `skipped` of a replay.
    pub async fn counts(&self, replay: ReplayId) -> (i32, i32) {
        let detail = self.replay(replay).await;
        (detail.replay.created, detail.replay.skipped)
    }
}
