use std::path::PathBuf;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::*;
use crate::runtime::{ContainerState, LogLine, LogOptions, RuntimeEvent};
use crate::runtimes::conformance::{Workloads, conformance};

fn pod(annotations: &[(&str, &str)]) -> Pod {
    let mut pod = Pod::default();
    let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pod.metadata.annotations = Some(annotations.collect());
    let container = Container { name: "main".into(), image: Some("image".into()), ..Container::default() };
    pod.spec.get_or_insert_default().containers.push(container);
    pod
}

async fn start(runtime: &SimulatedRuntime, uid: &str, pod: Pod) -> Result<ContainerId, RuntimeError> {
    let pod = Arc::new(pod);
    let (hostname, directory) = (String::new(), PathBuf::new());
    let sandbox = Sandbox { pod, uid: uid.into(), attempt: 0, hostname, directory };
    let sandbox = runtime.start_sandbox(&sandbox).await?.id;
    let spec = ContainerSpec {
        sandbox,
        name: "main".into(),
        attempt: 0,
        image: "image".into(),
        image_id: ImageId("image".into()),
        command: Vec::new(),
        args: Vec::new(),
        working_dir: String::new(),
        env: Vec::new(),
        mounts: Vec::new(),
        termination_message: PathBuf::new(),
        spec: Arc::default(),
    };
    runtime.start(&spec).await
}

fn exit_of(runtime: &SimulatedRuntime, id: &ContainerId) -> Option<Exit> {
    match runtime.node.book.container(id).unwrap().0.state {
        ContainerState::Exited(exit) => Some(exit),
        ContainerState::Running { .. } => None,
    }
}

#[tokio::test]
async fn it_conforms() {
    let directory = std::env::temp_dir().join(format!("coracle-test-simulated-{}", std::process::id()));
    conformance(SimulatedRuntime::new, &Workloads::simulated(), &directory).await.unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test(start_paused = true)]
async fn annotations_say_when_containers_start_and_end() {
    let runtime = SimulatedRuntime::new();
    let begun = Instant::now();
    let annotations = [(START_AFTER, "2s"), (RUN_FOR, "1m30s"), (EXIT_CODE, "7")];
    let mut events = runtime.events();
    let id = start(&runtime, "pod", pod(&annotations)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    let states: Vec<RuntimeEvent> = events.by_ref().take(2).collect().await;
    assert!(begun.elapsed().as_secs() == 92, "{:?}", begun.elapsed());
    assert_eq!(states[1].container, id);
    assert_eq!(exit_of(&runtime, &id).unwrap().code, 7);
}

#[tokio::test(start_paused = true)]
async fn one_timer_serves_all_in_order_and_then_goes() {
    let runtime = SimulatedRuntime::new();
    let sibling = runtime.sibling();
    let (mut own, mut other) = (runtime.events(), sibling.events());
    let late = start(&runtime, "late", pod(&[(RUN_FOR, "1h")])).await.unwrap();
    let early = start(&runtime, "early", pod(&[(RUN_FOR, "1s")])).await.unwrap();
    let stopped = start(&runtime, "stopped", pod(&[(RUN_FOR, "30m")])).await.unwrap();
    start(&sibling, "elsewhere", pod(&[(RUN_FOR, "2s")])).await.unwrap();
    runtime.stop(&stopped, Duration::from_secs(30)).await.unwrap();
    let begun = Instant::now();
    let ends = own.by_ref().filter(|event| std::future::ready(matches!(event.state, ContainerState::Exited(_))));
    let ends: Vec<_> = ends.take(3).map(|event| event.container).collect().await;
    assert_eq!(ends, [stopped, early, late]);
    assert!(begun.elapsed().as_secs() == 3_600, "{:?}", begun.elapsed());
    let elsewhere: Vec<_> = std::iter::from_fn(|| other.next().now_or_never().flatten()).collect();
    assert_eq!(elsewhere.len(), 2);
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn without_configuration_there_is_no_task() {
    let first = SimulatedRuntime::new();
    for node in 0..10 {
        let runtime = first.sibling();
        for number in 0..110 {
            start(&runtime, &format!("pod-{number}"), pod(&[])).now_or_never().expect("at once").unwrap();
        }
        let addresses: Vec<_> =
            runtime.list().await.unwrap().into_iter().flat_map(|sandbox| sandbox.addresses).collect();
        let expected = format!("10.0.{}.", node + 1);
        assert!(addresses.iter().all(|address| address.to_string().starts_with(&expected)));
    }
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn chance_is_the_same_from_the_same_seed() {
    let fates = async |seed| {
        let behaviour = Behaviour { start_failure: 0.5, ..Behaviour::default() };
        let runtime = SimulatedRuntime::new().behaviour(behaviour).chance(Arc::new(Entropy::seeded(seed)));
        let mut fates = Vec::new();
        for number in 0..64 {
            fates.push(start(&runtime, &format!("pod-{number}"), pod(&[])).await.is_ok());
        }
        fates
    };
    assert_eq!(fates(1).await, fates(1).await);
    assert_ne!(fates(1).await, fates(2).await);
}

#[tokio::test(start_paused = true)]
async fn behaviour_may_differ_by_pod_and_stopping_may_take_too_long() {
    let slow = Behaviour { stop: Duration::from_secs(60), ..Behaviour::default() };
    let by_name = move |pod: &Pod, _: &Container| {
        if pod.metadata.name.as_deref() == Some("slow") { slow.clone() } else { Behaviour::default() }
    };
    let runtime = SimulatedRuntime::new().behaviour_by(by_name);
    let mut slow = pod(&[]);
    slow.metadata.name = Some("slow".into());
    let (slow, quick) = (start(&runtime, "a", slow).await.unwrap(), start(&runtime, "b", pod(&[])).await.unwrap());
    let begun = Instant::now();
    runtime.stop(&quick, Duration::from_secs(30)).await.unwrap();
    assert_eq!((begun.elapsed().as_secs(), exit_of(&runtime, &quick).unwrap().code), (0, 0));
    runtime.stop(&slow, Duration::from_secs(30)).await.unwrap();
    assert_eq!((begun.elapsed().as_secs(), exit_of(&runtime, &slow).unwrap().code), (30, 137));
}

#[tokio::test]
async fn addresses_run_out_and_come_back() {
    let runtime = SimulatedRuntime::new().network(Ipv4Addr::new(10, 9, 8, 0), 30);
    start(&runtime, "a", pod(&[])).await.unwrap();
    start(&runtime, "b", pod(&[])).await.unwrap();
    let error = start(&runtime, "c", pod(&[])).await.unwrap_err();
    assert_eq!(error.to_string(), "no address is left in 10.9.8.0/30");
    let first = runtime.list().await.unwrap().remove(0).id;
    runtime.remove_sandbox(&first).await.unwrap();
    start(&runtime, "c", pod(&[])).await.unwrap();
}

#[tokio::test]
async fn logs_tell_what_happened() {
    let runtime = SimulatedRuntime::new();
    let id = start(&runtime, "pod", pod(&[(EXIT_CODE, "2")])).await.unwrap();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let lines: Vec<LogLine> = Logs::logs(&runtime, &id, options).await.unwrap().try_collect().await.unwrap();
    let texts: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.text)).collect();
    assert_eq!(texts, ["main: started (simulated), run 0\n", "main: ended with exit code 2\n"]);
}
