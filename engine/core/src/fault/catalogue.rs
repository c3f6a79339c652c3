//! Every fault code. docs/ERRORS.md lists the same codes for operators; a test compares the two.

macro_rules! codes {
    ($($constant:ident = $name:literal, $class:ident, $retry:ident, $cause:literal, $hint:literal;)*) => {
        /// The codes, one constant each, and [`ALL`](code::ALL).
        pub mod code {
            use super::super::{Class, Code, Retry};
            $(
                #[doc = concat!("`", $name, "`: ", $cause)]
                pub static $constant: Code =
                    Code { name: $name, class: Class::$class, retry: Retry::$retry, cause: $cause, hint: $hint };
            )*
            /// Every code, in the order of the catalogue.
            pub static ALL: &[&Code] = &[$(&$constant),*];
        }
    };
}

codes! {
    // --- events and routing ---
    EVENT_UNKNOWN_BODY = "event.unknown_body", Input, Never,
        "a message on the intake queue has a body that no parser knows",
        "look at the message in the dead-letter queue; only S3 event envelopes belong on this queue";
    ROUTE_AMBIGUOUS = "route.ambiguous", Config, Never,
        "two file group rules of equal weight match the same key",
        "make one of the two key patterns more exact, apply it, then reprocess the file";
    ROUTE_BAD_KEY = "route.bad_key", Input, Never,
        "the object's key cannot be a file: it ends with a slash, has an empty or dotted segment, or is not text",
        "ask whoever uploads to use a plain key, then upload again";
    ROUTE_NAME_REFUSED = "route.name_refused", Config, Never,
        "the remote name that the template makes for this file is not a safe file name",
        "change the subscription's remote_name template, apply it, then reprocess the file";

    // --- intake ---
    INTAKE_BUCKET_MISSING = "intake.bucket_missing", Config, Never,
        "the bucket is not a folder under the buckets folder",
        "create the folder, or correct the bucket name";
    INTAKE_UNREADABLE = "intake.unreadable", Artifact, Later,
        "a file in a bucket folder could not be read",
        "check the file's owner and permissions";
    INTAKE_BAD_KEY = "intake.bad_key", Config, Never,
        "the key cannot be a file below the bucket's folder",
        "use a relative key without empty, `.` or `..` segments, each segment at most 255 bytes";

    // --- artifacts and objects ---
    ARTIFACT_MISSING = "artifact.missing", Artifact, Never,
        "the stored artifact is not in the artifact store",
        "it was deleted or expired; reprocess the file while its original still exists";
    ARTIFACT_CHANGED = "artifact.changed", Artifact, Never,
        "the stored object is not the version that was recorded",
        "the object was overwritten; the newer version has its own file and delivery";
    ARTIFACT_HASH_DIFFERS = "artifact.hash_differs", Artifact, Never,
        "the bytes read from the artifact store do not have the recorded sha256",
        "the storage damaged or somebody changed the artifact; reprocess the file";
    OBJECT_STORE_FULL = "object.store_full", Engine, Later,
        "the disk that holds the object store is full",
        "free space on that disk; the work is tried again by itself";
    OBJECT_STORE_FAILED = "object.store_failed", Engine, Later,
        "the object store could not be read or written",
        "check the folder's owner, permissions and disk; the work is tried again by itself";
    OBJECT_EXISTS = "object.exists", Engine, Never,
        "the object to be written exists already",
        "another worker wrote it first; nothing to do";
    OBJECT_ARCHIVED = "object.archived", Artifact, Never,
        "the object lies in an archive storage class and cannot be read from there",
        "restore the object (aws s3api restore-object), then reprocess the file";

    // --- AWS ---
    AWS_CREDENTIALS_MISSING = "aws.credentials_missing", Engine, Later,
        "no AWS credentials were found",
        "give the task or instance a role, or this shell a profile (AWS_PROFILE) or keys in its environment";
    AWS_CREDENTIALS_EXPIRED = "aws.credentials_expired", Engine, Later,
        "the AWS credentials have expired",
        "log in again, or use a role: its credentials are renewed by themselves";
    AWS_CREDENTIALS_REFUSED = "aws.credentials_refused", Engine, Later,
        "AWS does not know the access key, or its secret does not match",
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; all three must be of one set";
    AWS_ACCESS_DENIED = "aws.access_denied", Engine, Later,
        "AWS knows us and does not allow the action",
        "allow the action in IAM; the work is tried again by itself";
    AWS_WRONG_REGION = "aws.wrong_region", Engine, Later,
        "the bucket or queue is in another region than the one that was asked, or no region is set",
        "set the region to the one that the message names";
    AWS_CLOCK_SKEWED = "aws.clock_skewed", Engine, Later,
        "this machine's clock is more than 15 minutes off, so AWS refuses its signatures",
        "set the clock (chronyc makestep); the work is tried again by itself";
    AWS_UNREACHABLE = "aws.unreachable", Engine, Later,
        "the AWS endpoint cannot be reached or does not answer in time",
        "check endpoint, region, DNS, and the way out (NAT gateway or VPC endpoint, security groups)";
    AWS_NOT_FOUND = "aws.not_found", Engine, Later,
        "AWS has no such queue, job queue, job definition, secret or topic",
        "check its name or ARN, the region and the account; the work is tried again by itself";
    AWS_REQUEST_FAILED = "aws.request_failed", Engine, Later,
        "AWS did not do what it was asked to",
        "see the code and text in the message; the work is tried again by itself";
    AWS_THROTTLED = "aws.throttled", Engine, Later,
        "AWS asks for fewer requests",
        "it is tried again by itself; if it stays, spread the keys over more prefixes or have fewer workers";

    // --- workers of Batch ---
    BATCH_WORKER_FAILED = "batch.worker_failed", Engine, Later,
        "a worker that Batch was to start did not start, or did not end well",
        "see Batch's words in the message and the worker's log; others are asked for, less and less often";
    BATCH_NO_MACHINE = "batch.no_machine", Engine, Later,
        "Batch found no machine for a worker within batch.patience",
        "look at the job queue and its compute environments: enabled, vCPUs left, subnets, the size that the job asks for";
    BATCH_JOB_UNKNOWN = "batch.job_unknown", Engine, Later,
        "Batch does not know a job that it took",
        "somebody removed it, or it ended more than a week ago; another worker is asked for if there is work";
    BATCH_LET_GO = "batch.let_go", Engine, Never,
        "the executor is local again while a worker of Batch was not known to be over",
        "nothing: the worker ends by itself when it finds no work, and the service does the rest";

    // --- transforms ---
    TRANSFORM_FAILED = "transform.failed", Input, Never,
        "the transform that this delivery waits for failed",
        "see `outport transform show`; correct the file at its source and upload it again";
    TRANSFORM_KIND_UNKNOWN = "transform.kind_unknown", Config, Never,
        "there is no transform of this kind",
        "use one of the kinds that `outport transform --help` lists";
    TRANSFORM_COMPRESSION = "transform.compression", Input, Never,
        "the compressed input is cut short, damaged, or not compressed in the way that was said",
        "compress the whole file again at its source and upload it again";
    TRANSFORM_ENCODING = "transform.encoding", Input, Never,
        "the input has bytes that its text encoding does not know, or the output has a character that its own lacks",
        "check which encoding the source writes, and which one the receiver asks for";
    JSON_EMPTY = "json.empty", Input, Never,
        "the JSON input holds nothing: 0 bytes, or only blanks",
        "ask whoever uploads to send at least `[]`; an empty upload is most often a failed export";
    JSON_SYNTAX = "json.syntax", Input, Never,
        "the input is not JSON at the place that the message names",
        "correct the file at its source and upload it again";
    JSON_TRUNCATED = "json.truncated", Input, Never,
        "the JSON input ends inside a record or inside its array",
        "the upload or the export broke off; upload the whole file again";
    JSON_UTF8 = "json.utf8", Input, Never,
        "the input is not UTF-8, or an escape names half of a surrogate pair",
        "export the file as UTF-8 and upload it again";
    JSON_DUPLICATE_KEY = "json.duplicate_key", Input, Never,
        "one object holds the same key twice",
        "correct the file at its source, or say which of the two counts: `input.duplicate_keys` of a mapping spec";
    JSON_NOT_RECORDS = "json.not_records", Input, Never,
        "a record is not a JSON object, or there are no records where the spec says",
        "send objects: one per line, one after the other, in one array, or a single one";
    JSON_COLUMN_CONFLICT = "json.column_conflict", Input, Never,
        "two different keys of the input give the same column name",
        "rename one of the two keys at the source";
    JSON_DEPTH = "json.depth", Input, Never,
        "a record is nested more deeply than the limit",
        "flatten the records at their source, or raise `input.max_depth` in a mapping spec";
    JSON_RECORD_TOO_LARGE = "json.record_too_large", Input, Never,
        "one record is larger than the limit",
        "if the file is one object around its records, say where their array is: `input.records` of a mapping spec; for records that are so large there is `input.max_record_bytes`";
    JSON_TOO_MANY_COLUMNS = "json.too_many_columns", Input, Never,
        "the records need more columns than the limit",
        "keys that are data (ids, dates) make a column each: name the columns you want in a mapping spec, or raise its `output.max_columns`";
    CSV_SYNTAX = "csv.syntax", Input, Never,
        "the input is not CSV at the place that the message names",
        "correct the quotes at the source: a cell with a quote in it is quoted, and that quote is doubled (RFC 4180)";
    CSV_TRUNCATED = "csv.truncated", Input, Never,
        "the CSV input ends inside a quoted cell",
        "the upload or the export broke off, or a quote is not closed; correct it at the source and upload the whole file again";
    CSV_UTF8 = "csv.utf8", Input, Never,
        "a row of the CSV input is not UTF-8",
        "export the file as UTF-8, or name its `encoding` in the spec";
    CSV_RAGGED = "csv.ragged", Input, Never,
        "a row has more or fewer cells than the first row",
        "correct the row at its source: a delimiter inside a cell needs quotes around the cell";
    CSV_HEADER = "csv.header", Input, Never,
        "the header does not name the columns",
        "give every column a name of its own; if there is no header, set `header = false` in [input]";
    CSV_RECORD_TOO_LARGE = "csv.record_too_large", Input, Never,
        "one row is larger than the limit",
        "most often a quote is not closed; if rows are so large, raise max_record_bytes in [input]";
    MAPPING_MISMATCH = "mapping.mismatch", Input, Never,
        "a value is not of the type that the spec gives its column",
        "correct the record at its source, or the column's type in the spec; with [errors] policy = \"quarantine\" the other records go on";
    MAPPING_REQUIRED = "mapping.required", Input, Never,
        "a value that the spec requires is missing or null",
        "correct the record at its source, or give the column a default in place of `required`";
    MAPPING_UNKNOWN_KEY = "mapping.unknown_key", Input, Never,
        "a record has a key that is in no column, and the spec says unknown_keys = \"error\"",
        "add a [[column]] for it, or set unknown_keys = \"ignore\"";
    MAPPING_ARRAY = "mapping.array", Input, Never,
        "an array is not what the spec says about arrays",
        "see `arrays`, `array_index_limit` and `explode` in the spec";
    MAPPING_TOO_MANY_BAD = "mapping.too_many_bad", Input, Never,
        "more records are bad than the spec's max_bad allows",
        "correct the file at its source and upload it again; with a higher max_bad the rejects show all of them";

    // --- reaching an endpoint ---
    ENDPOINT_DNS = "endpoint.dns", Endpoint, Later,
        "the endpoint's host name does not resolve",
        "check the host name of the endpoint and this machine's DNS";
    ENDPOINT_REFUSED = "endpoint.refused", Endpoint, Later,
        "nothing listens on the endpoint's port",
        "check host and port; ask the partner whether the server is up";
    ENDPOINT_UNREACHABLE = "endpoint.unreachable", Endpoint, Later,
        "the network has no way to the endpoint",
        "check routes and firewalls between this machine and the partner";
    ENDPOINT_TIMEOUT = "endpoint.timeout", Endpoint, Later,
        "the server did not answer in time",
        "a firewall that drops packets or a server that hangs; ask the partner";
    ENDPOINT_RESET = "endpoint.reset", Endpoint, Later,
        "the connection broke off",
        "it is tried again by itself; if it stays, ask the partner for the server's log";
    ENDPOINT_BUSY = "endpoint.busy", Endpoint, Later,
        "the server has too many connections",
        "lower max_connections of the endpoint if this stays";
    ENDPOINT_SECRET_UNUSABLE = "endpoint.secret_unusable", Config, Operator,
        "the endpoint's key file or password cannot be used: wrong format or passphrase",
        "check the file that the credential reference names";
    ENDPOINT_SETTINGS_UNUSABLE = "endpoint.settings_unusable", Config, Operator,
        "the stored definition of the endpoint has a value that this version cannot use",
        "correct the value that the message names and apply the definitions";
    ENDPOINT_PROXY_FAILED = "endpoint.proxy_failed", Endpoint, Later,
        "the proxy cannot be reached, does not answer, or does not speak its protocol",
        "check the endpoint's proxy setting and the proxy itself; the partner's server was not reached";
    ENDPOINT_PROXY_REFUSED = "endpoint.proxy_refused", Endpoint, Later,
        "the proxy was reached and does not connect us to the server",
        "the message has the proxy's answer; ask who runs the proxy to allow host and port, or check the proxy's login";
    SFTP_NEGOTIATION = "sftp.negotiation", Config, Operator,
        "client and server share no key exchange, cipher, MAC or host key algorithm",
        "compare the two lists in the message; ask the partner to enable one of ours";
    SFTP_SUBSYSTEM_MISSING = "sftp.subsystem_missing", Config, Operator,
        "the server lets us log in but offers no SFTP subsystem",
        "ask the partner to enable SFTP for this user";
    SFTP_PROTOCOL = "sftp.protocol", Endpoint, Later,
        "the server sent something that is not SFTP version 3",
        "a login script that prints text, or a broken server; ask the partner";

    // --- credentials and identity ---
    CREDENTIAL_REFUSED = "credential.refused", Credential, Operator,
        "the server refused the login",
        "check user name and secret; after two refused logins the lane waits 30 minutes, or until the secret changes";
    CREDENTIAL_MISSING = "credential.missing", Credential, Operator,
        "the secret that the endpoint refers to is not there",
        "set the environment variable or create the file that the credential reference names";
    HOSTKEY_CHANGED = "sftp.hostkey.changed", Identity, Operator,
        "the server's host key is none of the endpoint's pinned keys; nothing was sent",
        "ask the partner by another channel whether the key was changed; pin the new fingerprint only if so";
    HOSTKEY_UNPINNED = "sftp.hostkey.unpinned", Identity, Operator,
        "the endpoint has no pinned host key; nothing was sent",
        "compare the fingerprint with the partner's, then pin it in the endpoint's host_keys";
    HOSTKEY_FIRST_USE = "sftp.hostkey.first_use", Identity, Operator,
        "the server's host key was seen for the first time and waits for an operator; nothing was sent",
        "compare the fingerprint with the partner's, then accept it with `outport endpoint accept-key`";
    HOSTKEY_CERTIFICATE = "sftp.hostkey.certificate", Identity, Operator,
        "the server's host certificate is not one that the endpoint accepts; nothing was sent",
        "see what is wrong with it in the message; ask the partner for a new certificate or for the right authority";

    // --- what the remote refuses ---
    REMOTE_NO_SUCH_FOLDER = "remote.no_such_folder", Remote, Once,
        "the folder on the server does not exist",
        "ask the partner for the right folder, or have it created (upload.mkdirs makes it); then retry the delivery";
    REMOTE_PERMISSION_DENIED = "remote.permission_denied", Remote, Once,
        "the server does not let this user write there",
        "ask the partner for write permission on the folder";
    REMOTE_DISK_FULL = "remote.disk_full", Remote, Later,
        "the server's disk or quota is full",
        "ask the partner to make room; it is tried again by itself";
    REMOTE_EXISTS = "remote.exists", Remote, Once,
        "a file with the final name exists and the server does not replace it",
        "ask the partner to move the old file, or use a remote_name that differs for each file";
    REMOTE_NAME_REFUSED = "remote.name_refused", Remote, Once,
        "the server does not accept the file name",
        "shorten or simplify the subscription's remote_name";
    REMOTE_UNSUPPORTED = "remote.unsupported", Remote, Once,
        "the server does not know the operation",
        "`outport endpoint check` proposes an upload plan without the operation that the message names";
    REMOTE_SIZE_DIFFERS = "remote.size_differs", Remote, Later,
        "after the upload the server shows another size than was sent",
        "it is tried again under a new temp name; if it stays, ask the partner";
    REMOTE_CONTENT_DIFFERS = "remote.content_differs", Remote, Later,
        "after the upload the server has other bytes than were sent, though the size is right",
        "it is tried again under a new temp name; if it stays, ask the partner about the server's disk";
    REMOTE_FAILURE = "remote.failure", Remote, Later,
        "the server reports a failure without a reason",
        "see the server's log around the time of the attempt";

    // --- the engine ---
    LEASE_LOST = "lease.lost", Engine, Later,
        "another worker took over while this one was silent",
        "nothing to do; look at the machine's load if it happens often";
    WORKER_LOST = "worker.lost", Engine, Never,
        "workers vanished five times in a row while they sent this file",
        "look for crashes or out-of-memory kills at the times of the attempts, then retry the delivery";
    DELIVERY_UNCONFIRMED = "delivery.unconfirmed", Remote, Operator,
        "the file may have arrived, but the server's answer was lost and a look at it does not tell",
        "ask the partner whether the file is there, then resolve or redeliver";
    DELIVERY_CANCELLED = "delivery.cancelled", Cancelled, Never,
        "an operator cancelled the delivery",
        "nothing to do; a replay sends it again";
    ENDPOINT_GAVE_UP = "endpoint.gave_up", Endpoint, Never,
        "the endpoint was down for longer than its give_up_after",
        "when the partner is back, replay the failed deliveries";
    DELIVERY_SUPERSEDED = "delivery.superseded", Cancelled, Never,
        "a newer version of the file has been delivered under the same remote name",
        "nothing to do; with stale = \"send\" the subscription sends old versions too";
    ENGINE_PANIC = "engine.panic", Engine, Later,
        "a worker task ended by a bug",
        "please report it with the log lines around the time";

    // --- telling people ---
    NOTIFY_UNREACHABLE = "notify.unreachable", Engine, Later,
        "the webhook cannot be reached, does not answer in time, or shows no valid certificate",
        "check notify.webhook and the network; the message is tried again by itself, for 24 hours";
    NOTIFY_REFUSED = "notify.refused", Engine, Later,
        "the webhook answers with something other than a status of 200 to 299",
        "see the receiver's log; the message is tried again by itself, for 24 hours";
    NOTIFY_GAVE_UP = "notify.gave_up", Engine, Never,
        "no webhook took the message for 24 hours",
        "`outport problems` shows what waits now; repair the receiver before the next message";

    // --- the database ---
    DATABASE_UNREACHABLE = "database.unreachable", Engine, Later,
        "the database does not answer",
        "check the database URL, that the server runs, and the network";
    DATABASE_LOCKED = "database.locked", Engine, Never,
        "another `outport up` holds this data folder",
        "stop the other process, or give this one its own folder with --data";
    DATABASE_BUSY = "database.busy", Engine, Later,
        "another program keeps the database file locked",
        "close the program that has the file open (a database browser, a backup)";
    DATABASE_CORRUPT = "database.corrupt", Engine, Never,
        "the database file is damaged or is not a database",
        "restore it from a backup, or move it away to start empty; the files in the buckets stay where they are";
    DATABASE_FULL = "database.full", Engine, Later,
        "the disk that holds the database is full",
        "free space on that disk; nothing was lost, the work continues by itself";
    DATABASE_MISSING = "database.missing", Config, Never,
        "there is no database where one is looked for",
        "check --data, OUTPORT_DATA and the folder you are in; `outport up` and `outport apply` make a new one";
    DATABASE_SCHEMA = "database.schema", Config, Never,
        "the database's schema is not the one this binary needs",
        "run `outport migrate`";
    DATABASE_FAILED = "database.failed", Engine, Later,
        "the database refused a statement",
        "see the cause in the message; please report it if it is not the database's own trouble";

    // --- definitions, configuration, the command line ---
    CONFIG_UNREADABLE = "config.unreadable", Config, Never,
        "a definitions or configuration file cannot be read or is not TOML",
        "check the path and the line that the message names";
    CONFIG_UNKNOWN_KEY = "config.unknown_key", Config, Never,
        "a definitions or configuration file has a key that does not exist",
        "correct the spelling; `outport config check` shows every key";
    CONFIG_INVALID = "config.invalid", Config, Never,
        "a value in a definitions or configuration file is not possible",
        "correct the value that the message names";
    CONFIG_NOT_AVAILABLE = "config.not_available", Config, Never,
        "a definition asks for something that this version does not have yet",
        "leave it out until a later version";
    NOT_FOUND = "usage.not_found", Config, Never,
        "no such thing is in the database",
        "the matching `list` command shows what there is";
    WRONG_STATE = "usage.wrong_state", Config, Never,
        "the thing's present state does not allow what was asked for",
        "look at its present state with the matching `show` command";
    REPLAY_NOTHING = "replay.nothing", Config, Never,
        "the filter of a replay takes nothing that can be sent again",
        "see what is there with `outport replay plan` and a wider filter";
    REPLAY_KEY_TAKEN = "replay.key_taken", Config, Never,
        "the idempotency key belongs to another replay",
        "use another key, or repeat the command as it was said the first time";
    USAGE = "usage.invalid", Config, Never,
        "the command line cannot be understood",
        "see --help";
    IO_FAILED = "local.io_failed", Engine, Never,
        "a local file could not be read or written",
        "check the path, its owner and permissions, and the free space";
}
