use std::io::Write as _;
use std::path::PathBuf;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Container;

use super::*;
use crate::runtime::{ContainerState, ExecRequest, Mount};
use crate::runtimes::conformance::{Workload, Workloads, conformance};

fn runtime() -> FunctionRuntime {
    FunctionRuntime::new()
        .with("forever", |cx| async move { cx.cancelled().await })
        .with("three", |_| async { 3 })
        .with("prints", |cx| async move {
            cx.log("one");
            let mut writer = cx.writer();
            writer.write_all(b"tw").unwrap();
            writer.write_all(b"o\n").unwrap();
        })
        .with("fails", |_| async { Err::<(), _>("no luck") })
        .with("panics", |_| async { assert!(std::hint::black_box(false), "oh {}", "no") })
        .with("stubborn", |_| std::future::pending::<()>())
        .with("reg.io:5000/knows", |cx| async move {
            let config = cx.mount("/config/app/x").map(|path| path.display().to_string());
            cx.log(format!("{:?} {:?} {:?} {:?}", cx.args(), cx.env("A"), config, cx.mount("/else")));
        })
        .with_exec("forever", |cx, command| async move {
            ExecOutput { code: Some(7), output: format!("{} {command:?}", cx.name()).into_bytes() }
        })
}

fn spec(sandbox: &SandboxStatus, image: &str) -> ContainerSpec {
    ContainerSpec {
        sandbox: sandbox.id.clone(),
        name: "main".into(),
        attempt: 0,
        image: image.into(),
        image_id: ImageId(image.into()),
        command: Vec::new(),
        args: vec!["--x".into()],
        working_dir: String::new(),
        env: vec![("A".into(), "1".into())],
        mounts: vec![Mount { host_path: "/host/c".into(), container_path: "/config".into(), read_only: true }],
        termination_message: PathBuf::new(),
        spec: Arc::new(Container::default()),
    }
}

async fn start(runtime: &FunctionRuntime, image: &str) -> ContainerId {
    let sandbox = Sandbox {
        pod: Arc::default(),
        uid: image.replace(['/', ':'], "-").into(),
        attempt: 0,
        hostname: String::new(),
        directory: PathBuf::new(),
    };
    let sandbox = runtime.start_sandbox(&sandbox).await.unwrap();
    runtime.start(&spec(&sandbox, image)).await.unwrap()
}

async fn end(runtime: &FunctionRuntime, id: &ContainerId) -> (Exit, String) {
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let lines: Vec<LogLine> = Logs::logs(runtime, id, options).await.unwrap().try_collect().await.unwrap();
    let _ended = runtime.book.container(id).unwrap().1.ended.clone().changed().await;
    let ContainerState::Exited(exit) = runtime.book.container(id).unwrap().0.state else { panic!("runs") };
    (exit, lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect())
}

#[tokio::test]
async fn it_conforms() {
    let workload = |image: &str| Workload { image: image.into(), ..Workload::default() };
    let workloads = Workloads {
        forever: workload("forever"),
        ends_with_three: workload("three"),
        prints: Some(workload("prints")),
    };
    let directory = std::env::temp_dir().join(format!("coracle-test-function-{}", std::process::id()));
    conformance(runtime, &workloads, &directory).await.unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

async fn check_end(image: &str, code: i32, printed: &str) {
    let runtime = runtime();
    let id = start(&runtime, image).await;
    let (exit, lines) = end(&runtime, &id).await;
    assert_eq!((exit.code, lines.as_str()), (code, printed), "{image}");
}

#[tokio::test]
async fn functions_end_as_containers_do() {
    check_end("three", 3, "").await;
    check_end("three:v1@sha256:00", 3, "").await;
    check_end("fails", 1, "no luck\n").await;
    check_end("panics:latest", 101, "panicked: oh no\n").await;
    check_end("prints", 0, "one\ntwo\n").await;
    let known = "[\"--x\"] Some(\"1\") Some(\"/host/c/app/x\") None\n";
    check_end("reg.io:5000/knows:1", 0, known).await;
}

#[tokio::test]
async fn an_unknown_image_is_said_to_be_unknown() {
    let error = runtime().pull("reg.io:5000/other", &Pod::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to pull image \"reg.io:5000/other\": no function has this name");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_end_in_time_is_dropped() {
    let runtime = runtime();
    let id = start(&runtime, "stubborn").await;
    let begun = tokio::time::Instant::now();
    runtime.stop(&id, Duration::from_secs(30)).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
    let (exit, _) = end(&runtime, &id).await;
    assert_eq!((exit.code, exit.signal), (137, 9));
}

#[tokio::test]
async fn commands_are_answered_where_somebody_answers() {
    let runtime = runtime();
    let (forever, stubborn) = (start(&runtime, "forever").await, start(&runtime, "stubborn").await);
    let exec = Runtime::exec(&runtime).unwrap();
    let answer = exec.run(&forever, &["ls".into()], Duration::from_secs(1)).await.unwrap();
    assert_eq!(answer, ExecOutput { code: Some(7), output: b"main [\"ls\"]".to_vec() });
    let request = ExecRequest { command: vec!["ls".into()], ..ExecRequest::default() };
    let streams = exec.exec(&forever, request).await.unwrap();
    let output: Vec<_> = streams.output.collect().await;
    assert_eq!((output[0].1.as_ref(), streams.exit.await.unwrap()), (&b"main [\"ls\"]"[..], 7));
    let error = exec.run(&stubborn, &[], Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn dropping_the_runtime_drops_its_functions() {
    let (alive, dropped) = tokio::sync::oneshot::channel::<()>();
    let alive = std::sync::Mutex::new(Some(alive));
    let runtime = FunctionRuntime::new().with("holds", move |_| {
        let alive = alive.lock().unwrap().take();
        async move {
            std::future::pending::<()>().await;
            drop(alive);
        }
    });
    start(&runtime, "holds").await;
    tokio::task::yield_now().await;
    drop(runtime);
    assert!(dropped.await.is_err());
}
