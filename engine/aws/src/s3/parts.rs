//! How large the parts of a multipart upload are.

const MIB: usize = 1024 * 1024;

/// Parts that S3 takes of one upload.
pub(crate) const MOST_PARTS: usize = 10_000;

/// The size of part `number` (from 1). The size of the whole is not known beforehand, and a fixed 8 MiB would end at 78
/// GiB; so the parts grow with their number, and memory with the object: 8 MiB up to 31 GiB, 32 MiB up to 156 GiB, then
/// 128 MiB up to 406 GiB. S3 takes parts of 5 MiB to 5 GiB, each of its own size.
pub(crate) const fn part_bytes(number: usize) -> usize {
    match number {
        ..=4_000 => 8 * MIB,
        4_001..=8_000 => 32 * MIB,
        _ => 128 * MIB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_upload_are_what_s3_takes_and_make_406_gib() {
        let sizes = (1..=MOST_PARTS).map(part_bytes);
        assert!(sizes.clone().all(|size| (5 * MIB..=128 * MIB).contains(&size)));
        let mib = |numbers: usize| sizes.clone().take(numbers).map(|size| size / MIB).sum::<usize>();
        assert_eq!([mib(1), mib(4_000), mib(8_000), mib(MOST_PARTS)], [8, 32_000, 160_000, 416_000]);
        assert_eq!(mib(MOST_PARTS) / 1024, 406);
    }
}
