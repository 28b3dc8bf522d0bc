use std::fmt::Write as _;

use coracle_core::ObjectRef;
use expect_test::expect;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{EndpointSliceMirroring, EndpointSlices, LegacyEndpoints, services_of_change};
use crate::planner::Planner as _;
use crate::testing::{Small, ago, change};

const SERVICE: &str = "{kind: Service, metadata: {name: web, labels: {tier: front}}, spec: {clusterIP: 10.0.0.1, \
                       selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}}\n---\n\
                       {kind: Node, metadata: {name: one, labels: {topology.kubernetes.io/zone: z1}}}\n---\n";

/// A pod with an address; `http` is its port of that name.
fn pod(name: &str, address: &str, http: u16, ready: bool, more: &str) -> String {
    let ready = if ready { "True" } else { "False" };
    format!(
        "{{kind: Pod, metadata: {{name: {name}, labels: {{app: web}}, {more}}}, spec: {{nodeName: one, containers: \
         [{{name: main, ports: [{{name: http, containerPort: {http}}}]}}]}}, status: {{phase: Running, podIP: {address}, \
         conditions: [{{type: Ready, status: '{ready}'}}]}}}}\n---\n"
    )
}

/// Every slice in a line: ports, then endpoints with `ready/serving/terminating`.
fn slices(small: &Small) -> String {
    let mut text = String::new();
    for slice in small.world.list::<EndpointSlice>() {
        let ports: Vec<_> = slice.ports.iter().flatten().map(|port| port.port.unwrap().to_string()).collect();
        write!(text, "{} [{}]", slice.metadata.name.as_deref().unwrap(), ports.join(",")).unwrap();
        for endpoint in slice.endpoints.iter().flatten() {
            let conditions = endpoint.conditions.clone().unwrap();
            let flags =
                [conditions.ready, conditions.serving, conditions.terminating].map(|flag| u8::from(flag == Some(true)));
            let zone = endpoint.zone.as_deref().unwrap_or("-");
            write!(text, " {}@{zone}={}{}{}", endpoint.addresses[0], flags[0], flags[1], flags[2]).unwrap();
        }
        text.push('\n');
    }
    text
}

fn small() -> Small {
    let pods = [
        pod("a", "1.0.0.1", 8080, true, ""),
        pod("b", "1.0.0.2", 8080, false, ""),
        pod("c", "1.0.0.3", 9090, true, ""),
        pod("d", "1.0.0.4", 8080, true, "deletionTimestamp: '2030-01-01T11:59:59Z'"),
        "{kind: Pod, metadata: {name: unready, labels: {app: web}}, status: {phase: Pending}}\n---\n".to_owned(),
        pod("ended", "1.0.0.6", 8080, false, "").replace("Running", "Succeeded"),
        pod("elsewhere", "1.0.0.7", 8080, true, "").replace("nodeName: one", "nodeName: two"),
        pod("other", "1.0.0.8", 8080, true, "").replace("app: web", "app: other"),
    ];
    Small::new(&(SERVICE.to_owned() + &pods.concat()))
}

#[test]
fn slices_hold_every_reachable_pod_by_its_ports() {
    let mut small = small();
    expect![[r#"
        create endpointslice default/web-*
        create endpointslice default/web-*
    "#]]
    .assert_eq(&small.step(&EndpointSlices, "web"));
    expect![[r#"
        web-1 [8080] 1.0.0.1@z1=110 1.0.0.2@z1=000 1.0.0.4@z1=011
        web-2 [9090] 1.0.0.3@z1=110
    "#]]
    .assert_eq(&slices(&small));
    assert_eq!(small.step(&EndpointSlices, "web"), "");
    let slice = small.world.list::<EndpointSlice>().next().unwrap();
    expect![[r#"
        {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io", "kubernetes.io/service-name": "web", "tier": "front"}
    "#]].assert_eq(&format!("{:?}\n", slice.metadata.labels.as_ref().unwrap()));
}

#[test]
fn only_what_changed_is_written() {
    let mut small = small();
    small.step(&EndpointSlices, "web");
    small.add(&pod("b", "1.0.0.2", 8080, true, ""));
    expect![[r#"
        update endpointslice default/web-1 endpoints.1.conditions.ready=true endpoints.1.conditions.serving=true
    "#]]
    .assert_eq(&small.step(&EndpointSlices, "web"));
    small.edit::<Pod>("c", |pod| pod.metadata.labels = None);
    expect![[r#"
        delete endpointslice default/web-2
    "#]]
    .assert_eq(&small.step(&EndpointSlices, "web"));
    small.edit::<Service>("web", |web| web.spec.as_mut().unwrap().publish_not_ready_addresses = Some(true));
    small.step(&EndpointSlices, "web");
    expect![[r#"
        web-1 [8080] 1.0.0.1@z1=110 1.0.0.2@z1=110 1.0.0.4@z1=111 1.0.0.7@-=110
    "#]]
    .assert_eq(&slices(&small));
}

#[test]
fn a_slice_holds_a_hundred() {
    let mut small = Small::new(SERVICE);
    (0..230).for_each(|index| {
        small.add(&pod(&format!("p{index}"), &format!("1.0.1.{index}"), 80, true, ""));
    });
    let sizes = |small: &Small| {
        let slices = small.world.list::<EndpointSlice>();
        slices.map(|slice| slice.endpoints.as_ref().unwrap().len()).collect::<Vec<_>>()
    };
    small.step(&EndpointSlices, "web");
    assert_eq!(sizes(&small), [100, 100, 30]);
    small.add(&pod("more", "1.0.2.1", 80, true, ""));
    expect!["update endpointslice default/web-3 endpo"]
        .assert_eq(&small.step(&EndpointSlices, "web").lines().map(|line| &line[..40]).collect::<String>());
    assert_eq!(sizes(&small), [100, 100, 31]);
}

#[test]
fn no_endpoints_leave_one_empty_slice_and_no_selector_what_there_is() {
    let mut small = Small::new(SERVICE);
    expect![[r#"
        create endpointslice default/web-*
        web-1 []
    "#]]
    .assert_eq(&(small.step(&EndpointSlices, "web") + &slices(&small)));
    assert_eq!(small.step(&EndpointSlices, "web"), "");
    small.edit::<Service>("web", |web| web.spec.as_mut().unwrap().selector = None);
    assert_eq!(small.step(&EndpointSlices, "web"), "");
}

#[test]
fn what_does_not_fill_a_slice_goes_where_it_fits_as_a_whole() {
    // Endpoints of two slices that have room, more of them, and how they are kept in the end.
    for (sizes, more, expected) in [
        ([62, 61], 30, &[92, 61][..]),
        ([62, 61], 39, &[62, 100]),
        ([62, 61], 40, &[62, 61, 40]),
        ([62, 61], 127, &[89, 61, 100]),
        ([80, 95], 6, &[86, 95]),
    ] {
        let mut small = Small::new(SERVICE);
        (0..200).for_each(|index| {
            small.add(&pod(&format!("p{index:03}"), "1.0.0.1", 80, true, ""));
        });
        small.step(&EndpointSlices, "web");
        let slices: Vec<_> = small.world.list::<EndpointSlice>().collect();
        for (slice, size) in slices.iter().zip(sizes) {
            for endpoint in &slice.endpoints.as_ref().unwrap()[size..] {
                let name = endpoint.target_ref.as_ref().unwrap().name.clone().unwrap();
                small.edit::<Pod>(&name, |pod| pod.metadata.labels = None);
            }
        }
        small.step(&EndpointSlices, "web");
        (0..more).for_each(|index| {
            small.add(&pod(&format!("q{index:03}"), "1.0.0.2", 80, true, ""));
        });
        small.step(&EndpointSlices, "web");
        let slices = small.world.list::<EndpointSlice>();
        let kept: Vec<_> = slices.map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
        assert_eq!(kept, expected, "{sizes:?} and {more}");
    }
}

#[test]
fn other_ports_change_the_slice_that_is_there() {
    let mut small = Small::new(&(SERVICE.to_owned() + &pod("a", "1.0.0.1", 8080, true, "")));
    small.step(&EndpointSlices, "web");
    small.edit::<Service>("web", |web| {
        web.spec.as_mut().unwrap().ports.as_mut().unwrap()[0].target_port = Some(IntOrString::Int(9000));
    });
    expect![[r#"
        update endpointslice default/web-1 ports.0.port=9000
    "#]]
    .assert_eq(&small.step(&EndpointSlices, "web"));
}

#[test]
fn a_service_that_is_going_gets_no_more_slices() {
    let service =
        SERVICE.replace("name: web,", "name: web, finalizers: [x], deletionTimestamp: '2030-01-01T11:59:59Z',");
    let mut small = Small::new(&(service + &pod("a", "1.0.0.1", 8080, true, "")));
    assert_eq!(small.step(&EndpointSlices, "web"), "");
    let mut small = self::small();
    small.step(&EndpointSlices, "web");
    small.edit::<Service>("web", |web| web.metadata.deletion_timestamp = Some(ago(1)));
    small.add(&pod("b", "1.0.0.2", 8080, true, ""));
    expect![[r#"
        update endpointslice default/web-1 endpoints.1.conditions.ready=true endpoints.1.conditions.serving=true
    "#]]
    .assert_eq(&small.step(&EndpointSlices, "web"));
}

#[test]
fn a_refusal_is_told() {
    let mut small = Small::new(&(SERVICE.to_owned() + &pod("a", "1.0.0.1", 8080, true, "")));
    small.refuse = Some(("endpointslices", "no more"));
    expect![[r#"
        create endpointslice default/web-*
          event FailedToUpdateEndpointSlices: Error updating Endpoint Slices for Service default/web: failed to create EndpointSlice for Service default/web: endpointslices.discovery.k8s.io is forbidden: no more
    "#]].assert_eq(&small.step(&EndpointSlices, "web"));
    small.refuse = Some(("endpoints", "no more"));
    expect![[r#"
        create endpoints default/web
          event FailedToCreateEndpoint: Failed to create endpoint for service default/web: endpoints is forbidden: no more
    "#]].assert_eq(&small.step(&LegacyEndpoints, "web"));
}

#[test]
fn hints_follow_the_distribution_that_is_asked_for() {
    let hints = |distribution: &str, annotations: &str| {
        let service = SERVICE
            .replace("clusterIP", &format!("trafficDistribution: {distribution}, clusterIP"))
            .replace("labels: {tier", &format!("annotations: {{{annotations}}}, labels: {{tier"));
        let pods = pod("a", "1.0.0.1", 80, true, "") + &pod("b", "1.0.0.2", 80, false, "");
        let mut small = Small::new(&(service + &pods));
        small.step(&EndpointSlices, "web");
        let slice = small.world.list::<EndpointSlice>().next().unwrap();
        let hints = slice.endpoints.iter().flatten().map(|endpoint| serde_json::to_string(&endpoint.hints).unwrap());
        hints.collect::<Vec<_>>().join(" ")
    };
    let (zone, node) = (r#""forZones":[{"name":"z1"}]"#, r#""forNodes":[{"name":"one"}]"#);
    assert_eq!(hints("null", ""), "null null");
    assert_eq!(hints("PreferClose", ""), format!("{{{zone}}} null"));
    assert_eq!(hints("PreferSameZone", ""), format!("{{{zone}}} null"));
    assert_eq!(hints("PreferSameNode", ""), format!("{{{node},{zone}}} null"));
    assert_eq!(hints("PreferSameZone", "service.kubernetes.io/topology-mode: Auto"), "null null");
    assert_eq!(hints("PreferSameZone", "service.kubernetes.io/topology-mode: Disabled"), format!("{{{zone}}} null"));
}

#[test]
fn endpoints_hold_ready_and_other_addresses() {
    let mut small = small();
    expect![[r#"
        create endpoints default/web
    "#]]
    .assert_eq(&small.step(&LegacyEndpoints, "web"));
    let endpoints = small.get::<Endpoints>("web");
    expect![[r#"[{"addresses":[{"ip":"1.0.0.1","nodeName":"one","targetRef":{"kind":"Pod","name":"a","namespace":"default","uid":"pod-a"}},{"ip":"1.0.0.7","nodeName":"two","targetRef":{"kind":"Pod","name":"elsewhere","namespace":"default","uid":"pod-elsewhere"}}],"notReadyAddresses":[{"ip":"1.0.0.2","nodeName":"one","targetRef":{"kind":"Pod","name":"b","namespace":"default","uid":"pod-b"}}],"ports":[{"name":"http","port":8080,"protocol":"TCP"}]},{"addresses":[{"ip":"1.0.0.3","nodeName":"one","targetRef":{"kind":"Pod","name":"c","namespace":"default","uid":"pod-c"}}],"ports":[{"name":"http","port":9090,"protocol":"TCP"}]}]"#]].assert_eq(&serde_json::to_string(&endpoints.subsets).unwrap());
    assert_eq!(small.step(&LegacyEndpoints, "web"), "");
    small.edit::<Service>("web", |web| web.spec.as_mut().unwrap().selector = None);
    assert_eq!(small.step(&LegacyEndpoints, "web"), "");
    let plan = LegacyEndpoints.plan_gone(&"default/web".into(), &small.world, small.now);
    assert_eq!(plan.to_string(), "delete endpoints default/web\n");
}

#[test]
fn a_change_that_no_endpoint_shows_wakes_nobody() {
    let mut small = small();
    let place = ObjectRef::of(&*small.get::<Pod>("a"));
    let mut woken = |edit: fn(&mut Pod)| {
        let before = small.world.clone();
        small.edit::<Pod>("a", edit);
        services_of_change(&change(&before, &small.world, &place), &small.world).len()
    };
    assert_eq!(woken(|pod| pod.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into())), 0);
    assert_eq!(woken(|pod| pod.status.as_mut().unwrap().message = Some("hello".to_owned())), 0);
    assert_eq!(woken(|pod| pod.status.as_mut().unwrap().conditions = None), 1);
    assert_eq!(woken(|pod| pod.metadata.labels = None), 1);
}

#[test]
fn endpoints_made_by_hand_are_mirrored() {
    let mut small = Small::new(
        "{kind: Service, metadata: {name: db}, spec: {ports: [{port: 5432}]}}\n---\n\
         {kind: Endpoints, metadata: {name: db, labels: {tier: back}}, subsets: [{ports: [{port: 5432}], \
         addresses: [{ip: 10.0.0.1}, {ip: 'fd00::1'}, {ip: nonsense}], notReadyAddresses: [{ip: 10.0.0.2}]}]}\n",
    );
    expect![[r#"
        event InvalidIPAddress: Skipped 1 invalid IP addresses when mirroring to EndpointSlices
        create endpointslice default/db-*
        create endpointslice default/db-*
    "#]]
    .assert_eq(&small.step(&EndpointSliceMirroring, "db"));
    expect![[r#"
        db-1 [5432] 10.0.0.1@-=100 10.0.0.2@-=000
        db-2 [5432] fd00::1@-=100
    "#]]
    .assert_eq(&slices(&small));
    small.edit::<Endpoints>("db", |db| {
        db.subsets.as_mut().unwrap()[0].addresses.as_mut().unwrap().truncate(1);
    });
    expect![[r#"
        delete endpointslice default/db-2
    "#]]
    .assert_eq(&small.step(&EndpointSliceMirroring, "db"));
    assert_eq!(small.step(&EndpointSliceMirroring, "db"), "");
    // What a Service selects is the other controller's business; so is nothing at all.
    small.edit::<Service>("db", |db| {
        db.spec.as_mut().unwrap().selector = Some([("app".to_owned(), "db".to_owned())].into());
    });
    expect![[r#"
        delete endpointslice default/db-1
    "#]]
    .assert_eq(&small.step(&EndpointSliceMirroring, "db"));
}
