//! The name under which a file is uploaded before it gets its final one.

use super::{MAX_NAME_BYTES, MAX_SEGMENT_BYTES, RemoteName};
use crate::id::DeliveryId;

/// The temp name of one attempt: `.{file name}.{id}.{attempt}.part` in the folder of the final name, so that the rename
/// stays within one file system. It is a function of the delivery *and* the attempt: a worker that wakes up late must not
/// truncate what a newer attempt is uploading. The file name is cut where the whole would be too long; the delivery's
/// 26 characters and the attempt never are, so two attempts never share a temp name.
///
/// ```
/// use outport_core::{DeliveryId, RemoteName, remote_name::temp_name};
/// let id: DeliveryId = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
/// let temp = temp_name(&RemoteName::new("in/a.csv")?, id, 2);
/// assert_eq!(temp.as_str(), "in/.a.csv.01h455vb4pex5vsknk084sn02q.2.part");
/// # Ok::<(), outport_core::remote_name::NameError>(())
/// ```
pub fn temp_name(name: &RemoteName, delivery: DeliveryId, attempt: u32) -> RemoteName {
    let id = delivery.to_string();
    let digits = id.split_once('_').map_or(id.as_str(), |(_, digits)| digits);
    let suffix = format!(".{digits}.{attempt}.part");
    let folder = name.before_file_name();
    // At most 960 + 1 + 1 + 43 bytes without the file name: MAX_FOLDER_BYTES sees to it that this fits.
    let room = MAX_SEGMENT_BYTES.min(MAX_NAME_BYTES - folder.len()) - 1 - suffix.len();
    let file = name.file_name();
    let file = &file[..file.floor_char_boundary(room)];
    // Safe by construction: safe characters, and a segment that begins with a dot and ends with `part`.
    RemoteName(format!("{folder}.{file}{suffix}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const LARGE: DeliveryId = DeliveryId::from_uuid(Uuid::from_u128(u128::MAX));

    #[test]
    fn the_suffix_is_never_cut() {
        let suffix = ".7zzzzzzzzzzzzzzzzzzzzzzzzz.4294967295.part";
        let deep = format!("/{}{}/", "f/".repeat(400), "f".repeat(159));
        assert_eq!(deep.len() - 1, super::super::MAX_FOLDER_BYTES);
        let cases = [
            ("a".to_owned(), format!(".a{suffix}")),
            ("/a".to_owned(), format!("/.a{suffix}")),
            (".a".to_owned(), format!("..a{suffix}")),
            ("in/a b.csv".to_owned(), format!("in/.a b.csv{suffix}")),
            ("x".repeat(255), format!(".{}{suffix}", "x".repeat(211))),
            // Cut at a character, not in it.
            ("é".repeat(127), format!(".{}{suffix}", "é".repeat(105))),
            (format!("{deep}{}", "x".repeat(62)), format!("{deep}.{}{suffix}", "x".repeat(19))),
        ];
        for (name, want) in cases {
            assert_eq!(temp_name(&RemoteName::new(name).unwrap(), LARGE, u32::MAX).as_str(), want);
        }
    }

    proptest! {
        #[test]
        fn it_is_a_safe_name_in_the_same_folder(
            name in r"/?([a-zé .]{1,120}/){0,9}[a-zé .日]{1,120}", id: u128, attempt: u32,
        ) {
            let Ok(name) = RemoteName::new(name) else { return Ok(()) };
            let temp = temp_name(&name, DeliveryId::from_uuid(Uuid::from_u128(id)), attempt);
            prop_assert_eq!(RemoteName::new(temp.as_str()), Ok(temp.clone()));
            prop_assert_eq!(temp.folder(), name.folder());
            prop_assert_ne!(temp, name);
        }

        #[test]
        fn two_attempts_never_share_one(
            names in prop::array::uniform2(r"[a-c0-9.]{1,3}[a-c]"),
            ids in prop::array::uniform2(prop_oneof![0u128..3, any::<u128>()]),
            attempts in prop::array::uniform2(prop_oneof![1u32..12, any::<u32>()]),
        ) {
            let temp = |i: usize| {
                let name = RemoteName::new(names[i].as_str()).unwrap();
                temp_name(&name, DeliveryId::from_uuid(Uuid::from_u128(ids[i])), attempts[i])
            };
            let same = (ids[0], attempts[0]) == (ids[1], attempts[1]) && names[0] == names[1];
            prop_assert_eq!(temp(0) == temp(1), same);
        }
    }
}
