//! Which process sends what. An endpoint has a few seats (connections); a process that has one keeps it until it had no
//! file there for a while, and only who has one, or finds one free, gets files of that endpoint.

use outport_core::lane::FILES_PER_CONNECTION;

use crate::chance::Chance;
use crate::partner::{Partner, Seat};
use crate::share::{Want, level};
use crate::workers::Running;

/// The pool of the senders closes a connection after so many seconds without a file; then the seat is given back.
const IDLE_S: i64 = 30;

/// What a part of a process does for one endpoint.
#[derive(Debug)]
struct Part {
    partner: usize,
    slot: usize,
    want: Want,
    got: f64,
}

/// What one endpoint got for this second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grant {
    pub places: f64,
    /// One of the processes that gave them.
    pub process: u32,
}

/// The places of all processes in one second.
#[derive(Debug, Default)]
pub struct Claims {
    parts: Vec<Part>,
    /// Of each process, which of them are its own.
    of_slot: Vec<Vec<usize>>,
    pub grants: Vec<Grant>,
    /// Places that had a file, by process, as the processes ran in the second before.
    used: Vec<(u32, f64)>,
    /// The ledger would not take more.
    pub is_short: bool,
    /// Files that are sent in this second, parts of them too.
    pub sends: f64,
}

impl Claims {
    /// Divides the places of `running`. `files`: what the ledger takes in this second.
    pub fn divide(
        &mut self,
        partners: &mut [Partner],
        wants: &[Want],
        running: &[Running],
        files: f64,
        now: i64,
        chance: &mut Chance,
    ) {
        self.parts.clear();
        self.of_slot.iter_mut().for_each(Vec::clear);
        self.of_slot.resize_with(running.len(), Vec::new);
        self.grants.clear();
        self.grants.resize(partners.len(), Grant::default());
        self.sends = 0.0;
        self.is_short = false;
        let before = std::mem::take(&mut self.used);
        let busy = |id| before.iter().find(|(process, _)| *process == id).map_or(0.0, |(_, used)| *used);
        // Who has most places free asks first; with none free anywhere it is anybody.
        let free: Vec<f64> = running.iter().map(|one| (one.places - busy(one.id)).max(0.0) + 0.01).collect();
        let mut left: Vec<f64> = running.iter().map(|one| one.places).collect();
        for (process, held) in partners.iter().filter_map(Partner::held) {
            if let Some(slot) = slot_of(running, process) {
                left[slot] -= held;
            }
        }
        for (n, partner) in partners.iter_mut().enumerate() {
            if wants[n].places > 0.0 && !running.is_empty() {
                self.seat(n, partner, wants[n], running, &free, now, chance);
            }
        }
        self.share(running, &mut left);
        self.help_out(&mut left);
        self.stay_within(files);
        for part in &self.parts {
            if part.got > 0.0 {
                let process = running[part.slot].id;
                let grant = &mut self.grants[part.partner];
                *grant = Grant { places: grant.places + part.got, process };
                self.sends += part.got * part.want.files_per_place;
                partners[part.partner].sat(process, now);
            }
        }
        self.used = running.iter().zip(&left).map(|(one, left)| (one.id, one.places - left)).collect();
    }

    /// Who is asked for this endpoint's files: those that have a seat, and whoever comes first where one is free.
    #[allow(clippy::too_many_arguments, reason = "all of it is of one second")]
    fn seat(
        &mut self,
        n: usize,
        partner: &mut Partner,
        want: Want,
        running: &[Running],
        free: &[f64],
        now: i64,
        chance: &mut Chance,
    ) {
        partner.seats.retain(|seat| now - seat.used_at <= IDLE_S && slot_of(running, seat.process).is_some());
        let allowed = partner.connections_allowed();
        if partner.seats_taken() < allowed {
            let process = running[pick(free, chance)].id;
            if partner.seats.iter().all(|seat| seat.process != process) {
                partner.seats.push(Seat { process, connections: 1, used_at: now });
            }
        }
        let holders = partner.seats.len();
        // A single file is not divided, and nobody asks twice whether a server answers.
        let only = (want.places <= 1.0 || want.files_per_place == 0.0)
            .then(|| ((chance.draw() * holders as f64) as usize).min(holders - 1));
        let each = if only.is_some() { want.places } else { want.places / holders as f64 };
        let mut unused = allowed.saturating_sub(partner.seats_taken());
        for (which, seat) in partner.seats.iter_mut().enumerate() {
            if only.is_some_and(|only| only != which) {
                continue;
            }
            let carries = |connections: u32| f64::from(connections) * FILES_PER_CONNECTION as f64;
            if each > carries(seat.connections) && unused > 0 {
                seat.connections += 1;
                unused -= 1;
            }
            let Some(slot) = slot_of(running, seat.process) else { continue };
            let most = carries(seat.connections).min(running[slot].lane);
            let want = Want { places: each.min(most), ..want };
            self.of_slot[slot].push(self.parts.len());
            self.parts.push(Part { partner: n, slot, want, got: 0.0 });
        }
    }

    /// Each process divides its places in equal parts.
    fn share(&mut self, running: &[Running], left: &mut [f64]) {
        for (slot, (one, own)) in running.iter().zip(&self.of_slot).enumerate() {
            let wants: Vec<Want> = own.iter().map(|n| self.parts[*n].want).collect();
            let level = level(&wants, left[slot].max(0.0), one.files_per_second);
            for n in own {
                let part = &mut self.parts[*n];
                part.got = part.want.places.min(level);
                left[slot] -= part.got;
            }
        }
    }

    /// What one process has no place for, another one with a seat there may have.
    fn help_out(&mut self, left: &mut [f64]) {
        for n in 1..self.parts.len() {
            let (head, tail) = self.parts.split_at_mut(n);
            let (Some(one), Some(other)) = (head.last_mut(), tail.first_mut()) else { return };
            if one.partner != other.partner {
                continue;
            }
            let (short, rich) = if one.got < one.want.places { (one, other) } else { (other, one) };
            let extra = (short.want.places - short.got).min(left[rich.slot].max(0.0));
            rich.got += extra;
            left[rich.slot] -= extra;
        }
    }

    /// The ledger slows all of them alike.
    fn stay_within(&mut self, files: f64) {
        let sends: f64 = self.parts.iter().map(|part| part.got * part.want.files_per_place).sum();
        self.is_short = sends > 0.0 && sends >= 0.99 * files;
        if sends > files {
            let part_of_it = files / sends;
            for part in self.parts.iter_mut().filter(|part| part.want.files_per_place > 0.0) {
                part.got *= part_of_it;
            }
        }
    }

    /// Places of Batch's workers that had a file.
    pub fn used(&self, running: &[Running]) -> f64 {
        let of_batch = self.used.iter().zip(running).filter(|(_, one)| one.is_batch);
        of_batch.map(|((_, used), _)| used).sum()
    }
}

/// Where the process stands, if it still runs. They stand in the order of their ids.
fn slot_of(running: &[Running], process: u32) -> Option<usize> {
    running.binary_search_by_key(&process, |one| one.id).ok()
}

/// One of them, by chance and by weight.
fn pick(weights: &[f64], chance: &mut Chance) -> usize {
    let mut at = chance.draw() * weights.iter().sum::<f64>();
    let found = weights.iter().position(|weight| {
        at -= weight;
        at < 0.0
    });
    found.unwrap_or(weights.len() - 1)
}

#[cfg(test)]
mod tests {
    use outport_core::settings::EndpointSettings;

    use super::*;
    use crate::arrivals::Stream;

    fn partner(deliveries: u64) -> Partner {
        let stream = Stream { total: deliveries, every: 1, first: 0 };
        let mut partner = Partner::new(stream, EndpointSettings::default(), 1.0, false);
        partner.dispatch(deliveries);
        partner
    }

    fn processes(ids: std::ops::Range<u32>) -> Vec<Running> {
        let one = |id| Running { id, is_batch: false, places: 64.0, lane: 48.0, files_per_second: 1e9 };
        ids.map(one).collect()
    }

    /// One second: who has a seat then, and the places that were given.
    fn second(
        claims: &mut Claims,
        partner: &mut [Partner],
        running: &[Running],
        now: i64,
    ) -> (Vec<u32>, f64) {
        let wants: Vec<Want> = partner.iter().map(|partner| partner.want(now * 1_000)).collect();
        claims.divide(partner, &wants, running, 1e9, now, &mut Chance::new(now.unsigned_abs()));
        (partner[0].seats.iter().map(|seat| seat.process).collect(), claims.grants[0].places)
    }

    #[test]
    fn who_has_the_connections_keeps_others_out() {
        let (mut claims, mut partner) = (Claims::default(), [partner(100_000)]);
        let mut holders = Vec::new();
        for now in 0..20 {
            holders = second(&mut claims, &mut partner, &processes(0..5), now).0;
            assert!(partner[0].seats_taken() <= 2, "{:?}", partner[0].seats);
        }
        assert_eq!(partner[0].seats_taken(), 2);
        let (still, places) = second(&mut claims, &mut partner, &processes(0..50), 20);
        assert_eq!(still, holders);
        // 32 files a connection, and 48 of one lane in a process that has both.
        assert_eq!(places, if holders.len() == 1 { 48.0 } else { 64.0 });
        // They end: others take their place.
        let (others, _) = second(&mut claims, &mut partner, &processes(10..50), 21);
        assert!(!others.is_empty() && others.iter().all(|process| *process >= 10), "{others:?}");
    }

    #[test]
    fn a_full_process_divides_its_places_and_gives_no_more() {
        let (mut claims, mut partners) = (Claims::default(), [partner(1_000), partner(1_000), partner(4)]);
        let mut given = 0.0;
        for now in 0..5 {
            second(&mut claims, &mut partners, &processes(0..1), now);
            given = claims.grants.iter().map(|grant| grant.places).sum();
        }
        assert!((given - 64.0).abs() < 0.001, "{given}");
        assert!((claims.grants[0].places - 30.0).abs() < 0.001, "{:?}", claims.grants);
    }

    #[test]
    fn the_ledger_slows_all_of_them_alike() {
        let (mut claims, mut partners) = (Claims::default(), [partner(1_000), partner(1_000)]);
        let wants: Vec<Want> = partners.iter().map(|partner| partner.want(0)).collect();
        claims.divide(&mut partners, &wants, &processes(0..9), 10.0, 0, &mut Chance::new(1));
        assert!(claims.is_short && (claims.sends - 10.0).abs() < 0.001, "{}", claims.sends);
    }
}
