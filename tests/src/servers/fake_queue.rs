//! A queue of SQS that does what moto does not: throttles, answers late, deletes only a part, and holds 100,000 messages
//! without being slow about it. It speaks the JSON protocol of SQS, as far as Outport does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::scripted::{Reply, Request, Scripted};

/// A question for messages waits in steps of this.
const STEP: Duration = Duration::from_millis(20);

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Every n-th request is refused: too many.
    pub throttle_each: Option<u64>,
    /// Of each deletion the first message stays, every n-th time.
    pub keep_one_each: Option<u64>,
    /// Answers to questions for messages come this much later.
    pub slow: Duration,
    /// Nothing is answered but errors.
    pub down: bool,
}

/// The queue. Its threads end with the test program.
#[derive(Debug, Clone)]
pub struct FakeQueue {
    server: Scripted,
    state: Arc<Mutex<State>>,
}

struct State {
    waiting: VecDeque<Kept>,
    in_flight: BTreeMap<u64, (Instant, Kept)>,
    faults: Faults,
    requests: u64,
    deletions: u64,
    next_receipt: u64,
    /// Messages that came again after they had been received.
    again: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

struct Kept {
    body: Arc<dyn Fn() -> String + Send + Sync>,
    id: u64,
    received: u64,
}

impl FakeQueue {
    /// An empty one.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start() -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            waiting: VecDeque::new(),
            in_flight: BTreeMap::new(),
            faults: Faults::default(),
            requests: 0,
            deletions: 0,
            next_receipt: 1,
            again: 0,
        }));
        let of_server = state.clone();
        let server = Scripted::start(move |request| answer(&of_server, request))?;
        Ok(Self { server, state })
    }

    /// Where it is: for `AWS_ENDPOINT_URL_SQS`.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// The queue's URL.
    pub fn url(&self) -> String {
        format!("{}/1/intake", self.endpoint())
    }

    /// Puts a message in. Its body is made each time that it is received: many need no memory.
    pub fn say(&self, body: impl Fn() -> String + Send + Sync + 'static) {
        let mut state = self.locked();
        let id = state.waiting.len() as u64 + state.in_flight.len() as u64 + state.next_receipt * 1_000_000;
        state.waiting.push_back(Kept { body: Arc::new(body), id, received: 0 });
    }

    /// What goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        self.locked().faults = faults;
    }

    /// Messages that are there, those in somebody's hands too.
    pub fn len(&self) -> usize {
        let state = self.locked();
        state.waiting.len() + state.in_flight.len()
    }

    /// Whether all are deleted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a message was handed out that had been handed out before.
    pub fn again(&self) -> u64 {
        self.locked().again
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.locked().requests
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(state: &Mutex<State>, request: &Request) -> Reply {
    let locked = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let action = request.header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
    let slow = {
        let mut state = locked();
        state.requests += 1;
        if state.faults.down {
            return error(500, "InternalFailure");
        }
        if state.faults.throttle_each.is_some_and(|n| state.requests.is_multiple_of(n)) {
            return error(400, "ThrottlingException");
        }
        state.faults.slow
    };
    match action.as_str() {
        "ReceiveMessage" => {
            let wait = Duration::from_secs(body["WaitTimeSeconds"].as_u64().unwrap_or(0));
            std::thread::sleep(slow);
            let until = Instant::now() + wait;
            loop {
                let messages = receive(&mut locked(), &body);
                if !messages.is_empty() || Instant::now() >= until {
                    return ok(&json!({ "Messages": messages }));
                }
                std::thread::sleep(STEP);
            }
        }
        "DeleteMessageBatch" => ok(&delete(&mut locked(), &body)),
        "ChangeMessageVisibilityBatch" => ok(&change(&mut locked(), &body)),
        _ => error(400, "UnsupportedOperation"),
    }
}

fn receive(state: &mut State, body: &Value) -> Vec<Value> {
    let now = Instant::now();
    let over: Vec<u64> =
        state.in_flight.iter().filter(|(_, (until, _))| *until <= now).map(|(receipt, _)| *receipt).collect();
    for receipt in over {
        if let Some((_, kept)) = state.in_flight.remove(&receipt) {
            state.waiting.push_back(kept);
        }
    }
    let limit = body["MaxNumberOfMessages"].as_u64().unwrap_or(1).clamp(1, 10);
    let visibility = Duration::from_secs(body["VisibilityTimeout"].as_u64().unwrap_or(30));
    let mut messages = Vec::new();
    while (messages.len() as u64) < limit {
        let Some(mut kept) = state.waiting.pop_front() else { break };
        kept.received += 1;
        state.again += u64::from(kept.received > 1);
        let receipt = state.next_receipt;
        state.next_receipt += 1;
        messages.push(json!({
            "MessageId": format!("m-{}", kept.id), "ReceiptHandle": receipt.to_string(), "Body": (kept.body)(),
            "Attributes": {"ApproximateReceiveCount": kept.received.to_string(), "SentTimestamp": "1767323045678"},
        }));
        state.in_flight.insert(receipt, (now + visibility, kept));
    }
    messages
}

fn delete(state: &mut State, body: &Value) -> Value {
    state.deletions += 1;
    let keeps_one = state.faults.keep_one_each.is_some_and(|n| state.deletions.is_multiple_of(n));
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (place, entry) in body["Entries"].as_array().into_iter().flatten().enumerate() {
        if place == 0 && keeps_one {
            failed.push(json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}));
            continue;
        }
        state.in_flight.remove(&receipt(entry));
        successful.push(json!({"Id": entry["Id"]}));
    }
    json!({"Successful": successful, "Failed": failed})
}

fn change(state: &mut State, body: &Value) -> Value {
    let mut successful = Vec::new();
    for entry in body["Entries"].as_array().into_iter().flatten() {
        let visibility = Duration::from_secs(entry["VisibilityTimeout"].as_u64().unwrap_or(0));
        if let Some((until, _)) = state.in_flight.get_mut(&receipt(entry)) {
            *until = Instant::now() + visibility;
        }
        successful.push(json!({"Id": entry["Id"]}));
    }
    json!({"Successful": successful, "Failed": []})
}

fn receipt(entry: &Value) -> u64 {
    entry["ReceiptHandle"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn ok(body: &Value) -> Reply {
    Reply::new(200, body.to_string()).with("content-type", "application/x-amz-json-1.0")
}

fn error(status: u16, code: &str) -> Reply {
    Reply::new(status, format!("{{\"__type\":\"com.amazonaws.sqs#{code}\",\"message\":\"scripted\"}}"))
        .with("content-type", "application/x-amz-json-1.0")
}
