//! `[errors]`.

use outport_core::Fault;

use super::super::words::PolicyWord;
use super::super::{ErrorPolicy, MaxBad};
use super::table::{Table, what};

pub(super) fn policy(table: &Table<'_>) -> Result<ErrorPolicy, Fault> {
    let value = table.value("max_bad")?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let max_bad = MaxBad::parse(&text).ok_or_else(|| {
        let wrong = format!("is {}, which is neither a count nor a share from 0% to 100%", what(&value));
        table.invalid(
            "max_bad",
            &wrong,
            "write a count such as 100, or a share such as \"0.1%\" (at most 4 decimals)",
        )
    })?;
    match (table.word("policy")?, max_bad.is_none()) {
        (PolicyWord::Reject, true) => Ok(ErrorPolicy::Reject),
        (PolicyWord::Quarantine, false) => Ok(ErrorPolicy::Quarantine { max_bad }),
        (PolicyWord::Reject, false) => Err(table.invalid(
            "max_bad",
            "allows bad records, but the policy is to reject the file at the first",
            "add `policy = \"quarantine\"`, or remove it",
        )),
        (PolicyWord::Quarantine, true) => Err(table.invalid(
            "max_bad",
            "is 0, and so nothing could ever be quarantined",
            "say how many records may be bad: `max_bad = 100` or `max_bad = \"0.1%\"`",
        )),
    }
}
