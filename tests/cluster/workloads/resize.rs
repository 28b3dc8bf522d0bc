//! Rows of test/e2e/common/node/pod_resize.go.

use coracle::k8s_openapi::api::core::v1::{Event, ResourceRequirements};

use super::*;

fn pod(name: &str, cpu: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - name: c
    image: web:v1
    resizePolicy: [{{resourceName: cpu, restartPolicy: NotRequired}}, {{resourceName: memory, restartPolicy: RestartContainer}}]
    resources: {{requests: {{cpu: '{cpu}', memory: 1Gi}}, limits: {{cpu: '30', memory: 2Gi}}}}
"
    )
}

async fn resize(lab: &Lab, pod: &str, requests: Value) {
    let target = Target::named::<Pod>("default", pod).below("resize");
    let edit = move |pod: &mut Pod| {
        let container = &mut pod.spec.as_mut().unwrap().containers[0];
        let limits = container.resources.as_ref().unwrap().limits.clone();
        container.resources = Some(ResourceRequirements { limits, ..from(json!({"requests": requests})) });
        Ok(())
    };
    lab.api.execute(Request::edit(target, edit)).await.unwrap();
}

/// What the container of each pod asks for, was given and has, how often it was restarted, and what the pod says.
fn shown(lab: &Lab) -> String {
    let pods = lab.all::<Pod>().list();
    line(pods.iter().map(|pod| {
        let cpu = |list: Option<&std::collections::BTreeMap<String, _>>| {
            let amount: Option<&coracle::k8s_openapi::apimachinery::pkg::api::resource::Quantity> =
                list.and_then(|list| list.get("cpu"));
            amount.map_or("-".to_owned(), |amount| amount.0.clone())
        };
        let asked = pod.spec.as_ref().unwrap().containers[0].resources.clone().unwrap().requests;
        let Some(status) = pod.status.as_ref().unwrap().container_statuses.as_ref().map(|all| all[0].clone()) else {
            return format!("{} waits", name(&**pod));
        };
        let has = status.resources.and_then(|resources| resources.requests);
        let said = ["PodResizePending", "PodResizeInProgress"].iter().filter_map(|kind| condition(pod, kind));
        let said = said.map(|it| format!(" {} {}", it.reason.unwrap_or_default(), it.message.unwrap_or_default()));
        format!(
            "{}: asks {} given {} has {} restarts {}{}",
            name(&**pod),
            cpu(asked.as_ref()),
            cpu(status.allocated_resources.as_ref()),
            cpu(has.as_ref()),
            status.restart_count,
            said.collect::<String>()
        )
    }))
}

#[tokio::test(start_paused = true)]
async fn a_pod_gets_what_there_is_room_for_when_there_is() {
    let lab = Lab::new(1).await;
    lab.apply(&pod("a", "10")).await;
    lab.becomes(shown, "a: asks 10 given 10 has 10 restarts 0").await;
    resize(&lab, "a", json!({"cpu": "12", "memory": "1Gi"})).await;
    lab.becomes(shown, "a: asks 12 given 12 has 12 restarts 0").await;
    // The same amount in other words is nothing to do.
    resize(&lab, "a", json!({"cpu": "12000m", "memory": "1024Mi"})).await;
    lab.becomes(shown, "a: asks 12 given 12 has 12 restarts 0").await;
    // Memory is changed by a restart.
    resize(&lab, "a", json!({"cpu": "12", "memory": "1500Mi"})).await;
    lab.becomes(shown, "a: asks 12 given 12 has 12 restarts 1").await;
    // No room beside another pod; then there is.
    lab.apply(&pod("b", "15")).await;
    lab.becomes(|lab| lab.at::<Pod>("b", "status.phase"), "Running").await;
    resize(&lab, "a", json!({"cpu": "20", "memory": "1500Mi"})).await;
    let deferred = "a: asks 20 given 12 has 12 restarts 1 Deferred Node didn't have enough resource: cpu, requested: \
                    20000, used: 15000, capacity: 32000, b: asks 15 given 15 has 15 restarts 0";
    lab.becomes(shown, deferred).await;
    // What is asked for counts for the scheduler, so that nobody else gets it.
    lab.apply(&pod("c", "2")).await;
    lab.stays(|lab| lab.at::<Pod>("c", "spec.nodeName"), "null").await;
    lab.delete::<Pod>("c").await;
    resize(&lab, "b", json!({"cpu": "5", "memory": "1Gi"})).await;
    lab.becomes(shown, "a: asks 20 given 20 has 20 restarts 1, b: asks 5 given 5 has 5 restarts 0").await;
    let said: Vec<_> = lab.all::<Event>().list().iter().filter_map(|event| event.message.clone()).collect();
    let completed = "Pod resize completed: {\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"30\",\
                     \"memory\":\"2Gi\"},\"requests\":{\"cpu\":\"5\",\"memory\":\"1Gi\"}}}],\"generation\":2}";
    assert!(said.iter().any(|text| text == completed), "{said:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_no_node_of_its_size_can_give_is_infeasible() {
    let lab = Lab::new(1).await;
    lab.apply(&pod("a", "10").replace("limits: {cpu: '30', memory: 2Gi}", "limits: {memory: 2Gi}")).await;
    lab.becomes(shown, "a: asks 10 given 10 has 10 restarts 0").await;
    resize(&lab, "a", json!({"cpu": "40", "memory": "1Gi"})).await;
    let infeasible = "a: asks 40 given 10 has 10 restarts 0 Infeasible Node didn't have enough capacity: cpu, requested: \
                      40000, capacity: 32000";
    lab.becomes(shown, infeasible).await;
    // Then only what it has counts.
    lab.apply(&pod("b", "20")).await;
    lab.becomes(|lab| lab.at::<Pod>("b", "status.phase"), "Running").await;
    lab.delete::<Pod>("b").await;
    resize(&lab, "a", json!({"cpu": "10", "memory": "1Gi"})).await;
    lab.becomes(shown, "a: asks 10 given 10 has 10 restarts 0").await;
}
