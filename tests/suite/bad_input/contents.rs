use crate::bad_input::site::Site;

#[test]
fn an_empty_file_arrives_empty_and_empty_json_fails_with_a_hint() {
    let site = Site::new();
    let _up = site.up();
    site.upload("nothing.bin", "");
    site.upload("nothing.json", "");
    site.upload("blank.json", " \n");
    site.upload("empty-array.json", "[]");

    let plain = &site.settled("nothing.bin", 1)[0];
    assert_eq!((&plain["state"], &plain["size_bytes"]), (&"delivered".into(), &0.into()), "{plain:#}");
    // sha256 of no bytes, as FIPS 180-4 test vectors give it.
    assert_eq!(plain["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(std::fs::read(site.inbox().join("nothing.bin")).unwrap(), b"");

    for key in ["nothing.json", "blank.json"] {
        let failed = &site.settled(key, 1)[0];
        assert_eq!((&failed["state"], &failed["attempts"]), (&"failed".into(), &0.into()), "{failed:#}");
        assert_eq!(failed["fault_code"], "transform.failed", "{failed:#}");
        let told = failed["fault"].as_str().unwrap();
        assert!(told.contains("the input ") && told.contains("hint: ask whoever uploads"), "{told}");
    }
    let transforms = site.json(&["transform", "list", "--state", "failed"]);
    for transform in transforms.as_array().unwrap() {
        assert_eq!(transform["fault_code"], "json.empty", "{transform:#}");
        assert!(transform["fault"].as_str().unwrap().contains("send at least `[]`"), "{transform:#}");
    }
    assert_eq!(transforms.as_array().unwrap().len(), 2);

    // No records are not nothing: somebody had none to send.
    assert_eq!(site.settled("empty-array.json", 1)[0]["state"], "delivered");
    assert_eq!(site.arrived(), ["empty-array.csv", "nothing.bin"]);
}
