//! Measures CPU time of the whole process, user and system, over all its threads: what a machine is billed
//! for, whatever else runs beside it. Wall time says little on shared cores.

mod governed;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter};
use rustix::time::{ClockId, clock_gettime};

pub use governed::governed;

/// Criterion's measurement of process CPU time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime;

fn now() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        now()
    }

    fn end(&self, start: u64) -> u64 {
        now().saturating_sub(start)
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Micros
    }
}

struct Micros;

impl ValueFormatter for Micros {
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        for value in values {
            *value /= 1_000.0;
        }
        "us CPU"
    }

    fn scale_throughputs(&self, _: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        let (count, unit) = match throughput {
            Throughput::Elements(elements) => (*elements as f64, "a second of CPU"),
            Throughput::Bytes(bytes) => (*bytes as f64 / 1e6, "MB a second of CPU"),
            _ => return "",
        };
        for value in values {
            *value = count / *value * 1e9;
        }
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        self.scale_values(0.0, values)
    }
}
