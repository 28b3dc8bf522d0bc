use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Container;

use super::*;
use crate::runtime::{ContainerState, ExecRequest, Exit, Mount};
use crate::runtimes::conformance::{Workloads, conformance};

/// A directory that goes when the test does.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coracle-test-{name}-{}", std::process::id()));
        let _old = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

fn sandbox(directory: &Path, uid: &str) -> Sandbox {
    let directory = directory.join(uid);
    std::fs::create_dir_all(&directory).unwrap();
    Sandbox { pod: Arc::default(), uid: uid.into(), attempt: 0, hostname: "web-0".into(), directory }
}

fn spec(sandbox: &SandboxStatus, command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        sandbox: sandbox.id.clone(),
        name: "main".into(),
        attempt: 0,
        image: "anything".into(),
        image_id: ImageId("anything".into()),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        args: Vec::new(),
        working_dir: String::new(),
        env: Vec::new(),
        mounts: Vec::new(),
        termination_message: PathBuf::new(),
        spec: Arc::new(Container::default()),
    }
}

async fn read_log(runtime: &ProcessRuntime, id: &ContainerId, follow: bool) -> String {
    let lines = Runtime::logs(runtime).unwrap().logs(id, LogOptions { follow, ..LogOptions::default() }).await.unwrap();
    let lines: Vec<LogLine> = lines.try_collect().await.unwrap();
    lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
}

fn exit_of(runtime: &ProcessRuntime, id: &ContainerId) -> Option<Exit> {
    match runtime.shared.book.container(id).unwrap().0.state {
        ContainerState::Exited(exit) => Some(exit),
        ContainerState::Running { .. } => None,
    }
}

/// Runs a container to its end; what it printed and how it ended.
async fn run(change: impl FnOnce(&mut ContainerSpec, &Path), command: &[&str]) -> (String, Exit) {
    let name = format!(
        "run-{:x}",
        command.iter().flat_map(|word| word.bytes()).fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte))
    );
    let scratch = Scratch::new(&name);
    let runtime = ProcessRuntime::new().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let mut spec = spec(&sandbox, command);
    change(&mut spec, &scratch.0);
    let id = runtime.start(&spec).await.unwrap();
    let printed = read_log(&runtime, &id, true).await;
    let exit = exit_of(&runtime, &id).expect("ended");
    (printed, exit)
}

async fn check_exit(script: &str, code: i32, signal: i32) {
    let (_, exit) = run(|_, _| {}, &["/bin/sh", "-c", script]).await;
    assert_eq!((exit.code, exit.signal), (code, signal), "{script}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let scratch = Scratch::new("conformance");
    let make = || ProcessRuntime::new().unwrap();
    conformance(make, &Workloads::shell("anything"), &scratch.0).await.unwrap();
}

#[tokio::test]
async fn it_conforms_when_it_keeps() {
    let scratch = Scratch::new("conformance-kept");
    let make = || ProcessRuntime::open(scratch.join("state")).unwrap();
    conformance(make, &Workloads::shell("anything"), &scratch.0).await.unwrap();
}

#[tokio::test]
async fn exit_codes_are_the_processes_own() {
    check_exit("true", 0, 0).await;
    check_exit("exit 42", 42, 0).await;
    check_exit("kill -SEGV $$", 139, 11).await;
    check_exit("kill -KILL $$", 137, 9).await;
}

#[tokio::test]
async fn output_is_logged_whole_and_in_order() {
    let (printed, _) = run(|_, _| {}, &["/bin/sh", "-c", "seq 1 20000; printf end"]).await;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 20_001);
    assert_eq!((lines[0], lines[19_999], lines[20_000]), ("1", "20000", "end"));
    assert!(!printed.ends_with('\n'));
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_little_more() {
    let given = |spec: &mut ContainerSpec, _: &Path| {
        spec.env = vec![("WITH.DOT".into(), "1".into()), ("HOME".into(), "/h".into())]
    };
    let (printed, _) = run(given, &["env"]).await;
    let names: BTreeSet<&str> = printed.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, BTreeSet::from(["HOME", "HOSTNAME", "PATH", "WITH.DOT"]));
    assert!(printed.contains("HOME=/h\n") && printed.contains("HOSTNAME=web-0\n"), "{printed}");
}

#[tokio::test]
async fn mounts_are_found_by_their_paths_in_the_container() {
    let mounted = |spec: &mut ContainerSpec, scratch: &Path| {
        std::fs::create_dir(scratch.join("volume")).unwrap();
        std::fs::write(scratch.join("volume/file"), "content\n").unwrap();
        let mount = Mount { host_path: scratch.join("volume"), container_path: "/etc/app".into(), read_only: true };
        spec.mounts.push(mount);
        spec.env.push(("FILE".into(), "/etc/app/file".into()));
        spec.working_dir = "/etc/app".into();
        spec.termination_message = scratch.join("message");
    };
    let script = "cat /etc/app/file \"$FILE\" file; echo why >/dev/termination-log; cat '/dev/termination-log'";
    let (printed, exit) = run(mounted, &["/bin/sh", "-c", script]).await;
    assert_eq!((printed.as_str(), exit.code), ("content\ncontent\ncontent\nwhy\n", 0));
}

#[tokio::test]
async fn what_cannot_be_executed_says_why_as_container_engines_do() {
    let scratch = Scratch::new("unexecutable");
    let runtime = ProcessRuntime::builder().images(|image| (image != "absent").then(Vec::new)).build().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    for (command, expected) in [
        (vec![], "no command specified: image \"anything\" is only a name to the process runtime"),
        (vec!["nonesuch"], "exec: \"nonesuch\": executable file not found in $PATH"),
        (vec!["/nonesuch"], "exec: \"/nonesuch\": stat /nonesuch: no such file or directory"),
    ] {
        let error = runtime.start(&spec(&sandbox, &command)).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = runtime.pull("absent", &Pod::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to pull image \"absent\": no command is known for it");
    assert!(runtime.list().await.unwrap()[0].containers.is_empty());
}

#[tokio::test]
async fn an_image_can_stand_for_a_command() {
    let scratch = Scratch::new("images");
    let images = |image: &str| (image == "anything").then(|| vec!["echo".to_owned(), "from the image".to_owned()]);
    let runtime = ProcessRuntime::builder().images(images).build().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let mut spec = spec(&sandbox, &[]);
    spec.args = vec!["with arguments".into()];
    let id = runtime.start(&spec).await.unwrap();
    assert_eq!(read_log(&runtime, &id, true).await, "from the image with arguments\n");
}

#[tokio::test]
async fn pods_can_listen_on_the_same_port() {
    let scratch = Scratch::new("addresses");
    let runtime = ProcessRuntime::new().unwrap();
    let one = runtime.start_sandbox(&sandbox(&scratch.0, "one")).await.unwrap();
    let other = runtime.start_sandbox(&sandbox(&scratch.0, "other")).await.unwrap();
    let first = TcpListener::bind((one.addresses[0], 0)).unwrap();
    TcpListener::bind((other.addresses[0], first.local_addr().unwrap().port())).unwrap();
}

/// A script that ignores SIGTERM, and says when it does.
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 1000; done";

async fn first_line(runtime: &ProcessRuntime, id: &ContainerId) -> String {
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut lines = Runtime::logs(runtime).unwrap().logs(id, options).await.unwrap();
    String::from_utf8_lossy(&lines.next().await.unwrap().unwrap().text).trim().to_owned()
}

#[tokio::test]
async fn stopping_asks_first_and_kills_then() {
    let scratch = Scratch::new("stop");
    let runtime = ProcessRuntime::new().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let polite = "trap 'echo bye; exit 5' TERM; echo ready; sleep 1000 & wait";
    for (attempt, (script, grace, code)) in
        [(polite, 30_000, 5), (STUBBORN, 50, 137), ("echo ready; exec sleep 1000", 30_000, 143)].into_iter().enumerate()
    {
        let mut spec = spec(&sandbox, &["/bin/sh", "-c", script]);
        spec.attempt = u32::try_from(attempt).unwrap();
        let id = runtime.start(&spec).await.unwrap();
        assert_eq!(first_line(&runtime, &id).await, "ready");
        runtime.stop(&id, Duration::from_millis(grace)).await.unwrap();
        assert_eq!(exit_of(&runtime, &id).unwrap().code, code, "{script}");
    }
}

/// Whether a process of this number lives, be it as a zombie's shadow of itself.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

#[tokio::test]
async fn the_end_of_a_container_is_the_end_of_all_its_processes() {
    // One child in the container's group, one in a group of its own.
    let script = "sleep 1000 & echo $!; set -m; sleep 1000 & echo $!; exit 0";
    let (printed, exit) = run(|_, _| {}, &["/bin/bash", "-c", script]).await;
    assert_eq!((exit.code, printed.lines().count()), (0, 2));
    for pid in printed.lines() {
        until_dead(pid);
    }
}

/// A killed process needs a moment; it must not need a minute.
fn until_dead(pid: &str) {
    let deadline = std::time::Duration::from_secs(60);
    let waited = (0..deadline.as_millis()).find(|_millisecond| {
        let dead = !lives(pid);
        if !dead {
            std::thread::sleep(Duration::from_millis(1));
        }
        dead
    });
    assert!(waited.is_some(), "process {pid} lives on");
}

#[tokio::test]
async fn commands_run_in_the_containers_environment() {
    let scratch = Scratch::new("exec");
    let runtime = ProcessRuntime::new().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let mut spec = spec(&sandbox, &["sleep", "1000"]);
    spec.env = vec![("WHO".into(), "me".into())];
    let id = runtime.start(&spec).await.unwrap();
    let exec = Runtime::exec(&runtime).unwrap();
    let shell = |script: &str| ["/bin/sh", "-c", script].map(str::to_owned);
    let minute = Duration::from_secs(60);
    for (script, code, output) in [
        ("echo $WHO; exit 3", Some(3), "me\n"),
        ("echo out; echo err >&2", Some(0), "out\nerr\n"),
        ("sleep 1000 & echo left", Some(0), "left\n"),
    ] {
        let answer = exec.run(&id, &shell(script), minute).await.unwrap();
        assert_eq!((answer.code, String::from_utf8_lossy(&answer.output).as_ref()), (code, output), "{script}");
    }
    let late = exec.run(&id, &shell("echo begun; sleep 1000"), Duration::from_millis(200)).await.unwrap();
    assert_eq!(late.code, None);
    let many = exec.run(&id, &shell("seq 1 100000"), minute).await.unwrap();
    assert_eq!((many.code, many.output.len()), (Some(0), 10 * 1024));
    let absent = exec.run(&id, &["nonesuch".to_owned()], minute).await.unwrap_err();
    assert_eq!(absent.to_string(), "exec: \"nonesuch\": executable file not found in $PATH");
}

#[tokio::test]
async fn commands_have_streams_and_terminals() {
    let scratch = Scratch::new("streams");
    let runtime = ProcessRuntime::new().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let id = runtime.start(&spec(&sandbox, &["sleep", "1000"])).await.unwrap();
    let exec = Runtime::exec(&runtime).unwrap();
    let request = |tty: bool, script: &str| ExecRequest {
        command: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        stdin: true,
        tty,
    };
    let talk = async |request: ExecRequest, input: &'static [u8]| {
        let mut streams = exec.exec(&id, request).await.unwrap();
        let stdin = streams.stdin.take().unwrap();
        stdin.send(Bytes::from_static(input)).await.unwrap();
        drop(stdin);
        let output: Vec<(bool, Bytes)> = streams.output.collect().await;
        let text = output.iter().map(|(_, piece)| String::from_utf8_lossy(piece).into_owned()).collect::<String>();
        (text, output.iter().any(|(error, _)| *error), streams.exit.await.unwrap())
    };
    let (text, _, code) = talk(request(false, "cat; exit 4"), b"hello\n").await;
    assert_eq!((text.as_str(), code), ("hello\n", 4));
    let (_, error, _) = talk(request(false, "echo x >&2"), b"").await;
    assert!(error);
    let (text, _, code) = talk(request(true, "tty; read -r line; echo got $line; exit 6"), b"hello\n").await;
    assert!(text.contains("/dev/pts/") && text.contains("got hello\r\n"), "{text:?}");
    assert_eq!(code, 6);
}

#[tokio::test]
async fn a_command_ends_with_its_container_and_with_its_listener() {
    let scratch = Scratch::new("exec-end");
    let runtime = ProcessRuntime::new().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let id = runtime.start(&spec(&sandbox, &["sleep", "1000"])).await.unwrap();
    let forever = || ExecRequest {
        command: ["/bin/sh", "-c", "echo $$; exec sleep 1000"].map(str::to_owned).into(),
        ..ExecRequest::default()
    };
    let exec = Runtime::exec(&runtime).unwrap();
    let mut left_alone = exec.exec(&id, forever()).await.unwrap();
    let (_, pid) = left_alone.output.next().await.unwrap();
    drop(left_alone);
    let mut listened_to = exec.exec(&id, forever()).await.unwrap();
    let _pid = listened_to.output.next().await.unwrap();
    let (code, stopped) = futures::join!(listened_to.exit, runtime.stop(&id, Duration::ZERO));
    stopped.unwrap();
    assert_eq!(code.unwrap(), 137);
    tokio::task::spawn_blocking(move || until_dead(String::from_utf8_lossy(&pid).trim())).await.unwrap();
}

#[tokio::test]
async fn logs_turn_over_and_are_followed_across_turns() {
    let scratch = Scratch::new("rotation");
    let limits = LogLimits { file_bytes_max: 2_000, files_max: 3 };
    let runtime = ProcessRuntime::builder().log_limits(limits).build().unwrap();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    // Each line is printed by itself and waits for a word, so that none is written before it is followed.
    let mut spec = spec(&sandbox, &["/bin/sh", "-c", "while read -r word; do echo $word; done"]);
    spec.spec = Arc::new(Container { stdin: Some(true), ..Container::default() });
    let id = runtime.start(&spec).await.unwrap();
    let attached = ExecRequest { stdin: true, ..ExecRequest::default() };
    let stdin = Runtime::exec(&runtime).unwrap().attach(&id, attached).await.unwrap().stdin.unwrap();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut lines = Runtime::logs(&runtime).unwrap().logs(&id, options).await.unwrap();
    for word in 0..300 {
        stdin.send(Bytes::from(format!("{word}\n"))).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().text, format!("{word}\n"));
    }
    runtime.stop(&id, Duration::from_secs(30)).await.unwrap();
    assert!(lines.next().await.is_none());
    let kept = log_file::numbers(&runtime.shared.book.container(&id).unwrap().1.record.log_directory());
    assert_eq!(kept.len(), 3);
    for tail in [0, 1, 10, 60] {
        let options = LogOptions { tail: Some(tail), ..LogOptions::default() };
        let lines = Runtime::logs(&runtime).unwrap().logs(&id, options).await.unwrap();
        let texts: Vec<_> = lines.map(|line| line.unwrap().text).collect().await;
        let expected: Vec<_> = (300 - tail..300).map(|word| format!("{word}\n")).collect();
        assert_eq!(texts, expected);
    }
}

#[tokio::test]
async fn a_kept_container_is_found_again_with_all_it_printed() {
    let scratch = Scratch::new("kept");
    let script = "echo before; read -r _ <\"$GO\"; echo after; exit 3";
    let go = scratch.join("go");
    Command::new("mkfifo").arg(&go).status().unwrap();
    let state = || scratch.join("state");
    let runtime = ProcessRuntime::open(state()).unwrap();
    let status = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let mut spec = spec(&status, &["/bin/sh", "-c", script]);
    spec.env = vec![("GO".into(), go.to_string_lossy().into_owned())];
    let id = runtime.start(&spec).await.unwrap();
    assert_eq!(first_line(&runtime, &id).await, "before");
    assert!(ProcessRuntime::open(state()).unwrap_err().to_string().contains("in use"));
    drop(runtime);

    let runtime = ProcessRuntime::open(state()).unwrap();
    let listed = runtime.list().await.unwrap();
    assert_eq!((listed[0].id.clone(), listed[0].addresses.clone()), (status.id, status.addresses));
    assert!(matches!(listed[0].containers[0].state, ContainerState::Running { .. }));
    tokio::task::spawn_blocking(move || std::fs::write(go, "go\n").unwrap()).await.unwrap();
    assert_eq!(read_log(&runtime, &id, true).await, "before\nafter\n");
    // It is still a child of this program, so even its code is known.
    assert_eq!(exit_of(&runtime, &id).unwrap().code, 3);
    drop(runtime);

    let runtime = ProcessRuntime::open(state()).unwrap();
    assert_eq!(exit_of(&runtime, &id).unwrap().code, 3);
    assert_eq!(read_log(&runtime, &id, true).await, "before\nafter\n");
}

#[tokio::test]
async fn nothing_is_left_when_the_runtime_is_dropped() {
    let scratch = Scratch::new("drop");
    let runtime = ProcessRuntime::new().unwrap();
    let state = runtime.shared.directory.path().to_owned();
    let sandbox = runtime.start_sandbox(&sandbox(&scratch.0, "pod")).await.unwrap();
    let id = runtime.start(&spec(&sandbox, &["/bin/sh", "-c", "sleep 1000 & echo $!; wait"])).await.unwrap();
    let pid = first_line(&runtime, &id).await;
    drop(runtime);
    until_dead(&pid);
    assert!(!state.exists());
}

/// What the tests below run in another process: a host program that starts a container, says what it started, and waits
/// to be killed.
const HOST: &str = "CORACLE_TEST_HOST";

#[tokio::test]
async fn host_program() {
    let Ok(directory) = std::env::var(HOST) else { return };
    let directory = PathBuf::from(directory);
    let keep = directory.join("keep").exists();
    let state = directory.join("state");
    let runtime = if keep { ProcessRuntime::open(state).unwrap() } else { ProcessRuntime::new().unwrap() };
    let sandbox = runtime.start_sandbox(&sandbox(&directory, "pod")).await.unwrap();
    let script = "sleep 1000 & one=$!; set -m; sleep 1000 & echo pids $$ $one $!; wait";
    let id = runtime.start(&spec(&sandbox, &["/bin/bash", "-c", script])).await.unwrap();
    let line = first_line(&runtime, &id).await;
    println!("{line} {}", runtime.shared.directory.path().display());
    std::io::stdout().flush().unwrap();
    let _until_killed = std::io::stdin().read(&mut [0]);
    drop(runtime);
}

/// Starts the host program, waits until its container runs, and kills it. The container's process ids, and the directory.
fn crash(directory: &Path) -> (Vec<String>, PathBuf) {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runtimes::process::tests::host_program", "--nocapture", "--test-threads=1"])
        .env(HOST, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find_map(|line| line.split_once("pids ").map(|(_, rest)| rest.to_owned())).unwrap();
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let state = PathBuf::from(words.pop().unwrap());
    assert!(words.len() == 3 && words.iter().all(|pid| lives(pid)), "{words:?}");
    host.kill().unwrap();
    host.wait().unwrap();
    (words, state)
}

#[test]
fn nothing_is_left_of_a_killed_host_program() {
    let scratch = Scratch::new("crash");
    let (pids, state) = crash(&scratch.0);
    pids.iter().for_each(|pid| until_dead(pid));
    let gone = (0..60_000).any(|_millisecond| {
        std::thread::sleep(Duration::from_millis(1));
        !state.exists()
    });
    assert!(gone, "{} is left", state.display());
}

#[tokio::test]
async fn containers_of_a_killed_host_program_are_found_again() {
    let scratch = Scratch::new("adopt");
    std::fs::write(scratch.join("keep"), "").unwrap();
    let (pids, state) = crash(&scratch.0);
    let runtime = ProcessRuntime::open(&state).unwrap();
    let sandbox = runtime.list().await.unwrap().remove(0);
    let container = &sandbox.containers[0];
    assert!(matches!(container.state, ContainerState::Running { .. }));
    assert!(pids.iter().all(|pid| lives(pid)));
    runtime.stop(&container.id, Duration::ZERO).await.unwrap();
    pids.iter().for_each(|pid| until_dead(pid));
    let exit = exit_of(&runtime, &container.id).unwrap();
    assert_eq!(exit.code, 137);
    assert!(exit.message.contains("unknown"), "{exit:?}");
}

#[tokio::test]
async fn containers_that_died_unseen_are_told_as_ended_and_leave_nothing() {
    let scratch = Scratch::new("unseen");
    std::fs::write(scratch.join("keep"), "").unwrap();
    let (pids, state) = crash(&scratch.0);
    Command::new("kill").args(["-KILL", &pids[0]]).status().unwrap();
    until_dead(&pids[0]);
    let runtime = ProcessRuntime::open(&state).unwrap();
    let sandbox = runtime.list().await.unwrap().remove(0);
    // Whoever inherited the dead process may not have asked for its end yet; then it is told in a moment.
    read_log(&runtime, &sandbox.containers[0].id, true).await;
    assert_eq!(exit_of(&runtime, &sandbox.containers[0].id).unwrap().code, 137);
    assert_eq!(runtime.start_sandbox(&self::sandbox(&scratch.0, "pod")).await.unwrap().id, sandbox.id);
    pids.iter().for_each(|pid| until_dead(pid));
}
