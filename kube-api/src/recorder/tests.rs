use std::collections::BTreeMap;

use coracle_core::{Action, Body, Happening, Request, Severity};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Pod};

use super::correlator::Correlator;

/// What was told of one pod, and the Events it became.
struct Telling {
    correlator: Correlator,
    events: BTreeMap<String, Event>,
    now: Timestamp,
}

impl Telling {
    fn new() -> Self {
        let now = "2030-01-01T12:00:00Z".parse().unwrap();
        Self { correlator: Correlator::default(), events: BTreeMap::new(), now }
    }

    /// Tells something so many seconds after the last.
    fn tell(&mut self, seconds: i64, note: &str, action: &'static str) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        let mut pod = Pod::default();
        pod.metadata.name = Some("web".to_owned());
        pod.metadata.uid = Some("u".to_owned());
        let happening = Happening::new("tester", &pod, Severity::Normal, "Happened", note).acting(action);
        let number = self.events.len() as u64;
        let events = &self.events;
        let request = self.correlator.request(happening, self.now, || number << 4, |_, name| events.contains_key(name));
        if let Some(Request { action, target, .. }) = request {
            match action {
                Action::Create(Body::Value(value)) => {
                    let event = value.as_any().downcast_ref::<Event>().unwrap().clone();
                    self.events.insert(event.metadata.name.clone().unwrap(), event);
                }
                Action::Edit(edit) => edit.run(self.events.get_mut(&*target.name).unwrap()).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        self
    }

    fn check(&self, expected: Expect) {
        let line = |event: &Event| {
            let series = event.series.as_ref().map(|series| series.count.unwrap());
            let (count, note) = (event.count.unwrap_or(0), event.message.as_deref().unwrap());
            format!("{note} count={count} series={series:?} action={:?}\n", event.action.as_deref().unwrap_or(""))
        };
        expected.assert_eq(&self.events.values().map(line).collect::<String>());
    }
}

#[test]
fn the_same_again_is_counted() {
    let mut telling = Telling::new();
    telling.tell(0, "one", "").tell(1, "two", "").tell(3600, "one", "").tell(1, "one", "");
    telling.check(expect![[r#"
        one count=3 series=None action=""
        two count=1 series=None action=""
    "#]]);
}

#[test]
fn many_that_are_alike_become_one() {
    let mut telling = Telling::new();
    for number in 0..13 {
        telling.tell(1, &format!("note {number}"), "");
    }
    telling.check(expect![[r#"
        note 0 count=1 series=None action=""
        note 1 count=1 series=None action=""
        note 2 count=1 series=None action=""
        note 3 count=1 series=None action=""
        note 4 count=1 series=None action=""
        note 5 count=1 series=None action=""
        note 6 count=1 series=None action=""
        note 7 count=1 series=None action=""
        note 8 count=1 series=None action=""
        (combined from similar events): note 12 count=4 series=None action=""
    "#]]);
    telling.tell(601, "much later", "");
    assert_eq!(telling.events.len(), 11, "what happens after ten minutes of silence stands for itself");
}

#[test]
fn who_tells_too_much_is_cut_short() {
    let mut telling = Telling::new();
    for _ in 0..100 {
        telling.tell(0, "again", "");
    }
    telling.check(expect![[r#"
        again count=25 series=None action=""
    "#]]);
    telling.tell(300, "again", "").tell(0, "again", "");
    telling.check(expect![[r#"
        again count=26 series=None action=""
    "#]]);
}

#[test]
fn what_acts_tells_series() {
    let mut telling = Telling::new();
    telling.tell(0, "no room", "Scheduling").tell(60, "still none", "Scheduling").tell(60, "none", "Scheduling");
    telling.check(expect![[r#"
        no room count=0 series=Some(3) action="Scheduling"
    "#]]);
    telling.tell(361, "none", "Scheduling");
    telling.check(expect![[r#"
        no room count=0 series=Some(3) action="Scheduling"
        none count=0 series=None action="Scheduling"
    "#]]);
}
