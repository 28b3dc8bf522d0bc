//! Long times: a month of CronJobs across the clock changes, a year of nodes that come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::batch::v1::{CronJob, Job};
use coracle::simulation::{Invariant, Simulation, Step, Trouble};
use serde_json::json;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// When each CronJob ran: its name, and the time that its Job's name spells, in minutes since 1970.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<BTreeMap<String, Vec<i64>>>>);

impl Invariant for Runs {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        if step.object::<Job>().is_some() && step.event.previous.is_none() {
            let (owner, minute) = step.event.object.name().rsplit_once('-').unwrap();
            self.0.lock().unwrap().entry(owner.to_owned()).or_default().push(minute.parse().unwrap());
        }
        Ok(())
    }
}

fn cron_job(name: &str, schedule: &str, zone: &str, policy: &str, run_for: &str) -> CronJob {
    let annotations = json!({"coracle.dev/run-for": run_for});
    let container = json!({"name": "c", "image": "job:v1"});
    let template = json!({"metadata": {"annotations": annotations}, "spec": {"containers": [container], "restartPolicy": "Never"}});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": {
        "schedule": schedule, "timeZone": zone, "concurrencyPolicy": policy, "successfulJobsHistoryLimit": 2,
        "jobTemplate": {"spec": {"template": template}},
    }}))
    .unwrap()
}

#[test]
fn a_month_of_cron_jobs_runs_each_time_once() {
    let runs = Runs::default();
    let simulation =
        Simulation::new(1).nodes(1).heartbeat(DAY / 4).starting_at("2026-03-01T00:00:00Z".parse().unwrap());
    let report = simulation.builtin_invariants().invariant(runs.clone()).run(async |cluster| {
        let cron_jobs = cluster.api.namespaced::<CronJob>("default");
        for (name, schedule, zone, policy, run_for) in [
            ("berlin", "30 2 * * *", "Europe/Berlin", "Allow", "10s"),
            ("new-york", "30 2 * * *", "America/New_York", "Forbid", "10s"),
            ("noon", "0 12 * * 1-5", "Asia/Kolkata", "Replace", "10s"),
            ("often", "0 */3 * * *", "UTC", "Forbid", "4h"),
        ] {
            cron_jobs.create(cron_job(name, schedule, zone, policy, run_for)).await.unwrap();
        }
        tokio::time::sleep(31 * DAY).await;
        for name in ["berlin", "new-york", "noon", "often"] {
            cron_jobs.edit(name, |found| found.spec.suspend = Some(true)).await.unwrap();
        }
        // The last run takes its time.
        tokio::time::sleep(DAY / 4).await;
    });
    report.unwrap();
    let runs = runs.0.lock().unwrap();
    let count = |name: &str| runs[name].len();
    // 02:30 is not there on 29 March in Berlin and on 8 March in New York.
    assert_eq!((count("berlin"), count("new-york"), count("noon")), (30, 30, 22), "{runs:?}");
    for times in runs.values() {
        assert!(times.is_sorted_by(|one, next| one < next), "no time twice: {times:?}");
    }
    // Due every third hour, but each run lasts four: the time that was missed meanwhile is made up for at once.
    assert!((185..=187).contains(&count("often")), "{}", count("often"));
}

#[test]
#[ignore = "minutes in an unoptimized build"]
fn a_year_of_node_churn_on_a_hundred_nodes_ends_well() {
    let trouble = Trouble {
        agents: true,
        power: true,
        network: true,
        removal: true,
        controllers: true,
        away: 10 * DAY,
        every: 2 * DAY,
        ..Trouble::default()
    };
    let simulation = Simulation::new(1).nodes(100).heartbeat(DAY).trouble(trouble).builtin_invariants();
    let report = simulation.run(async |cluster| {
        let labels = json!({"app": "web"});
        let template =
            json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "web:v1"}]}});
        let spec = json!({"replicas": 50, "selector": {"matchLabels": labels}, "template": template});
        let web: Deployment = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap();
        cluster.api.namespaced("default").create(web).await.unwrap();
        tokio::time::sleep(365 * DAY).await;
    });
    assert!(report.unwrap().lasted > 365 * DAY);
}
