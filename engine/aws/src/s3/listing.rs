//! Every object below a prefix, page by page.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_sdk_s3::types::{EncodingType, Object};
use futures_util::stream::{self, BoxStream, StreamExt};
use outport_core::{Fault, code};
use outport_objects::key::{KEY_BYTES, check_bucket};
use outport_objects::{Listed, ObjectInfo};

use super::act::{Act, Place};
use super::{Shared, bare, millis, size_of};
use crate::failure::Failure;

/// Starts a listing. It holds one page: 1,000 objects at most.
pub(super) fn list(shared: Arc<Shared>, place: Place) -> BoxStream<'static, Result<Listed, Fault>> {
    let walk =
        Walk { shared, place, page: VecDeque::new(), is_encoded: false, next: Next::First, last: None };
    stream::try_unfold(walk, Walk::step).boxed()
}

enum Next {
    First,
    After(String),
    End,
}

struct Walk {
    shared: Arc<Shared>,
    place: Place,
    page: VecDeque<Object>,
    /// Whether the store did what it was asked for: a store that does not know the encoding leaves keys as they are.
    is_encoded: bool,
    next: Next,
    last: Option<String>,
}

impl Walk {
    async fn step(mut self) -> Result<Option<(Listed, Self)>, Fault> {
        loop {
            if let Some(object) = self.page.pop_front() {
                let listed = self.listed(&object)?;
                return Ok(Some((listed, self)));
            }
            let token = match std::mem::replace(&mut self.next, Next::End) {
                Next::First => None,
                Next::After(token) => Some(token),
                Next::End => return Ok(None),
            };
            self.load(token).await?;
        }
    }

    async fn load(&mut self, token: Option<String>) -> Result<(), Fault> {
        check_bucket(&self.place.bucket)?;
        if self.place.key.len() > KEY_BYTES || self.place.key.contains('\0') {
            // No key begins so, and S3 calls the question itself an error.
            return self.shared.find_bucket(&self.place.bucket).await;
        }
        let request = self.shared.client.list_objects_v2().bucket(&self.place.bucket).prefix(&self.place.key);
        // XML cannot hold every character that a key can: asked so, S3 encodes the keys.
        let request = request.encoding_type(EncodingType::Url).set_continuation_token(token);
        let page = request
            .send()
            .await
            .map_err(|error| self.shared.fault(Act::List, &self.place, &Failure::of(&error)))?;
        if page.is_truncated() == Some(true) {
            let token = page.next_continuation_token().map(str::to_owned);
            self.next =
                Next::After(token.ok_or_else(|| self.wrong("a page that goes on does not say where"))?);
        }
        self.is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        self.page = page.contents.unwrap_or_default().into();
        Ok(())
    }

    fn listed(&mut self, object: &Object) -> Result<Listed, Fault> {
        let key = object.key().unwrap_or_default();
        let key = if self.is_encoded { decoded(key) } else { Some(key.to_owned()) };
        let key = key.ok_or_else(|| self.wrong("a key is not text"))?;
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(self.wrong("the keys do not come in the order of their bytes (a directory bucket?)"));
        }
        self.last = Some(key.clone());
        let info = ObjectInfo {
            size_bytes: size_of(object.size()),
            version: None,
            etag: object.e_tag().map(bare),
            modified_at: millis(object.last_modified()),
        };
        Ok(Listed { key, info })
    }

    fn wrong(&self, what: &str) -> Fault {
        Fault::new(&code::OBJECT_STORE_FAILED, format!("could not list {}: {what}", self.place))
            .with_hint("the store does not list as S3 does; use a general purpose bucket")
    }
}

/// A key as `encoding-type=url` gives it: `+` is a space, the rest percent-encoded. `None` when it is not UTF-8.
pub(super) fn decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_come_encoded() {
        for (given, want) in [
            ("a/b.json", Some("a/b.json")),
            ("a+b%2Bc%25", Some("a b+c%")),
            ("%C3%BC/%0A", Some("ü/\n")),
            ("%FF", None),
            ("%4", None),
            ("%zz", None),
        ] {
            assert_eq!(decoded(given).as_deref(), want, "{given}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(key in "\\PC{0,20}") {
            let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decoded(&encoded), Some(key));
        }
    }
}
