//! Probes: when each is due, what a row of results means ([`Prober`], pure), and how they are asked ([`ask`]).

pub mod ask;
mod grpc;
pub mod http;
mod tls;

use std::time::Duration;

use coracle_core::Entropy;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};

use crate::pod::observation::{Health, StopReason};
use crate::pod::span::{after, between, earliest, seconds};

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Holds the others back until the container is up; kills it if that takes too long.
    Startup,
    /// Says whether it can serve.
    Readiness,
    /// Kills it when it hangs.
    Liveness,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// As messages begin with it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }

    /// A container's probe for this purpose.
    #[must_use]
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
        }
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All is well.
    Success,
    /// It is not.
    Failure(String),
    /// It could not be found out.
    Error(String),
}

/// One probe of one run of a container.
#[derive(Clone, Debug)]
struct Course {
    purpose: Purpose,
    period: Duration,
    success_threshold: u32,
    failure_threshold: u32,
    grace: Option<Duration>,
    due: Timestamp,
    asking: bool,
    /// Results of the same kind in a row.
    run: u32,
    last: Option<bool>,
}

/// All probes of one run of a container.
#[derive(Clone, Debug, Default)]
pub struct Prober {
    courses: Vec<Course>,
}

impl Prober {
    /// The probes of a container that started at a moment. The first one comes after `initialDelaySeconds`; without a delay,
    /// at once. Defaults: period 10 s, success threshold 1, failure threshold 3. Source: core/v1 Probe.
    #[must_use]
    pub fn start(container: &Container, started_at: Timestamp) -> Self {
        let courses = Purpose::ALL.into_iter().filter_map(|purpose| {
            let probe = purpose.of(container)?;
            let threshold = |number: Option<i32>, default: u32| {
                number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0).unwrap_or(default)
            };
            Some(Course {
                purpose,
                period: seconds(probe.period_seconds.filter(|period| *period > 0).unwrap_or(10)),
                success_threshold: threshold(probe.success_threshold, 1),
                failure_threshold: threshold(probe.failure_threshold, 3),
                grace: probe.termination_grace_period_seconds.map(seconds),
                due: after(started_at, seconds(probe.initial_delay_seconds.unwrap_or(0))),
                asking: false,
                run: 0,
                last: None,
            })
        });
        Self { courses: courses.collect() }
    }

    /// Spreads the probes of containers that were found running over one period each, as upstream does after a restart.
    pub fn spread(&mut self, entropy: &Entropy, now: Timestamp) {
        for course in &mut self.courses {
            let period = u64::try_from(course.period.as_millis()).unwrap_or(u64::MAX);
            course.due = course.due.max(after(now, Duration::from_millis(entropy.below(period))));
        }
    }

    /// From now on only readiness is asked: of a container that ends, it matters who still sends it work.
    pub fn only_readiness(&mut self) {
        self.courses.retain(|course| course.purpose == Purpose::Readiness);
    }

    /// The probes to ask now; each is then being asked until its finding is taken in.
    pub fn due(&mut self, health: &Health, now: Timestamp) -> Vec<Purpose> {
        let due = self.courses.iter_mut().filter(|course| course.waits(health) && course.due <= now);
        due.map(|course| {
            course.asking = true;
            course.purpose
        })
        .collect()
    }

    /// When the next probe is due.
    #[must_use]
    pub fn wake_at(&self, health: &Health) -> Option<Timestamp> {
        self.courses.iter().filter(|course| course.waits(health)).map(|course| course.due).min()
    }

    /// Takes in what a probe found, and says of it in the container's health.
    pub fn take(&mut self, purpose: Purpose, finding: &Finding, health: &mut Health, now: Timestamp) {
        let Some(course) = self.courses.iter_mut().find(|course| course.purpose == purpose) else { return };
        course.asking = false;
        while course.due <= now {
            let missed = between(course.due, now).as_secs() / course.period.as_secs().max(1);
            course.due = after(course.due, course.period * u32::try_from(missed + 1).unwrap_or(u32::MAX));
        }
        if let Finding::Error(_) = finding {
            return;
        }
        let good = *finding == Finding::Success;
        course.run = if course.last == Some(good) { course.run.saturating_add(1) } else { 1 };
        course.last = Some(good);
        let threshold = if good { course.success_threshold } else { course.failure_threshold };
        if course.run < threshold {
            return;
        }
        match (purpose, good) {
            (Purpose::Readiness, good) => health.ready = good,
            (Purpose::Startup, true) => {
                health.started = true;
                self.begin_after_startup(now);
            }
            (Purpose::Liveness, true) => {}
            (Purpose::Startup, false) => health.fail(StopReason::Startup, course.grace),
            (Purpose::Liveness, false) => health.fail(StopReason::Liveness, course.grace),
        }
    }

    /// Probes that were held back are due at once when the container has come up.
    fn begin_after_startup(&mut self, now: Timestamp) {
        for course in self.courses.iter_mut().filter(|course| course.purpose != Purpose::Startup) {
            course.due = course.due.max(now);
        }
    }
}

impl Course {
    fn waits(&self, health: &Health) -> bool {
        let held = health.failed.is_some() && self.purpose != Purpose::Readiness;
        !self.asking && !held && health.started != (self.purpose == Purpose::Startup)
    }
}

impl Health {
    fn fail(&mut self, why: StopReason, grace: Option<Duration>) {
        self.failed = Some(why);
        self.grace = grace;
    }
}

/// The earlier of a moment and a prober's next.
#[must_use]
pub fn wake_with(one: Option<Timestamp>, prober: &Prober, health: &Health) -> Option<Timestamp> {
    earliest(one, prober.wake_at(health))
}
