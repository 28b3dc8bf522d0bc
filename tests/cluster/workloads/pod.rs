//! Rows of test/e2e/common/node/pods.go, test/e2e/node/pods.go, ephemeral_containers.go and container_probe.go.

use coracle::k8s_openapi::api::batch::v1::Job;
use coracle::k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::*;

fn pod(spec: &str, image: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  {spec}
  terminationGracePeriodSeconds: 1
  containers: [{{name: c, image: '{image}'}}]
"
    )
}

fn generations(lab: &Lab) -> String {
    lab.at::<Pod>("web", "metadata.generation status.observedGeneration status.conditions.Ready.observedGeneration")
}

#[tokio::test(start_paused = true)]
async fn generations_count_what_is_asked_and_what_is_seen() {
    let lab = Lab::new(1).await;
    lab.apply(&pod("", "web:v1")).await;
    lab.becomes(generations, "1 1 1").await;
    lab.all::<Pod>().edit("web", |pod| pod.spec.as_mut().unwrap().active_deadline_seconds = Some(5_000)).await.unwrap();
    lab.becomes(generations, "2 2 2").await;
    let tolerate = |pod: &mut Pod| {
        let added = from(json!({"key": "k", "operator": "Exists", "effect": "NoSchedule"}));
        pod.spec.as_mut().unwrap().tolerations.get_or_insert_default().push(added);
    };
    lab.all::<Pod>().edit("web", tolerate).await.unwrap();
    lab.becomes(generations, "3 3 3").await;
    let label =
        |pod: &mut Pod| drop(pod.metadata.labels.get_or_insert_default().insert("a".to_owned(), "b".to_owned()));
    lab.all::<Pod>().edit("web", label).await.unwrap();
    lab.stays(generations, "3 3 3").await;
    for number in 0..500 {
        let image = format!("web:v{number}");
        let set = move |pod: &mut Pod| pod.spec.as_mut().unwrap().containers[0].image = Some(image.clone());
        lab.all::<Pod>().edit("web", set).await.unwrap();
    }
    lab.becomes(generations, "503 503 503").await;
    lab.becomes(|lab| lab.pods(), "web v499 ready").await;
}

/// Deletion with grace is a change of the spec too.
#[tokio::test(start_paused = true)]
async fn a_graceful_deletion_is_a_generation_of_its_own() {
    let lab = Lab::new(1).await;
    let yaml = pod("", "web:v1").replace("name: web}", "name: web, generation: 77, finalizers: [example.dev/hold]}");
    lab.apply(&yaml).await;
    lab.becomes(generations, "1 1 1").await;
    lab.delete::<Pod>("web").await;
    assert!(generations(&lab).starts_with("2 "), "{}", generations(&lab));
    lab.all::<Pod>().edit("web", |pod| pod.metadata.finalizers = None).await.unwrap();
    lab.becomes(Lab::pods, "").await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_may_be_set_while_the_pod_runs() {
    let lab = Lab::new(1).await;
    lab.apply(&pod("", "web:v1")).await;
    lab.becomes(Lab::pods, "web v1 ready").await;
    lab.all::<Pod>().edit("web", |pod| pod.spec.as_mut().unwrap().active_deadline_seconds = Some(5)).await.unwrap();
    lab.becomes(|lab| lab.at::<Pod>("web", "status.phase status.reason"), "Failed DeadlineExceeded").await;
}

#[tokio::test(start_paused = true)]
async fn gates_hold_back_scheduling_and_readiness() {
    let lab = Lab::new(1).await;
    let spec = "schedulingGates: [{name: example.dev/hold}]\n  readinessGates: [{conditionType: example.dev/open}]";
    lab.apply(&pod(spec, "web:v1")).await;
    let scheduled = |lab: &Lab| lab.at::<Pod>("web", "status.conditions.PodScheduled.reason status.phase");
    lab.stays(scheduled, "SchedulingGated Pending").await;
    lab.all::<Pod>().edit("web", |pod| pod.spec.as_mut().unwrap().scheduling_gates = None).await.unwrap();
    let ready =
        |lab: &Lab| lab.at::<Pod>("web", "status.phase status.conditions.Ready.status status.conditions.Ready.reason");
    lab.becomes(ready, "Running False ReadinessGatesNotReady").await;
    lab.open_gate("web", true).await;
    lab.becomes(ready, "Running True null").await;
}

/// Ephemeral containers run even beside an init container that never ends.
#[tokio::test(start_paused = true)]
async fn ephemeral_containers_run_and_are_not_restarted() {
    for init in ["", "initContainers: [{name: i, image: 'web:init'}]"] {
        let lab = Lab::new(1).await;
        lab.apply(&pod(init, "web:v1")).await;
        lab.becomes(|lab| lab.at::<Pod>("web", "status.phase"), if init.is_empty() { "Running" } else { "Pending" })
            .await;
        for (name, image) in [("d1", "web:debug"), ("d2", "web:debug")] {
            let add = move |pod: &mut Pod| {
                let added = from(json!({"name": name, "image": image}));
                pod.spec.as_mut().unwrap().ephemeral_containers.get_or_insert_default().push(added);
                Ok(())
            };
            let target = Target::named::<Pod>("default", "web").below("ephemeralcontainers");
            lab.api.execute(Request::edit(target, add)).await.unwrap();
        }
        let shown = |lab: &Lab| {
            let pod = lab.all::<Pod>().get("web").unwrap();
            line(pod.status.as_ref().unwrap().ephemeral_container_statuses.iter().flatten().map(|status| {
                let state = status.state.clone().unwrap_or_default();
                let code = state.terminated.map(|ended| ended.exit_code);
                format!(
                    "{} running={} code={code:?} restarts={}",
                    status.name,
                    state.running.is_some(),
                    status.restart_count
                )
            }))
        };
        let expected = "d1 running=true code=None restarts=0, d2 running=true code=None restarts=0";
        lab.becomes(shown, expected).await;
        lab.stays(shown, expected).await;
    }
}

/// A sidecar starts before, runs beside and ends after the main container; it does not keep the pod from being over.
#[tokio::test(start_paused = true)]
async fn a_sidecar_does_not_keep_a_pod_alive() {
    let lab = Lab::new(1).await;
    let spec = "restartPolicy: Never\n  initContainers: [{name: s, image: 'web:side', restartPolicy: Always}]";
    lab.apply(&pod(spec, "exit:0-10")).await;
    lab.becomes(|lab| lab.at::<Pod>("web", "status.phase"), "Running").await;
    lab.becomes(
        |lab| lab.at::<Pod>("web", "status.phase status.conditions.Initialized.reason"),
        "Succeeded PodCompleted",
    )
    .await;
    let pod = lab.all::<Pod>().get("web").unwrap();
    let sidecar = pod.status.as_ref().unwrap().init_container_statuses.as_ref().unwrap()[0].clone();
    assert!(sidecar.state.unwrap().terminated.is_some());
}

#[tokio::test(start_paused = true)]
async fn init_containers_that_fail_fail_the_pod_or_go_on_trying() {
    for (restart, expected) in [("Never", "Failed"), ("Always", "Pending")] {
        let lab = Lab::new(1).await;
        let spec = format!("restartPolicy: {restart}\n  initContainers: [{{name: i, image: 'exit:1'}}]");
        lab.apply(&pod(&spec, "web:v1")).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        let status = lab.all::<Pod>().get("web").unwrap().status.clone().unwrap();
        assert_eq!(status.phase.as_deref(), Some(expected));
        let restarts = status.init_container_statuses.unwrap()[0].restart_count;
        assert_eq!(restarts > 2, restart == "Always", "{restarts} restarts");
        assert!(status.container_statuses.unwrap()[0].state.as_ref().unwrap().waiting.is_some());
    }
}

/// A node has some 250 addresses; pods that have ended need none, and still show the one they had.
#[tokio::test(start_paused = true)]
async fn ended_pods_do_not_fill_a_node() {
    let lab = Lab::new(1).await;
    let template = "{spec: {restartPolicy: Never, containers: [{name: c, image: 'exit:0'}]}}";
    let spec = format!("{{completions: 300, parallelism: 50, template: {template}}}");
    lab.apply(&format!("{{apiVersion: batch/v1, kind: Job, metadata: {{name: many}}, spec: {spec}}}")).await;
    lab.becomes(|lab| lab.at::<Job>("many", "status.succeeded"), "300").await;
    let ended = lab.all::<Pod>().list();
    assert!(ended.iter().all(|pod| pod.status.as_ref().unwrap().pod_ip.is_some()));
    let one = name(&*ended[0]);
    let sandbox = |lab: &Lab| lab.at::<Pod>(&one, "status.conditions.PodReadyToStartContainers.status");
    lab.becomes(sandbox, "False").await;
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_volume_comes_and_goes_with_its_pod() {
    let lab = Lab::new(1).await;
    let asked = "{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 1Gi}}}";
    let volume = format!("volumes: [{{name: scratch, ephemeral: {{volumeClaimTemplate: {{spec: {asked}}}}}}}]");
    lab.apply(&pod(&volume, "web:v1")).await;
    let claim = |lab: &Lab| lab.at::<PersistentVolumeClaim>("web-scratch", "status.phase metadata.ownerReferences");
    lab.becomes(|lab| lab.at::<PersistentVolumeClaim>("web-scratch", "status.phase"), "Pending").await;
    lab.stays(|lab| lab.at::<Pod>("web", "status.phase"), "Pending").await;
    let spec = "{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /srv}}";
    lab.apply(&format!("{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: v}}, spec: {spec}}}")).await;
    lab.becomes(Lab::pods, "web v1 ready").await;
    assert!(claim(&lab).starts_with("Bound ") && claim(&lab).contains("blockOwnerDeletion"), "{}", claim(&lab));
    lab.delete::<Pod>("web").await;
    lab.becomes(claim, "null null").await;
}
