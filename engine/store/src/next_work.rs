//! The one statement that an idle process says each second.

use outport_core::Millis;

use crate::Store;
use crate::error::StoreError;
use crate::row::get;

/// When each kind of work is due next, on the database's clock. `None`: nothing is waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextWork {
    /// The database's clock.
    pub now: Millis,
    /// The earliest lane that may be claimed.
    pub send: Option<Millis>,
    /// The earliest pending transform.
    pub transform: Option<Millis>,
    /// The earliest lease that expires unless it is renewed.
    pub lease: Option<Millis>,
    /// The earliest message to people.
    pub notice: Option<Millis>,
}

impl NextWork {
    /// Whether a delivery can be claimed now.
    pub fn send_is_due(&self) -> bool {
        self.send.is_some_and(|at| at <= self.now)
    }
    /// Whether a transform can be claimed now.
    pub fn transform_is_due(&self) -> bool {
        self.transform.is_some_and(|at| at <= self.now)
    }
    /// Whether there is something to tell people now.
    pub fn notice_is_due(&self) -> bool {
        self.notice.is_some_and(|at| at <= self.now)
    }
    /// Whether somebody's lease has run out.
    pub fn lease_is_over(&self) -> bool {
        self.lease.is_some_and(|at| at <= self.now)
    }
}

/// Asks what is due. Plan: minimum look-ups over the partial indexes `lane_due`, `transform_due`, `send_job_expiring`,
/// `notification_due`.
pub async fn next_work(store: &Store) -> Result<NextWork, StoreError> {
    let doing = "asking what is due";
    let rows = store
        .read(
            doing,
            "SELECT {now} AS now, \
               (SELECT min({greatest}(l.next_due_at, l.blocked_until)) FROM lane l \
                  JOIN endpoint e ON e.id = l.endpoint_id \
                 WHERE l.paused_by IS NULL AND l.suspended_at IS NULL AND e.enabled) AS send_due, \
               (SELECT min(due_at) FROM transform WHERE settled_at IS NULL AND state = 'pending') AS transform_due, \
               (SELECT min(until) FROM ( \
                  SELECT min(lease_until) AS until FROM send_job WHERE lease_id IS NOT NULL \
                  UNION ALL SELECT min(lease_until) FROM transform WHERE settled_at IS NULL AND state = 'running' \
               ) AS leases) AS lease_due, \
               (SELECT min({greatest}(due_at, coalesce(lease_until, 0))) FROM notification \
                 WHERE ended_at IS NULL) AS notice_due",
            vec![],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(StoreError::Unreadable { doing, problem: "no row".into() });
    };
    Ok(NextWork {
        now: get(row, "now", doing)?,
        send: get(row, "send_due", doing)?,
        transform: get(row, "transform_due", doing)?,
        lease: get(row, "lease_due", doing)?,
        notice: get(row, "notice_due", doing)?,
    })
}
