//! Jobs under random ends of pods, deletions and interruptions: no pod is lost, counted twice, or one too many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;

use super::finalizer::is_on;
use super::tests::job;
use super::{Jobs, finished};
use crate::plan::{Plan, Step};
use crate::pods;
use crate::testing::Small;

/// Something that happens.
#[derive(Clone, Debug)]
enum Move {
    /// The controller plans, and stops after so many requests.
    Plan(usize),
    /// A pod ends: which, and whether well.
    End(usize, bool),
    /// Somebody deletes a pod.
    Delete(usize),
    /// Somebody deletes a pod, which goes on for a while, and may even succeed.
    Leave(usize),
    /// Somebody suspends or resumes the Job.
    Suspend(bool),
    /// Time passes, in seconds.
    Wait(i64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..6_usize).prop_map(Move::Plan),
        4 => (0..8_usize, prop::bool::weighted(0.7)).prop_map(|(which, well)| Move::End(which, well)),
        1 => (0..8_usize).prop_map(Move::Delete),
        1 => (0..8_usize).prop_map(Move::Leave),
        1 => prop::bool::weighted(0.3).prop_map(Move::Suspend),
        2 => (1..700_i64).prop_map(Move::Wait),
    ]
}

/// What is known of every pod there ever was.
#[derive(Default)]
struct Ledger {
    succeeded: BTreeSet<String>,
    failed: BTreeSet<String>,
    /// Deleted while they ran: counted, one way or the other.
    left: BTreeSet<String>,
    /// The index of a pod that has succeeded.
    indexes: BTreeMap<String, String>,
}

struct Trial {
    small: Small,
    ledger: Ledger,
    parallelism: usize,
}

impl Trial {
    fn new(spec: &str, parallelism: usize) -> Self {
        let mut small = Small::new(&job(&format!("parallelism: {parallelism}, {spec}"), ""));
        small.graceful = true;
        Self { small, ledger: Ledger::default(), parallelism }
    }

    fn job(&self) -> Arc<Job> {
        self.small.get("work")
    }

    fn status(&self) -> JobStatus {
        self.job().status.clone().unwrap_or_default()
    }

    fn unended(&self) -> Vec<Arc<Pod>> {
        self.small.world.list::<Pod>().filter(|pod| !pods::is_terminal(pod)).collect()
    }

    fn make(&mut self, step: &Move) {
        match step {
            Move::Plan(limit) => {
                let plan = self.small.plan(&Jobs, "work");
                self.small.carry_out(cut(plan, *limit));
            }
            Move::End(which, well) => self.end(*which, *well),
            Move::Delete(which) => self.delete(*which),
            Move::Leave(which) => self.leave(*which),
            Move::Suspend(suspend) => {
                self.small.edit::<Job>("work", |job| job.spec.as_mut().unwrap().suspend = Some(*suspend));
            }
            Move::Wait(seconds) => self.small.now += SignedDuration::from_secs(*seconds),
        }
        self.check();
    }

    fn end(&mut self, which: usize, well: bool) {
        let pods = self.unended();
        let Some(pod) = pods.get(which % pods.len().max(1)) else { return };
        let (name, uid) = (pod.metadata.name.clone().unwrap(), pod.metadata.uid.clone().unwrap());
        if pod.metadata.deletion_timestamp.is_none() && is_on(&pod.metadata) {
            let list = if well { &mut self.ledger.succeeded } else { &mut self.ledger.failed };
            list.insert(uid.clone());
            if let Some(index) = super::indexes::index_of(pod).filter(|_| well) {
                self.ledger.indexes.insert(uid, index.to_string());
            }
        }
        let phase = if well { "Succeeded" } else { "Failed" };
        self.small.edit::<Pod>(&name, |pod| pod.status.get_or_insert_default().phase = Some(phase.to_owned()));
    }

    /// A pod that is deleted counts as failed, however it ends.
    fn delete(&mut self, which: usize) {
        let pods: Vec<_> = self.unended().into_iter().filter(|pod| pods::is_active(pod)).collect();
        let Some(pod) = pods.get(which % pods.len().max(1)) else { return };
        let name = pod.metadata.name.clone().unwrap();
        if is_on(&pod.metadata) {
            self.ledger.failed.insert(pod.metadata.uid.clone().unwrap());
        }
        let at = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.small.now);
        let phase = "Failed".to_owned();
        self.small.edit::<Pod>(&name, |pod| {
            pod.metadata.deletion_timestamp = Some(at);
            pod.status.get_or_insert_default().phase = Some(phase);
        });
    }

    fn leave(&mut self, which: usize) {
        let pods: Vec<_> = self.unended().into_iter().filter(|pod| pods::is_active(pod)).collect();
        let Some(pod) = pods.get(which % pods.len().max(1)) else { return };
        if is_on(&pod.metadata) {
            self.ledger.left.insert(pod.metadata.uid.clone().unwrap());
        }
        let at = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.small.now);
        let name = pod.metadata.name.clone().unwrap();
        self.small.edit::<Pod>(&name, |pod| pod.metadata.deletion_timestamp = Some(at));
    }

    /// What holds at every moment.
    fn check(&self) {
        let active: Vec<_> = self.unended().into_iter().filter(|pod| pods::is_active(pod)).collect();
        assert!(active.len() <= self.parallelism, "{} active", active.len());
        let indexes: Vec<_> = active.iter().filter_map(|pod| super::indexes::index_of(pod)).collect();
        assert_eq!(indexes.iter().collect::<BTreeSet<_>>().len(), indexes.len(), "two pods of one index");
        let status = self.status();
        let condition = |kind: &str| super::ending::find(&status, kind).is_some();
        if condition("FailureTarget") || condition("SuccessCriteriaMet") {
            return;
        }
        let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
        let (ledger, is_indexed) = (&self.ledger, self.job().spec.as_ref().unwrap().completion_mode.is_some());
        let succeeded = status.succeeded.unwrap_or(0) as usize + self.waiting(&uncounted.succeeded, &ledger.succeeded);
        let failed = status.failed.unwrap_or(0) as usize + self.waiting(&uncounted.failed, &ledger.failed);
        if ledger.left.is_empty() {
            assert_eq!(failed, ledger.failed.len(), "failed");
            assert!(is_indexed || succeeded == ledger.succeeded.len(), "succeeded");
        } else if !is_indexed {
            let listed = [uncounted.succeeded, uncounted.failed].map(Option::unwrap_or_default).concat();
            let left = self.waiting(&None, &ledger.left);
            let left = left - listed.iter().filter(|uid| ledger.left.contains(*uid) && self.is_kept(uid)).count();
            let ended = ledger.succeeded.len() + ledger.failed.len() + ledger.left.len();
            assert_eq!(succeeded + failed + left, ended, "ended");
        }
    }

    fn is_kept(&self, uid: &str) -> bool {
        let pod = self.small.world.by_uid(uid);
        pod.is_some_and(|pod| is_on(pod.metadata()))
    }

    /// Pods that are yet to be counted: listed, or kept by their finalizer.
    fn waiting(&self, listed: &Option<Vec<String>>, ended: &BTreeSet<String>) -> usize {
        let listed = listed.clone().unwrap_or_default();
        listed.len() + ended.iter().filter(|uid| self.is_kept(uid) && !listed.contains(uid)).count()
    }

    /// Lets everything that still runs succeed until the Job has ended.
    fn conclude(&mut self) {
        self.make(&Move::Suspend(false));
        for _ in 0..200 {
            if finished(&self.job()).is_some() {
                return;
            }
            self.make(&Move::Plan(usize::MAX));
            self.make(&Move::Wait(601));
            for _ in 0..self.unended().len() {
                if super::ending::find(&self.status(), "FailureTarget").is_none() {
                    self.make(&Move::End(0, true));
                }
            }
            self.remove_deleted();
        }
        panic!("no end: {:?}", self.status());
    }

    /// What the node does with pods that are deleted and need no more counting.
    fn remove_deleted(&mut self) {
        let deleted = self
            .small
            .world
            .list::<Pod>()
            .filter(|pod| pod.metadata.deletion_timestamp.is_some() && !is_on(&pod.metadata));
        for pod in deleted.collect::<Vec<_>>() {
            let mut plan = Plan::nothing();
            let mut request = coracle_core::Request::delete(&*pod);
            if let coracle_core::Action::Delete(options) = &mut request.action {
                options.grace_period_seconds = Some(0);
            }
            plan.then(request);
            self.small.carry_out(plan);
        }
    }
}

/// The same plan, interrupted after so many requests.
fn cut(plan: Plan, limit: usize) -> Plan {
    let mut left = limit;
    let mut short = Plan::nothing();
    for step in plan.steps {
        let (Step::Together(mut wishes) | Step::SlowStart(mut wishes)) = step else { continue };
        wishes.truncate(left);
        left -= wishes.len();
        short.together(wishes);
    }
    short
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn completions_are_exact(completions in 1..6_i32, parallelism in 1..4_usize, moves in prop::collection::vec(any_move(), 0..60)) {
        let mut trial = Trial::new(&format!("completions: {completions}, backoffLimit: 1000,"), parallelism);
        moves.iter().for_each(|step| trial.make(step));
        trial.conclude();
        let status = trial.status();
        prop_assert_eq!(finished(&trial.job()).unwrap().0, "Complete");
        prop_assert_eq!(status.succeeded, Some(completions));
        let ledger = &trial.ledger;
        let ended = ledger.succeeded.len() + ledger.failed.len() + ledger.left.len();
        prop_assert_eq!((completions + status.failed.unwrap_or(0)) as usize, ended);
        prop_assert_eq!((status.active, status.terminating), (None, Some(0)));
    }

    #[test]
    fn every_index_succeeds_once(completions in 1..6_i32, parallelism in 1..4_usize, moves in prop::collection::vec(any_move(), 0..60)) {
        let spec = format!("completionMode: Indexed, completions: {completions}, backoffLimit: 1000,");
        let mut trial = Trial::new(&spec, parallelism);
        moves.iter().for_each(|step| trial.make(step));
        trial.conclude();
        let status = trial.status();
        prop_assert_eq!(finished(&trial.job()).unwrap().0, "Complete");
        prop_assert_eq!(status.succeeded, Some(completions));
        let ledger = &trial.ledger;
        let indexes: BTreeSet<_> = ledger.indexes.values().collect();
        let failed = status.failed.unwrap_or(0) as usize;
        prop_assert_eq!(indexes.len(), ledger.indexes.len());
        prop_assert!(indexes.len() <= completions as usize && indexes.len() + ledger.left.len() >= completions as usize);
        prop_assert!((ledger.failed.len()..=ledger.failed.len() + ledger.left.len()).contains(&failed));
    }

    #[test]
    fn the_limit_of_failures_ends_the_job(limit in 0..4_i32, parallelism in 1..4_usize, moves in prop::collection::vec(any_move(), 0..60)) {
        let mut trial = Trial::new(&format!("completions: 5, backoffLimit: {limit},"), parallelism);
        moves.iter().for_each(|step| trial.make(step));
        trial.conclude();
        let (least, left) = (trial.ledger.failed.len() as i32, trial.ledger.left.len() as i32);
        let outcome = finished(&trial.job()).unwrap().0;
        prop_assert!(if outcome == "Failed" { least + left > limit } else { least <= limit }, "{outcome} {least}");
        prop_assert_eq!(outcome == "Failed", trial.status().failed.unwrap_or(0) > limit);
        prop_assert_eq!(trial.small.world.list::<Pod>().filter(|pod| is_on(&pod.metadata)).count(), 0);
    }

    #[test]
    fn each_index_has_its_own_limit(limit in 0..3_i32, parallelism in 1..4_usize, moves in prop::collection::vec(any_move(), 0..60)) {
        let spec = format!("completionMode: Indexed, completions: 3, backoffLimitPerIndex: {limit},");
        let mut trial = Trial::new(&spec, parallelism);
        moves.iter().for_each(|step| trial.make(step));
        trial.conclude();
        let status = trial.status();
        let failed = super::indexes::Indexes::parse(status.failed_indexes.as_deref().unwrap_or(""), 3);
        prop_assert_eq!(failed.total() + status.succeeded.unwrap_or(0), 3);
        let left = trial.ledger.left.len() as i32;
        prop_assert!(status.failed.unwrap_or(0) + left >= failed.total() * (limit + 1));
        prop_assert!(status.failed.unwrap_or(0) <= failed.total() * (limit + 1) + status.succeeded.unwrap_or(0) * limit);
        prop_assert_eq!(finished(&trial.job()).unwrap().0, if failed.total() > 0 { "Failed" } else { "Complete" });
    }
}
