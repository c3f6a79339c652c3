//! Today's rules and subscriptions, read once a page.

use std::collections::BTreeMap;

use outport_core::FileGroupId;
use outport_core::replay::Filter;
use outport_core::route::Rule;
use uuid::Uuid;

use crate::enqueue::OutputExt;
use crate::error::StoreError;
use crate::routes::{self, SubscriptionRow};
use crate::row::get;
use crate::sql::{Tx, args};

/// Whom a subscription serves.
pub(super) struct Party {
    pub subscriber: String,
    pub endpoint: String,
    /// The endpoint is enabled and not retired.
    pub reachable: bool,
    wanted: bool,
}

pub(super) struct Today {
    parties: BTreeMap<Uuid, Party>,
    rules: BTreeMap<String, Vec<Rule>>,
    subscriptions: BTreeMap<FileGroupId, Vec<SubscriptionRow>>,
    output_ext: OutputExt,
}

impl Today {
    /// All subscriptions, the retired ones too: a file may have failed for one of those.
    pub async fn load(tx: &Tx, filter: &Filter, output_ext: OutputExt) -> Result<Self, StoreError> {
        let doing = tx.doing();
        let rows = tx
            .rows(
                "SELECT s.id, s.code, b.code AS subscriber, b.code || '/' || e.name AS endpoint, \
                   (e.enabled AND e.retired_at IS NULL) AS reachable \
                 FROM subscription s JOIN subscriber b ON b.id = s.subscriber_id JOIN endpoint e ON e.id = s.endpoint_id",
                args![],
            )
            .await?;
        let mut parties = BTreeMap::new();
        let among = |given: &[String], name: &String| given.is_empty() || given.contains(name);
        for row in rows {
            let (code, subscriber) = (get(&row, "code", doing)?, get(&row, "subscriber", doing)?);
            let endpoint = get(&row, "endpoint", doing)?;
            let wanted = among(&filter.subscription, &code)
                && among(&filter.subscriber, &subscriber)
                && among(&filter.endpoint, &endpoint);
            let party = Party { subscriber, endpoint, reachable: get(&row, "reachable", doing)?, wanted };
            parties.insert(get(&row, "id", doing)?, party);
        }
        Ok(Self { parties, rules: BTreeMap::new(), subscriptions: BTreeMap::new(), output_ext })
    }

    /// Whether the filter means this subscription.
    pub fn wants(&self, subscription: Uuid) -> bool {
        self.parties.get(&subscription).is_some_and(|party| party.wanted)
    }

    /// Whom it serves.
    pub fn party(&self, subscription: Uuid) -> &Party {
        static NOBODY: Party =
            Party { subscriber: String::new(), endpoint: String::new(), reachable: false, wanted: false };
        self.parties.get(&subscription).unwrap_or(&NOBODY)
    }

    /// The active rules of a bucket, however old the file is: an operator asks for it.
    pub async fn rules(&mut self, tx: &Tx, bucket: &str) -> Result<Vec<Rule>, StoreError> {
        if let Some(rules) = self.rules.get(bucket) {
            return Ok(rules.clone());
        }
        let rules = routes::rules(tx, bucket).await?;
        self.rules.insert(bucket.to_owned(), rules.clone());
        Ok(rules)
    }

    /// The active subscriptions of a file group that the filter means.
    pub async fn subscriptions(
        &mut self,
        tx: &Tx,
        group: FileGroupId,
    ) -> Result<Vec<SubscriptionRow>, StoreError> {
        if let Some(rows) = self.subscriptions.get(&group) {
            return Ok(rows.clone());
        }
        let mut rows = routes::subscriptions(tx, group, self.output_ext).await?;
        rows.retain(|row| self.wants(row.id.uuid()));
        self.subscriptions.insert(group, rows.clone());
        Ok(rows)
    }
}
