//! People are told by a topic of SNS.

use aws_sdk_sqs::types::QueueAttributeName;
use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};
use serde_json::Value;

use super::until;
use crate::e2e::on_both;

on_both!(a_failed_delivery_is_told);

fn a_failed_delivery_is_told(site: Site) {
    let cloud = need!(Cloud::without_versions());
    let server = need!(OpenSsh::start(Config::default()));
    let sns = aws_sdk_sns::Client::new(&cloud.sdk);
    let topic = cloud.wait(sns.create_topic().name("outport").send()).unwrap().topic_arn.unwrap();
    let mail = cloud.wait(cloud.sqs.create_queue().queue_name("mail").send()).unwrap().queue_url.unwrap();
    let request = cloud.sqs.get_queue_attributes().queue_url(&mail);
    let told = cloud.wait(request.attribute_names(QueueAttributeName::QueueArn).send()).unwrap();
    let arn = told.attributes().unwrap()[&QueueAttributeName::QueueArn].clone();
    cloud.wait(sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn).send()).unwrap();

    let site = cloud.settings(site).with("OUTPORT_NOTIFY_TOPIC", &topic);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    cloud.upload("gone.txt", b"x").unwrap();
    cloud.wait(cloud.s3.delete_object().bucket("inbound").key("gone.txt").send()).unwrap();
    let mut up = site.up().unwrap();
    site.wait_for_state("gone.txt", "acme/sftp", "failed", 0).unwrap();
    let mut body = None;
    until(&site, "nobody was told", || {
        let got = cloud.wait(cloud.sqs.receive_message().queue_url(&mail).send()).unwrap();
        body = got.messages().first().and_then(|message| message.body().map(str::to_owned));
        body.is_some()
    });
    let envelope: Value = serde_json::from_str(&body.unwrap()).unwrap();
    assert_eq!(envelope["Subject"], "Outport: failed acme/sftp", "{envelope:#}");
    let told: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
    assert_eq!(told["events"][0]["event"], "failed", "{told:#}");
    assert_eq!(told["events"][0]["detail"]["code"], "artifact.missing", "{told:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}
