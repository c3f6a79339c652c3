//! Whose container this is: what Batch puts into the environment of a job.

/// A job of Batch, or one child of an array.
#[derive(Debug, PartialEq, Eq)]
pub struct BatchJob {
    /// Batch's id, as `outport worker list --json` has it; a child's ends in `:` and its index.
    id: String,
    /// Counted from 1.
    attempt: Option<String>,
    /// Which child of an array it is, counted from 0.
    array_index: Option<String>,
}

impl BatchJob {
    /// The one that started this process. `None`: nobody but a person did.
    pub fn of_this_process() -> Option<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let said = |name| variable(name).filter(|value| !value.is_empty());
        Some(Self {
            id: said("AWS_BATCH_JOB_ID")?,
            attempt: said("AWS_BATCH_JOB_ATTEMPT"),
            array_index: said("AWS_BATCH_JOB_ARRAY_INDEX"),
        })
    }

    /// Says it, before anything can go wrong: the log of a container that found no database is looked for too.
    pub fn tell(&self) {
        let (attempt, array_index) = (self.attempt.as_deref(), self.array_index.as_deref());
        tracing::info!(job = self.id, attempt, array_index, "this worker is a job of Batch");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_batch_says_is_told() {
        let of = |variables: &[(&str, &str)]| {
            BatchJob::of(|name| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let (id, attempt, index) = ("AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT", "AWS_BATCH_JOB_ARRAY_INDEX");
        let told = |id: &str, attempt: Option<&str>, index: Option<&str>| {
            let (attempt, array_index) = (attempt.map(str::to_owned), index.map(str::to_owned));
            Some(BatchJob { id: id.to_owned(), attempt, array_index })
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(attempt, "1"), (index, "0")]), None, "no job");
        assert_eq!(of(&[(id, ""), (attempt, "1")]), None, "no job");
        assert_eq!(of(&[(id, "j"), (attempt, "2")]), told("j", Some("2"), None));
        assert_eq!(of(&[(id, "j:0"), (attempt, "1"), (index, "0")]), told("j:0", Some("1"), Some("0")));
        assert_eq!(of(&[(id, "j"), (attempt, ""), (index, "")]), told("j", None, None));
    }
}
