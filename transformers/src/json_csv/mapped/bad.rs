//! What can be wrong with a record that is good JSON.

use outport_core::{Code, Fault, code};

use crate::json_csv::problem::Place;

/// Why a record is not what the spec says. The texts show shapes, never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) code: &'static Code,
    /// JSON Pointer to the value.
    pub(super) path: Option<String>,
    pub(super) what: String,
    /// What to do, where more is known than the code says.
    pub(super) hint: Option<&'static str>,
}

impl Bad {
    pub(super) fn new(code: &'static Code, what: impl Into<String>) -> Self {
        Self { code, path: None, what: what.into(), hint: None }
    }

    pub(super) fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into()).filter(|path| !path.is_empty());
        self
    }

    pub(super) fn with_hint(self, hint: impl Into<Option<&'static str>>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// A column without the value that the spec requires.
    pub(super) fn absent(column: &str, is_null: bool) -> Self {
        let found = if is_null { "is null" } else { "is missing" };
        Self::new(&code::MAPPING_REQUIRED, format!("the value of column {column:?} is required and {found}"))
    }

    /// The fault that rejects the file.
    pub(super) fn fault(self, place: Place) -> Fault {
        let place = Place { path: self.path, ..place };
        let fault = Fault::new(self.code, format!("could not convert {place}: {}", self.what));
        match self.hint {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    }
}
