//! One function per rule; its name is the rule.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::Wrong;
use super::bench::{Bench, end_of, ensure};
use crate::runtime::{ContainerId, ContainerState, LogOptions, Runtime, RuntimeError, SandboxId};

type Rule = Result<(), Wrong>;

const GRACE: Duration = Duration::from_secs(30);

pub(super) async fn a_sandbox_is_started_once<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let first = bench.start_sandbox("pod", &bench.workloads.forever).await?;
    let second = bench.start_sandbox("pod", &bench.workloads.forever).await?;
    ensure(first.id == second.id, || format!("{} became {}", first.id, second.id))?;
    ensure(first.addresses == second.addresses, || "its addresses changed".into())?;
    let listed = bench.runtime.list().await?.len();
    ensure(listed == 1, || format!("{listed} sandboxes"))
}

pub(super) async fn a_container_runs_until_it_is_stopped<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let mut events = bench.runtime.events();
    let (_, id) = bench.run(&bench.workloads.forever).await?;
    let status = bench.listed(&id).await?;
    let runs = status.as_ref().is_some_and(|status| matches!(status.state, ContainerState::Running { .. }));
    ensure(runs, || format!("started, and is {status:?}"))?;
    bench.runtime.stop(&id, GRACE).await?;
    let status = bench.listed(&id).await?;
    let ended = status.as_ref().is_some_and(|status| matches!(status.state, ContainerState::Exited(_)));
    ensure(ended, || format!("stopped, and is {status:?}"))?;
    let exit = end_of(&mut events, &id).await?;
    ensure(exit.finished_at >= exit.started_at, || format!("ended before it began: {exit:?}"))
}

pub(super) async fn an_exit_code_is_told<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (_, _, exit) = bench.run_to_end(&bench.workloads.ends_with_three).await?;
    ensure(exit.code == 3, || format!("expected code 3: {exit:?}"))
}

pub(super) async fn each_start_and_each_end_is_told_once<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let mut events = bench.runtime.events();
    let (sandbox, id) = bench.run(&bench.workloads.ends_with_three).await?;
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        ensure(event.container == id && event.uid == sandbox.uid, || format!("of another: {event:?}"))?;
        told.push(event.state);
        if matches!(told.last(), Some(ContainerState::Exited(_))) {
            break;
        }
    }
    bench.runtime.stop(&id, GRACE).await?;
    bench.runtime.remove_sandbox(&sandbox.id).await?;
    told.extend(std::iter::from_fn(|| events.next().now_or_never().flatten()).map(|event| event.state));
    let right = matches!(told.as_slice(), [ContainerState::Running { .. }, ContainerState::Exited(_)]);
    ensure(right, || format!("told {told:?}"))
}

pub(super) async fn starting_the_same_run_twice_starts_it_once<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (sandbox, first) = bench.run(&bench.workloads.forever).await?;
    let second = bench.start(&sandbox, &bench.workloads.forever, 0).await?;
    ensure(first == second, || format!("{first} became {second}"))?;
    let containers: usize = bench.runtime.list().await?.iter().map(|sandbox| sandbox.containers.len()).sum();
    ensure(containers == 1, || format!("{containers} containers"))
}

pub(super) async fn the_runs_of_a_container_are_apart<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (sandbox, first, _) = bench.run_to_end(&bench.workloads.ends_with_three).await?;
    let mut events = bench.runtime.events();
    let second = bench.start(&sandbox, &bench.workloads.ends_with_three, 1).await?;
    end_of(&mut events, &second).await?;
    ensure(first != second, || format!("both are {first}"))?;
    let attempts =
        [bench.listed(&first).await?, bench.listed(&second).await?].map(|status| status.map(|it| it.attempt));
    ensure(attempts == [Some(0), Some(1)], || format!("attempts {attempts:?}"))
}

pub(super) async fn stopping_what_has_ended_is_no_error<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (_, id, exit) = bench.run_to_end(&bench.workloads.ends_with_three).await?;
    bench.runtime.stop(&id, GRACE).await?;
    bench.runtime.stop(&id, Duration::ZERO).await?;
    let state = bench.listed(&id).await?.map(|status| status.state);
    ensure(state == Some(ContainerState::Exited(exit)), || format!("its end became {state:?}"))
}

pub(super) async fn what_is_unknown_is_not_found<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let stopped = bench.runtime.stop(&ContainerId("nobody.0.main.0".into()), GRACE).await;
    ensure(matches!(stopped, Err(RuntimeError::NotFound(_))), || format!("stopping it: {stopped:?}"))?;
    let sandbox = bench.start_sandbox("pod", &bench.workloads.forever).await?;
    bench.runtime.remove_sandbox(&sandbox.id).await?;
    let spec = bench.spec(&sandbox, &bench.workloads.forever, 0).await?;
    let started = bench.runtime.start(&spec).await;
    ensure(matches!(started, Err(RuntimeError::NotFound(_))), || format!("starting in it: {started:?}"))
}

pub(super) async fn a_running_container_is_not_forgotten<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (_, id) = bench.run(&bench.workloads.forever).await?;
    ensure(bench.runtime.remove_container(&id).await.is_err(), || "it was".into())?;
    let listed = bench.listed(&id).await?;
    ensure(listed.is_some(), || "it was refused, and forgotten all the same".into())
}

pub(super) async fn forgetting_twice_is_no_error<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (sandbox, id, _) = bench.run_to_end(&bench.workloads.ends_with_three).await?;
    bench.runtime.remove_container(&id).await?;
    ensure(bench.listed(&id).await?.is_none(), || "it is still listed".into())?;
    bench.runtime.remove_container(&id).await?;
    bench.runtime.remove_sandbox(&sandbox.id).await?;
    bench.runtime.remove_sandbox(&sandbox.id).await?;
    Ok(bench.runtime.remove_sandbox(&SandboxId("nobody.0".into())).await?)
}

pub(super) async fn a_released_sandbox_has_no_address_and_keeps_its_containers<R: Runtime>(
    bench: &Bench<'_, R>,
) -> Rule {
    let (sandbox, id, _) = bench.run_to_end(&bench.workloads.ends_with_three).await?;
    bench.runtime.release_sandbox(&sandbox.id).await?;
    bench.runtime.release_sandbox(&sandbox.id).await?;
    let listed = bench.runtime.list().await?;
    let held: Vec<_> = listed.iter().flat_map(|sandbox| &sandbox.addresses).collect();
    ensure(held.is_empty(), || format!("it still has {held:?}"))?;
    ensure(bench.listed(&id).await?.is_some(), || "its container is gone".into())?;
    Ok(bench.runtime.release_sandbox(&SandboxId("nobody.0".into())).await?)
}

pub(super) async fn a_removed_sandbox_leaves_nothing<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let mut events = bench.runtime.events();
    let (sandbox, id) = bench.run(&bench.workloads.forever).await?;
    bench.runtime.remove_sandbox(&sandbox.id).await?;
    end_of(&mut events, &id).await?;
    let left = bench.runtime.list().await?;
    ensure(left.is_empty(), || format!("left: {left:?}"))
}

pub(super) async fn two_pods_are_apart<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let workload = &bench.workloads.forever;
    let (one, other) = (bench.start_sandbox("one", workload).await?, bench.start_sandbox("other", workload).await?);
    ensure(one.id != other.id, || format!("both are {}", one.id))?;
    let (first, second) = (bench.start(&one, workload, 0).await?, bench.start(&other, workload, 0).await?);
    bench.runtime.remove_sandbox(&one.id).await?;
    ensure(bench.listed(&first).await?.is_none(), || "the removed one is listed".into())?;
    let state = bench.listed(&second).await?.map(|status| status.state);
    ensure(matches!(state, Some(ContainerState::Running { .. })), || format!("the other one is {state:?}"))
}

pub(super) async fn what_is_listed_is_what_was_told<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (sandbox, id, exit) = bench.run_to_end(&bench.workloads.ends_with_three).await?;
    let listed = bench.runtime.list().await?;
    let same = listed.iter().find(|listed| listed.uid == sandbox.uid && listed.attempt == 0);
    let status = same.and_then(|sandbox| sandbox.containers.iter().find(|container| container.id == id));
    let right = status.is_some_and(|status| status.name == "main" && status.state == ContainerState::Exited(exit));
    ensure(right, || format!("listed {listed:?}"))
}

pub(super) async fn printed_lines_can_be_read<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let (Some(logs), Some(workload)) = (bench.runtime.logs(), &bench.workloads.prints) else { return Ok(()) };
    let (_, id, exit) = bench.run_to_end(workload).await?;
    let last = LogOptions { tail: Some(1), ..LogOptions::default() };
    let none = LogOptions { tail: Some(0), ..LogOptions::default() };
    let since = LogOptions { since: Some(exit.started_at), ..LogOptions::default() };
    let both = vec!["one\n", "two\n"];
    for (options, expected) in
        [(LogOptions::default(), both.clone()), (last, vec!["two\n"]), (none, vec![]), (since, both)]
    {
        let lines: Vec<_> = logs.logs(&id, options.clone()).await?.try_collect().await?;
        let texts: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.text)).collect();
        ensure(texts == expected, || format!("{options:?} gave {texts:?}"))?;
    }
    Ok(())
}

pub(super) async fn following_ends_with_the_container<R: Runtime>(bench: &Bench<'_, R>) -> Rule {
    let Some(logs) = bench.runtime.logs() else { return Ok(()) };
    let (_, id) = bench.run(&bench.workloads.forever).await?;
    let lines = logs.logs(&id, LogOptions { follow: true, ..LogOptions::default() }).await?;
    let (lines, stopped) = futures::join!(lines.collect::<Vec<_>>(), bench.runtime.stop(&id, GRACE));
    stopped?;
    ensure(lines.iter().all(Result::is_ok), || format!("{lines:?}"))
}
