use std::fmt::Write as _;

use coracle_core::ObjectKey;
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::decide::decide;
use super::history::History;
use super::measure::{Measured, Measurement, Sample};
use super::target::Target;
use super::{Settings, plan};
use crate::testing::Small;

/// An autoscaler `web` of a Deployment `web`, whose pods each request 100m of CPU.
pub(super) struct Case {
    pub(super) small: Small,
    history: History,
}

pub(super) const CPU_AT_50: &str =
    "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]";

impl Case {
    pub(super) fn new(spec: &str, replicas: i32) -> Self {
        let mut small = Small::new(&format!(
            "{{kind: HorizontalPodAutoscaler, metadata: {{name: web, generation: 1}}, spec: {{maxReplicas: 10, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, {spec}}}}}\n---\n\
             {{kind: Deployment, metadata: {{name: web}}, spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: web}}}}, template: {{}}}}, status: {{replicas: {replicas}}}}}\n---\n"
        ));
        for number in 0..replicas {
            small.add(&pod(&format!("web-{number}"), "ready"));
        }
        Self { small, history: History::default() }
    }

    pub(super) fn size(&self) -> i32 {
        self.small.get::<Deployment>("web").spec.as_ref().unwrap().replicas.unwrap()
    }

    pub(super) fn later(&mut self, seconds: i64) -> &mut Self {
        self.small.now += SignedDuration::from_secs(seconds);
        self
    }

    /// One look, with pods as they are; what follows takes effect.
    pub(super) fn look(&mut self, measured: &[Measured]) -> String {
        let autoscaler = self.small.get::<HorizontalPodAutoscaler>("web");
        let target = Target::find(&autoscaler, &self.small.world);
        let now = self.small.now;
        let settings = Settings::default();
        let decision = decide(&autoscaler, &target, measured, &mut self.history, &settings, now);
        let mut text = String::new();
        for (severity, reason, note) in &decision.tell {
            writeln!(text, "{} {reason}: {note}", severity.as_str()).unwrap();
        }
        if let Some(rescale) = &decision.rescale {
            let before = target.as_ref().unwrap().replicas();
            writeln!(text, "{before} -> {}: {}", rescale.to, rescale.reason).unwrap();
            self.history.scaled(rescale.to - before, now);
            let to = rescale.to;
            self.small.edit::<Deployment>("web", |web| {
                web.spec.as_mut().unwrap().replicas = Some(to);
                web.status.as_mut().unwrap().replicas = Some(to);
            });
            for number in before..to {
                self.small.add(&pod(&format!("web-{number}"), "ready"));
            }
            for number in to..before {
                let (key, revision) =
                    (ObjectKey::new("default", &format!("web-{number}")), self.small.world.revision());
                let pods = coracle_core::GroupResource::of::<k8s_openapi::api::core::v1::Pod>();
                self.small.world.remove(&pods, &key, revision.next());
            }
        }
        for condition in decision.status.conditions.iter().flatten() {
            writeln!(text, "{}={}/{}", condition.type_, condition.status, condition.reason.as_deref().unwrap())
                .unwrap();
        }
        let status = decision.status.clone();
        let plan = plan(&autoscaler, target.as_ref().ok(), decision, &settings, now);
        assert!(plan.requests().count() <= 2);
        self.small.edit::<HorizontalPodAutoscaler>("web", |web| web.status = Some(status));
        text
    }
}

fn pod(name: &str, state: &str) -> String {
    let (phase, ready, since, mark) = match state {
        "ready" => ("Running", "True", "11:00:00Z", ""),
        "unready" => ("Running", "False", "11:59:50Z", ""),
        "pending" => ("Pending", "False", "11:59:50Z", ""),
        "failed" => ("Failed", "False", "11:00:00Z", ""),
        _ => ("Running", "True", "11:00:00Z", ", deletionTimestamp: '2030-01-01T12:00:00Z'"),
    };
    let time = format!("'2030-01-01T{since}'");
    format!(
        "{{kind: Pod, metadata: {{name: {name}, labels: {{app: web}}{mark}}}, spec: {{containers: [{{name: c, resources: {{requests: {{cpu: 100m}}}}}}]}}, \
         status: {{phase: {phase}, startTime: {time}, conditions: [{{type: Ready, status: '{ready}', lastTransitionTime: {time}}}]}}}}\n---\n"
    )
}

/// What the pods `web-0`, `web-1` and so on use, in thousandths; negative where nobody knows.
pub(super) fn used(milli: &[i64]) -> Measured {
    let (at, window) = (crate::testing::noon(), SignedDuration::ZERO);
    let known = milli.iter().enumerate().filter(|(_, milli)| **milli >= 0);
    let samples = known.map(|(number, milli)| (format!("web-{number}"), Sample { milli: *milli, at, window }));
    Ok(Measurement::Pods(samples.collect()))
}

fn value(milli: i64) -> Measured {
    Ok(Measurement::Value(milli))
}

fn check(spec: &str, replicas: i32, measured: &[Measured], expected: Expect) {
    expected.assert_eq(&Case::new(spec, replicas).look(measured));
}

/// The size after a look.
pub(super) fn size(spec: &str, replicas: i32, measured: &[Measured]) -> i32 {
    let mut case = Case::new(spec, replicas);
    case.look(measured);
    case.size()
}

#[test]
fn use_above_and_below_the_target() {
    check(
        CPU_AT_50,
        3,
        &[used(&[100, 100, 100])],
        expect![[r#"
        3 -> 6: cpu resource utilization (percentage of request) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        CPU_AT_50,
        3,
        &[used(&[54, 54, 54])],
        expect![[r#"
        AbleToScale=True/ReadyForNewScale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        CPU_AT_50,
        3,
        &[used(&[500, 500, 500])],
        expect![[r#"
        3 -> 6: cpu resource utilization (percentage of request) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=True/ScaleUpLimit
    "#]],
    );
    check(
        CPU_AT_50,
        6,
        &[used(&[500; 6])],
        expect![[r#"
        6 -> 10: cpu resource utilization (percentage of request) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=True/TooManyReplicas
    "#]],
    );
    check(
        CPU_AT_50,
        12,
        &[used(&[10; 12])],
        expect![[r#"
        12 -> 10: Current number of replicas above Spec.MaxReplicas
        AbleToScale=True/SucceededRescale
    "#]],
    );
    check(
        &format!("minReplicas: 2, {CPU_AT_50}"),
        1,
        &[used(&[10])],
        expect![[r#"
        1 -> 2: Current number of replicas below Spec.MinReplicas
        AbleToScale=True/SucceededRescale
    "#]],
    );
    check(
        CPU_AT_50,
        0,
        &[used(&[])],
        expect![[r#"
        AbleToScale=True/SucceededGetScale
        ScalingActive=False/ScalingDisabled
    "#]],
    );
}

#[test]
fn fewer_only_after_five_minutes_of_wanting_fewer() {
    let mut case = Case::new(CPU_AT_50, 4);
    expect![[r#"
        AbleToScale=True/ScaleDownStabilized
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]]
    .assert_eq(&case.look(&[used(&[10; 4])]));
    expect![[r#"
        AbleToScale=True/ScaleDownStabilized
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]]
    .assert_eq(&case.later(299).look(&[used(&[10; 4])]));
    expect![[r#"
        4 -> 1: All metrics below target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]]
    .assert_eq(&case.later(2).look(&[used(&[10; 4])]));
}

#[test]
fn pods_that_say_nothing_speak_against_change() {
    let two_known = |states: [&str; 2], milli: &[i64]| {
        let mut case = Case::new(CPU_AT_50, 2);
        case.history.recommended(0, case.small.now - SignedDuration::from_hours(1));
        case.small.add(&pod("web-2", states[0])).add(&pod("web-3", states[1]));
        case.look(&[used(milli)]).lines().next().unwrap().to_owned()
    };
    // Missing ones use nothing when more are wanted...
    assert_eq!(
        two_known(["ready", "ready"], &[200, 200, -1, -1]),
        "2 -> 4: cpu resource utilization (percentage of request) above target"
    );
    assert_eq!(two_known(["ready", "ready"], &[90, 90, -1, -1]), "AbleToScale=True/ReadyForNewScale");
    // ...and all they may when fewer are.
    assert_eq!(two_known(["ready", "ready"], &[10, 10, -1, -1]), "AbleToScale=True/ReadyForNewScale");
    // Unready and pending ones use nothing, whatever they say; ended and deleted ones do not count.
    assert_eq!(
        two_known(["unready", "pending"], &[120, 120, 900, -1]),
        "2 -> 4: cpu resource utilization (percentage of request) above target"
    );
    assert_eq!(
        two_known(["failed", "deleting"], &[75, 75, 900, 900]),
        "2 -> 3: cpu resource utilization (percentage of request) above target"
    );
}

#[test]
fn every_kind_of_metric() {
    let average = |kind: &str, source: &str| format!("metrics: [{{type: {kind}, {source}}}]");
    let target = "target: {type: AverageValue, averageValue: 100m}";
    let resource = average("Resource", &format!("resource: {{name: cpu, {target}}}"));
    let container = average(
        "ContainerResource",
        "containerResource: {name: cpu, container: c, target: {type: Utilization, averageUtilization: 50}}",
    );
    let pods = average("Pods", &format!("pods: {{metric: {{name: queries}}, {target}}}"));
    let object = |target: &str| {
        average(
            "Object",
            &format!("object: {{metric: {{name: hits}}, describedObject: {{kind: Service, name: web}}, {target}}}"),
        )
    };
    let external = |target: &str| {
        average(
            "External",
            &format!("external: {{metric: {{name: queue, selector: {{matchLabels: {{a: b}}}}}}, {target}}}"),
        )
    };
    let whole = "target: {type: Value, value: '10'}";
    check(
        &resource,
        2,
        &[used(&[200, 200])],
        expect![[r#"
        2 -> 4: cpu resource above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        &container,
        2,
        &[used(&[200, 200])],
        expect![[r#"
        2 -> 4: cpu container resource utilization (percentage of request) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=True/ScaleUpLimit
    "#]],
    );
    check(
        &pods,
        2,
        &[used(&[150, 150])],
        expect![[r#"
        2 -> 3: pods metric queries above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        &object(whole),
        2,
        &[value(20_000)],
        expect![[r#"
        2 -> 4: Service metric hits above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        &object(target),
        2,
        &[value(350)],
        expect![[r#"
        2 -> 4: external metric hits(nil) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        &external(whole),
        2,
        &[value(20_000)],
        expect![[r#"
        2 -> 4: external metric queue(&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    check(
        &external(target),
        2,
        &[value(350)],
        expect![[r#"
        2 -> 4: external metric queue(&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]],
    );
    let none = || Err("no metrics returned from some API".to_owned());
    let specs =
        [CPU_AT_50, &resource, &container, &pods, &object(whole), &object(target), &external(whole), &external(target)];
    let texts: String = specs.iter().map(|spec| Case::new(spec, 2).look(&[none()])).collect();
    let told: String = texts.split_inclusive('\n').filter(|line| line.contains(": ")).collect();
    expect![[r#"
        Warning FailedGetResourceMetric: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from some API
        Warning FailedGetResourceMetric: failed to get cpu usage: unable to get metrics for resource cpu: no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu usage: unable to get metrics for resource cpu: no metrics returned from some API
        Warning FailedGetContainerResourceMetric: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get cpu container metric value: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from some API
        Warning FailedGetPodsMetric: unable to get metric queries: no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get pods metric value: unable to get metric queries: no metrics returned from some API
        Warning FailedGetObjectMetric: unable to get metric hits: Service on default web/no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get object metric value: unable to get metric hits: Service on default web/no metrics returned from some API
        Warning FailedGetObjectMetric: unable to get metric hits: Service on default web/no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get object metric value: failed to get hits object metric: unable to get metric hits: Service on default web/no metrics returned from some API
        Warning FailedGetExternalMetric: unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}: no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric value: failed to get external metric queue: unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}: no metrics returned from some API
        Warning FailedGetExternalMetric: unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}: no metrics returned from some API
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric value: failed to get queue external metric: unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}: no metrics returned from some API
    "#]].assert_eq(&told);
}

#[test]
fn the_largest_wish_counts_and_silence_forbids_fewer() {
    let two = "metrics: [{type: Pods, pods: {metric: {name: queries}, target: {type: AverageValue, averageValue: 100m}}}, \
               {type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: '1'}}}]";
    assert_eq!(size(two, 3, &[used(&[200; 3]), value(4_000)]), 6);
    assert_eq!(size(two, 3, &[used(&[100; 3]), value(5_000)]), 5);
    assert_eq!(size(two, 3, &[used(&[100; 3]), Err("no".to_owned())]), 3);
    assert_eq!(size(two, 3, &[used(&[200; 3]), Err("no".to_owned())]), 6);
    check(
        two,
        3,
        &[used(&[10; 3]), Err("no".to_owned())],
        expect![[r#"
        Warning FailedGetExternalMetric: unable to get external metric default/queue/nil: no
        Warning FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 2), first error is: failed to get queue external metric value: failed to get queue external metric: unable to get external metric default/queue/nil: no
        AbleToScale=True/SucceededGetScale
        ScalingActive=False/FailedGetExternalMetric
    "#]],
    );
}

#[test]
fn what_was_found_is_told_even_if_nothing_comes_of_it() {
    let two = "metrics: [{type: Pods, pods: {metric: {name: queries}, target: {type: AverageValue, averageValue: 100m}}}, \
               {type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: '1'}}}]";
    let mut case = Case::new(two, 3);
    case.look(&[used(&[10; 3]), Err("no".to_owned())]);
    let autoscaler = case.small.get::<HorizontalPodAutoscaler>("web");
    let status = autoscaler.status.clone().unwrap();
    let kinds: Vec<_> = status.current_metrics.iter().flatten().map(|metric| metric.type_.as_str()).collect();
    assert_eq!((kinds, status.current_replicas), (vec!["Pods", ""], Some(3)));
    // A target that could not be scaled is not at zero.
    let mut decided = status.clone();
    decided.desired_replicas = 0;
    decided.current_replicas = Some(2);
    super::decide::set_condition(&mut decided, "ScaledToZero", true, "ScaledToZero", "", case.small.now);
    let unscaled = super::decide::unscaled(&autoscaler, &decided);
    assert_eq!((unscaled.current_replicas, unscaled.conditions), (Some(2), status.conditions));
}

#[test]
fn to_nothing_and_back() {
    let spec = "minReplicas: 0, behavior: {scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 15}]}, scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 4, periodSeconds: 15}]}}, \
                metrics: [{type: External, external: {metric: {name: queue}, target: {type: Value, value: '10'}}}]";
    let mut case = Case::new(spec, 2);
    expect![[r#"
        2 -> 0: All metrics below target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
        ScaledToZero=True/ScaledToZero
    "#]]
    .assert_eq(&case.look(&[value(0)]));
    expect![[r#"
        AbleToScale=True/ReadyForNewScale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
        ScaledToZero=True/ScaledToZero
    "#]]
    .assert_eq(&case.later(15).look(&[value(0)]));
    expect![[r#"
        0 -> 3: external metric queue(nil) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
        ScaledToZero=False/NotScaledToZero
    "#]]
    .assert_eq(&case.later(15).look(&[value(25_000)]));
    // What a person scaled to zero stays there.
    check(
        spec,
        0,
        &[value(25_000)],
        expect![[r#"
        AbleToScale=True/SucceededGetScale
        ScalingActive=False/ScalingDisabled
    "#]],
    );
    // With more replicas at least, it comes back to those.
    let mut case = Case::new(spec, 2);
    case.look(&[value(0)]);
    case.small.edit::<HorizontalPodAutoscaler>("web", |web| web.spec.min_replicas = Some(2));
    expect![[r#"
        0 -> 2: 
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
        ScaledToZero=False/NotScaledToZero
    "#]]
    .assert_eq(&case.later(15).look(&[value(0)]));
}

#[test]
fn pods_may_request_as_a_whole() {
    let percent = |container: &str| {
        let (kind, source) =
            if container.is_empty() { ("Resource", "resource") } else { ("ContainerResource", "containerResource") };
        format!(
            "metrics: [{{type: {kind}, {source}: {{name: cpu, {container} target: {{type: Utilization, averageUtilization: 50}}}}}}]"
        )
    };
    let look = |container: &str, requests: &str| {
        let mut case = Case::new(&percent(container), 1);
        case.small.edit::<k8s_openapi::api::core::v1::Pod>("web-0", |pod| {
            let resources = serde_saphyr::from_str(&format!("{{requests: {{{requests}}}}}")).unwrap();
            pod.spec.as_mut().unwrap().resources = Some(resources);
        });
        case.look(&[used(&[100])]).lines().next().unwrap().to_owned()
    };
    // Of 100m, of 200m, of the container's 100m again.
    let more = "1 -> 2: cpu resource utilization (percentage of request) above target";
    assert_eq!(look("", ""), more);
    assert_eq!(look("", "cpu: 200m"), "AbleToScale=True/ReadyForNewScale");
    assert_eq!(look("", "memory: 1Gi"), more);
    assert_eq!(
        look("container: c,", "cpu: 200m"),
        "1 -> 2: cpu container resource utilization (percentage of request) above target"
    );
    assert_eq!(
        look("container: d,", ""),
        "Warning FailedGetContainerResourceMetric: failed to get cpu utilization: container d not found in Pod web-0"
    );
}

#[test]
fn behaviours_limit_the_pace() {
    let behavior =
        |up: &str, down: &str| format!("behavior: {{scaleUp: {{{up}}}, scaleDown: {{{down}}}}}, {CPU_AT_50}");
    let pods = |value: i32, period: i32| format!("{{type: Pods, value: {value}, periodSeconds: {period}}}");
    let percent = |value: i32, period: i32| format!("{{type: Percent, value: {value}, periodSeconds: {period}}}");
    let now = "stabilizationWindowSeconds: 0";
    // The larger step counts, or the smaller one, or none.
    let up = |select: &str| format!("{now}, selectPolicy: {select}, policies: [{}, {}]", pods(1, 60), percent(100, 60));
    for (select, expected) in [("Max", 6), ("Min", 4), ("Disabled", 3)] {
        assert_eq!(size(&behavior(&up(select), now), 3, &[used(&[900; 3])]), expected, "up {select}");
        let down = up(select).replace("value: 100,", "value: 50,");
        let expected = match select {
            "Max" => 3,
            "Min" => 5,
            _ => 6,
        };
        assert_eq!(size(&behavior(now, &down), 6, &[used(&[1; 6])]), expected, "down {select}");
    }
    // What was added within the period counts.
    let spec = behavior(&format!("{now}, policies: [{}]", pods(2, 60)), now);
    let mut case = Case::new(&spec, 1);
    let mut sizes = Vec::new();
    for _ in 0..6 {
        case.look(&[used(&[900; 10])]);
        sizes.push(case.size());
        case.later(20);
    }
    assert_eq!(sizes, [3, 3, 3, 5, 5, 5]);
    // A window holds the size at the lowest wish of late.
    let spec = behavior(&format!("stabilizationWindowSeconds: 60, policies: [{}]", pods(9, 15)), now);
    let mut case = Case::new(&spec, 2);
    expect![[r#"
        AbleToScale=True/ScaleUpStabilized
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]]
    .assert_eq(&case.look(&[used(&[100; 2])]));
    expect![[r#"
        2 -> 4: cpu resource utilization (percentage of request) above target
        AbleToScale=True/SucceededRescale
        ScalingActive=True/ValidMetricFound
        ScalingLimited=False/DesiredWithinRange
    "#]]
    .assert_eq(&case.later(61).look(&[used(&[100; 2])]));
}

#[test]
fn tolerance_by_direction() {
    let spec = |up: &str, down: &str| {
        let rules = |tolerance: &str| {
            format!(
                "{{stabilizationWindowSeconds: 0, policies: [{{type: Pods, value: 9, periodSeconds: 15}}]{tolerance}}}"
            )
        };
        format!("behavior: {{scaleUp: {}, scaleDown: {}}}, {CPU_AT_50}", rules(up), rules(down))
    };
    let wide = ", tolerance: '0.5'";
    assert_eq!(size(&spec("", ""), 4, &[used(&[60; 4])]), 5);
    assert_eq!(size(&spec(wide, ""), 4, &[used(&[60; 4])]), 4);
    assert_eq!(size(&spec(wide, ""), 4, &[used(&[30; 4])]), 3);
    assert_eq!(size(&spec("", wide), 4, &[used(&[30; 4])]), 4);
    assert_eq!(size(&spec(", tolerance: '0.01'", ""), 4, &[used(&[52; 4])]), 5);
}

#[test]
fn targets_that_cannot_be_scaled() {
    let check = |from: &str, to: &str, expected: Expect| {
        let mut case = Case::new(CPU_AT_50, 2);
        case.small.edit::<HorizontalPodAutoscaler>("web", |web| {
            let json = serde_json::to_string(web).unwrap().replace(from, to);
            *web = serde_json::from_str(&json).unwrap();
        });
        expected.assert_eq(&case.look(&[used(&[100; 2])]));
    };
    check(
        r#""kind":"Deployment""#,
        r#""kind":"Odd""#,
        expect![[r#"
        Warning FailedGetScale: no matches for kind "Odd" in group "apps"
        AbleToScale=False/FailedGetScale
    "#]],
    );
    check(
        r#""kind":"Deployment","name":"web""#,
        r#""kind":"Deployment","name":"gone""#,
        expect![[r#"
        Warning FailedGetScale: deployments.apps "gone" not found
        AbleToScale=False/FailedGetScale
    "#]],
    );
    check(
        r#""kind":"Deployment""#,
        r#""kind":"ControllerRevision""#,
        expect![[r#"
        Warning FailedGetScale: controllerrevisions.apps "web" not found
        AbleToScale=False/FailedGetScale
    "#]],
    );
    let mut case = Case::new(CPU_AT_50, 2);
    let other = (*case.small.get::<HorizontalPodAutoscaler>("web")).clone();
    let mut json = serde_json::to_value(&other).unwrap();
    json["metadata"] = serde_json::json!({"name": "also"});
    case.small.add_json(json);
    expect![[r#"
        Warning AmbiguousSelector: pods by selector app=web are controlled by multiple HPAs: [default/also default/web]
        Warning FailedComputeMetricsReplicas: pods by selector app=web are controlled by multiple HPAs: [default/also default/web]
        AbleToScale=True/SucceededGetScale
        ScalingActive=False/AmbiguousSelector
    "#]].assert_eq(&case.look(&[used(&[100; 2])]));
}
