//! Whatever is measured: the size stays within its bounds, changes no faster than the policies allow, stays while the metric is
//! near its target, and grows with the metric.

use proptest::prelude::*;

use super::tests::{CPU_AT_50, Case, size, used};

/// Rules for one direction: how to choose among policies, and each policy's kind, value and period in seconds.
#[derive(Clone, Debug)]
struct Rules {
    select: &'static str,
    policies: Vec<(&'static str, i32, i64)>,
    window: i64,
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let policy =
        (prop::sample::select(vec!["Pods", "Percent"]), 1..120_i32, prop::sample::select(vec![15, 30, 60, 120]));
    let select = prop::sample::select(vec!["Max", "Min", "Disabled"]);
    (select, prop::collection::vec(policy, 1..3), prop::sample::select(vec![0, 30, 300])).prop_map(
        |(select, mut policies, window)| {
            // Small steps of pods, so that they matter.
            policies.iter_mut().filter(|(kind, ..)| *kind == "Pods").for_each(|(_, value, _)| *value = *value % 4 + 1);
            Rules { select, policies, window }
        },
    )
}

impl Rules {
    fn yaml(&self) -> String {
        let policies = self.policies.iter();
        let policies =
            policies.map(|(kind, value, period)| format!("{{type: {kind}, value: {value}, periodSeconds: {period}}}"));
        let policies = policies.collect::<Vec<_>>().join(", ");
        let (select, window) = (self.select, self.window);
        format!("{{selectPolicy: {select}, stabilizationWindowSeconds: {window}, policies: [{policies}]}}")
    }

    /// As far as the size may go, given all sizes so far and since when each was.
    fn farthest(&self, sizes: &[(i64, i32)], now: i64, up: bool) -> i32 {
        let current = sizes.last().unwrap().1;
        let ends = self.policies.iter().map(|(kind, value, period)| {
            let before = sizes.iter().rfind(|(since, _)| *since <= now - period).unwrap_or(&sizes[0]).1;
            let sign = if up { 1 } else { -1 };
            match (*kind, up) {
                ("Pods", _) => before + sign * value,
                (_, true) => (before * (100 + value) + 99) / 100,
                (_, false) => (before * (100 - value)).max(0) / 100,
            }
        });
        let nearest_is_least = up == (self.select == "Min");
        match self.select {
            "Disabled" => current,
            _ if nearest_is_least => ends.min().unwrap(),
            _ => ends.max().unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_size_keeps_its_bounds_and_its_pace(
        up in any_rules(),
        down in any_rules(),
        (least, start, most) in (1..4_i32, 0..6_i32, 0..5_i32).prop_map(|(least, more, most)| (least, least + more, least + more + most)),
        looks in prop::collection::vec((15..40_i64, 0..400_i64), 1..12),
    ) {
        let behavior = format!("behavior: {{scaleUp: {}, scaleDown: {}}}", up.yaml(), down.yaml());
        let mut case = Case::new(&format!("minReplicas: {least}, {behavior}, {CPU_AT_50}"), start);
        case.small.edit::<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler>("web", |web| web.spec.max_replicas = most);
        let (mut sizes, mut now) = (vec![(i64::MIN, start)], 0);
        for (wait, milli) in looks {
            case.later(wait);
            now += wait;
            let before = case.size();
            case.look(&[used(&vec![milli; before as usize])]);
            let after = case.size();
            prop_assert!((least..=most).contains(&after), "{after} is not in {least}..={most}");
            let (low, high) = (down.farthest(&sizes, now, false).min(before), up.farthest(&sizes, now, true).max(before));
            prop_assert!((low..=high).contains(&after), "{before} -> {after} is not in {low}..={high}");
            if after != before {
                sizes.push((now, after));
            }
        }
    }

    #[test]
    fn near_its_target_it_stays(replicas in 1..=10_i32, milli in 45..=55_i64) {
        prop_assert_eq!(size(CPU_AT_50, replicas, &[used(&vec![milli; replicas as usize])]), replicas);
    }

    #[test]
    fn more_use_never_means_fewer(replicas in 1..=10_i32, one in 0..300_i64, other in 0..300_i64) {
        let now = "behavior: {scaleDown: {stabilizationWindowSeconds: 0}}";
        let at = |milli| size(&format!("{now}, {CPU_AT_50}"), replicas, &[used(&vec![milli; replicas as usize])]);
        prop_assert!(at(one.min(other)) <= at(one.max(other)));
    }
}
