//! How AWS is reached: region, endpoint, limits. One configuration for all services.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

/// How AWS, or something that speaks its protocols, is reached.
///
/// Credentials are not here: they come from the SDK's chain (the environment, a profile, the role of the task or
/// instance), so that no secret passes through Outport's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The region; `None` takes that of the environment, the profile or the instance.
    pub region: Option<String>,
    /// `http://host:port` of another store or of an emulator; `None` takes `AWS_ENDPOINT_URL`, or AWS itself.
    pub endpoint: Option<String>,
    /// Limit of one connection's start.
    pub connect_timeout: Duration,
    /// Limit of one attempt, from the first byte of the request to the headers of the answer. The SDK sets none. An
    /// upload's part (8 MiB) has to fit in: 60 s are 140 KiB/s. The body of an answer is watched by `stall_grace`.
    pub attempt_timeout: Duration,
    /// How often a request is made before its failure is told, the first time included. The waits between are the SDK's
    /// (standard mode: random up to 1, 2, 4, ... 20 s).
    pub attempts: u32,
    /// How long a body may stand still, while somebody reads it, before it is given up.
    pub stall_grace: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(60),
            attempts: 3,
            stall_grace: Duration::from_secs(20),
        }
    }
}

/// Makes the configuration that all clients share. It reads the environment and the profiles; where neither names a
/// region it asks the instance for one, which takes some seconds off AWS. Credentials are looked up at the first
/// request, not here.
pub async fn load(access: &Access) -> SdkConfig {
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(access.stall_grace).build();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(access.connect_timeout)
        .operation_attempt_timeout(access.attempt_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(access.attempts))
        .stalled_stream_protection(stalls);
    if let Some(region) = &access.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &access.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    loader.load().await
}
