//! The detail of a Transfer Family server's event ("SFTP, FTPS, and FTP server events" in its user guide).

use serde::Deserialize;

/// What an upload's event says. It names no version: the object is looked at when it is taken in.
#[derive(Deserialize)]
pub(super) struct Upload {
    /// `/bucket/key`, the key raw. In a bucket of S3; another domain (EFS) has paths that begin with a file system's id.
    #[serde(rename = "file-path")]
    pub(super) file_path: String,
    pub(super) etag: Option<String>,
    pub(super) bytes: Option<u64>,
}

impl Upload {
    /// Bucket and key.
    pub(super) fn place(&self) -> Option<(&str, &str)> {
        let (bucket, key) = self.file_path.strip_prefix('/')?.split_once('/')?;
        (!bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
    }
}

/// Whether an event of this name says that an upload is complete. Failed ones (a connection that broke) leave an object
/// behind that is no file.
pub(super) fn is_complete_upload(name: &str) -> bool {
    // "SFTP Server File Upload Completed", and FTPS, FTP; the China pages write "SFTP File Server Upload Completed".
    matches!(name.split(' ').next(), Some("SFTP" | "FTPS" | "FTP"))
        && name.contains("Server")
        && name.ends_with("Upload Completed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_uploads_to_a_server_are_arrivals() {
        for (name, want) in [
            ("SFTP Server File Upload Completed", true),
            ("FTPS Server File Upload Completed", true),
            ("FTP Server File Upload Completed", true),
            ("SFTP File Server Upload Completed", true),
            ("SFTP Server File Upload Failed", false),
            ("SFTP Server File Download Completed", false),
            ("SFTP Connector File Send Completed", false),
            ("SFTP Connector File Retrieve Completed", false),
            ("AS2 Payload Receive Completed", false),
        ] {
            assert_eq!(is_complete_upload(name), want, "{name}");
        }
    }

    #[test]
    fn the_path_is_a_bucket_and_a_key() {
        for (path, want) in [
            ("/inbound/home/acme/a b.json", Some(("inbound", "home/acme/a b.json"))),
            ("/inbound/a", Some(("inbound", "a"))),
            ("/inbound/", None),
            ("/inbound", None),
            ("inbound/a", None),
            ("//a", None),
        ] {
            let upload = Upload { file_path: path.into(), etag: None, bytes: None };
            assert_eq!(upload.place(), want, "{path}");
        }
    }
}
