//! How AWS is reached.

use outport_aws::{Access, Checksums, S3Settings};
use outport_core::{Fault, code};
use serde::Deserialize;

/// The section `aws`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    region: String,
    endpoint: String,
    checksums: ChecksumsWord,
    path_style: PathStyle,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChecksumsWord {
    WhenSupported,
    WhenRequired,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PathStyle {
    Auto,
    Yes,
    No,
}

impl Aws {
    /// What can be said without asking AWS.
    pub fn check(&self) -> Result<(), Fault> {
        let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        if !self.endpoint.is_empty() && !is_url(&self.endpoint) {
            let message =
                format!("aws.endpoint is {:?}, it must be an http:// or https:// URL", self.endpoint);
            return Err(Fault::new(&code::CONFIG_INVALID, message));
        }
        Ok(())
    }

    /// Region, endpoint and limits.
    pub fn access(&self) -> Access {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Access { region: given(&self.region), endpoint: given(&self.endpoint), ..Access::default() }
    }

    /// How S3 is spoken to.
    pub fn s3(&self) -> S3Settings {
        S3Settings {
            path_style: match self.path_style {
                PathStyle::Auto => None,
                PathStyle::Yes => Some(true),
                PathStyle::No => Some(false),
            },
            checksums: match self.checksums {
                ChecksumsWord::WhenSupported => Checksums::WhenSupported,
                ChecksumsWord::WhenRequired => Checksums::WhenRequired,
            },
            ..S3Settings::default()
        }
    }
}
