//! A multipart upload: a task that owns it from its start to its end, so that whatever becomes of the writer, the upload
//! is either finished or given up. Uploads of a process that was killed are left to a lifecycle rule
//! (AbortIncompleteMultipartUpload).

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use outport_core::{Fault, code};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::act::Act;
use super::bare;
use super::parts::MOST_PARTS;
use super::settings::Checksums;
use super::writing::{MARK, Target};
use crate::failure::Failure;

/// Between the tries to give an upload up.
const GIVE_UP_PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];

enum Message {
    Part(Bytes),
    /// The last part, and the order to make the object visible.
    Last(Bytes),
}

/// What became of it: the object's etag, or given up on request.
type Outcome = Result<Ended, Fault>;

enum Ended {
    Finished(Option<String>),
    GivenUp,
}

/// The writer's end of an upload. Dropped, the upload is given up in the background.
pub(super) struct Upload {
    parts: mpsc::Sender<Message>,
    task: JoinHandle<Outcome>,
    name: String,
}

impl Upload {
    pub(super) fn start(target: Target) -> Self {
        let (parts, messages) = mpsc::channel(1);
        let name = target.place.to_string();
        Self { parts, task: tokio::spawn(run(target, messages)), name }
    }

    /// Hands over a part. Waits while enough of them are on their way.
    pub(super) async fn part(&mut self, part: Bytes) -> Result<(), Fault> {
        if self.parts.send(Message::Part(part)).await.is_ok() {
            return Ok(());
        }
        let ended = (&mut self.task).await;
        Err(self.fault_of(ended))
    }

    pub(super) async fn finish(mut self, last: Bytes) -> Result<Option<String>, Fault> {
        // If the task has ended by itself, its result says why.
        self.parts.send(Message::Last(last)).await.ok();
        match (&mut self.task).await {
            Ok(Ok(Ended::Finished(etag))) => Ok(etag),
            ended => Err(self.fault_of(ended)),
        }
    }

    pub(super) async fn abort(self) -> Result<(), Fault> {
        drop(self.parts);
        match self.task.await {
            // The fault was told to whoever wrote the part; nothing is left of the upload.
            Ok(_) => Ok(()),
            Err(error) => Err(ended_early(&self.name, &error)),
        }
    }

    fn fault_of(&self, ended: Result<Outcome, JoinError>) -> Fault {
        match ended {
            Ok(Err(fault)) => fault,
            Ok(Ok(_)) => Fault::new(
                &code::OBJECT_STORE_FAILED,
                format!("could not write {}: its upload was given up", self.name),
            ),
            Err(error) => ended_early(&self.name, &error),
        }
    }
}

fn ended_early(name: &str, error: &JoinError) -> Fault {
    Fault::new(&code::ENGINE_PANIC, format!("could not write {name}: a task ended early: {error}"))
}

async fn run(target: Target, messages: mpsc::Receiver<Message>) -> Outcome {
    let mut running = Running { id: start(&target).await?, target, parts: JoinSet::new(), done: Vec::new() };
    let outcome = running.drive(messages).await;
    if let Ok(Ended::Finished(_)) = &outcome {
        return outcome;
    }
    // First the parts: one that arrives after the abort would stay.
    running.parts.shutdown().await;
    let Err(left) = running.give_up().await else { return outcome };
    // Also said here: a writer that was dropped hears nothing.
    tracing::warn!(code = left.code.name, "{left}");
    Err(outcome.err().unwrap_or(left))
}

async fn start(target: &Target) -> Result<String, Fault> {
    let place = &target.place;
    let request = target.shared.client.create_multipart_upload().bucket(&place.bucket).key(&place.key);
    let started = request
        .metadata(MARK, &target.mark)
        .set_checksum_algorithm(checksum(target))
        .send()
        .await
        .map_err(|error| target.fault(&Failure::of(&error)))?;
    started.upload_id.ok_or_else(|| target.fault(&Failure::Other("the store gives no upload id".into())))
}

/// The checksum that each part carries and the whole is made of. It has to be named at the start.
fn checksum(target: &Target) -> Option<ChecksumAlgorithm> {
    match target.shared.settings.checksums {
        Checksums::WhenSupported => Some(ChecksumAlgorithm::Crc32),
        Checksums::WhenRequired => None,
    }
}

/// An upload that S3 knows of.
struct Running {
    target: Target,
    id: String,
    parts: JoinSet<Result<CompletedPart, Fault>>,
    done: Vec<CompletedPart>,
}

impl Running {
    async fn drive(&mut self, mut messages: mpsc::Receiver<Message>) -> Outcome {
        let most = self.target.shared.settings.parts_in_flight.max(1);
        let mut number = 0;
        let mut is_last = false;
        while !is_last {
            tokio::select! {
                biased;
                Some(part) = self.parts.join_next() => self.keep(part)?,
                message = messages.recv(), if self.parts.len() < most => {
                    let part = match message {
                        None => return Ok(Ended::GivenUp),
                        Some(Message::Part(part)) => part,
                        Some(Message::Last(part)) => {
                            is_last = true;
                            part
                        }
                    };
                    number += 1;
                    self.send(number, part)?;
                }
            }
        }
        while let Some(part) = self.parts.join_next().await {
            self.keep(part)?;
        }
        self.complete().await.map(Ended::Finished)
    }

    fn send(&mut self, number: usize, part: Bytes) -> Result<(), Fault> {
        let number = i32::try_from(number).ok().filter(|_| number <= MOST_PARTS).ok_or_else(|| {
            let message = format!("could not write {}: it is larger than 406 GiB", self.target.place);
            Fault::new(&code::OBJECT_STORE_FAILED, message)
                .with_hint("a multipart upload has at most 10,000 parts; divide the file")
        })?;
        let (target, id) = (self.target.clone(), self.id.clone());
        self.parts.spawn(async move {
            let place = &target.place;
            let request = target.shared.client.upload_part().bucket(&place.bucket).key(&place.key);
            let stored = request
                .upload_id(id)
                .part_number(number)
                .set_checksum_algorithm(checksum(&target))
                .body(ByteStream::from(part))
                .send()
                .await
                .map_err(|error| target.fault(&Failure::of(&error)))?;
            let part = CompletedPart::builder().part_number(number);
            Ok(part.set_e_tag(stored.e_tag).set_checksum_crc32(stored.checksum_crc32).build())
        });
        Ok(())
    }

    fn keep(&mut self, part: Result<Result<CompletedPart, Fault>, JoinError>) -> Result<(), Fault> {
        let part = part.map_err(|error| ended_early(&self.target.place.to_string(), &error))??;
        self.done.push(part);
        Ok(())
    }

    async fn complete(&mut self) -> Result<Option<String>, Fault> {
        self.done.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.done)));
        let place = &self.target.place;
        let request =
            self.target.shared.client.complete_multipart_upload().bucket(&place.bucket).key(&place.key);
        let request = request.upload_id(&self.id).set_if_none_match(self.target.if_none_match());
        let request = request.multipart_upload(parts.build());
        match request.send().await {
            Ok(stored) => Ok(stored.e_tag().map(bare)),
            Err(error) => {
                let failure = Failure::of(&error);
                self.target.already_written(&failure).await.ok_or_else(|| self.target.fault(&failure))
            }
        }
    }

    /// Asks more than once: S3 says that an abort beside a part that is still arriving may have to be repeated, and moto answers
    /// it with 500 now and then (in 2 of 30 runs of three aborts each).
    async fn give_up(&self) -> Result<(), Fault> {
        for pause in GIVE_UP_PAUSES {
            if self.ask_to_give_up().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
        self.ask_to_give_up().await
    }

    async fn ask_to_give_up(&self) -> Result<(), Fault> {
        let place = &self.target.place;
        let request =
            self.target.shared.client.abort_multipart_upload().bucket(&place.bucket).key(&place.key);
        match request.upload_id(&self.id).send().await {
            Ok(_) => Ok(()),
            Err(error) => match Failure::of(&error) {
                failure if failure.code() == Some("NoSuchUpload") => Ok(()),
                failure => Err(self.target.shared.fault(Act::GiveUp, place, &failure)),
            },
        }
    }
}
