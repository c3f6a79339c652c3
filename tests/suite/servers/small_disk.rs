use std::io::ErrorKind;

use outport_tests::need;
use outport_tests::servers::tmpfs::SmallDisk;

#[test]
fn a_small_disk_fills_up_and_is_gone_afterwards() {
    let disk = need!(SmallDisk::mount(64 * 1024));
    let path = disk.path().to_owned();
    std::fs::write(path.join("fits"), vec![1; 32 * 1024]).unwrap();
    let full = std::fs::write(path.join("does not"), vec![2; 64 * 1024]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(std::fs::read(path.join("fits")).unwrap(), vec![1; 32 * 1024]);

    drop(disk);
    assert!(!path.exists());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(path.to_str().unwrap()), "{mounts}");
}
