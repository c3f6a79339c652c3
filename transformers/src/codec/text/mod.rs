//! Text encodings.

mod reading;
mod writing;

pub(super) use self::reading::ToUtf8;
pub(super) use self::writing::writer;
