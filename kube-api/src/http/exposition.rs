//! The text format of Prometheus, in which `/metrics` answers.

use std::fmt::{Display, Write as _};

/// Metrics as text, family by family.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    name: String,
}

impl Exposition {
    /// Begins a family of samples: what it is called, `counter`, `gauge` or `histogram`, and what it tells.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) -> &mut Self {
        name.clone_into(&mut self.name);
        // Writing to a String cannot fail, here and below.
        let _infallible = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value)
    }

    /// A histogram of the family: how many observations were at most each bound, how many there were, and their sum.
    fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[f64],
        counts: &[u64],
        count: u64,
        sum: f64,
    ) -> &mut Self {
        for (bound, at_most) in bounds.iter().zip(counts) {
            self.line("_bucket", labels, Some(&bound.to_string()), at_most);
        }
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count)
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) -> &mut Self {
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let mut opening = '{';
        for (label, text) in labels {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.text, "{opening}{label}=\"{text}\"");
            opening = ',';
        }
        let closing = if opening == ',' { "} " } else { " " };
        let _infallible = writeln!(self.text, "{closing}{value}");
        self
    }
}

/// How observations spread: how many there were, their sum, and how many were at most each of some bounds.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    at_most: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    /// Nothing observed yet; the bounds rise.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, at_most: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    /// Counts an observation.
    pub fn observe(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        let reached = self.bounds.iter().zip(&mut self.at_most).filter(|(bound, _)| value <= **bound);
        reached.for_each(|(_, at_most)| *at_most += 1);
    }

    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Appends it as a sample of the family that was begun last.
    pub fn tell(&self, labels: &[(&str, &str)], text: &mut Exposition) {
        text.histogram(labels, self.bounds, &self.at_most, self.count, self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        let mut text = Exposition::default();
        text.family("a", "gauge", "All.").sample(&[], 1).sample(&[("b", "\"c\""), ("d", "")], 2);
        let mut histogram = Histogram::new(&[0.5, 1.0]);
        [0.5, 1.0, 3.0].into_iter().for_each(|value| histogram.observe(value));
        histogram.tell(&[("b", "c")], text.family("h", "histogram", "How long."));
        let expected = "# HELP a All.\n# TYPE a gauge\na 1\na{b=\"\\\"c\\\"\",d=\"\"} 2\n\
            # HELP h How long.\n# TYPE h histogram\nh_bucket{b=\"c\",le=\"0.5\"} 1\nh_bucket{b=\"c\",le=\"1\"} 2\n\
            h_bucket{b=\"c\",le=\"+Inf\"} 3\nh_sum{b=\"c\"} 4.5\nh_count{b=\"c\"} 3\n";
        assert_eq!(text.finish(), expected);
    }
}
