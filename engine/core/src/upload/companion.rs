//! Names of the files that go with a file: its checksum and its trigger.

use super::pattern::{Piece, fitted, pieces, stem_and_ext};
use super::spec::PlanProblem;
use crate::fault::{Fault, code};
use crate::remote_name::{NameError, RemoteName};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Stem,
    Ext,
}

/// The pattern of a companion's name, in the folder of the file: `{name}.sha256`, `{stem}.done`.
///
/// ```
/// use outport_core::{RemoteName, upload::{UploadPlan, UploadSpec}};
/// let spec = UploadSpec { trigger: Some("{stem}.done".into()), ..UploadSpec::default() };
/// let plan = UploadPlan::try_from(&spec).unwrap();
/// let name = plan.trigger().unwrap().of(&RemoteName::new("in/a.csv").unwrap()).unwrap();
/// assert_eq!(name.as_str(), "in/a.done");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanionName {
    text: String,
    pieces: Vec<Piece<Field>>,
}

impl CompanionName {
    /// `what`: the key that it was written under.
    pub(super) fn parse(what: &str, text: &str) -> Result<Self, PlanProblem> {
        let fields = [("name", Field::Name), ("stem", Field::Stem), ("ext", Field::Ext)];
        let pieces = pieces(what, text, &fields)?;
        let refused = |problem: &str, hint: &str| {
            PlanProblem::new(format!("{what} = {text:?} is no pattern: {problem}"), hint)
        };
        let named = [Field::Name, Field::Stem].into_iter().any(|field| pieces.contains(&Piece::Field(field)));
        if !named {
            let hint =
                format!("files of one folder would share it; write {what} = \"{{name}}.done\" or the like");
            return Err(refused("neither {name} nor {stem} is in it", &hint));
        }
        let companion = Self { text: text.to_owned(), pieces };
        for sample in ["x.y", "x"] {
            let Ok(name) = RemoteName::new(sample) else { continue };
            match companion.make(&name) {
                Ok(made) if made == name => {
                    return Err(refused("it is the name of the file itself", "add an ending, such as .done"));
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(refused(&error.problem.to_string(), "see docs/NAMES.md for safe names"));
                }
            }
        }
        Ok(companion)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The companion's name for a file.
    ///
    /// # Errors
    /// `route.name_refused` when it cannot be made, or would be the file's own.
    pub fn of(&self, name: &RemoteName) -> Result<RemoteName, Fault> {
        let refused = |problem: &dyn std::fmt::Display| {
            let message = format!("could not name {:?} for {:?}: {problem}", self.text, name.as_str());
            Fault::new(&code::ROUTE_NAME_REFUSED, message).with_hint(
                "change upload.trigger or upload.checksum of the endpoint, or the subscription's remote_name",
            )
        };
        let made = self.make(name).map_err(|error| refused(&error.problem))?;
        if made == *name { Err(refused(&"it would be the file's own name")) } else { Ok(made) }
    }

    /// Never cut: a partner looks for exactly this name.
    fn make(&self, name: &RemoteName) -> Result<RemoteName, NameError> {
        let (stem, ext) = stem_and_ext(name.file_name());
        let mut file = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => file.push_str(text),
                Piece::Field(Field::Name) => file.push_str(name.file_name()),
                Piece::Field(Field::Stem) => file.push_str(stem),
                Piece::Field(Field::Ext) => {
                    if ext.is_empty() && file.ends_with('.') {
                        file.pop();
                    }
                    file.push_str(ext);
                }
            }
        }
        fitted(name.before_file_name(), (&file, "", ""), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_the_file() {
        for (pattern, of, want) in [
            ("{name}.done", "in/a.csv", "in/a.csv.done"),
            ("{stem}.ok", "/a.csv", "/a.ok"),
            ("{ext}-{stem}.{name}", "a.csv", "csv-a.a.csv"),
            ("{stem}.done.{ext}", "in/README", "in/README.done"),
        ] {
            let name = RemoteName::new(of).unwrap();
            assert_eq!(CompanionName::parse("trigger", pattern).unwrap().of(&name).unwrap().as_str(), want);
        }
    }

    #[test]
    fn what_is_no_companion_is_refused() {
        for (pattern, part) in [
            ("go.done", "neither"),
            ("{name}", "file itself"),
            ("{stem}.{ext}", "file itself"),
            ("{stem}", "file itself"),
            ("../{name}", "slash"),
            ("{name}.", "ends with a dot"),
            ("", "neither"),
        ] {
            let problem = CompanionName::parse("trigger", pattern).unwrap_err();
            assert!(problem.message.contains(part), "{pattern}: {problem}");
        }
        // Only some names show it.
        let done = CompanionName::parse("trigger", "{stem}.done").unwrap();
        assert_eq!(
            done.of(&RemoteName::new("in/a.done").unwrap()).unwrap_err().code,
            &code::ROUTE_NAME_REFUSED
        );
        let long = RemoteName::new("x".repeat(254)).unwrap();
        assert_eq!(done.of(&long).unwrap_err().code, &code::ROUTE_NAME_REFUSED);
    }
}
