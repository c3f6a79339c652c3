//! The name under which a file is uploaded before it gets its final one.

use super::pattern::{Piece, fitted, pieces};
use super::spec::PlanProblem;
use crate::fault::{Fault, code};
use crate::id::DeliveryId;
use crate::remote_name::RemoteName;

/// What stands there unless the plan says otherwise.
const DEFAULT: &str = ".{name}.{delivery}.{attempt}.part";
/// Digits of the largest attempt number. So many are left free, so that a name is cut at the same place for each attempt.
const ATTEMPT_DIGITS: usize = 10;
/// Literal text at most: with it, the delivery, the attempt and a folder of 960 bytes a name still fits.
const MAX_LITERAL_BYTES: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Delivery,
    Attempt,
}

/// The pattern of temp names. A temp name is a function of the delivery *and* the attempt: a worker that wakes up late must
/// not truncate what a newer attempt is uploading. The file name is cut where the whole would be too long; the delivery's
/// 26 characters and the attempt never are, so two attempts never share a temp name.
///
/// ```
/// use outport_core::{DeliveryId, RemoteName, upload::{TempName, TempOf}};
/// let id: DeliveryId = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
/// let temp = TempName::default().of(&RemoteName::new("in/a.csv")?, id, 2, TempOf::Payload)?;
/// assert_eq!(temp.as_str(), "in/.a.csv.01h455vb4pex5vsknk084sn02q.2.part");
/// # Ok::<(), outport_core::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TempName {
    pieces: Vec<Piece<Field>>,
    /// Without a slash at the end.
    folder: Option<RemoteName>,
}

/// What the temp name is for. One attempt writes several files, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TempOf {
    /// The file itself.
    Payload,
    /// The file with its checksum. Its name must never be the payload's, not even where `{name}` is not in the pattern.
    Checksum,
}

impl TempName {
    pub(super) fn parse(pattern: Option<&str>, folder: Option<&str>) -> Result<Self, PlanProblem> {
        let pattern = pattern.unwrap_or(DEFAULT);
        let fields = [("name", Field::Name), ("delivery", Field::Delivery), ("attempt", Field::Attempt)];
        let pieces = pieces("temp", pattern, &fields)?;
        let refused = |problem: &str, hint: &str| {
            PlanProblem::new(format!("temp = {pattern:?} is no pattern: {problem}"), hint)
        };
        for (name, field) in [("delivery", Field::Delivery), ("attempt", Field::Attempt)] {
            if !pieces.contains(&Piece::Field(field)) {
                return Err(refused(
                    &format!("{{{name}}} is not in it"),
                    "two attempts must never write into the same file: the default is .{name}.{delivery}.{attempt}.part",
                ));
            }
        }
        let literal: usize = pieces.iter().map(|p| if let Piece::Literal(l) = p { l.len() } else { 0 }).sum();
        if literal > MAX_LITERAL_BYTES {
            return Err(refused(
                &format!("it has {literal} bytes of its own text, more than {MAX_LITERAL_BYTES}"),
                "shorten it",
            ));
        }
        let beside = |at: Option<usize>| match at.and_then(|at| pieces.get(at)) {
            Some(Piece::Literal(text)) => text.as_str(),
            _ => "",
        };
        let attempt = pieces.iter().position(|piece| *piece == Piece::Field(Field::Attempt)).unwrap_or(0);
        let (left, right) = (beside(attempt.checked_sub(1)), beside(Some(attempt + 1)));
        if left.ends_with(|c: char| c.is_ascii_digit()) || right.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(refused("a digit stands beside {attempt}", "put a dot or a dash between them"));
        }
        let folder = folder.map(|folder| {
            RemoteName::new(folder).map_err(|error| {
                let message = format!("temp_folder = {folder:?} is no folder: {}", error.problem);
                PlanProblem::new(message, "write it without `..` and without a slash at the end")
            })
        });
        let temp = Self { pieces, folder: folder.transpose()? };
        // What is wrong with short values is wrong with the pattern's own text.
        let sample = RemoteName::new("x").ok().map(|name| temp.make(&name, "y", "1"));
        match sample {
            Some(Err(error)) => Err(refused(&error.problem.to_string(), "see docs/NAMES.md for safe names")),
            _ => Ok(temp),
        }
    }

    /// The temp name of one attempt.
    ///
    /// # Errors
    /// `route.name_refused` when the folder leaves no room for it.
    pub fn of(
        &self,
        name: &RemoteName,
        delivery: DeliveryId,
        attempt: u32,
        what: TempOf,
    ) -> Result<RemoteName, Fault> {
        let id = delivery.to_string();
        let digits = id.split_once('_').map_or(id.as_str(), |(_, digits)| digits);
        let attempt = match what {
            TempOf::Payload => attempt.to_string(),
            TempOf::Checksum => format!("{attempt}s"),
        };
        let refused = |problem: &dyn std::fmt::Display| {
            Fault::new(
                &code::ROUTE_NAME_REFUSED,
                format!("could not make a temp name for {:?}: {problem}", name.as_str()),
            )
            .with_hint(
                "shorten the subscription's remote_name, or the endpoint's upload.temp and temp_folder",
            )
        };
        let temp = self.make(name, digits, &attempt).map_err(|error| refused(&error.problem))?;
        // A name that had no room left for the delivery and the attempt was refused, never cut.
        if temp == *name { Err(refused(&"it would be the final name")) } else { Ok(temp) }
    }

    fn make(
        &self,
        name: &RemoteName,
        delivery: &str,
        attempt: &str,
    ) -> Result<RemoteName, crate::remote_name::NameError> {
        let folder = match &self.folder {
            Some(folder) if folder.as_str().starts_with('/') => format!("{}/", folder.as_str()),
            Some(folder) => format!("{}{}/", name.before_file_name(), folder.as_str()),
            None => name.before_file_name().to_owned(),
        };
        let (mut before, mut after, mut is_after) = (String::new(), String::new(), false);
        for piece in &self.pieces {
            let text = match piece {
                Piece::Literal(text) => text,
                Piece::Field(Field::Delivery) => delivery,
                Piece::Field(Field::Attempt) => attempt,
                Piece::Field(Field::Name) => {
                    is_after = true;
                    continue;
                }
            };
            if is_after { after.push_str(text) } else { before.push_str(text) }
        }
        let cuttable = if is_after { name.file_name() } else { "" };
        fitted(&folder, (&before, cuttable, &after), ATTEMPT_DIGITS.saturating_sub(attempt.len()))
    }
}

impl Default for TempName {
    fn default() -> Self {
        let field = Piece::Field;
        let dot = || Piece::Literal(".".to_owned());
        let pieces = vec![
            dot(),
            field(Field::Name),
            dot(),
            field(Field::Delivery),
            dot(),
            field(Field::Attempt),
            Piece::Literal(".part".to_owned()),
        ];
        Self { pieces, folder: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const LARGE: DeliveryId = DeliveryId::from_uuid(Uuid::from_u128(u128::MAX));
    const SUFFIX: &str = ".7zzzzzzzzzzzzzzzzzzzzzzzzz.4294967295.part";

    fn name(text: &str) -> RemoteName {
        RemoteName::new(text).unwrap()
    }

    fn temp(pattern: Option<&str>, folder: Option<&str>) -> TempName {
        TempName::parse(pattern, folder).unwrap()
    }

    #[test]
    fn the_default_is_what_its_text_says() {
        assert_eq!(temp(None, None), TempName::default());
        assert_eq!(temp(Some(DEFAULT), None), TempName::default());
    }

    #[test]
    fn the_suffix_is_never_cut() {
        let deep = format!("/{}{}/", "f/".repeat(400), "f".repeat(159));
        assert_eq!(deep.len() - 1, crate::remote_name::MAX_FOLDER_BYTES);
        let cases = [
            ("a".to_owned(), format!(".a{SUFFIX}")),
            ("/a".to_owned(), format!("/.a{SUFFIX}")),
            (".a".to_owned(), format!("..a{SUFFIX}")),
            ("in/a b.csv".to_owned(), format!("in/.a b.csv{SUFFIX}")),
            ("x".repeat(255), format!(".{}{SUFFIX}", "x".repeat(211))),
            // Cut at a character, not in it.
            ("é".repeat(127), format!(".{}{SUFFIX}", "é".repeat(105))),
            (format!("{deep}{}", "x".repeat(62)), format!("{deep}.{}{SUFFIX}", "x".repeat(19))),
        ];
        for (text, want) in cases {
            let made = TempName::default().of(&name(&text), LARGE, u32::MAX, TempOf::Payload).unwrap();
            assert_eq!(made.as_str(), want);
        }
    }

    #[test]
    fn folders_are_absolute_or_below_the_final_ones() {
        let id = "7zzzzzzzzzzzzzzzzzzzzzzzzz";
        for (pattern, folder, of, want) in [
            (None, Some(".tmp"), "in/a.csv", format!("in/.tmp/.a.csv.{id}.3.part")),
            (None, Some("/up/tmp"), "in/a.csv", format!("/up/tmp/.a.csv.{id}.3.part")),
            (Some("{delivery}-{attempt}"), None, "/in/a.csv", format!("/in/{id}-3")),
            (Some("{attempt}.{delivery}.{name}.tmp"), Some("t"), "a", format!("t/3.{id}.a.tmp")),
        ] {
            let made = temp(pattern, folder).of(&name(of), LARGE, 3, TempOf::Payload).unwrap();
            assert_eq!(made.as_str(), want);
        }
        let deep = format!("{}/a", ["f"; 480].join("/"));
        let fault = temp(None, Some("t/".repeat(40).trim_end_matches('/')))
            .of(&name(&deep), LARGE, 1, TempOf::Payload)
            .unwrap_err();
        assert_eq!(fault.code, &code::ROUTE_NAME_REFUSED);
    }

    #[test]
    fn patterns_that_are_none_are_refused_with_a_hint() {
        for (pattern, folder, part) in [
            (".{name}.part", None, "{delivery} is not in it"),
            (".{name}.{delivery}", None, "{attempt} is not in it"),
            ("{delivery}{attempt}", None, "directly beside"),
            ("{delivery}.{attempt}.{attempt}", None, "stands twice"),
            ("{delivery}.{attempt}.{nam}", None, "no field {nam}"),
            ("{delivery}.{attempt}.{name", None, "without `}`"),
            ("{delivery}.{attempt}}", None, "without `{`"),
            ("tmp/{delivery}.{attempt}", None, "slash"),
            ("{delivery}.1{attempt}", None, "digit"),
            ("{delivery}.{attempt}0", None, "digit"),
            ("{delivery}.{attempt}.", None, "ends with a dot"),
            ("{delivery}\n{attempt}", None, "control character"),
            ("a-long-piece-of-text-and-more.{delivery}.{attempt}", None, "of its own text"),
            (DEFAULT, Some("../tmp"), "`..`"),
            (DEFAULT, Some("tmp/"), "empty"),
        ] {
            let problem = TempName::parse(Some(pattern), folder).unwrap_err();
            assert!(problem.message.contains(part), "{pattern}: {problem}");
            assert!(!problem.hint.is_empty());
        }
    }

    proptest! {
        #[test]
        fn it_is_a_safe_name_in_the_same_folder(
            text in r"/?([a-zé .]{1,120}/){0,9}[a-zé .日]{1,120}", id: u128, attempt: u32,
        ) {
            let Ok(name) = RemoteName::new(text) else { return Ok(()) };
            let delivery = DeliveryId::from_uuid(Uuid::from_u128(id));
            let temp = TempName::default().of(&name, delivery, attempt, TempOf::Payload).unwrap();
            prop_assert_eq!(RemoteName::new(temp.as_str()), Ok(temp.clone()));
            prop_assert_eq!(temp.folder(), name.folder());
            prop_assert_ne!(temp, name);
        }

        #[test]
        fn two_attempts_never_share_one(
            name in r"[a-c0-9.]{1,3}[a-c]|x{250}[0-9]{5}",
            pattern in prop::sample::select(vec![
                ".{name}.{delivery}.{attempt}.part", "{name}-{attempt}-{delivery}", "{attempt}.{name}.{delivery}",
                "{delivery}_{attempt}", "{delivery}.{name}-{attempt}",
            ]),
            ids in prop::array::uniform2(prop_oneof![0u128..3, any::<u128>()]),
            attempts in prop::array::uniform2(prop_oneof![1u32..120, any::<u32>()]),
            checksum in prop::array::uniform2(any::<bool>()),
        ) {
            let pattern = temp(Some(pattern), None);
            let name = RemoteName::new(name.as_str()).unwrap();
            let what = |i: usize| if checksum[i] { TempOf::Checksum } else { TempOf::Payload };
            let temp = |i: usize| {
                pattern.of(&name, DeliveryId::from_uuid(Uuid::from_u128(ids[i])), attempts[i], what(i)).unwrap()
            };
            let same = (ids[0], attempts[0], checksum[0]) == (ids[1], attempts[1], checksum[1]);
            prop_assert_eq!(temp(0) == temp(1), same);
        }
    }
}
