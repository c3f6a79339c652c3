//! What is done to S3, in words and in IAM actions.

use std::fmt;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Is the bucket there? HeadBucket.
    FindBucket,
    /// GetBucketVersioning.
    FindVersioning,
    /// HeadObject.
    Look,
    /// GetObject of what is there now.
    Read,
    /// GetObject with a version id.
    ReadVersion,
    /// PutObject, and all of a multipart upload but its end.
    Write,
    /// AbortMultipartUpload.
    GiveUp,
    /// ListObjectsV2.
    List,
    /// ListObjectVersions.
    ListVersions,
    /// GetObjectTagging of what is there now.
    ReadTags,
    /// GetObjectTagging with a version id.
    ReadVersionTags,
    /// DeleteObject.
    Delete,
}

impl Act {
    /// The verb of "could not ...".
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::FindBucket => "find",
            Self::FindVersioning => "ask whether versions are kept in",
            Self::Look => "look at",
            Self::Read | Self::ReadVersion => "read",
            Self::Write => "write",
            Self::GiveUp => "give up the upload to",
            Self::List => "list",
            Self::ListVersions => "list the versions of",
            Self::ReadTags | Self::ReadVersionTags => "read the tags of",
            Self::Delete => "delete",
        }
    }

    /// The IAM action that it needs.
    pub(crate) const fn iam_action(self) -> &'static str {
        match self {
            Self::FindBucket | Self::List => "s3:ListBucket",
            Self::FindVersioning => "s3:GetBucketVersioning",
            Self::Look | Self::Read => "s3:GetObject",
            Self::ReadVersion => "s3:GetObjectVersion",
            Self::Write => "s3:PutObject",
            Self::GiveUp => "s3:AbortMultipartUpload",
            Self::ListVersions => "s3:ListBucketVersions",
            Self::ReadTags => "s3:GetObjectTagging",
            Self::ReadVersionTags => "s3:GetObjectVersionTagging",
            Self::Delete => "s3:DeleteObject",
        }
    }

    /// Whether the action is allowed on the bucket, not on its objects.
    pub(crate) const fn is_on_bucket(self) -> bool {
        matches!(self, Self::FindBucket | Self::FindVersioning | Self::List | Self::ListVersions)
    }
}

/// A bucket, and a key or prefix in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Place {
    pub(crate) fn new(bucket: &str, key: &str) -> Self {
        Self { bucket: bucket.to_owned(), key: key.to_owned() }
    }
}

impl fmt::Display for Place {
    /// `s3://bucket/key` in one line: control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("s3://")?;
        for c in self.bucket.chars().chain(['/']).chain(self.key.chars()) {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}
