//! A pod's life told as a script: each line is something that happens, and what the node does then.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;

use super::observation::{Cause, Ending, StopReason};
use super::outcome::{Pull, StartError};
use super::span::{after, seconds};
use super::status::{Place, generate};
use super::{Action, Member, Outcome, PodObservation, Tell, members, step};
use crate::runtime::{ContainerId, Exit, ImageId, SandboxId, SandboxStatus};

struct Scene {
    pod: Pod,
    members: Vec<Member>,
    seen: PodObservation,
    now: Timestamp,
    runs: u32,
    told: Vec<Tell>,
}

impl Scene {
    fn new(spec: &str) -> Self {
        let yaml = format!("metadata: {{name: web, namespace: ns, uid: u}}\nspec: {spec}");
        let pod: Pod = serde_saphyr::from_str(&yaml).unwrap();
        let members = members(&pod);
        let mut seen = PodObservation::of(members.len());
        seen.started_at = Some(Timestamp::UNIX_EPOCH);
        Self { pod, members, seen, now: Timestamp::UNIX_EPOCH, runs: 0, told: Vec::new() }
    }

    fn index(&self, name: &str) -> usize {
        self.members.iter().position(|member| member.spec.name == name).unwrap()
    }

    fn id(&self, name: &str) -> ContainerId {
        self.seen.containers[self.index(name)].running().unwrap().id.clone()
    }

    /// Lets something happen: `mounted`, `sandbox`, `pulled a`, `unpulled a`, `started a`, `unstarted a`, `exit a 1`,
    /// `up a` (startup probe), `sick a` (liveness probe), `hook a`, `prestopped a`, `delete 30`, `gone`, `removed`,
    /// `unmounted`, `+10s`.
    fn happen(&mut self, what: &str) {
        let mut words = what.split(' ');
        let (verb, name) = (words.next().unwrap(), words.next().unwrap_or(""));
        if let Some(time) = verb.strip_prefix('+') {
            self.now = after(self.now, seconds(time.trim_end_matches('s').parse::<i64>().unwrap()));
            return;
        }
        let members = self.members.clone();
        let index = || members.iter().position(|member| member.spec.name == name).unwrap();
        let outcome = match verb {
            "mounted" => Outcome::Mounted(None),
            "unmounted" => Outcome::Unmounted,
            "unmountable" => Outcome::MountFailed("no".into()),
            "released" => Outcome::SandboxReleased,
            "removed" => Outcome::SandboxRemoved(Ok(())),
            "sandbox" => Outcome::SandboxStarted(SandboxStatus {
                id: SandboxId("s".into()),
                uid: "u".into(),
                attempt: 0,
                addresses: vec!["10.0.0.1".parse().unwrap()],
                containers: Vec::new(),
            }),
            "pulled" => Outcome::Pulled(index(), ImageId("i".into()), Pull::Present),
            "unpulled" => Outcome::PullFailed(index(), "no such image".into()),
            "started" => {
                self.runs += 1;
                Outcome::Started(index(), ContainerId(format!("{name}{}", self.runs).into()))
            }
            "unstarted" => {
                let error = StartError { reason: StartError::RUN, message: "no".into(), sandbox_lost: false };
                Outcome::StartFailed(index(), error)
            }
            "exit" => {
                let code = words.next().unwrap().parse().unwrap();
                let exit = Exit {
                    code,
                    signal: 0,
                    out_of_memory: false,
                    started_at: self.now,
                    finished_at: self.now,
                    message: String::new(),
                };
                Outcome::Exited(self.id(name), exit, String::new())
            }
            "hook" => Outcome::PostStarted(index(), Ok(())),
            "give" => {
                let (field, amount) = words.next().unwrap().split_once('=').unwrap();
                let mut spec = (*self.members[index()].spec).clone();
                let resources = spec.resources.get_or_insert_default().requests.get_or_insert_default();
                resources.insert(field.to_owned(), QuantityText(amount.to_owned()));
                self.members[index()].spec = spec.into();
                self.seen.resize.under_way = Some(2);
                return;
            }
            "resized" => Outcome::Resized(index(), self.members[index()].spec.clone(), Ok(())),
            "unresized" => Outcome::Resized(index(), self.members[index()].spec.clone(), Err("no".into())),
            "unhooked" => Outcome::PostStarted(index(), Err("no".into())),
            "prestopped" => Outcome::PreStopped(index(), Ok(())),
            "up" => {
                let index = index();
                self.seen.containers[index].health.started = true;
                return;
            }
            "sick" => {
                let index = index();
                self.seen.containers[index].health.failed = Some(StopReason::Liveness);
                return;
            }
            "ready" => {
                let index = index();
                self.seen.containers[index].health.ready = true;
                return;
            }
            "lost" => return self.seen.lose_sandbox(self.now),
            "delete" | "gone" => {
                let grace = seconds(name.parse::<i64>().unwrap_or(0));
                let cause = if verb == "gone" { Cause::Gone } else { Cause::Deleted };
                let deadline = after(self.now, grace);
                self.seen.ending = Some(Ending { cause, deadline, force: grace.is_zero() });
                self.pod.metadata.deletion_timestamp = Some(coracle_core::time::whole_seconds(self.now));
                return;
            }
            other => panic!("{other}?"),
        };
        let tells = self.seen.apply(outcome, &self.pod, &self.members, self.now);
        self.told.extend(tells);
    }

    /// Steps until there is nothing more to do; answers what was done, and when it would look again.
    fn steps(&mut self) -> String {
        let mut done = Vec::new();
        loop {
            let next = step(&self.pod, &self.members, &self.seen, self.now);
            if next.actions.is_empty() {
                let wait = next.wake_at.map(|at| format!("wake +{}s", super::span::between(self.now, at).as_secs()));
                done.extend(wait);
                return done.join(", ");
            }
            for action in next.actions {
                self.seen.begin(&action, &self.members, self.now);
                done.extend(self.word(&action));
            }
        }
    }

    fn word(&mut self, action: &Action) -> Option<String> {
        let name = |index: &usize| &self.members[*index].spec.name;
        Some(match action {
            Action::Mount => "mount".into(),
            Action::StartSandbox => "sandbox".into(),
            Action::Pull(index) => format!("pull {}", name(index)),
            Action::BackOffPull(index) => format!("show back-off {}", name(index)),
            Action::Start(index) => format!("start {}", name(index)),
            Action::PostStart(index) => format!("post-start {}", name(index)),
            Action::PreStop(index, ..) => format!("pre-stop {}", name(index)),
            Action::Stop { container, grace, .. } => format!("stop {} {}s", name(container), grace.as_secs()),
            Action::End(ending) => format!("end {:?}", ending.cause),
            Action::ReleaseSandbox(_) => "release".into(),
            Action::RemoveSandbox(_) => "remove".into(),
            Action::WaitTurn(index, ..) => format!("hold {}", name(index)),
            Action::Unmount => "unmount".into(),
            Action::Delete => "delete".into(),
            Action::Forget => "forget".into(),
            Action::Resize(index) => format!("resize {}", name(index)),
            Action::Resized => "resized".into(),
            Action::Tell(tell) => {
                self.told.push(tell.clone());
                return None;
            }
        })
    }

    /// Phase and reason, then each container in the status's order: its state, its restarts, how it ended before.
    fn shown(&self) -> String {
        let status = generate(&self.pod, &self.members, &self.seen, &Place::default(), self.now);
        let lists = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        let state = |state: &ContainerState| match (&state.waiting, &state.terminated) {
            (Some(waiting), _) => waiting.reason.clone().unwrap(),
            (_, Some(ended)) => format!("{} {}", ended.reason.clone().unwrap(), ended.exit_code),
            _ => "runs".to_owned(),
        };
        let one = |one: &ContainerStatus| {
            let last = one.last_state.as_ref().map(|last| format!(" after {}", state(last)));
            let restarts = (one.restart_count > 0).then(|| format!(" x{}", one.restart_count));
            let state = state(one.state.as_ref().unwrap());
            format!("; {} {state}{}{}", one.name, restarts.unwrap_or_default(), last.unwrap_or_default())
        };
        let containers: String = lists.iter().flatten().flatten().map(one).collect();
        let reason = status.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{}{reason}{containers}", status.phase.unwrap())
    }

    fn phase(&self) -> String {
        let status = generate(&self.pod, &self.members, &self.seen, &Place::default(), self.now);
        let bad = status.conditions.unwrap().into_iter().filter(|one| one.status != "True").map(|one| one.type_);
        format!("{}{}", status.phase.unwrap(), bad.map(|kind| format!(" !{kind}")).collect::<String>())
    }
}

/// Each line: what happens (several joined by `; `), and what the node does.
fn check(spec: &str, script: &[(&str, &str)]) -> Scene {
    let mut scene = Scene::new(spec);
    for (number, (happening, expected)) in script.iter().enumerate() {
        happening.split("; ").filter(|what| !what.is_empty()).for_each(|what| scene.happen(what));
        assert_eq!(scene.steps(), *expected, "line {number}: {happening}");
    }
    scene
}

const ONE: &str = "{containers: [{name: a, image: x}]}";
const UP: [(&str, &str); 5] =
    [("", "mount"), ("mounted", "sandbox"), ("sandbox", "pull a"), ("pulled a", "start a"), ("started a", "")];

fn after_up<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    UP.iter().chain(more).copied().collect()
}

#[test]
fn a_pod_comes_to_life_one_state_at_a_time() {
    assert_eq!(check(ONE, &UP).phase(), "Running");
    let two = "{containers: [{name: a, image: x}, {name: b, image: y}]}";
    let scene = check(
        two,
        &[
            ("", "mount"),
            ("mounted", "sandbox"),
            ("sandbox", "pull a, pull b"),
            ("pulled b", "start b"),
            ("pulled a", ""),
            ("started b", "start a"),
        ],
    );
    assert_eq!(scene.phase(), "Pending !Ready !ContainersReady");
}

#[test]
fn a_container_that_ends_runs_again_with_a_growing_wait() {
    let script = after_up(&[
        ("exit a 1", "pull a"),
        ("pulled a", "start a"),
        ("started a; +1s; exit a 1", "wake +10s"),
        ("+10s", "pull a"),
        ("pulled a", "start a"),
        ("started a; +1s; exit a 1", "wake +20s"),
        ("+20s", "pull a"),
        ("pulled a", "start a"),
        ("started a; +601s; exit a 1", "pull a"),
    ]);
    assert_eq!(check(ONE, &script).seen.containers[0].attempt, 4);
}

#[test]
fn policies_decide_what_runs_again() {
    for (policy, code, does, phase) in [
        ("Always", 0, "pull a", "Pending !Ready !ContainersReady"),
        ("OnFailure", 0, "release", "Succeeded !Ready !ContainersReady"),
        ("OnFailure", 1, "pull a", "Pending !Ready !ContainersReady"),
        ("Never", 0, "release", "Succeeded !Ready !ContainersReady"),
        ("Never", 1, "release", "Failed !Ready !ContainersReady"),
    ] {
        let spec = format!("{{restartPolicy: {policy}, containers: [{{name: a, image: x}}]}}");
        let exit = format!("exit a {code}");
        let scene = check(&spec, &after_up(&[(&exit, does)]));
        let phase = phase.replace("Pending", "Running");
        assert_eq!(scene.phase(), phase, "{policy} {code}");
    }
    let rules = "{restartPolicy: Never, containers: [{name: a, image: x, restartPolicy: Never, \
                 restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]}]}";
    check(rules, &after_up(&[("exit a 42", "pull a")]));
    check(rules, &after_up(&[("exit a 1", "release")]));
}

#[test]
fn init_containers_come_first_and_sidecars_stay() {
    let spec = "{initContainers: [{name: i, image: x}, {name: s, image: x, restartPolicy: Always, \
                startupProbe: {exec: {command: [x]}}}], containers: [{name: a, image: x}]}";
    let start = [
        ("", "mount"),
        ("mounted", "sandbox"),
        ("sandbox", "pull i"),
        ("pulled i", "start i"),
        ("started i", ""),
        ("exit i 1", "pull i"),
        ("pulled i", "start i"),
        ("started i; exit i 0", "pull s"),
        ("pulled s", "start s"),
        ("started s", ""),
        ("up s", "pull a"),
        ("pulled a", "start a"),
        ("started a", ""),
    ];
    assert_eq!(check(spec, &start).phase(), "Running");
    assert_eq!(check(spec, &start[..10]).phase(), "Pending !Initialized !Ready !ContainersReady");
    let and = |more: &[(&'static str, &'static str)]| start.iter().chain(more).copied().collect::<Vec<_>>();
    check(spec, &and(&[("exit s 0", "pull s"), ("pulled s", "start s")]));
    // Sidecars end after the containers they serve.
    check(
        spec,
        &and(&[
            ("delete 30", "stop a 30s, hold s, wake +30s"),
            ("+10s; exit a 0", "stop s 20s"),
            ("exit s 0", "remove"),
            ("removed", "unmount"),
            ("unmounted", "delete"),
        ]),
    );
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let spec = "{restartPolicy: Never, initContainers: [{name: i, image: x}], containers: [{name: a, image: x}]}";
    let scene = check(
        spec,
        &[
            ("", "mount"),
            ("mounted", "sandbox"),
            ("sandbox", "pull i"),
            ("pulled i", "start i"),
            ("started i", ""),
            ("exit i 1", "release"),
        ],
    );
    assert_eq!(scene.phase(), "Failed !Initialized !Ready !ContainersReady");
}

#[test]
fn an_image_that_is_not_there_is_asked_for_again_and_again() {
    let scene = check(
        ONE,
        &[
            ("mounted; sandbox", "pull a"),
            ("unpulled a", "wake +1s"),
            ("+1s", "show back-off a, wake +9s"),
            ("+9s", "pull a"),
            ("unpulled a", "wake +1s"),
            ("+1s", "show back-off a, wake +19s"),
            ("+19s", "pull a"),
            ("pulled a", "start a"),
        ],
    );
    assert_eq!(scene.phase(), "Pending !Ready !ContainersReady");
}

#[test]
fn trouble_with_volumes_and_starts_is_waited_out() {
    check(ONE, &[("", "mount"), ("unmountable", "wake +0s"), ("+1s", "mount"), ("mounted", "sandbox")]);
    check(
        ONE,
        &[("mounted; sandbox", "pull a"), ("pulled a", "start a"), ("unstarted a", "wake +10s"), ("+10s", "start a")],
    );
}

#[test]
fn hooks_run_after_the_start_and_before_the_end() {
    let spec = "{containers: [{name: a, image: x, lifecycle: {postStart: {sleep: {seconds: 1}}, \
                preStop: {sleep: {seconds: 1}}}}]}";
    let up = [("mounted; sandbox", "pull a"), ("pulled a", "start a"), ("started a", "post-start a"), ("hook a", "")];
    let and = |more: &[(&'static str, &'static str)]| up.iter().chain(more).copied().collect::<Vec<_>>();
    check(spec, &and(&[("delete 30", "pre-stop a, wake +30s"), ("+5s; prestopped a", "stop a 25s")]));
    check(spec, &and(&[("delete 30", "pre-stop a, wake +30s"), ("+30s", "stop a 2s")]));
    check(spec, &and(&[("delete 30", "pre-stop a, wake +30s"), ("delete 0", "stop a 0s")]));
    check(spec, &and(&[("delete 0", "stop a 0s")]));
    check(
        spec,
        &and(&[("delete 30", "pre-stop a, wake +30s"), ("prestopped a", "stop a 30s"), ("delete 5", "stop a 5s")]),
    );
    check(
        spec,
        &[
            ("mounted; sandbox", "pull a"),
            ("pulled a", "start a"),
            ("started a", "post-start a"),
            ("unhooked a", "pre-stop a, wake +30s"),
        ],
    );
}

#[test]
fn a_sick_container_is_ended_and_runs_again() {
    check(ONE, &after_up(&[("sick a", "stop a 30s"), ("exit a 137", "pull a"), ("pulled a", "start a")]));
}

#[test]
fn a_deleted_pod_leaves_nothing_behind() {
    check(ONE, &[("", "mount"), ("delete 30", ""), ("mounted", "unmount"), ("unmounted", "delete")]);
    check(
        ONE,
        &after_up(&[
            ("delete 30", "stop a 30s"),
            ("exit a 0", "remove"),
            ("removed", "unmount"),
            ("unmounted", "delete"),
        ]),
    );
    check(
        ONE,
        &after_up(&[("gone", "stop a 0s"), ("exit a 137", "remove"), ("removed", "unmount"), ("unmounted", "forget")]),
    );
}

#[test]
fn a_pod_past_its_deadline_fails() {
    let spec = "{activeDeadlineSeconds: 60, containers: [{name: a, image: x}]}";
    let mut scene = check(
        spec,
        &[
            ("mounted; sandbox", "pull a, wake +60s"),
            ("pulled a", "start a, wake +60s"),
            ("started a", "wake +60s"),
            ("+60s", "end DeadlineExceeded, stop a 30s"),
        ],
    );
    // It has failed when nothing of it runs any more, whatever its containers make of it, and whoever deletes it meanwhile.
    scene.pod.status.get_or_insert_default().phase = Some("Running".to_owned());
    assert_eq!(scene.phase(), "Running !Ready !ContainersReady");
    ["exit a 143", "released"].into_iter().for_each(|what| scene.happen(what));
    assert_eq!(scene.phase(), "Failed !PodReadyToStartContainers !Ready !ContainersReady");
    let ends = |more: &str| {
        let mut scene = Scene::new(spec);
        for what in ["mounted", "sandbox", "pulled a", "started a", "+60s"] {
            scene.happen(what);
            scene.steps();
        }
        more.split("; ").for_each(|what| scene.happen(what));
        (scene.steps(), scene.shown())
    };
    let failed = || "Failed DeadlineExceeded; a Completed 0".to_owned();
    assert_eq!(ends("exit a 0"), ("release".to_owned(), failed()));
    assert_eq!(ends("delete 30; exit a 0"), ("remove".to_owned(), failed()));
}

/// What a pod shows after all of this has happened.
#[track_caller]
fn check_shown(spec: &str, happenings: &str, expected: &str) {
    let mut scene = Scene::new(spec);
    scene.steps();
    for what in happenings.split("; ") {
        scene.happen(what);
        scene.steps();
    }
    assert_eq!(scene.shown(), expected, "{happenings}");
}

#[test]
fn a_status_tells_how_each_container_is() {
    const UP: &str = "mounted; sandbox; pulled a; started a";
    let up = |more: &str| format!("{UP}; {more}");
    check_shown(ONE, "mounted", "Pending; a ContainerCreating");
    check_shown(ONE, UP, "Running; a runs");
    check_shown(ONE, &up("exit a 1"), "Running; a ContainerCreating after Error 1");
    check_shown(ONE, &up("exit a 1; unpulled a"), "Running; a ErrImagePull after Error 1");
    check_shown(ONE, &up("exit a 1; pulled a; started a"), "Running; a runs x1 after Error 1");
    let again = up("exit a 1; pulled a; started a; +1s; exit a 2");
    check_shown(ONE, &again, "Running; a CrashLoopBackOff x1 after Error 2");
    // Whoever waits while a pod with init containers begins, waits for them.
    let init = "{initContainers: [{name: i, image: x}], containers: [{name: b, image: x}, {name: a, image: x}]}";
    check_shown(init, "mounted", "Pending; i PodInitializing; a PodInitializing; b PodInitializing");
    let main = "mounted; sandbox; pulled i; started i; exit i 0; pulled b";
    check_shown(init, main, "Pending; i Completed 0; a PodInitializing; b PodInitializing");
    // A container that never began did not end well either.
    check_shown(ONE, "mounted; sandbox; unpulled a; delete 30", "Failed; a ContainerStatusUnknown 137");
    let stuck = "Failed; i ContainerStatusUnknown 137; a PodInitializing; b PodInitializing";
    check_shown(init, "mounted; sandbox; unpulled i; delete 30", stuck);
    let half = format!("{main}; started b; unpulled a; delete 30; exit b 0");
    check_shown(init, &half, "Failed; i Completed 0; a ContainerStatusUnknown 137; b Completed 0");
}

#[test]
fn a_pod_is_over_when_its_sidecars_are() {
    let spec = "{restartPolicy: Never, initContainers: [{name: s, image: x, restartPolicy: Always, lifecycle: {preStop: \
                {sleep: {seconds: 1}}}}], containers: [{name: a, image: x}]}";
    let up = [
        ("mounted; sandbox", "pull s"),
        ("pulled s", "start s"),
        ("started s", "pull a"),
        ("pulled a", "start a"),
        ("started a", ""),
    ];
    let scene = |more: &[(&str, &str)]| check(spec, &[&up[..], more].concat());
    assert_eq!(scene(&[("exit a 0", "pre-stop s, wake +30s")]).shown(), "Running; s runs; a Completed 0");
    let over = [("exit a 0", "pre-stop s, wake +30s"), ("prestopped s", "stop s 30s"), ("exit s 137", "release")];
    assert_eq!(scene(&over).shown(), "Succeeded; s Error 137; a Completed 0");
    // Its hook runs beside those it serves; it ends after them, or when their time is up.
    scene(&[
        ("delete 30", "stop a 30s, pre-stop s, wake +30s"),
        ("prestopped s", "wake +30s"),
        ("+10s; exit a 0", "stop s 20s"),
    ]);
    scene(&[("delete 30", "stop a 30s, pre-stop s, wake +30s"), ("prestopped s", "wake +30s"), ("+30s", "stop s 2s")]);
}

#[test]
fn a_new_sandbox_is_initialized_again() {
    let spec = "{initContainers: [{name: i, image: x}], containers: [{name: a, image: x}]}";
    let up = "mounted; sandbox; pulled i; started i; exit i 0; pulled a; started a";
    check_shown(
        spec,
        &format!("{up}; lost"),
        "Running; i PodInitializing after Completed 0; a PodInitializing after ContainerStatusUnknown 137",
    );
    let mut scene =
        check(spec, &[("mounted; sandbox", "pull i"), ("pulled i", "start i"), ("started i; exit i 0", "pull a")]);
    scene.happen("pulled a");
    assert_eq!(scene.steps(), "start a");
    scene.happen("started a");
    scene.happen("lost");
    assert_eq!(scene.steps(), "sandbox");
    scene.happen("sandbox");
    assert_eq!(scene.steps(), "pull i");
}

#[test]
fn people_are_told_in_upstreams_words() {
    let told = |spec: &str, happenings: &str| {
        let mut scene = Scene::new(spec);
        scene.steps();
        for what in happenings.split("; ") {
            scene.happen(what);
            scene.steps();
        }
        scene.told.last().map(|tell| format!("{}: {}", tell.reason, tell.note)).unwrap()
    };
    let policy = |policy: &str| format!("{{restartPolicy: {policy}, containers: [{{name: a, image: x}}]}}");
    let up = "mounted; sandbox; pulled a; started a";
    let sick = format!("{up}; sick a");
    assert_eq!(told(&policy("Always"), &sick), "Killing: Container a failed liveness probe, will be restarted");
    assert_eq!(told(&policy("Never"), &sick), "Killing: Container a failed liveness probe");
    assert_eq!(told(ONE, &format!("{up}; delete 30")), "Killing: Stopping container a");
    let sidecar = "{initContainers: [{name: s, image: x, restartPolicy: Always}], containers: [{name: a, image: x}]}";
    let sick = "mounted; sandbox; pulled s; started s; sick s";
    assert_eq!(told(sidecar, sick), "Killing: Init container s failed liveness probe");
    let hooks = "{containers: [{name: a, image: x, lifecycle: {postStart: {sleep: {seconds: 1}}}}]}";
    let mut scene = Scene::new(hooks);
    scene.steps();
    for what in up.split("; ").chain(["unhooked a"]) {
        scene.happen(what);
        scene.steps();
    }
    let last: Vec<_> = scene.told.iter().rev().take(2).map(|tell| tell.note.as_str()).collect();
    assert_eq!(last, ["FailedPostStartHook", "PostStartHook failed"]);
}

#[test]
fn the_same_pod_seen_the_same_way_gets_the_same_step() {
    let scene = check(ONE, &UP);
    let once = || step(&scene.pod, &scene.members, &scene.seen, after(scene.now, Duration::from_secs(5)));
    assert_eq!(once(), once());
}

#[test]
fn a_crash_loop_is_told_and_shown() {
    let mut scene = check(ONE, &after_up(&[("exit a 1", "pull a"), ("pulled a", "start a"), ("started a; +1s", "")]));
    let exit = Exit {
        code: 1,
        signal: 0,
        out_of_memory: false,
        started_at: scene.now,
        finished_at: scene.now,
        message: String::new(),
    };
    let outcome = Outcome::Exited(scene.id("a"), exit, "bye".into());
    let tells = scene.seen.apply(outcome, &scene.pod, &scene.members, scene.now);
    let note = "Back-off restarting failed container a in pod web_ns(u)";
    assert_eq!(tells, [Tell::warning(Some(0), "BackOff", note)]);
    let place = Place { host_addresses: vec!["1.2.3.4".into()], runtime: "test".into() };
    let status = generate(&scene.pod, &scene.members, &scene.seen, &place, scene.now);
    let container = &status.container_statuses.unwrap()[0];
    let waiting = container.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(waiting.message.as_deref(), Some("back-off 10s restarting failed container=a pod=web_ns(u)"));
    let last = container.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.message.as_deref(), last.reason.as_deref()), (1, Some("bye"), Some("Error")));
    assert_eq!((container.restart_count, container.container_id.as_deref()), (1, Some("test://a2")));
}

#[test]
fn resources_change_while_a_container_runs() {
    let spec = "{containers: [{name: a, image: x, resources: {requests: {cpu: 1, memory: 1Gi}}, \
                resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]}]}";
    let up = [("", "mount"), ("mounted", "sandbox"), ("sandbox", "pull a"), ("pulled a", "start a"), ("started a", "")];
    let scene = |script: &[(&str, &str)]| check(spec, &[&up[..], script].concat());
    scene(&[("give a cpu=2", "resize a"), ("resized a", "resized"), ("give a cpu=2000m", "resized")]);
    scene(&[("give a cpu=2", "resize a"), ("give a cpu=3", ""), ("resized a", "resized")]);
    scene(&[
        ("give a cpu=2", "resize a"),
        ("unresized a", "wake +10s"),
        ("+10s", "resize a"),
        ("resized a", "resized"),
    ]);
    scene(&[
        ("give a memory=2Gi", "stop a 30s"),
        ("exit a 0", "resized, pull a"),
        ("pulled a", "start a"),
        ("started a; give a cpu=1", "resized"),
    ]);
    let shown = |scene: &Scene| {
        let place = Place { runtime: "test".into(), ..Place::default() };
        let status = generate(&scene.pod, &scene.members, &scene.seen, &place, scene.now);
        let conditions = status.conditions.unwrap().into_iter().filter(|it| it.type_.starts_with("PodResize"));
        let conditions = conditions.map(|it| format!("{} {:?} {:?}", it.type_, it.reason, it.message));
        let container = status.container_statuses.unwrap()[0].clone();
        let cpu = |list: Option<BTreeMap<String, QuantityText>>| list.unwrap()["cpu"].0.clone();
        let (given, in_force) = (cpu(container.allocated_resources), cpu(container.resources.unwrap().requests));
        format!("given {given}, in force {in_force} {}", conditions.collect::<Vec<_>>().join(", "))
    };
    let under_way = scene(&[("give a cpu=2", "resize a")]);
    assert_eq!(shown(&under_way), "given 2, in force 1 PodResizeInProgress None None");
    let failed = scene(&[("give a cpu=2", "resize a"), ("unresized a", "wake +10s")]);
    assert_eq!(shown(&failed), "given 2, in force 1 PodResizeInProgress Some(\"Error\") Some(\"no\")");
    let done = scene(&[("give a cpu=2", "resize a"), ("resized a", "resized")]);
    assert_eq!(shown(&done), "given 2, in force 2 ");
}

#[test]
fn a_person_can_look_at_a_pod_that_does_not_start() {
    let spec = "{initContainers: [{name: i, image: x}], containers: [{name: a, image: x}], \
                ephemeralContainers: [{name: e, image: x}]}";
    check(
        spec,
        &[
            ("", "mount"),
            ("mounted", "sandbox"),
            ("sandbox", "pull e, pull i"),
            ("pulled e; pulled i", "start e"),
            ("started e", "start i"),
            ("started i; exit e 1", ""),
            ("exit i 0", "pull a"),
        ],
    );
}

#[test]
fn a_node_takes_only_what_fits() {
    use super::admission::{Demand, admit};
    let node = "{metadata: {name: n, labels: {zone: a}}, spec: {taints: [{key: t, effect: NoExecute}]}, \
                status: {allocatable: {cpu: '2', memory: 1Gi, pods: '2'}}}";
    let node = serde_saphyr::from_str(node).unwrap();
    let tolerate = "tolerations: [{operator: Exists}]";
    let cpu = |amount: &str| format!("containers: [{{name: a, resources: {{requests: {{cpu: {amount}}}}}}}]");
    let taken = [Demand::of(&Scene::new(&format!("{{{}}}", cpu("1500m"))).pod)];
    let port = "containers: [{name: a, ports: [{containerPort: 80, hostPort: 80}]}]";
    let port_taken = [Demand::of(&Scene::new(&format!("{{{port}}}")).pod)];
    for (spec, taken, expected) in [
        (format!("{{{tolerate}, {}}}", cpu("500m")), &taken[..], None),
        (
            format!("{{{tolerate}, {}}}", cpu("1")),
            &taken,
            Some(("OutOfcpu", "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000")),
        ),
        (
            format!("{{{tolerate}, containers: []}}"),
            &[taken[0].clone(), taken[0].clone()],
            Some(("OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2")),
        ),
        (
            format!("{{{tolerate}, {port}}}"),
            &port_taken,
            Some((
                "NodePorts",
                "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
            )),
        ),
        (
            format!("{{{tolerate}, nodeSelector: {{zone: b}}, containers: []}}"),
            &[],
            Some(("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")),
        ),
        (
            "{containers: []}".to_owned(),
            &[],
            Some((
                "TaintToleration",
                "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            )),
        ),
    ] {
        let pod = Scene::new(&spec).pod;
        let found = admit(&pod, &Demand::of(&pod), &node, taken.iter());
        let found = found.err().map(|rejection| (rejection.reason, rejection.message));
        assert_eq!(found, expected.map(|(reason, message)| (reason.to_owned(), message.to_owned())), "{spec}");
    }
}
