use super::*;

fn fault(code: &'static crate::Code) -> Fault {
    Fault::new(code, "x")
}

fn hit(lane: &Lane, code: &'static crate::Code, now: Millis) -> Lane {
    let fault = fault(code).with_seen_identity("SHA256:new");
    let signal = Signal::Fault { fault: &fault, secret_version: Some("v1") };
    lane.after(&signal, &Timing::default(), now, 0.5)
}

fn healthy() -> Lane {
    Lane::new(64).after(&Signal::Worked { logged_in: Some("v1") }, &Timing::default(), 0, 0.5)
}

#[test]
fn a_new_lane_tries_one_file_then_opens_up() {
    assert_eq!(Lane::new(64).room(), 1);
    assert_eq!(healthy().room(), 64);
}

#[test]
fn a_healthy_lane_is_not_written_for_each_file() {
    let lane = healthy();
    assert_eq!(lane.after(&Signal::Worked { logged_in: Some("v1") }, &Timing::default(), 9, 0.5), lane);
}

#[test]
fn the_fifth_strike_opens_the_breaker_and_each_failed_trial_doubles_it() {
    let mut lane = healthy();
    for n in 1..=4 {
        lane = hit(&lane, &code::ENDPOINT_REFUSED, n);
        assert_eq!((lane.health, lane.room(), lane.blocked_until), (Health::Closed, 1, 0));
    }
    lane = hit(&lane, &code::ENDPOINT_REFUSED, 1_000);
    assert_eq!((lane.health, lane.blocked_until), (Health::Open, 31_000));
    lane = hit(&lane, &code::ENDPOINT_REFUSED, 31_000);
    assert_eq!(lane.blocked_until, 91_000);
    let late = hit(&lane, &code::ENDPOINT_RESET, 31_001);
    assert_eq!(late.open_ms, lane.open_ms, "a file that fails late is no trial");
    for n in 1..=10 {
        lane = hit(&lane, &code::ENDPOINT_REFUSED, n * 10_000_000);
    }
    assert_eq!(lane.open_ms, 15 * 60 * 1000);
    let back = lane.after(&Signal::Worked { logged_in: None }, &Timing::default(), 0, 0.5);
    assert_eq!((back.health, back.room(), back.strikes), (Health::Closed, 1, 0));
    let ramped = back.after(&Signal::Worked { logged_in: None }, &Timing::default(), 0, 0.5);
    assert_eq!(ramped.room(), 2);
}

#[test]
fn half_of_twenty_opens_it_too() {
    let mut lane = healthy();
    let worked = Signal::Worked { logged_in: None };
    for n in 0..30 {
        lane = hit(&lane, &code::ENDPOINT_RESET, n);
        if lane.health == Health::Open {
            assert_eq!(lane.recent_n, 20);
            return;
        }
        lane = lane.after(&worked, &Timing::default(), n, 0.5);
    }
    panic!("never opened: {lane:?}");
}

#[test]
fn logins_stop_after_the_second_refusal_and_wait_longer_each_time() {
    let first = hit(&healthy(), &code::CREDENTIAL_REFUSED, 0);
    assert_eq!((first.blocked_until, first.room()), (0, 1));
    let second = hit(&first, &code::CREDENTIAL_REFUSED, 0);
    assert_eq!((second.blocked_until, second.blocked_reason), (1_800_000, Some(BlockReason::Credential)));
    let third = hit(&second, &code::CREDENTIAL_REFUSED, 0);
    assert_eq!(third.blocked_until, 3_600_000);
    let mut many = third;
    for _ in 0..40 {
        many = hit(&many, &code::CREDENTIAL_REFUSED, 0);
    }
    assert_eq!(many.blocked_until, 86_400_000);
}

#[test]
fn a_changed_host_key_blocks_for_good_and_is_kept() {
    let lane = hit(&healthy(), &code::HOSTKEY_CHANGED, 5);
    assert_eq!((lane.blocked_until, lane.blocked_reason), (NEVER, Some(BlockReason::Identity)));
    assert_eq!(lane.seen_identity.as_deref(), Some("SHA256:new"));
    assert_eq!(lane.lifted(9).blocked_until, 0);
}

#[test]
fn an_old_connection_that_still_works_lifts_no_block_but_the_breakers() {
    let old = Signal::Worked { logged_in: None };
    let work = |lane: &Lane| lane.after(&old, &Timing::default(), 9, 0.5);
    let changed = hit(&healthy(), &code::HOSTKEY_CHANGED, 5);
    assert_eq!(work(&changed).blocked_until, NEVER);
    let refused = hit(&hit(&healthy(), &code::CREDENTIAL_REFUSED, 0), &code::CREDENTIAL_REFUSED, 0);
    assert_eq!(work(&refused).blocked_reason, Some(BlockReason::Credential));
    assert_eq!(work(&hit(&healthy(), &code::CREDENTIAL_REFUSED, 0)).login_strikes, 1);
    let fresh = refused.after(&Signal::Worked { logged_in: Some("v2") }, &Timing::default(), 9, 0.5);
    assert_eq!((fresh.blocked_until, fresh.login_strikes), (0, 0));
}

#[test]
fn closed_time_is_counted_once_whatever_the_reasons() {
    let mut lane = healthy();
    for n in 0..5 {
        lane = hit(&lane, &code::ENDPOINT_REFUSED, 100 + n);
    }
    assert_eq!(lane.closed_since, Some(104));
    lane = lane.with_pause(true, 200);
    assert_eq!(lane.closed_for(300), 196);
    let worked = Signal::Worked { logged_in: None };
    lane = lane.after(&worked, &Timing::default(), 400, 0.5);
    assert_eq!(lane.closed_since, Some(104), "still paused");
    lane = lane.with_pause(false, 504);
    assert_eq!((lane.closed_since, lane.closed_ms), (None, 400));
    lane = lane.in_window(600, 700);
    assert_eq!((lane.blocked_until, lane.closed_for(650)), (700, 450));
    lane = lane.after_window(700);
    assert_eq!((lane.blocked_until, lane.closed_for(9_999)), (0, 500));
    assert_eq!(lane.after_window(800), lane);
}

#[test]
fn five_days_of_failing_suspend_until_an_operator_acts() {
    let hour = 3_600_000;
    let mut lane = healthy();
    for n in 0..119 {
        lane = hit(&lane, &code::ENDPOINT_REFUSED, n * hour);
    }
    assert_eq!(lane.suspended_at, None);
    lane = hit(&lane, &code::ENDPOINT_REFUSED, 120 * hour);
    assert_eq!(lane.suspended_at, Some(120 * hour));
    let lifted = lane.lifted(121 * hour);
    assert_eq!((lifted.suspended_at, lifted.health), (None, Health::HalfOpen));
    let again = hit(&lifted, &code::ENDPOINT_REFUSED, 122 * hour);
    assert_eq!(again.suspended_at, None, "the days count from the operator's act");
}

#[test]
fn too_many_connections_halves_the_ramp_and_is_no_strike() {
    let lane = hit(&healthy(), &code::ENDPOINT_BUSY, 5);
    assert_eq!((lane.strikes, lane.room()), (0, 32));
}
