-- Instants are epoch milliseconds (BIGINT) in hot tables and everywhere SQLite must compare them; ids are uuid v7.
CREATE TABLE file_group (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE,
  enabled boolean NOT NULL DEFAULT true,
  created_at bigint NOT NULL
);

CREATE TABLE file_group_rule (
  id uuid PRIMARY KEY,
  file_group_id uuid NOT NULL REFERENCES file_group,
  bucket text NOT NULL,
  key_pattern text NOT NULL,
  starts_at bigint NOT NULL,
  created_at bigint NOT NULL,
  retired_at bigint
);

CREATE TABLE subscriber (
  id uuid PRIMARY KEY,
  code text NOT NULL UNIQUE,
  name text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  created_at bigint NOT NULL
);

CREATE TABLE endpoint (
  id uuid PRIMARY KEY,
  subscriber_id uuid NOT NULL REFERENCES subscriber,
  name text NOT NULL,
  protocol text NOT NULL CHECK (protocol IN ('sftp','ftps')),
  host text NOT NULL,
  port int NOT NULL CHECK (port BETWEEN 1 AND 65535),
  username text NOT NULL,
  credential_ref text NOT NULL,
  identity_pins {json} NOT NULL DEFAULT '[]',
  host_cas {json} NOT NULL DEFAULT '[]',
  settings {json} NOT NULL DEFAULT '{}',
  upload {json} NOT NULL DEFAULT '{}',
  -- what `endpoint check` found out last, with the revision it was true for
  profile {json},
  revision int NOT NULL DEFAULT 1,
  enabled boolean NOT NULL DEFAULT true,
  retired_at bigint,
  UNIQUE (subscriber_id, name)
);

CREATE TABLE transform_spec (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  version int NOT NULL,
  kind text NOT NULL,
  params {json} NOT NULL,
  digest text NOT NULL,
  UNIQUE (name, version),
  UNIQUE (name, digest)
);

CREATE TABLE subscription (
  id uuid PRIMARY KEY,
  code text NOT NULL UNIQUE,
  subscriber_id uuid NOT NULL REFERENCES subscriber,
  file_group_id uuid NOT NULL REFERENCES file_group,
  endpoint_id uuid NOT NULL REFERENCES endpoint,
  transform_spec_id uuid REFERENCES transform_spec,
  remote_name text NOT NULL,
  priority smallint NOT NULL DEFAULT 2 CHECK (priority BETWEEN 1 AND 4),
  retry_policy {json} NOT NULL DEFAULT '{}',
  ordering text NOT NULL DEFAULT 'none' CHECK (ordering IN ('none','fifo')),
  on_unconfirmed text NOT NULL DEFAULT 'resend' CHECK (on_unconfirmed IN ('resend','hold')),
  stale text NOT NULL DEFAULT 'skip' CHECK (stale IN ('skip','send')),
  next_sequence bigint NOT NULL DEFAULT 1,
  enabled boolean NOT NULL DEFAULT true,
  retired_at bigint,
  revision int NOT NULL DEFAULT 1
);

CREATE INDEX subscription_by_group ON subscription(file_group_id) WHERE retired_at IS NULL;
-- one row per S3 object version that arrived; the unique key IS the dedupe of SQS redelivery
CREATE TABLE file (
  id uuid PRIMARY KEY,
  bucket text NOT NULL,
  key text NOT NULL,
  version text NOT NULL,
  version_id text,
  sequencer text,
  etag text,
  size_bytes bigint,
  modified_at bigint,
  event_at bigint NOT NULL,
  arrived_at bigint NOT NULL,
  file_group_id uuid REFERENCES file_group,
  state text NOT NULL CHECK (state IN ('routed','unrouted','rejected')),
  problem text,
  CONSTRAINT problem_iff_rejected CHECK ((state='rejected') = (problem IS NOT NULL)),
  CONSTRAINT routed_has_group_and_size CHECK (state <> 'routed' OR (file_group_id IS NOT NULL AND size_bytes IS NOT NULL))
);

-- version = versionId | 'etag:'+etag (unversioned bucket) | 'fs:'+content hash prefix (folder); never the sequencer: a listing has none
CREATE UNIQUE INDEX file_identity ON file(bucket, key, version);
CREATE TABLE file_event (
  id uuid PRIMARY KEY,
  file_id uuid NOT NULL REFERENCES file,
  source text NOT NULL CHECK (source IN ('s3','sns','eventbridge','transfer','watch','sweep','put','operator')),
  message_id text,
  sequencer text,
  at bigint NOT NULL
);

CREATE INDEX file_event_of_file ON file_event(file_id, id);
CREATE INDEX file_by_group_time ON file(file_group_id, arrived_at DESC);
CREATE INDEX file_rejected ON file(arrived_at) WHERE state='rejected';
CREATE TABLE transform (
  id uuid PRIMARY KEY,
  file_id uuid NOT NULL REFERENCES file,
  spec_id uuid NOT NULL REFERENCES transform_spec,
  generation int NOT NULL DEFAULT 1,
  state text NOT NULL CHECK (state IN ('pending','running','succeeded','failed','cancelled')),
  attempts int NOT NULL DEFAULT 0,
  abandoned int NOT NULL DEFAULT 0,
  due_at bigint NOT NULL,
  lease_id uuid,
  lease_until bigint,
  worker_id uuid,
  fault_code text,
  fault text,
  created_at bigint NOT NULL,
  settled_at bigint,
  CONSTRAINT lease_pair CHECK ((lease_id IS NULL) = (lease_until IS NULL)),
  CONSTRAINT settled_iff_terminal CHECK ((settled_at IS NOT NULL) = (state IN ('succeeded','failed','cancelled'))),
  CONSTRAINT leased_iff_running CHECK ((lease_id IS NOT NULL) = (state='running')),
  UNIQUE (file_id, spec_id, generation)
);

CREATE INDEX transform_due ON transform(due_at) WHERE settled_at IS NULL;
CREATE TABLE artifact (
  id uuid PRIMARY KEY,
  file_id uuid NOT NULL REFERENCES file,
  transform_id uuid REFERENCES transform,
  role text NOT NULL CHECK (role IN ('original','output','rejects','report')),
  part int NOT NULL DEFAULT 0,
  bucket text NOT NULL,
  key text NOT NULL,
  version_id text,
  etag text,
  size_bytes bigint NOT NULL,
  sha256 text,
  records bigint,
  expires_at bigint,
  created_at bigint NOT NULL,
  CONSTRAINT original_iff_no_transform CHECK ((role='original') = (transform_id IS NULL))
);

CREATE UNIQUE INDEX artifact_of_transform ON artifact(transform_id, role, part) WHERE transform_id IS NOT NULL;
CREATE UNIQUE INDEX artifact_original ON artifact(file_id) WHERE transform_id IS NULL;
CREATE INDEX artifact_of_file ON artifact(file_id);
CREATE INDEX artifact_by_place ON artifact(bucket, key);
-- expires_at: when the stored object was given up; the row stays as long as its file's
CREATE INDEX artifact_present ON artifact(created_at) WHERE expires_at IS NULL;
-- what a replay cannot send any more; an entry is made when the object is given up, never by work that waits
CREATE INDEX artifact_expired ON artifact(id) WHERE expires_at IS NOT NULL;
CREATE TABLE replay (
  id uuid PRIMARY KEY,
  mode text NOT NULL CHECK (mode IN ('redeliver','reprocess')),
  requested_by text NOT NULL,
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 255),
  idempotency_key text NOT NULL UNIQUE,
  filter {json} NOT NULL,
  state text NOT NULL CHECK (state IN ('running','paused','done','cancelled')),
  chore text CHECK (chore IN ('park','release','cancel')),
  per_minute int CHECK (per_minute > 0),
  config text NOT NULL DEFAULT 'current' CHECK (config IN ('as_sent','current')),
  started_at bigint NOT NULL,
  cursor uuid,
  next_due_at bigint,
  matched int NOT NULL DEFAULT 0,
  created int NOT NULL DEFAULT 0,
  skipped int NOT NULL DEFAULT 0,
  ended_at bigint
);

-- what the runner has to do: create a page, or finish an operator's act on what is not sent yet
CREATE INDEX replay_active ON replay(id) WHERE state='running' OR chore IS NOT NULL;

CREATE TABLE delivery (
  id uuid PRIMARY KEY,
  file_id uuid NOT NULL REFERENCES file,
  subscription_id uuid NOT NULL REFERENCES subscription,
  subscriber_id uuid NOT NULL,
  endpoint_id uuid NOT NULL REFERENCES endpoint,
  transform_id uuid REFERENCES transform,
  artifact_id uuid REFERENCES artifact,
  part int NOT NULL DEFAULT 0,
  origin text NOT NULL CHECK (origin IN ('arrival','replay')),
  replay_id uuid REFERENCES replay,
  source_id uuid REFERENCES delivery,
  state text NOT NULL CHECK (state IN ('waiting','queued','sending','retrying','held','unconfirmed','delivered','failed','cancelled')),
  priority smallint NOT NULL DEFAULT 2 CHECK (priority BETWEEN 1 AND 4),
  attempts int NOT NULL DEFAULT 0,
  charged int NOT NULL DEFAULT 0,
  abandoned int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL,
  deadline_at bigint NOT NULL,
  lane_closed_ms bigint NOT NULL DEFAULT 0, -- what the lane's account of closed time was at created_at
  remote_name text NOT NULL,
  snapshot {json} NOT NULL,
  possible_duplicate boolean NOT NULL DEFAULT false,
  parked boolean NOT NULL DEFAULT false, -- held by the pause of its replay, and not by a person
  fault_code text,
  fault text,
  created_at bigint NOT NULL,
  settled_at bigint,
  resolved_at bigint,
  resolved_by text,
  -- What the partial indexes ask for. None of them may name `state`: PostgreSQL compares the values of every column that
  -- an index names, and an update that changes none of them (a claim's, which makes up half of all) rewrites no index:
  -- measured, 23 buffers and 2.0 KiB of log a row before, 6.6 and 0.8 with these.
  held boolean GENERATED ALWAYS AS (state = 'held') STORED,
  unresolved boolean GENERATED ALWAYS AS (state IN ('failed','unconfirmed') AND resolved_at IS NULL) STORED,
  delivered boolean GENERATED ALWAYS AS (state = 'delivered') STORED,
  CONSTRAINT replay_iff_replayed CHECK ((origin='replay') = (replay_id IS NOT NULL)),
  CONSTRAINT parked_is_held CHECK (NOT parked OR (state='held' AND origin='replay')),
  CONSTRAINT source_only_of_replay CHECK (source_id IS NULL OR origin='replay'),
  CONSTRAINT resolved_only_if_settled CHECK (resolved_at IS NULL OR settled_at IS NOT NULL),
  CONSTRAINT settled_iff_terminal CHECK ((settled_at IS NOT NULL) = (state IN ('delivered','failed','unconfirmed','cancelled'))),
  CONSTRAINT waiting_has_transform CHECK (state <> 'waiting' OR transform_id IS NOT NULL),
  CONSTRAINT sendable_has_artifact CHECK (state IN ('waiting','failed','cancelled') OR artifact_id IS NOT NULL),
  CONSTRAINT charged_at_most_attempts CHECK (charged BETWEEN 0 AND attempts AND abandoned >= 0)
) {hot_delivery};

CREATE UNIQUE INDEX delivery_once_per_arrival ON delivery(file_id, subscription_id, part) WHERE origin='arrival';
CREATE UNIQUE INDEX delivery_once_per_replay ON delivery(replay_id, file_id, subscription_id, part) WHERE origin='replay';
-- only replays have these two: a later delivery of a pair is always one, and what of a replay is not settled is few
CREATE INDEX delivery_of_replay ON delivery(file_id, subscription_id, id) WHERE origin='replay';
CREATE INDEX delivery_open_of_replay ON delivery(replay_id, held, id) WHERE origin='replay' AND settled_at IS NULL;
CREATE INDEX delivery_open_by_endpoint ON delivery(endpoint_id, id) WHERE settled_at IS NULL;
CREATE INDEX delivery_unresolved ON delivery(endpoint_id, id) WHERE unresolved;
CREATE INDEX delivery_unresolved_of_subscription ON delivery(subscription_id, id) WHERE unresolved;
CREATE INDEX delivery_held ON delivery(endpoint_id, id) WHERE held AND NOT parked;
CREATE INDEX delivery_by_file ON delivery(file_id, subscription_id, id);
CREATE INDEX delivery_by_source ON delivery(source_id) WHERE source_id IS NOT NULL;
CREATE INDEX delivery_open_by_subscription ON delivery(subscription_id, id) WHERE settled_at IS NULL;
-- "is a newer version there already?"; one entry at the end of each delivery, none while it is open
CREATE INDEX delivery_delivered_name ON delivery(subscription_id, remote_name, file_id) WHERE delivered;
CREATE INDEX delivery_by_subscriber ON delivery(subscriber_id, id DESC);
CREATE INDEX delivery_by_transform ON delivery(transform_id) WHERE transform_id IS NOT NULL;
CREATE INDEX delivery_by_artifact ON delivery(artifact_id) WHERE artifact_id IS NOT NULL;
-- HOT: one row per endpoint, one row per sendable unfinished delivery
CREATE TABLE lane (
  endpoint_id uuid PRIMARY KEY REFERENCES endpoint,
  next_due_at bigint NOT NULL,
  max_connections int NOT NULL DEFAULT 4,
  cap int NOT NULL DEFAULT 64,
  ramp int NOT NULL DEFAULT 64,
  health text NOT NULL DEFAULT 'closed' CHECK (health IN ('closed','open','half_open')),
  blocked_until bigint NOT NULL DEFAULT 0,
  blocked_reason text CHECK (blocked_reason IN ('breaker','credential','identity','settings','window')),
  strikes int NOT NULL DEFAULT 0,
  recent bigint NOT NULL DEFAULT 0,
  recent_n int NOT NULL DEFAULT 0,
  login_strikes int NOT NULL DEFAULT 0,
  login_ok_version text,
  refused_version text,
  seen_identity text,
  opened_at bigint,
  open_ms bigint NOT NULL DEFAULT 0,
  failing_since bigint,
  recovered_at bigint,
  paused_by text,
  pause_reason text,
  paused_at bigint,
  suspended_at bigint,
  closed_since bigint,
  closed_ms bigint NOT NULL DEFAULT 0,
  CONSTRAINT pause_reason_given CHECK ((paused_by IS NULL) = (pause_reason IS NULL) AND (paused_by IS NULL) = (paused_at IS NULL))
) {hot_lane};

CREATE TABLE seat (
  endpoint_id uuid NOT NULL REFERENCES lane,
  worker_id uuid NOT NULL,
  connections int NOT NULL CHECK (connections > 0),
  until bigint NOT NULL,
  PRIMARY KEY (endpoint_id, worker_id)
);

CREATE INDEX lane_due ON lane(next_due_at) WHERE paused_by IS NULL AND suspended_at IS NULL;
CREATE TABLE send_job (
  delivery_id uuid PRIMARY KEY REFERENCES delivery,
  endpoint_id uuid NOT NULL REFERENCES lane,
  remote_name text NOT NULL,
  fifo_group uuid,
  due_at bigint NOT NULL,
  lease_id uuid,
  lease_until bigint,
  worker_id uuid,
  -- too large for the workers of the service: a worker of its own was asked for, which may take it before it is due
  handed_at bigint,
  CONSTRAINT lease_pair CHECK ((lease_id IS NULL) = (lease_until IS NULL))
) {hot_send_job};

CREATE INDEX send_job_ready ON send_job(endpoint_id, due_at, delivery_id) WHERE lease_id IS NULL;
CREATE INDEX send_job_handed ON send_job(handed_at) WHERE handed_at IS NOT NULL AND lease_id IS NULL;
-- two files of one name are never sent at the same time: the older one could end on top
CREATE UNIQUE INDEX one_leased_per_name ON send_job(endpoint_id, remote_name) WHERE lease_id IS NOT NULL;
CREATE UNIQUE INDEX one_leased_per_fifo_group ON send_job(fifo_group) WHERE fifo_group IS NOT NULL AND lease_id IS NOT NULL;
CREATE INDEX send_job_of_fifo_group ON send_job(fifo_group, delivery_id) WHERE fifo_group IS NOT NULL;
CREATE TABLE fifo_group (
  subscription_id uuid PRIMARY KEY REFERENCES subscription,
  blocked_by uuid REFERENCES delivery,
  since bigint NOT NULL
);

CREATE INDEX send_job_leased ON send_job(endpoint_id, lease_until) WHERE lease_id IS NOT NULL;
CREATE INDEX send_job_expiring ON send_job(lease_until) WHERE lease_id IS NOT NULL;
CREATE TABLE attempt (
  delivery_id uuid NOT NULL,
  n int NOT NULL CHECK (n >= 1),
  lease_id uuid NOT NULL,
  worker_id uuid NOT NULL,
  started_at bigint NOT NULL,
  ended_at bigint,
  stage text NOT NULL DEFAULT 'connecting' CHECK (stage IN ('connecting','authenticating','uploading','verifying','renaming','confirming')),
  outcome text CHECK (outcome IN ('delivered','retry','failed','unknown','abandoned','released','cancelled')),
  charged boolean NOT NULL DEFAULT true,
  class text CHECK (class IN ('endpoint','credential','identity','remote','artifact','engine','cancelled','input','config')),
  code text,
  message text,
  bytes_sent bigint,
  remote_temp text,
  remote_final text,
  remote_size bigint,
  remote_hash text,
  sha256 text,
  peer_identity text,
  agreed text,
  confirmed_by text CHECK (confirmed_by IN ('reply','probe')),
  duration_ms bigint,
  detail {json},
  PRIMARY KEY (delivery_id, n),
  CONSTRAINT outcome_iff_ended CHECK ((outcome IS NULL) = (ended_at IS NULL))
) {hot_attempt};

CREATE TABLE replay_item (
  replay_id uuid NOT NULL REFERENCES replay,
  subject_id uuid NOT NULL,
  delivery_id uuid,
  skipped text,
  PRIMARY KEY (replay_id, subject_id),
  CONSTRAINT created_or_skipped CHECK ((delivery_id IS NULL) <> (skipped IS NULL))
);

-- subject: the source delivery (redeliver) or the file (reprocess)
CREATE TABLE worker (
  id uuid PRIMARY KEY,
  host text NOT NULL,
  version text NOT NULL,
  roles text NOT NULL,
  started_at bigint NOT NULL,
  seen_at bigint NOT NULL,
  draining boolean NOT NULL DEFAULT false
);

CREATE TABLE duty (
  name text PRIMARY KEY,
  holder uuid,
  epoch bigint NOT NULL DEFAULT 0,
  until bigint NOT NULL DEFAULT 0,
  done_until bigint
);

-- locked by whoever creates a page of any replay: two pages that choose the same delivery must not both create
INSERT INTO duty (name) VALUES ('replay');
CREATE TABLE history (
  id uuid PRIMARY KEY,
  at bigint NOT NULL,
  actor text NOT NULL,
  subject_kind text NOT NULL,
  subject_id uuid NOT NULL,
  event text NOT NULL,
  detail {json} NOT NULL DEFAULT '{}'
);

CREATE INDEX history_of_subject ON history(subject_id, id);
CREATE TABLE batch_run (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('transform','send')),
  mode text NOT NULL CHECK (mode IN ('drain','single','array')),
  only_id uuid,
  array_size int,
  workers_left int,
  state text NOT NULL CHECK (state IN ('intent','submitted','running','succeeded','failed','lost')),
  batch_job_id text UNIQUE,
  fault_code text,
  fault text,
  intent_at bigint NOT NULL,
  state_at bigint,
  ended_at bigint,
  let_go_at bigint,
  CONSTRAINT single_names_its_work CHECK ((mode='single') = (only_id IS NOT NULL)),
  CONSTRAINT ended_iff_over CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded','failed','lost')))
);

CREATE INDEX batch_run_open ON batch_run(kind, intent_at) WHERE ended_at IS NULL;
CREATE INDEX batch_run_ended ON batch_run(kind, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX batch_run_of_work ON batch_run(only_id, ended_at) WHERE only_id IS NOT NULL;
CREATE UNIQUE INDEX one_open_run_per_work ON batch_run(only_id) WHERE only_id IS NOT NULL AND ended_at IS NULL;
CREATE TABLE notification (
  id uuid PRIMARY KEY,
  history_id uuid NOT NULL REFERENCES history,
  target text NOT NULL,
  -- those that were sent together; the receiver knows a repeated post by it
  post_id uuid,
  due_at bigint NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  lease_until bigint,
  ended_at bigint,
  outcome text CHECK (outcome IN ('sent','gave_up','taken_back')),
  fault text,
  CONSTRAINT outcome_iff_ended CHECK ((outcome IS NULL) = (ended_at IS NULL))
);

CREATE INDEX notification_due ON notification(due_at) WHERE ended_at IS NULL;
CREATE INDEX notification_post ON notification(post_id) WHERE ended_at IS NULL;
CREATE INDEX notification_history ON notification(history_id);
