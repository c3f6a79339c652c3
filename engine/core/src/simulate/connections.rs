//! Connections of the simulated endpoint: which login a file's attempt rests on.

use std::collections::BTreeSet;

use crate::lane::FILES_PER_CONNECTION;
use crate::timing::Millis;

/// An idle connection is closed after this, as the pool of the senders does.
const IDLE: Millis = 30_000;
/// No connection gets older.
const OLDEST: Millis = 3_600_000;

/// One try to log in. Files that wait for the same one share its fault.
pub(super) type Login = u64;

/// The open ones.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Vec<(Login, Millis)>,
    last_used: Millis,
    next: Login,
    reported: BTreeSet<Login>,
}

/// The logins for a claim's files.
pub(super) struct Plan {
    /// One for each connection, old ones first.
    pub(super) logins: Vec<Login>,
    /// How many of them are old.
    pub(super) old: usize,
}

impl Connections {
    /// The connections for `files` in flight, at most `limit`; new ones are logins that are made now.
    pub(super) fn plan(&mut self, files: i64, in_flight: bool, limit: i32, now: Millis) -> Plan {
        let idle = !in_flight && now - self.last_used > IDLE;
        self.open.retain(|(_, since)| !idle && now - since <= OLDEST);
        let limit = usize::try_from(limit).unwrap_or(1).max(1);
        self.open.truncate(limit);
        let needed = usize::try_from((files + FILES_PER_CONNECTION - 1) / FILES_PER_CONNECTION).unwrap_or(1);
        let mut logins: Vec<Login> = self.open.iter().map(|(login, _)| *login).collect();
        let old = logins.len();
        while logins.len() < needed.min(limit) {
            logins.push(self.next);
            self.next += 1;
        }
        Plan { logins, old }
    }

    /// The new logins of a plan worked.
    pub(super) fn opened(&mut self, plan: &Plan, now: Millis) {
        self.open.extend(plan.logins[plan.old..].iter().map(|login| (*login, now)));
    }

    /// The endpoint broke all of them.
    pub(super) fn broken(&mut self) {
        self.open.clear();
    }

    /// A file ended.
    pub(super) fn used(&mut self, now: Millis) {
        self.last_used = now;
    }

    /// Whether an earlier file has reported the fault of this login already.
    pub(super) fn is_reported(&mut self, login: Login) -> bool {
        !self.reported.insert(login)
    }
}
