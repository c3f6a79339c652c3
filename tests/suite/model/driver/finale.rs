//! The end of every history.

use anyhow::bail;
use outport_core::delivery::DeliveryState;

use super::Driver;
use crate::model::action::{Action, DeliveryAct, Ending, EndpointAct, WORKERS};
use crate::model::ledger::Ledger;

impl Driver<'_> {
    /// Whatever has happened: when operators do their part, a single worker brings everything to its end, and soon.
    pub async fn finale(&mut self) -> anyhow::Result<()> {
        use DeliveryState as S;
        for endpoint in 0..self.ledger.endpoints.len() {
            let lane = self.ledger.lane(endpoint);
            if lane.paused || lane.suspended_at.is_some() {
                self.step(&Action::Endpoint { act: EndpointAct::Resume, which: endpoint }).await?;
            }
            self.step(&Action::Endpoint { act: EndpointAct::Retry, which: endpoint }).await?;
        }
        for worker in 0..WORKERS {
            self.step(&Action::Crash { worker }).await?;
        }
        let suited = |ledger: &Ledger, of: fn(S) -> bool| {
            ledger.deliveries.values().any(|d| of(d.state) && !d.resolved)
        };
        while suited(&self.ledger, |state| state == S::Held) {
            self.step(&Action::Delivery { act: DeliveryAct::Release, which: 1 }).await?;
        }
        // A lease, the longest wait for a retry, and what waits for the names and turns of the others.
        for _ in 0..3 * self.ledger.deliveries.len() + 3 {
            if self.ledger.deliveries.values().all(|d| d.state.is_terminal()) {
                return Ok(());
            }
            while suited(&self.ledger, S::wants_resolving) {
                self.step(&Action::Delivery { act: DeliveryAct::Resolve, which: 1 }).await?;
            }
            self.step(&Action::Pass { seconds: 8 * 3_600 }).await?;
            self.step(&Action::Rescue { late: false }).await?;
            self.step(&Action::Claim { worker: 0, few: false }).await?;
            self.step(&Action::EndAll { worker: 0, how: vec![Ending::Delivered] }).await?;
        }
        let left = self.ledger.deliveries.values().find(|d| !d.state.is_terminal());
        left.map_or(Ok(()), |left| bail!("it does not come to an end: {left:?}"))
    }
}
